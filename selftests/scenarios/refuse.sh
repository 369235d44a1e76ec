# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# What is not carried is refused by name, before the tree is touched, and the
# tree goes on unharmed.

# refused PATTERN CLIENT... - PATTERN is part of what the person reads.
refused() {
	local pattern=$1 status=0
	shift
	tool_dump "$T/img" || status=$?
	[ $status = 1 ] || fail "the checkpoint ended with $status"
	grep -q -e "$pattern" "$T/tool.log" "$T/img/dump.log" ||
		fail "not named: $pattern"
	! grep -q 'Seized task' "$T/img/dump.log" || fail "the tree was stopped"
	[ -z "$(find "$T/img" -name 'fusecr-*.img')" ] || fail "images are left"
	rm -r "$T/img"
	expect_unharmed "$@"
}

# A tree with one client, to which something is added.
tree_with() {
	place_new host
	tree_start
	daemon_start "$@"
	client_start c1
}

# And once it is gone, nothing is in the way any more.
accepted() {
	cycle 1 "$@"
	clients_quit "$@"
}

# holding PATTERN WHAT FILE [OPTION...] - a program that holds something.
holding() {
	local pattern=$1 what=$2 file=$3
	shift 3
	tree_with rawd "$@"
	holder_start h "$what" "$MNT/$file"
	refused "$pattern" c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}

scenario refuse-lock-sent holding 'FLOCK.*through no descriptor' sent f0
scenario refuse-lock-mapped holding 'POSIX.*has mapped' locked-map f1
scenario refuse-deleted-twice holding 'gone) is deleted, and so is another file of that name' deleted-twice gone
scenario refuse-deleted-directory holding 'is a deleted directory' deleted-directory gone
scenario refuse-watch-once holding 'watches node.*IN_ONESHOT' watch-once f1
scenario refuse-watch-deleted holding 'gone) is watched, and deleted' watch-deleted gone
scenario refuse-dnotify holding 'watched, but through no descriptor' dnotify dir0
scenario refuse-permission holding 'asked for permission' permission f1
scenario refuse-device holding 'null) is a device' open null
scenario refuse-deleted-fifo holding 'gone) is deleted' deleted-fifo gone
scenario refuse-bound-twice holding 'gone) is deleted, and another socket has its name' bound-twice gone

# What is watched stays in memory, what it is called does not.
nameless() {
	local n
	tree_with rawd
	holder_start h watch "$MNT/f1"
	for n in 1 2 3 4; do
		echo 2 >/proc/sys/vm/drop_caches
	done
	refused 'is watched, and the kernel has forgotten its name' c1
	in_tree stat "$MNT/f1" >/dev/null || fail "f1 is not there"
	accepted c1
	tell h end
}
scenario refuse-watch-nameless nameless

# Read by the daemon, and not answered: close_range() does not start over.
in_flight() {
	tree_with rawd -W -H FLUSH
	program_start asker "asker close_range $MNT $IN/asker"
	rawd_signal
	tell asker go
	until_true fusecr_counts processing || fail "no request is held"
	tool_dump "$T/img" && fail "dumped"
	grep 'connection 0:[0-9]* (fuse): request in flight: FLUSH, unique [0-9]*, node [0-9]*, pid [0-9]* (asker), processing' \
		"$T/tool.log" || fail "the request is not named"
	rawd_signal
	expect asker "done"
	tell asker quit
	expect_unharmed c1
	rm -r "$T/img"
	until_true not find_task asker >/dev/null
	accepted c1
}
scenario refuse-in-flight in_flight

# What is dirty is written before, as long as the daemon takes it.
dirty() {
	local daemon
	tree_with rawd -I 0x10000
	holder_start h dirty "$MNT/f0"
	daemon=$(find_task rawd)
	kill -STOP "$daemon"
	tool_dump "$T/img" && fail "dumped"
	grep 'request in flight: WRITE' "$T/tool.log" || fail "the request is not named"
	kill -CONT "$daemon"
	expect_unharmed c1
	rm -r "$T/img"
	cycle 1 c1
	[ "$(in_tree head -c 5 "$MNT/f0")" = dirty ] || fail "it was not written"
	tell h end
	clients_quit c1
}
scenario refuse-dirty dirty

# in_tree COMMAND... - in the tree's mount namespace.
in_tree() {
	timeout "$PATIENCE" nsenter -t "$PID" -m "$IN/bin/busybox" "$@"
}

waits() {
	grep -q '^State:.[DS]' "/proc/$1/status" && grep -q fuse "/proc/$1/wchan"
}

# In the queue, the daemon being stopped.
pending() {
	local daemon
	tree_with rawd -a 0
	daemon=$(find_task rawd)
	kill -STOP "$daemon"
	tree_spawn "/usr/bin/ls -l $MNT >/dev/null"
	until_true find_task ls >/dev/null
	until_true fusecr_counts pending
	tool_dump "$T/img" && fail "dumped"
	grep 'request in flight: .*pending' "$T/tool.log" || fail "the request is not named"
	kill -CONT "$daemon"
	expect_unharmed c1
	rm -r "$T/img"
	until_true not find_task ls >/dev/null
	accepted c1
}
scenario refuse-pending pending

