# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# From host to host: PHASE "out" checkpoints, "in" restores in another boot, maybe of
# another kernel. In between all that the tree knows is in the directory MOVED. It is
# selftests/moved/run that has these run. (What most daemons serve has inode numbers of what
# is below, which a copy has not, or comes by TCP.)

# moved_out PLACE DAEMON [OPTION...]
moved_out() {
	local place=$1 daemon=$2
	shift 2
	# shellcheck disable=SC2046
	place_new $place $(daemon_programs $daemon)
	# No other boot has come to these.
	echo 20000 >/proc/sys/kernel/ns_last_pid
	tree_start
	daemon_start $daemon "$@"
	client_start c1
	client_start c2 $MNT 1000
	checkpoint $T/img
	declare -p PLACE ROOT IN ID OUT MNT DAEMON BACK >$T/state
	tar -C $T -cf $MOVED/$place-$daemon.tar .
}

# moved_in PLACE DAEMON
moved_in() {
	tar -C $T -xf $MOVED/$1-$2.tar || fail "nothing was moved"
	# shellcheck source=/dev/null
	. $T/state
	controls_open c1
	controls_open c2
	step "restore"
	restore $T/img
	verify $T/img
	clients_check c1 c2
	cycle 1 c1 c2
	clients_quit c1 c2
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}

for place in host runc; do
	for daemon in rawd clones; do
		scenario moved-$PHASE-$place-$daemon moved_$PHASE $place $daemon
	done
done
