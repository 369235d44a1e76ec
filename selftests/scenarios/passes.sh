# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# Passthrough: what programs read and write is in files of the daemon's, by ids that
# the daemon goes on with.

# passes_start PLACE [OPTION...]
passes_start() {
	grep -q fuse_passthrough_open /proc/kallsyms ||
		skip "this kernel's fuse has no passthrough"
	place_new "$1"
	mkdir "$OUT/behind"
	tree_start
	# INIT_EXT and PASSTHROUGH, which counts only with a stack depth.
	daemon_start rawd -I 0x2040000000 -k 1 -B "$IN/behind" "${@:2}"
}

# What is in the files behind.
behind() {
	cat "$OUT/behind/"* | cksum
}

# What the programs do goes where it went before, and not to the daemon.
passes_on() {
	local before
	before=$(behind)
	clients_check "$@"
	[ "$(behind)" != "$before" ] || fail "nothing came to the files behind"
	[ "$(rawd_stats | awk '$1 == "op" && $2 == "WRITE"' | wc -l)" = 0 ] ||
		fail "the daemon was asked to write"
}

# passes PLACE PROGRAM
passes() {
	local n
	passes_start "$1"
	program_start m "$2 m $MNT $IN/m"
	passes_on m
	leave_running m
	for n in 1 2; do
		cycle $n m
		passes_on m
	done
	clients_quit m
	expect_rawd_clean
}
for place in host unshare runc; do
	scenario passes-$place passes $place moder
done
# Most of its mappings outlive their descriptors.
for place in host runc; do
	scenario passes-mapped-$place passes $place mapper
done

# What the daemon has registered and nobody has open has its id again, too.
passes_kept() {
	passes_start host -R
	program_start m "moder m $MNT $IN/m"
	tree_do "cat $MNT/f1 >/dev/null"
	passes_on m
	cycle 1 m
	passes_on m
	tree_do "cat $MNT/f1 $MNT/f2 >/dev/null"
	passes_on m
	cycle again m
	fusecr show -j -D $T/img.again | jq -e '.connections[0] | .backings as $b | .conn.next_backing > ($b | map(.id) | max) and
		([.inodes[].backing // empty] | unique | length) < ($b | length)' >/dev/null ||
		fail "there is none that nobody has open"
	clients_quit m
	expect_rawd_clean
}
scenario passes-kept passes_kept

# Beside a connection that is held, whose mount stays.
passes_beside_held() {
	local pids
	passes_start host
	tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other -S other $IN/mnt2"
	until_true mounted_at "$IN/mnt2" || fail "the second rawd does not mount"
	program_start m "moder m $MNT $IN/m"
	outside_client c2 "$IN/mnt2"
	passes_on m
	pids=$(tree_pids)
	tool_dump "$T/img" --hold || fail "the checkpoint failed"
	until_true gone $pids || fail "processes are left"
	wait "$PID" || :
	restore "$T/img"
	verify "$T/img"
	clients_check c2
	passes_on m
	clients_quit m c2
	expect_rawd_clean
	MNT=$IN/mnt2 expect_rawd_clean
}
scenario passes-beside-held passes_beside_held
