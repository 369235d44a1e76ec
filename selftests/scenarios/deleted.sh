# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Files that are open and deleted, or have another name than they were opened by.

# deleted PLACE DAEMON [OPTION...]
deleted() {
	local place=$1 daemon=$2 n LOOK=1
	shift 2
	# shellcheck disable=SC2046
	place_new $place $(daemon_programs $daemon)
	tree_start
	daemon_start $daemon "$@"
	program_start r "remover r $MNT $IN/r"
	clients_check r
	leave_running r
	names_gone
	for n in 1 2; do
		cycle $n r
		names_gone
	done
	leave_running r
	names_gone
	clients_quit r
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario deleted-$place-$daemon deleted $place $daemon
	done
done
scenario deleted-sshfs deleted host sshfs

# neighbours_start SECONDS - others from outside look into the directory, one after the
# other, with so long in between.
neighbours_start() {
	local pause=$1
	{
		trap 'wait; exit' TERM
		# Each is new to the gate, which would have it sleep.
		while :; do
			busybox stat $MNT/r/none >/dev/null 2>>$T/stat &
			sleep "$pause"
		done
	} &
	NEIGHBOURS=$!
}

# They all come to an end, with what the daemon says.
neighbours_end() {
	kill $NEIGHBOURS
	wait $NEIGHBOURS || :
	! grep -v 'No such file' $T/stat || fail "other answers"
}

# Whom the daemon was about to answer when it was stopped, is in the way: then once more.
dump_in_time() {
	local n
	for n in 1 2 3 4 5; do
		! tool_dump $T/img --leave-running || return 0
		grep -q 'in flight: LOOKUP,.*(busybox), processing' $T/tool.log || break
		expect_no_trace
	done
	fail "the checkpoint failed"
}

# Who looks has the directory locked until the daemon goes on, which waits for nobody.
deleted_neighbours() {
	place_new host
	tree_start
	daemon_start rawd
	program_start r "remover r $MNT $IN/r"
	neighbours_start 0.02
	dump_in_time
	grep 'requests left for the daemon' $T/img/fusecr-dump.log || fail "nobody was in the way"
	expect_unharmed r
	expect_no_trace
	neighbours_end
	until_true names_are_gone || fail "names of ours are left"
	cycle 1 r
	clients_quit r
	expect_rawd_clean
}
names_are_gone() {
	(SOON=1 names_gone 2>/dev/null)
}
scenario deleted-neighbours deleted_neighbours

# The same at a restore, where the mount is there before the daemon is.
restored_neighbours() {
	place_new host
	tree_start
	daemon_start rawd
	program_start r "remover r $MNT $IN/r"
	checkpoint $T/img
	neighbours_start 0.1
	restore $T/img
	grep 'requests from outside wait' $T/img/fusecr-restore.log || fail "nobody was in the way"
	clients_check r
	neighbours_end
	fusecr verify --running -D $T/img --pid "$PID" >"$T/tool.log" 2>&1 || fail "verify: $(cat "$T/tool.log")"
	cycle 1 r
	clients_quit r
	expect_rawd_clean
}
scenario deleted-neighbours-restore restored_neighbours

# More names than the kernel tells of, and one is open by that which is not told.
many_names() {
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	holder_start h linked "$MNT/f1"
	leave_running c1
	cycle 1 c1
	in_tree rm "$MNT"/f1.*
	[ -e "$MNT/f1" ] || fail "f1 is not there"
	tell h end
	until_true not find_task holder >/dev/null
	clients_quit c1
	expect_rawd_clean
}
scenario names-many many_names

# Here it is what is mounted that has that name.
many_names_mounted() {
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	touch "$OUT/file"
	mount --bind "$MNT/f2" "$OUT/file" || fail "mount"
	holder_start h linked "$MNT/f2"
	tell h end
	until_true not find_task holder >/dev/null
	tool_dump "$T/img" && fail "dumped"
	grep -q 'mounted at .*/file has more names than are known, /f2 is none' "$T/tool.log" || fail "not named"
	rm -r "$T/img"
	expect_unharmed c1
	in_tree rm "$MNT/f2".{1,2,3,4}
	cycle 1 c1
	clients_quit c1
	umount "$OUT/file"
	expect_rawd_clean
}
scenario names-mounted many_names_mounted
