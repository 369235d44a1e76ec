# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# What CRIU would lose, or set wrongly, without a word is refused by name.

scenario refuse-watch-ignore holding 'watches node [0-9]* with FAN_MARK_IGNORE' watch-ignore f0
scenario refuse-thread-fs holding '(holder): its thread [0-9]* has a working directory and a root of its own' thread-fs dir0
scenario refuse-thread-files holding '(holder): its thread [0-9]* has descriptors of its own' thread-files f1
# The daemon could not take it, and the program has not been told yet.
write_lost() {
	tree_with rawd -I 0x10000
	in_tree sh -c "echo -n full >$MNT/.ctl"
	holder_start h write-lost "$MNT/f0"
	in_tree sh -c "echo -n roomy >$MNT/.ctl"
	refused '(holder) fd [0-9]* (/f0) has lost what was written to it' c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
scenario refuse-write-lost write_lost

scenario refuse-locked holding '(holder) map (/f0) is private and locked in memory' locked f0

flusher() {
	tree_with rawd
	in_tree sh -c "echo -n flusher >$MNT/.ctl"
	refused '(rawd): its thread [0-9]* is an I/O flusher' c1
	clients_quit c1
}
scenario refuse-flusher flusher
