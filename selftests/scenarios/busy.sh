# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Clients that never leave the mount alone, while it is checkpointed.

# busy PLACE DAEMON
busy() {
	# shellcheck disable=SC2046
	place_new "$1" $(daemon_programs "$2")
	tree_start
	daemon_start "$2"
	hammer_start h 8
	busy_rounds 3 2
	clients_quit h
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario "busy-$place-$daemon" busy "$place" "$daemon"
	done
done

# A look at memory ahead of the checkpoint, while the tree is busy. CRIU lets it go on
# without a word.
pre_dump() {
	local place=$1 daemon=$2 n before=() options
	# shellcheck disable=SC2046
	place_new "$place" $(daemon_programs "$daemon")
	tree_start
	daemon_start "$daemon"
	hammer_start h 4f
	for n in 1 2; do
		step "pre-dump $n"
		mkdir "$T/img.pre$n"
		if [ "$place" = runc ]; then
			runc --root "$T/runc" checkpoint --pre-dump --image-path "$T/img.pre$n" \
				--work-path "$T/img.pre$n" "${CRIU[@]}" "${before[@]}" "$ID" &&
				before=(--parent-path "../img.pre$n")
		else
			criu pre-dump -t "$PID" -D "$T/img.pre$n" -v4 -o dump.log --track-mem \
				"${CRIU[@]}" "${before[@]}" &&
				before=(--track-mem --prev-images-dir "../img.pre$n")
		fi </dev/null >"$T/tool.log" 2>&1 || fail "the pre-dump failed"
		expect_no_trace
		grep -q 'the tree runs again' "$T/img.pre$n/fusecr-dump.log" ||
			fail "it stayed until CRIU ended: $(cat "$T/img.pre$n/fusecr-dump.log")"
		[ -z "$(find "$T/img.pre$n" -name 'fusecr-*.img')" ] || fail "images of ours are left"
		clients_check h
	done
	options=("${CRIU[@]}")
	CRIU+=("${before[@]}")
	checkpoint "$T/img"
	CRIU=("${options[@]}")
	restore "$T/img"
	clients_check h
	clients_quit h
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario pre-dump-$place-$daemon pre_dump $place $daemon
	done
done

# CRIU would open it, and the daemon be told to close it.
pre_dump_mapped() {
	local place=$1 n
	place_new "$place"
	tree_start
	daemon_start rawd
	program_start m "mapper m $MNT $IN/m"
	clients_check m
	rawd_stats >"$T/stats.0"
	for n in 1 2; do
		mkdir "$T/img.pre$n"
		if [ "$place" = runc ]; then
			runc --root "$T/runc" checkpoint --pre-dump --image-path "$T/img.pre$n" \
				--work-path "$T/img.pre$n" "${CRIU[@]}" "$ID"
		else
			criu pre-dump -t "$PID" -D "$T/img.pre$n" -v4 -o dump.log "${CRIU[@]}"
		fi </dev/null >"$T/tool.log" 2>&1 && fail "pre-dumped"
		grep -q 'mapped, which criu pre-dump would open' "$T/img.pre$n/dump.log" || fail "not named"
		expect_no_trace
	done
	rawd_stats >"$T/stats.1"
	expect_quiet "$T"/stats.[01]
	clients_check m
	cycle 1 m
	clients_quit m
	expect_rawd_clean
}
for place in host runc; do
	scenario pre-dump-mapped-$place pre_dump_mapped $place
done

# What cannot be dumped is told then already.
pre_dump_refused() {
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	holder_start h kmsg "$MNT/kmsg"
	mkdir "$T/img.pre"
	criu pre-dump -t "$PID" -D "$T/img.pre" -v4 -o dump.log >"$T/tool.log" 2>&1 && fail "pre-dumped"
	grep -q 'kmsg) is a device' "$T/img.pre/dump.log" || fail "not named"
	expect_no_trace
	expect_unharmed c1
}
scenario pre-dump-refused pre_dump_refused

# The kernel forgets nodes at all times, while they are listed, too: what it has told
# nobody of any more, the daemon hears.
forgotten() {
	local n forgetting
	place_new host
	tree_start
	daemon_start rawd -f 4000
	client_start c1
	for n in 1 2 3; do
		in_tree ls -lR "$MNT" >"$T/listed" || fail "ls"
		{
			until [ -e "$T/img.$n/fusecr-inode-1.img" ]; do :; done
			echo 2 >/proc/sys/vm/drop_caches
		} &
		forgetting=$!
		tool_dump "$T/img.$n" --leave-running || fail "the checkpoint failed"
		wait $forgetting || :
		expect_no_trace
		clients_check c1
	done
	clients_quit c1
	expect_rawd_clean
	awk '$1 == "op" && $2 ~ /FORGET/ { n += $3 } END { exit !n }' $T/stats.end || fail "nothing was forgotten"
}
scenario forgotten forgotten
