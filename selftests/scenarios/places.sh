# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Where a program can be on a mount: its current directory, its root, what it has
# open only to have a hold of it, and directories and files without a name.

# places WHERE DAEMON [PLACE...]
places() {
	local where=$1 daemon=$2 n LOOK=1
	shift 2
	# shellcheck disable=SC2046
	place_new $where $(daemon_programs $daemon)
	tree_start
	daemon_start $daemon
	program_start d "dweller d $MNT $IN/d $*"
	clients_check d
	leave_running d
	names_gone
	for n in 1 2; do
		cycle $n d
		names_gone
	done
	leave_running d
	clients_quit d
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}

# The checkpoint fails when CRIU has seen nothing yet, and all; nobody notices.
places_rollback() {
	local stage
	place_new host
	tree_start
	daemon_start rawd
	program_start d "dweller d $MNT $IN/d cwd-gone root-gone dir-gone path-gone tmpfile"
	for stage in pre-dump post-dump; do
		at $stage "exit 1"
		tool_dump $T/img && fail "the checkpoint succeeded"
		reached $stage
		expect_unharmed d
		CRIU=()
		rm -r $T/img
	done
	cycle 1 d
	clients_quit d
	expect_rawd_clean
}
scenario places-rollback places_rollback
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario places-$place-$daemon places $place $daemon
	done
	scenario places-gone-$place places $place rawd cwd-gone root-gone dir-gone path-gone
	scenario places-tmpfile-$place places $place rawd tmpfile
done
