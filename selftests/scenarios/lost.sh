# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# What CRIU would lose, or set wrongly, without a word is refused by name.

scenario refuse-watch-ignore holding 'watches node [0-9]* with FAN_MARK_IGNORE' watch-ignore f0
scenario refuse-thread-fs holding '(holder): its thread [0-9]* has a working directory and a root of its own' thread-fs dir0
scenario refuse-thread-files holding '(holder): its thread [0-9]* has descriptors of its own' thread-files f1
# The daemon could not take it, and the program has not been told yet.
write_lost() {
	tree_with rawd -I 0x10000
	in_tree sh -c "echo -n full >$MNT/.ctl"
	holder_start h write-lost "$MNT/f0"
	in_tree sh -c "echo -n roomy >$MNT/.ctl"
	refused '(holder) fd [0-9]* (/f0) has lost what was written to it' c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
scenario refuse-write-lost write_lost

scenario refuse-locked holding '(holder) map (/f0) is private and locked in memory' locked f0

# A scanner of viruses: what it is asked about it opens itself, and waits for the daemon.
scanner() {
	tree_with rawd
	outside_start h holder permission-mount "$MNT/f1" "$IN/h"
	refused '(holder) watches a mount of it (FAN_MARK_MOUNT) from outside the tree and is asked for permission' c1
	tell h end
	until_true not pgrep -x holder >/dev/null
	accepted c1
}
scenario refuse-permission-outside scanner

flusher() {
	tree_with rawd
	in_tree sh -c "echo -n flusher >$MNT/.ctl"
	refused '(rawd): its thread [0-9]* is an I/O flusher' c1
	clients_quit c1
}
scenario refuse-flusher flusher

nested_pid_namespace() {
	tree_with rawd
	tree_spawn "/usr/bin/unshare --pid --fork --kill-child $IN/bin/busybox sleep 1000"
	until_true find_task unshare >/dev/null || fail "it does not run"
	until_true has_child "$(find_task unshare)" || fail "nothing runs in it"
	refused '(busybox): in a nested pid namespace' c1
	clients_quit c1
}
has_child() {
	grep -q . "/proc/$1/task/$1/children"
}
scenario refuse-nested-pidns nested_pid_namespace

# Somebody else has its change handle.
held_by_another() {
	local gate
	tree_with rawd
	fusecr gate close -t 300 "$MNT" >$T/gate.log 2>&1 &
	gate=$!
	until_true gate_is_closed || fail "the gate does not close"
	tool_dump "$T/img" && fail "dumped"
	grep -q 'another checkpoint holds it' "$T/tool.log" || fail "not named"
	kill -INT $gate
	wait $gate || :
	rm -r "$T/img"
	expect_unharmed c1
	accepted c1
}
gate_is_closed() {
	fusecr gate show "$MNT" | grep -q ': closed'
}
scenario refuse-held-by-another held_by_another
