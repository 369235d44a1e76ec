# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# Checkpoint, kill, restore, go on: each daemon in each place.

# survive PLACE DAEMON [OPTION...]
survive() {
	DAEMON=none
	local place=$1 daemon=$2
	shift 2
	# shellcheck disable=SC2046
	place_new "$place" $(daemon_programs "$daemon")
	tree_start
	daemon_start "$daemon" "$@"
	client_start c1
	client_start c2 "$MNT" 1000
	clients_check c1 c2
	for n in 1 2 3; do
		[ "$DAEMON" != rawd ] || log_mark
		cycle $n c1 c2
		if [ "$DAEMON" = rawd ]; then
			expect_seen "$(find_client c1)" 0
			expect_seen "$(find_client c2)" 1000
		fi
	done
	leave_running c1 c2
	clients_quit c1 c2
	if [ "$DAEMON" = rawd ]; then
		expect_rawd_clean
	fi
}

for place in host unshare runc; do
	for daemon in rawd clones bindfs sshfs; do
		scenario "$place-$daemon" survive "$place" "$daemon"
	done
done

# The same with criu alone.
plain_criu() {
	VIA=criu
	survive host "$@"
}
scenario criu-rawd plain_criu rawd
scenario criu-bindfs plain_criu bindfs
