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

# How long a checkpoint of the busy tree takes, in MS: that is where moments are chosen.
measure() {
	local begin=${EPOCHREALTIME/./}
	tool_dump "$T/img" --leave-running || fail "a checkpoint failed before anybody was killed"
	MS=$(((${EPOCHREALTIME/./} - begin) / 1000))
	step "takes $MS ms"
}

# A moment out of all of it.
any_moment() {
	local ms=$((RANDOM * MS / 32768))
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

# CRIU itself is not killed: its code in the tasks would not survive that, with FUSE or
# without.
killed() {
	local who=$1 n pid rounds hit=0
	load_start rawd
	measure
	rounds=$(times 50)
	# Until as many were there to be killed.
	for ((n = 4 * rounds; n > 0 && hit < rounds; n--)); do
		rm -rf "$T/img"
		tool_dump "$T/img" --leave-running &
		pid=$!
		until victim "$who" || ! kill -0 $pid 2>/dev/null; do
			:
		done
		any_moment
		if [ -n "$VICTIM" ] && kill -KILL "$VICTIM" 2>/dev/null; then
			hit=$((hit + 1))
		fi
		wait $pid || :
		until_true no_criu || fail "criu is left"
		expect_no_trace
		clients_check h
	done
	[ $hit = $rounds ] || fail "only $hit of $rounds were killed"
	tool_dump "$T/img" --leave-running || fail "the next checkpoint failed"
	clients_check h
	clients_quit h
}
for who in worker guard tool; do
	scenario killed-$who killed $who
done

# The pid of CRIU, in CRIU_PID, once it runs, and as long as the checkpoint does.
find_criu() {
	local dir comm
	CRIU_PID=''
	while [ -z "$CRIU_PID" ] && kill -0 "$1" 2>/dev/null; do
		for dir in /proc/[0-9]*; do
			comm=''
			{ read -r comm <"$dir/comm" || :; } 2>/dev/null
			[ "$comm" != criu ] || CRIU_PID=${dir#/proc/}
		done
	done
}

# What is left of a tree that CRIU has taken with it; a mount whose daemon is one of it.
bury() {
	local pids
	pids=$(tree_pids)
	kill -KILL $pids 2>/dev/null || :
	until_true gone $pids || fail "cannot be killed: $pids"
	no_fuse_mounts || umount -l "$MNT"
	until_true no_connections || fail "a connection is left"
	wait
	rm -rf "$T/t"
}

# criu itself. Whether its tasks survive that is CRIU's affair, with FUSE or without:
# so a tree that does not go on is counted, not a failure, and the same is done to one
# that has all its files on tmpfs. What has to be true is that nothing of ours stays,
# and that those who go on have lost nothing.
killed_criu() {
	local n rounds pid line survived=0 ended=0
	load_start "$1"
	measure
	rounds=$(times 50)
	for ((n = 4 * rounds; n > 0 && survived + ended < rounds; n--)); do
		rm -rf "$T/img"
		tool_dump "$T/img" --leave-running &
		pid=$!
		find_criu $pid
		any_moment
		if [ -z "$CRIU_PID" ] || ! kill -KILL "$CRIU_PID" 2>/dev/null; then
			wait $pid || :
			continue
		fi
		wait $pid || :
		until_true no_surrogate || fail "a surrogate is left"
		fusecr list >$T/list || fail "cannot list"
		! grep -qi gated $T/list || fail "a gate is closed"
		tell h check
		line=''
		if read -r -t 20 -u "${SAYS[h]}" line; then
			[ "$line" = ok ] || fail "h says: $line"
			survived=$((survived + 1))
		else
			ended=$((ended + 1))
			bury
			load_start "$1"
		fi
	done
	[ $((survived + ended)) = $rounds ] || fail "criu was killed $((survived + ended)) times only"
	step "on $1: $survived of $rounds survived"
}
scenario killed-criu-rawd killed_criu rawd
scenario killed-criu-tmpfs killed_criu none
