# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2153,SC2154
#
# What anybody sees of the files that a tree has open: in /proc, and by BPF iterators,
# which read what the kernel has for itself.

# others_see FILE - writes it there: a line a descriptor and what belongs to it, by the pid that
# the process has for itself. What is another number after a restore with or without FUSE
# is left out: devices, mounts, pids, pipes, sockets, what eventfds and timers count.
others_see() {
	local tasks pid
	mapfile -t tasks < <(tree_pids)
	"$BUILD/scenarios/iterate" >"$1.bpf" || fail "BPF tells nothing"
	{
		find "${tasks[@]/#//proc/}" -mindepth 2 -maxdepth 2 -path '*/fd/*' -printf '%p %l\n'
		for pid in "${tasks[@]}"; do
			echo "/proc/$pid/status"
			printf '%s\n' "/proc/$pid/fdinfo/"*
		done
		sed 's/^/iterated /' "$1.bpf"
	} 2>/dev/null | awk '
		# Of what has no name, the kind. Numbers of inodes on the mounts only: others may
		# be of a file system that was made anew.
		$1 ~ /\/fd\// {
			link = substr($0, length($1) + 2)
			if (link !~ /^(\/|anon_inode)/)
				sub(/:.*/, "", link)
			sub(/\/fd\//, "/fdinfo/", $1)
			to[$1] = link
			ours[$1] = link ~ /\/mnt/
			next
		}
		function tell(file, text,    part) {
			split(file, part, "/")
			print ns[part[3]], part[5], to[file], text
		}
		$1 == "iterated" {
			if ($2 in ns)
				print ns[$2], substr($0, length($1) + length($2) + 3)
			next
		}
		{
			file = $1
			while ((getline <file) > 0) {
				if ($1 == "NSpid:") {
					split(file, part, "/")
					ns[part[3]] = $NF
				}
				if (file !~ /fdinfo/ || !(file in to))
					continue
				# CRIU opens directories without O_DIRECTORY, the last but five.
				if ($1 == "flags:") {
					at = length($2) - 5
					digit = substr($2, at, 1)
					$2 = substr($2, 1, at - 1) (digit - int(digit / 2) % 2 * 2) substr($2, at + 1)
				}
				if ($1 == "pos:" || $1 == "flags:" || ($1 == "ino:" && ours[file])) {
					tell(file, $0)
				} else if ($1 == "lock:") {
					split($7, part, ":")
					tell(file, $3 " " $4 " " $5 " " part[3] " " $8 " " $9)
				} else if ($1 == "inotify") {
					tell(file, $2 " " $3 " " $5)
				} else if ($1 == "fanotify" && $2 ~ /^(ino|mnt_id)/) {
					sub(/(mnt_id|sdev):[^ ]* /, "")
					tell(file, $0)
				} else if ($1 == "tfd:") {
					tell(file, $1 $2 " " $3 $4)
				}
			}
			close(file)
		}
	' | sort >"$1"
}

# Nothing of it is otherwise than it was.
same_is_seen() {
	others_see "$1.now"
	diff "$1" "$1.now" || fail "others see other files"
}
