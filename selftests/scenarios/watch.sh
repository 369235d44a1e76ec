# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Programs that wait for something to happen on the mount: inotify, poll, epoll.

for place in host runc; do
	scenario watch-$place-rawd goes_through $place rawd watcher poll
	scenario watch-$place-bindfs goes_through $place bindfs watcher
done