cuse() {
	modprobe cuse || skip "this kernel has no CUSE"
	until_true test -c /dev/cuse || skip "there is no /dev/cuse"
	tree_with rawd
	holder_start h open /dev/cuse
	refused 'CUSE' c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
scenario refuse-cuse cuse

# A program outside of the tree.
outsider() {
	local what
	tree_with rawd
	mkfifo "$OUT"/h.{cmd,out}
	exec {fd}<>"$OUT/h.out"
	SAYS[h]=$fd
	for what in "open $MNT/f1" "bound $MNT/socket" "watch $MNT/f1"; do
		# shellcheck disable=SC2086
		"$IN/bin/holder" $what "$IN/h" &
		expect h ready
		refused "$! (holder).*outside the tree" c1
		kill $!
		wait $! || :
	done
	(cd "$MNT" && exec sleep 1000) &
	until_true in_mount $!
	refused "$! (sleep).*outside the tree" c1
	kill $!
	wait $! || :
	accepted c1
}
in_mount() {
	[ "$(readlink "/proc/$1/cwd")" = "$MNT" ]
}
scenario refuse-outsider outsider

# The daemon's /dev/fuse is in the hands of a process outside, too.
outside_holder() {
	local daemon fd
	tree_with rawd
	daemon=$(find_task rawd)
	for fd in "/proc/$daemon/fd/"*; do
		[ "$(readlink "$fd")" != /dev/fuse ] || break
	done
	mkfifo "$OUT"/h.{cmd,out}
	"$IN/bin/holder" device "$daemon/${fd##*/}" "$IN/h" &
	exec {out}<>"$OUT/h.out"
	SAYS[h]=$out
	expect h ready
	refused "$! (holder).*outside the tree" c1
	kill $!
	wait $! || :
	accepted c1
}
scenario refuse-outside-holder outside_holder

nested() {
	tree_with rawd
	tree_spawn "/usr/bin/unshare --mount /usr/bin/sleep 1000"
	until_true find_task sleep >/dev/null
	refused 'mounted in the nested mount namespace.*sleep' c1
	kill "$(find_task sleep)"
	until_true not find_task sleep >/dev/null
	accepted c1
}
scenario refuse-nested-mount nested

elsewhere() {
	tree_with rawd
	unshare --mount sleep 1000 &
	until_true named $! sleep
	refused "another mount namespace of process $!" c1
	kill $!
	wait $! || :
	accepted c1
}
named() {
	[ "$(cat "/proc/$1/comm")" = "$2" ]
}
scenario refuse-other-mount elsewhere

user_namespace() {
	place_new host
	tree_start
	tree_spawn "/usr/bin/unshare --user --map-root-user --mount $IN/bin/rawd -F -u 0:0 $MNT"
	until_true find_task rawd >/dev/null || fail "no rawd"
	until_true mounted_in "$(find_task rawd)" || skip "no mount from a user namespace"
	refused 'user namespace'
}
mounted_in() {
	grep -q " $MNT .* - fuse" "/proc/$1/mountinfo"
}
scenario refuse-user-namespace user_namespace

aborted() {
	tree_with rawd
	for conn in /sys/fs/fuse/connections/*/abort; do
		echo 1 >"$conn"
	done
	until_true not find_task rawd >/dev/null
	tool_dump "$T/img" && fail "dumped"
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	expect_no_trace
}
scenario refuse-aborted aborted

unmounted() {
	tree_with rawd
	umount -l "$MNT"
	tool_dump "$T/img" && fail "dumped"
	grep -q -e 'not mounted' -e 'no mount' "$T/tool.log" || fail "not named"
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	expect_no_trace
}
scenario refuse-unmounted unmounted

passthrough() {
	grep -q fuse_passthrough_open /proc/kallsyms ||
		skip "this kernel's fuse has no passthrough"
	# INIT_EXT and PASSTHROUGH, which counts only with a stack depth.
	tree_with rawd -I 0x2040000000 -k 1
	refused 'passthrough' c1
}
scenario refuse-passthrough passthrough

io_uring() {
	grep -q fuse_uring_cmd /proc/kallsyms || skip "this kernel's fuse has no io_uring"
	echo 1 >/sys/module/fuse/parameters/enable_uring || fail "it cannot be enabled"
	place_new host
	tree_start
	# INIT_EXT and OVER_IO_URING. The server has no queues, so everyone would
	# wait for them: nobody uses the mount.
	daemon_start rawd -I 0x20040000000
	tool_dump "$T/img" && fail "dumped"
	echo 0 >/sys/module/fuse/parameters/enable_uring
	grep -q 'io_uring queues are in use' "$T/tool.log" || fail "not named: $(cat "$T/tool.log")"
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	[ -n "$(find_task rawd)" ] || fail "the daemon is gone"
}
scenario refuse-io-uring io_uring

# The virtual machine was given a directory of the host's.
virtio() {
	modprobe virtiofs || fail "no virtiofs"
	place_new host
	mkdir "$T/far"
	mount -t virtiofs host "$T/far" || fail "cannot mount"
	tree_start
	tree_do "exec 9<$T/far/root"
	until_true test -e "/proc/$PID/fd/9" || fail "not open"
	tool_dump "$T/img" && fail "dumped"
	grep -q 'fd 9 (/root): on virtiofs' "$T/tool.log" || fail "not named"
	[ -d "/proc/$PID" ] || fail "the tree is gone"
}
scenario refuse-virtiofs virtio

# The same way out of a container.
refused_in_runc() {
	place_new runc
	tree_start
	daemon_start rawd
	client_start c1
	holder_start h watch-once "$MNT/f0"
	refused 'watches node.*IN_ONESHOT' c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
scenario refuse-runc refused_in_runc

# As JSON, and with the exit status that is promised.
refused_json() {
	tree_with rawd
	holder_start h watch-once "$MNT/f0"
	fusecr checkpoint -j --pid "$PID" -D "$T/img" >"$T/json" 2>"$T/tool.log" && fail "dumped"
	jq -e '.done == false and .tree_runs == true' "$T/json" >/dev/null ||
		fail "JSON: $(cat "$T/json")"
	expect_unharmed c1
}
scenario refuse-json refused_json
