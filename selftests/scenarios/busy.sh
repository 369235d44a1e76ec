# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Clients that never leave the mount alone, while it is checkpointed.

# busy PLACE DAEMON
busy() {
	# shellcheck disable=SC2046
	place_new "$1" $(daemon_programs "$2")
	tree_start
	daemon_start "$2"
	hammer_start h 8
	busy_rounds 3 2
	clients_quit h
}
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario "busy-$place-$daemon" busy "$place" "$daemon"
	done
done
