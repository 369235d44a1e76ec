# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# FIFOs on the mount, and unix sockets that are bound to names there.

# special PLACE DAEMON
special() {
	local place=$1 daemon=$2 n
	# shellcheck disable=SC2046
	place_new $place $(daemon_programs $daemon)
	tree_start
	daemon_start $daemon
	program_start s "special s $MNT $IN/s"
	clients_check s
	leave_running s
	for n in 1 2; do
		cycle $n s
	done
	leave_running s
	clients_quit s
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario special-$place-$daemon special $place $daemon
	done
done
