# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# A restore under a kernel that cannot be what the old one was: refused before
# anything is created.

# doctored EDIT PATTERN - EDIT is what "doctor" does to the connection.
doctored() {
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	checkpoint $T/img
	cp -a $T/img $T/img.doctored
	"$BUILD/scenarios/doctor" $T/img.doctored "$1"
	tool_restore $T/img.doctored && fail "the restore succeeded"
	grep -q -e "$2" $T/tool.log || fail "not named: $2"
	expect_no_trace
	no_fuse_mounts || fail "a mount is left"
	[ -z "$(ls /sys/fs/fuse/connections)" ] || fail "a connection is left"
	nothing_forked $T/img.doctored
	restore $T/img
	grep -q "$FORKING" $T/img/restore.log || fail "this CRIU says otherwise that it creates tasks"
	verify $T/img
	clients_check c1
}

# OVER_IO_URING, Linux 6.14.
scenario target-flag doctored flags=+0x20000000000 'does not offer.*OVER_IO_URING'
# A flag that no kernel has.
scenario target-unknown-flag doctored flags=+0x4000000000000000 'does not offer'
scenario target-minor doctored minor=99 'minor'
scenario target-max-write doctored max_write=1 'max_write'
