# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Programs that wait for something to happen on the mount: inotify, poll, epoll.

# watch PLACE DAEMON [poll]
watch() {
	local place=$1 daemon=$2 n
	# shellcheck disable=SC2046
	place_new $place $(daemon_programs $daemon)
	tree_start
	daemon_start $daemon
	program_start w "watcher w $MNT $IN/w ${3-}"
	clients_check w
	leave_running w
	for n in 1 2; do
		cycle $n w
	done
	leave_running w
	clients_quit w
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
for place in host runc; do
	scenario watch-$place-rawd watch $place rawd poll
	scenario watch-$place-bindfs watch $place bindfs
done
