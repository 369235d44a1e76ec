# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# FIFOs on the mount, unix sockets that are bound to names there, and what is sent
# through others.

for place in host runc; do
	scenario special-$place-rawd goes_through $place rawd special
	# Asked about what has no path, it says that it is not there.
	scenario special-$place-bindfs goes_through $place bindfs special forgets
done

for place in host runc; do
	for daemon in rawd bindfs; do
		scenario sent-$place-$daemon goes_through $place $daemon sender
	done
done

# A file that is open, and in a message that nobody has received, too.
sent_and_open() {
	local SENT=1
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	holder_start h sent-dup "$MNT/f2"
	leave_running c1
	cycle 1 c1
	tell h end
	until_true not find_task holder >/dev/null
	cycle 2 c1
	clients_quit c1
	expect_rawd_clean
}
scenario special-sent sent_and_open
