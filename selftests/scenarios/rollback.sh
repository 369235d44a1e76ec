# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# Checkpoints that fail while clients are busy, or wait: all of them go on, no
# system call of theirs has failed, and whoever asked reads why.

# rollback_start [OPTION...] - of rawd; with programs that never leave it alone.
rollback_start() {
	place_new host
	tree_start
	daemon_start rawd "$@"
	hammer_start h 8
}

# rolled_back PATTERN [OPTION...] - PATTERN is part of what the person reads.
rolled_back() {
	local pattern=$1
	shift
	tool_dump "$T/img" "$@" && fail "the checkpoint succeeded"
	rollback_told "$pattern"
}

rollback_told() {
	grep -q -e "$1" "$T/tool.log" || fail "not named: $1"
	[ -z "$(find "$T/img" -name 'fusecr-*.img')" ] || fail "images of ours are left"
	expect_no_trace
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	rollback_gate open
}

# rollback_gate STATE
rollback_gate() {
	local line
	line=$(fusecr gate show "$MNT") || fail "there is no gate"
	[[ $line = *": $1"* ]]
}

# And the next one, of all that has to be as it was.
rollback_works() {
	clients_check h
	step "checkpoint"
	umount "$T/img" 2>/dev/null || :
	rm -rf "$T/img"
	CRIU=()
	tool_dump "$T/img" --leave-running || fail "the next checkpoint failed"
	expect_no_trace
	clients_check h
	clients_quit h
}

# What the terminal sends to all in the foreground, and a script's timeout: criu is not to
# be stopped halfway, with its code in the tasks.
rollback_signals() {
	rollback_start
	signals_at post-dump
	tool_dump "$T/img" --leave-running || fail "broken off"
	signals_came post-dump
	rollback_works
}
# signals_at STAGE
signals_at() {
	at "$1" "for signal in INT QUIT HUP TERM; do kill -s \$signal -- -\$(cat $T/group); done; sleep 1"
	# shellcheck disable=SC2016
	IN_GROUP=(setsid -w sh -c 'echo $$ >"$0"; exec "$@"' "$T/group")
}
signals_came() {
	reached "$1"
	grep -q 'cannot be broken off' "$T/tool.log" || fail "not said"
	IN_GROUP=() CRIU=()
}
scenario rollback-signals rollback_signals

# Nor is a restore, with half of the tree there.
restore_signals() {
	rollback_start
	checkpoint "$T/img"
	signals_at post-restore
	restore "$T/img"
	signals_came post-restore
	clients_check h
	clients_quit h
	expect_rawd_clean
}
scenario restore-signals restore_signals

rollback_disk_full() {
	rollback_start
	mkdir "$T/img"
	mount -t tmpfs -o "size=$1,mode=700" tmpfs "$T/img"
	rolled_back 'No space left on device'
	rollback_works
}
scenario rollback-disk-full-early rollback_disk_full 4k
scenario rollback-disk-full-late rollback_disk_full 2m

# Each worker waits for a close(), which starts over, and one for a close_range(),
# which cannot.
rollback_hold() {
	rollback_start -W -H FLUSH
	program_start asker "asker close_range $MNT $IN/asker"
	rawd_signal
	tell asker go
}

rollback_answer() {
	rawd_signal
	expect asker "done"
	tell asker quit
	until_true not find_task asker >/dev/null
}

rollback_unanswered() {
	rollback_hold
	rolled_back 'request in flight: FLUSH, unique [1-9][0-9]*, node [1-9][0-9]*, pid [1-9][0-9]* (asker), processing'
	! grep 'in flight.*(hammer)' "$T/tool.log" || fail "a close() was not taken"
	rollback_answer
	rollback_works
}
scenario rollback-unanswered rollback_unanswered

# Killed when its request had been taken: nobody is left to give back what the answer brings,
# if it comes after an image. Another that cannot be taken keeps the clients from rest.
rollback_unwanted() {
	place_new host
	tree_start
	daemon_start rawd -W -H FLUSH -H OPEN -L -i
	program_start opener "asker open $MNT/dir1 $IN/opener"
	program_start asker "asker close_range $MNT $IN/asker"
	rawd_signal
	tell asker go
	until_true [ "$(processing)" = 1 ] || fail "no FLUSH"
	tell opener go
	until_true [ "$(processing)" = 2 ] || fail "no OPEN"
	rollback_in_the_middle rollback_kill_opener
	rollback_told 'in flight: OPEN, .*kept; nobody waits for it any more'
	rollback_answer
	until_true not find_task asker >/dev/null
	clients=()
	cycle 1
	expect_rawd_clean
}
rollback_kill_opener() {
	until_true rollback_taken || fail "it is not taken"
	kill -KILL "$(pgrep -f "asker open $MNT/dir1")"
}
rollback_taken() {
	[ "$(fusecr gate show -j "$MNT" | jq .taken)" = 1 ]
}
processing() {
	fusecr list -j | jq '.connections[0].num_processing'
}
scenario rollback-unwanted rollback_unwanted

# rollback_in_the_middle COMMAND... - while clients come to rest, which takes until
# the daemon answers.
rollback_in_the_middle() {
	local dump
	tool_dump "$T/img" &
	dump=$!
	until_true rollback_gate closed || fail "the gate does not close"
	"$@"
	! wait $dump || fail "the checkpoint succeeded"
}

rollback_opened() {
	rollback_hold
	rollback_in_the_middle fusecr gate open "$MNT"
	rollback_told 'somebody has opened the gate'
	rollback_answer
	rollback_works
}
scenario rollback-opened rollback_opened

# Whoever waits for the daemon hears from the kernel that it is gone, as ever.
rollback_daemon_killed() {
	place_new host
	tree_start
	daemon_start rawd -W -H MKDIR
	program_start asker "asker mkdir $MNT $IN/asker"
	rawd_signal
	tell asker go
	until_true fusecr_counts processing || fail "no request is held"
	rollback_in_the_middle kill -KILL "$(find_task rawd)"
	expect asker "mkdir: Software caused connection abort"
	grep -q -e 'its daemon has ended' "$T/tool.log" || fail "not named"
	expect_no_trace
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	tell asker quit
	until_true not find_task asker >/dev/null
	umount "$MNT"
}
scenario rollback-daemon-killed rollback_daemon_killed

# The freezer of the first version stops tasks wherever they sleep, held or not.
rollback_frozen() {
	local dir=$T/freezer
	mkdir "$dir"
	mount -t cgroup -o freezer cgroup "$dir" 2>/dev/null ||
		skip "this kernel has no cgroup v1 freezer"
	mkdir "$dir/tree"
	place_new host
	tree_start
	echo "$PID" >"$dir/tree/cgroup.procs"
	daemon_start rawd
	hammer_start h 8
	CRIU=(--freeze-cgroup "$dir/tree")
	step "a checkpoint that fails"
	at post-dump 'exit 1'
	tool_dump "$T/img" && fail "the checkpoint succeeded"
	reached post-dump
	expect_no_trace
	[ "$(cat "$dir/tree/freezer.state")" = THAWED ] || fail "the tree is frozen"
	clients_check h
	rm -rf "$T/img"
	CRIU=(--freeze-cgroup "$dir/tree")
	step "checkpoint"
	tool_dump "$T/img" --leave-running || fail "the next checkpoint failed"
	expect_no_trace
	clients_check h
	clients_quit h
	echo "$PID" >"$dir/cgroup.procs"
}
scenario rollback-frozen rollback_frozen
