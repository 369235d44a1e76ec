# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Long: busy clients, and again and again a checkpoint in which somebody is killed.
# LOAD divides the numbers.

# Whom to kill, in VICTIM: the surrogate that does the work, the one that watches
# it, or the tool. Starts no program: none of them lives for long.
victim() {
	local dir comm verb parent
	VICTIM=''
	for dir in /proc/[0-9]*; do
		{
			read -r comm <"$dir/comm" && [ "$comm" = fusecr ] &&
				read -r parent <"$dir/stat" &&
				{ read -r -d '' verb && read -r -d '' verb; } <"$dir/cmdline"
		} 2>/dev/null || continue
		parent=${parent##*) ? }
		read -r comm 2>/dev/null <"/proc/${parent%% *}/comm" || continue
		case $1-$verb-$comm in
		tool-checkpoint-* | worker-surrogate-fusecr | guard-surrogate-[!f]*)
			VICTIM=${dir#/proc/}
			return
			;;
		esac
	done
	return 1
}

no_criu() {
	! grep -qx criu /proc/[0-9]*/comm 2>/dev/null
}

# Somewhere in the second that it lives. CRIU itself is not killed: its code in the
# tasks would not survive that, with FUSE or without.
killed() {
	local who=$1 n pid hit=0
	load_start rawd
	for ((n = $(times 50); n > 0; n--)); do
		rm -rf "$T/img"
		tool_dump "$T/img" --leave-running &
		pid=$!
		until victim "$who" || ! kill -0 $pid 2>/dev/null; do
			:
		done
		sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
		if [ -n "$VICTIM" ] && kill -KILL "$VICTIM" 2>/dev/null; then
			hit=$((hit + 1))
		fi
		wait $pid || :
		until_true no_criu || fail "criu is left"
		expect_no_trace
		clients_check h
	done
	[ $hit -gt 0 ] || fail "nothing was killed"
	step "$hit killed"
	tool_dump "$T/img" --leave-running || fail "the next checkpoint failed"
	clients_check h
	clients_quit h
}
for who in worker guard tool; do
	scenario killed-$who killed $who
done

# criu itself. Whether its tasks survive that is CRIU's affair, with FUSE or without:
# so a tree that does not go on is counted, not a failure, and the same is done to one
# that has all its files on tmpfs. What has to be true is that nothing of ours stays,
# and that those who go on have lost nothing.
killed_criu() {
	local n pid criu line survived=0 ended=0 killed=0
	load_start "$1"
	for ((n = $(times 50); n > 0 && !ended; n--)); do
		rm -rf "$T/img"
		tool_dump "$T/img" --leave-running &
		pid=$!
		criu=''
		while [ -z "$criu" ] && kill -0 $pid 2>/dev/null; do
			for dir in /proc/[0-9]*; do
				read -r line 2>/dev/null <"$dir/comm" && [ "$line" = criu ] && criu=${dir#/proc/}
			done
		done
		sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
		[ -z "$criu" ] || ! kill -KILL "$criu" 2>/dev/null || killed=$((killed + 1))
		wait $pid || :
		until_true no_surrogate || fail "a surrogate is left"
		fusecr list >$T/list || fail "cannot list"
		! grep -qi gated $T/list || fail "a gate is closed"
		tell h check
		line=''
		read -r -t 20 -u "${SAYS[h]}" line || ended=1
		[ $ended = 1 ] || [ "$line" = ok ] || fail "h says: $line"
		[ $ended = 1 ] || survived=$((survived + 1))
	done
	[ $killed -gt 0 ] || fail "criu was never killed"
	step "on $1: $survived of $((survived + ended)) survived"
}
scenario killed-criu-rawd killed_criu rawd
scenario killed-criu-tmpfs killed_criu none
