# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Files that are open and deleted, or have another name than they were opened by.

# deleted PLACE DAEMON [OPTION...]
deleted() {
	local place=$1 daemon=$2 n
	shift 2
	# shellcheck disable=SC2046
	place_new $place $(daemon_programs $daemon)
	tree_start
	daemon_start $daemon "$@"
	program_start r "remover r $MNT $IN/r"
	clients_check r
	leave_running r
	for n in 1 2; do
		cycle $n r
	done
	leave_running r
	clients_quit r
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario deleted-$place-$daemon deleted $place $daemon
	done
done
scenario deleted-sshfs deleted host sshfs
