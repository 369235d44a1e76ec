# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Clients that never leave the mount alone, while it is checkpointed.

# hammer_start NAME WORKERS
hammer_start() {
	program_start "$1" "hammer $2 $MNT $IN/$1"
}

# busy PLACE DAEMON RUNNING CYCLES - so many checkpoints that leave the tree
# running, then so many with a restore.
busy() {
	local place=$1 daemon=$2 running=$3 cycles=$4 n
	# shellcheck disable=SC2046
	place_new "$place" $(daemon_programs "$daemon")
	tree_start
	daemon_start "$daemon"
	hammer_start h 8
	for ((n = 1; n <= running; n++)); do
		step "checkpoint $n"
		rm -rf "$T/img.running"
		tool_dump "$T/img.running" --leave-running || fail "checkpoint $n failed"
		expect_no_trace
		clients_check h
	done
	for ((n = 1; n <= cycles; n++)); do
		step "cycle $n"
		rm -rf "$T/img"
		checkpoint "$T/img"
		restore "$T/img"
		clients_check h
	done
	clients_quit h
}
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario "busy-$place-$daemon" busy "$place" "$daemon" 5 3
	done
done
