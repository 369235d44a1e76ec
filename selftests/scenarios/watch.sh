# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Programs that wait for something to happen on the mount: inotify, fanotify, poll,
# epoll.

# libfuse's example of a daemon that says when it is time to look. Who looks goes on
# at once, and is not where verify would have him.
polled() {
	local n
	# shellcheck disable=SC2046
	place_new $1 $(daemon_programs poll)
	tree_start
	daemon_start poll
	DAEMON=none
	program_start p "poller p $MNT $IN/p"
	clients_check p
	leave_running p
	for n in 1 2; do
		cycle $n p
	done
	clients_quit p
}

for place in host runc; do
	scenario watch-$place-rawd goes_through $place rawd watcher poll
	scenario watch-$place-bindfs goes_through $place bindfs watcher
	scenario watch-$place-poll polled $place
done

# A fanotify mark on the mount, which has another number then.
mount_marked() {
	place_new $1
	tree_start
	daemon_start rawd
	client_start c1
	holder_start h watch-mount "$MNT/f1"
	marks_mount || fail "no mark on the mount: $(marks)"
	for n in 1 2; do
		cycle $n c1
		marks_mount || fail "the mark is lost: $(marks)"
	done
	tell h end
	until_true not find_task holder >/dev/null
	clients_quit c1
	expect_rawd_clean
}
marks() {
	grep -h '^fanotify' "/proc/$(find_task holder)/fdinfo/"*
}
# The mark is on the mount that is there now.
marks_mount() {
	local id
	id=$(awk -v at="$MNT" '$5 == at { print $1 }' "/proc/$PID/mountinfo" | tail -n 1)
	marks | grep -q "^fanotify mnt_id:$(printf %x "$id") .*mask:2 "
}
for place in host runc; do
	scenario watch-mount-$place mount_marked $place
done
