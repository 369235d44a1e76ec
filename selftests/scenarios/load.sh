# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Long: busy clients, and again and again a checkpoint. LOAD divides the numbers.

load_busy() {
	load_start "$@"
	busy_rounds "$(times 100)" "$(times 20)"
	clients_quit h
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
scenario load-rawd load_busy rawd
scenario load-rawd-writeback load_busy rawd -I 0x10000
scenario load-bindfs load_busy bindfs
scenario load-sshfs load_busy sshfs

# A checkpoint that takes longer than the gate that keeps others away from the mount:
# CRIU stands still for that long, and there is always somebody who asks.
load_long() {
	local asks stops n
	place_new host
	tree_start
	daemon_start rawd
	program_start r "remover r $MNT $IN/r"
	mkdir "$T/img"
	{
		trap 'wait; exit' TERM
		for ((n = 0; ; n++)); do
			# New each time; who makes something has the directory for himself, and
			# names of what is deleted in there are to be looked up.
			busybox mkdir "$MNT/r/new.$n" >/dev/null 2>>"$T/asked" &
			sleep 1
		done
	} &
	asks=$!
	{
		until_true grep -qs 'the tree stands still' "$T/img/fusecr-dump.log" &&
			busybox killall -STOP criu && echo stopped >"$T/stopped" && sleep 125
		busybox killall -CONT criu
	} &
	stops=$!
	tool_dump "$T/img" --leave-running || fail "the checkpoint failed"
	wait $stops
	[ -s "$T/stopped" ] || fail "CRIU was not stopped"
	expect_unharmed r
	expect_no_trace
	kill $asks
	wait $asks || :
	! grep . "$T/asked" || fail "other answers"
	n=("$MNT"/r/new.*)
	[ ${#n[@]} -gt 120 ] || fail "${#n[@]} have asked"
	rmdir "${n[@]}"
	cycle 1 r
	clients_quit r
	expect_rawd_clean
}
scenario load-long load_long
