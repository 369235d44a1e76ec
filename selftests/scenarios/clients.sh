# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Clients only are in the tree: their daemon is outside, and serves on.

# A mount of the host's, bind-mounted into a container: the daemon serves on.
clients_only_runc() {
	place_new runc
	mkdir $T/data
	"$OUT/bin/rawd" -c 1024 -o allow_other $T/data || fail "rawd"
	BIND=$T/data
	tree_start
	MNT=/data
	client_start c1 /data
	client_start c2 /data 1000
	clients_check c1 c2
	# Nor has a look at it anything against it.
	fusecr dump --pid "$PID" -D $T/look >$T/tool.log 2>&1 || fail "cannot be looked at"
	grep -q '^1 connection ' $T/tool.log || fail "not seen"
	! grep 'would refuse' $T/tool.log || fail "it would not"
	for n in 1 2; do
		tool_dump $T/img || fail "the checkpoint failed"
		[ -z "$(find $T/img -name 'fusecr-*.img')" ] || fail "images of ours"
		expect_no_trace
		restore $T/img
		clients_check c1 c2
		rm -r $T/img
	done
	clients_quit c1 c2
	expect_rawd_clean
}
scenario clients-only-runc clients_only_runc

# The container's root is served from outside, as by fuse-overlayfs; by a daemon of the
# tree's own, what is mounted in it.
root_outside() {
	place_new runc
	VIEW=$T/view
	mkdir $VIEW
	bindfs $ROOT $VIEW || fail "bindfs"
	tree_start
	daemon_start $1
	client_start c1
	clients_check c1
	for n in 1 2; do
		step "round $n"
		tool_dump $T/img || fail "the checkpoint failed"
		expect_no_trace
		restore $T/img
		[ $1 = none ] || verify $T/img
		clients_check c1
		rm -r $T/img
	done
	clients_quit c1
}
for daemon in none rawd; do
	scenario root-outside-$daemon root_outside $daemon
done

# What a daemon outside keeps, neither CRIU nor fusecr has in hand.
clients_only_locked() {
	VIA=$2
	place_new $1
	mkdir -p $T/data
	"$OUT/bin/rawd" -I 0x402 -c 1024 -o allow_other $T/data || fail "rawd"
	BIND=$T/data
	tree_start
	[ $1 = host ] && MNT=$T/data || MNT=/data
	client_start c1
	holder_start h lock "$MNT/f1"
	refused '(holder) fd [0-9]* (/f1) is locked by process [0-9]* (holder): the daemon keeps that' c1
	tell h end
	until_true not find_task holder >/dev/null
	holder_start f flock "$MNT/f1"
	refused '(holder) fd [0-9]* (/f1) has, or had, a lock (flock)' c1
	tell f end
	until_true not find_task holder >/dev/null
	# Somebody else's is no obstacle.
	from_host outside_start o holder lock $T/data/f2 "$OUT/o"
	holder_start k open "$MNT/f2"
	tool_dump $T/img --leave-running || fail "the checkpoint failed"
	rm -r $T/img
	holder_start g lock-end "$MNT/f2"
	refused '(/f2) is locked by process [0-9]* (holder): the daemon keeps that' c1
	for name in g k o; do
		tell $name end
	done
	until_true not find_task holder >/dev/null
	tool_dump $T/img || fail "the checkpoint failed"
	restore $T/img
	clients_check c1
	clients_quit c1
}
scenario clients-only-locked clients_only_locked host fusecr
scenario clients-only-locked-criu clients_only_locked host criu
scenario clients-only-locked-runc clients_only_locked runc criu

# Locked between the first look and the moment when all stands still: while the clients of
# another daemon come to rest, which takes as long as that does not answer.
clients_locked_late() {
	local holder late
	place_new host
	mkdir -p $T/data
	"$OUT/bin/rawd" -I 0x402 -c 1024 -o allow_other $T/data || fail "rawd"
	tree_start
	daemon_start rawd -W -H STATFS
	program_start asker "asker statfs $MNT $IN/asker"
	holder_start h lock-later "$T/data/f1"
	tool_dump $T/img --leave-running || fail "the checkpoint failed"
	rm -r $T/img
	holder=$(find_task holder)
	rawd_signal
	tell asker go
	until_true fusecr_counts processing || fail "it does not come"
	{
		until fusecr list | grep -q gated; do :; done
		kill -USR1 $holder
		sleep 1
		rawd_signal
	} &
	late=$!
	tool_dump $T/img --leave-running && fail "dumped"
	wait $late
	grep -q '(holder) fd [0-9]* (/f1) is locked by process [0-9]* (holder): the daemon keeps that' $T/tool.log $T/img/dump.log ||
		fail "not named"
	grep -q 'Seized task' $T/img/dump.log || fail "it was seen before all stood"
	rm -r $T/img
	expect_no_trace
	expect asker "done"
	tell h end
	until_true gone $holder
	tool_dump $T/img --leave-running || fail "the checkpoint failed"
	tell asker quit
	expect_rawd_clean
}
scenario clients-locked-late clients_locked_late

# A daemon that does not answer is no reason to wait for ever.
clients_only_slow() {
	place_new host
	mkdir -p $T/data
	"$OUT/bin/rawd" -I 0x402 -c 1024 -H GETLK -o allow_other $T/data || fail "rawd"
	tree_start
	MNT=$T/data
	client_start c1
	holder_start h open "$MNT/f1"
	refused 'may be locked, and the daemon does not answer' c1
	tell h end
	until_true not find_task holder >/dev/null
}
scenario clients-only-slow clients_only_slow
