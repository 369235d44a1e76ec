# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# File locks, and who waits for one: the kernel keeps them and CRIU carries them,
# or the daemon does, who knows their owners by numbers.

KEEPS_LOCKS="-I 0x402"		# FUSE_FLOCK_LOCKS and FUSE_POSIX_LOCKS

# locker_start [OPTION...]
locker_start() {
	program_start l "locker $* $MNT $IN/l"
	clients_check l
}

# In ASKED, owners of what the locker has asked for since the last look, a line each.
owners_read() {
	local pid
	pid=$(pid_in_tree "$(find_task locker)")
	log_read
	ASKED=$(sed -n "s/.* op=SETLK .* pid=$pid .*owner=//p" "$T/log" | sort -u)
}

# A brief run leaves rounds out: it asks for itself.
expect_same_owners() {
	clients_check l
	owners_read
	[ "$ASKED" = "$OWNERS" ] ||
		fail "the owners are" $ASKED "and were" $OWNERS
}

expect_no_locks() {
	! rawd_stats | grep '^lock ' >"$T/left" || fail "locks are left: $(cat "$T/left")"
}

# locks_by_daemon PLACE [OPTION...]
locks_by_daemon() {
	local place=$1 n LOOK=1
	shift
	place_new $place
	tree_start
	daemon_start rawd $KEEPS_LOCKS "$@"
	locker_start
	log_read
	clients_check l
	owners_read
	OWNERS=$ASKED
	[ "$(wc -l <<<"$OWNERS")" = 4 ] || fail "the owners are" $OWNERS
	leave_running l
	expect_same_owners
	for n in 1 2; do
		cycle $n l
		expect_same_owners
	done
	clients_quit l
	expect_no_locks
	until_true not find_task locker >/dev/null
	expect_rawd_clean
	step "the module goes when the mount has gone"
	kill "$(find_task rawd)"
	until_true not find_task rawd >/dev/null
	nsenter -t "$PID" -m "$IN/bin/busybox" umount "$MNT" || fail "it is still mounted"
	module_unload
	module_load
}

# locks_by_kernel PLACE DAEMON [OPTION...]
locks_by_kernel() {
	local place=$1 daemon=$2 LOOK=1
	shift 2
	[ $place = host ] || CRIU+=(--file-locks)
	# shellcheck disable=SC2046
	place_new $place $(daemon_programs $daemon)
	tree_start
	daemon_start $daemon "$@"
	locker_start -k
	leave_running l
	cycle 1 l
	clients_quit l
}

# Without the option CRIU finds the locks itself, and the tree goes on.
locks_without_option() {
	VIA=criu
	place_new host
	tree_start
	daemon_start rawd
	locker_start -k
	tool_dump $T/img && fail "dumped"
	grep -q 'file locks are hold' $T/img/dump.log || fail "the locks are not named"
	expect_unharmed l
	rm -r $T/img
	CRIU+=(--file-locks)
	cycle 1 l
	clients_quit l
}

# Where the daemon keeps them, CRIU sees none.
locks_by_daemon_in_runc() {
	place_new runc
	tree_start
	daemon_start rawd $KEEPS_LOCKS
	locker_start
	owners_read
	OWNERS=$ASKED
	cycle 1 l
	expect_same_owners
	clients_quit l
	expect_no_locks
}

scenario locks-daemon-host locks_by_daemon host
scenario locks-daemon-runc locks_by_daemon_in_runc
scenario locks-kernel-host locks_by_kernel host rawd
scenario locks-kernel-runc locks_by_kernel runc rawd
scenario locks-kernel-bindfs locks_by_kernel host bindfs
scenario locks-kernel-criu locks_without_option
