# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# Checkpoint, kill, restore, go on: each daemon in each place.

for place in host unshare runc; do
	for daemon in rawd clones bindfs sshfs; do
		scenario "$place-$daemon" survive "$place" "$daemon"
	done
done

# sshfs where CRIU does not carry its TCP, too.
for place in host runc; do
	scenario "$place-sftp" survive "$place" sftp
done

# The same with criu alone.
plain_criu() {
	VIA=criu
	survive host "$@"
}
scenario criu-rawd plain_criu rawd
scenario criu-bindfs plain_criu bindfs

# Addresses are random everywhere but in these machines.
random_addresses() {
	echo 2 >/proc/sys/kernel/randomize_va_space
	survive "$@"
}
scenario random-addresses-host random_addresses host bindfs
scenario random-addresses-runc random_addresses runc rawd

# What a restored tree is dumped as is what it was restored from, but for what
# fusecr(8) lists under VERIFYING. Files in the order of descriptors and addresses.
# One image set a line.
told() {
	fusecr show -j -D "$1" | jq -c '
		.connections | map({
			conn: .conn | del(.id, .dev, .dev_name, .user_ns, .pid_ns, .epoch,
				.attr_version, .next_unique, .next_kh) |
				with_entries(select(.key | test("^(num|gate)_") | not)),
			next: [.conn.next_unique, .conn.next_kh],
			requests: .requests | length,
			devs: .devs | map(del(.cookie, .conn_id, .conn_dev, .conn_dev_name, .pid, .criu_id)),
			mounts: .mounts | map(del(.mnt_id, .parent_mnt_id, .ext_key) |
				.propagation |= ((. // "") | gsub("[0-9]+"; "N"))),
			backings: .backings | map(del(.cookie, .dev, .ino)) | sort_by(.id),
			files: .files | map(del(.conn_id, .conn_dev, .conn_dev_name, .cookie, .pid,
				.mnt_id, .readdir_version, .readdir_cache_off, .file_flags) |
				.file_flags_names |= ((. // []) - ["O_DIRECTORY", "O_CLOEXEC"])) |
				sort_by(.vpid, .use, .number),
			inodes: .inodes | map(del(.attr_version, .attr_valid, .inval_mask, .name))
		})'
}

# again PLACE DAEMON "PROGRAM..." [OPTION...] - of the daemon.
again() {
	local program names=()
	# shellcheck disable=SC2046
	place_new "$1" $(daemon_programs "$2")
	tree_start
	daemon_start "$2" "${@:4}"
	for program in $3; do
		names+=("$program")
		case $program in
		client) client_start client ;;
		locker) program_start locker "locker -k $MNT $IN/locker" && CRIU+=(--file-locks) ;;
		*) program_start $program "$program $program $MNT $IN/$program" ;;
		esac
	done
	clients_check "${names[@]}"
	checkpoint "$T/img.1"
	restore "$T/img.1"
	checkpoint "$T/img.2"
	told "$T/img.1" >"$T/told"
	told "$T/img.2" >>"$T/told"
	# Of inodes there may be fewer, and the numbers go on.
	jq -s -S '.[0] as $old | .[1] as $new | range($new | length) |
		($new[.].inodes | map(.nodeid)) as $held |
		($old[.] | .inodes |= map(select(.nodeid | IN($held[])))), $new[.] |
		.inodes |= sort_by(.nodeid) | del(.next)' "$T/told" >"$T/both"
	jq -s -e 'length == 2 and .[0] == .[1] and (.[0].inodes | length) > 0' "$T/both" ||
		fail "another image: $(jq -s -c '.[0] as $a | .[1] as $b | [paths(scalars)] |
			map(.[1:]) | unique | map(. as $p | select(($a | getpath($p)) != ($b | getpath($p))) |
			[., ($a | getpath($p)), ($b | getpath($p))])' "$T/both")"
	jq -s -e '[.[0], .[1] | map(.next)] | .[0] <= .[1]' "$T/told" || fail "numbers are given out twice"
	restore "$T/img.2"
	clients_check "${names[@]}"
	clients_quit "${names[@]}"
}
scenario again-host-rawd again host rawd "client remover dweller mapper locker sender special watcher"
scenario again-runc-bindfs again runc bindfs "client remover dweller mapper"
scenario again-host-writeback again host rawd "client mapper moder" -I 0x10000
scenario again-host-clones again host clones "client remover special sender"
