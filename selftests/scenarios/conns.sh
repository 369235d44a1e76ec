# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# Shapes of connections and mounts: what the daemons of survive.sh do not show.

# Two connections in one tree.
several() {
	place_new "$1"
	tree_start
	daemon_start rawd
	tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other -S other $IN/mnt2"
	until_true mounted_at "$IN/mnt2" || fail "the second rawd does not mount"
	client_start c1
	client_start c2 "$IN/mnt2"
	cycle 1 c1 c2
	cycle 2 c1 c2
	clients_quit c1 c2
	expect_rawd_clean
	MNT=$IN/mnt2 expect_rawd_clean
}
for place in host unshare runc; do
	scenario "several-$place" several $place
done

# A daemon whose mount(2) waits for INIT. Restored, it is the surrogate's that does not.
sync_init() {
	local status=0
	place_new "$1"
	"$OUT/bin/rawd" -y "$T/none" 2>/dev/null || status=$?
	[ $status != 77 ] || skip "this kernel has no synchronous INIT"
	tree_start
	daemon_start rawd -y
	client_start c1
	cycle 1 c1
	cycle 2 c1
	clients_quit c1
	expect_rawd_clean
}
for place in host unshare runc; do
	scenario "sync-init-$place" sync_init $place
done

# One connection in two places, and a directory of it in a third.
bound() {
	place_new "$1"
	mkdir "$OUT/mnt3"
	tree_start
	daemon_start rawd
	client_start c1
	if [ "$1" = host ]; then
		mount --bind "$MNT" "$IN/mnt2"
		mount --bind "$MNT/c1" "$IN/mnt3"
	else
		tree_do "$IN/bin/busybox mount --bind $MNT $IN/mnt2"
		tree_do "$IN/bin/busybox mount --bind $MNT/c1 $IN/mnt3"
		until_true mounted_at "$IN/mnt3" || fail "the bind mount is not made"
	fi
	client_start c2 "$IN/mnt2"
	client_start c3 "$IN/mnt3"
	cycle 1 c1 c2 c3
	cycle 2 c1 c2 c3
	clients_quit c3 c2 c1
}
scenario bound-host bound host
scenario bound-unshare bound unshare

# A user's mount: nobody else may look, not even root.
user_only() {
	place_new "$1"
	AS=1000
	tree_start
	DAEMON=rawd
	tree_spawn "$IN/bin/rawd -F -c 1024 -u 1000:1000 $MNT"
	until_true mounted_at "$MNT" || fail "rawd does not mount"
	client_start c1 "$MNT" 1000
	! ls "/proc/$PID/root$MNT" 2>/dev/null || fail "root may look into a mount without allow_other"
	cycle 1 c1
	! ls "/proc/$PID/root$MNT" 2>/dev/null || fail "root may look into it now"
	cycle 2 c1
	clients_quit c1
	expect_rawd_clean
}
scenario user-only-host user_only host
scenario user-only-runc user_only runc

# The daemon itself is a user's, mounted by way of fusermount3.
user_daemon() {
	place_new host
	tree_start
	DAEMON=bindfs
	mkdir -p "$OUT/src"
	chown 1000 "$OUT/src" "$OUT/mnt"
	tree_spawn "/usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups" \
		"/usr/bin/bindfs -f --no-allow-other $IN/src $MNT"
	until_true mounted_at "$MNT" || fail "bindfs does not mount"
	client_start c1 "$MNT" 1000
	cycle 1 c1
	cycle 2 c1
	clients_quit c1
}
scenario user-daemon user_daemon

# with OPTIONS - a rawd that negotiates something of its own.
with() {
	place_new host
	tree_start
	daemon_start rawd "$@"
	# Its own counters are files that have to be opened.
	[[ $* != *"-N OPEN"* ]] || DAEMON=dark
	client_start c1
	clients_check c1
	cycle 1 c1
	cycle 2 c1
	clients_quit c1
	[ $DAEMON = dark ] || expect_rawd_clean
}

# include/uapi/linux/fuse.h: ASYNC_READ, ATOMIC_O_TRUNC, BIG_WRITES, DONT_MASK,
# AUTO_INVAL_DATA, DO_READDIRPLUS, READDIRPLUS_AUTO, ASYNC_DIO, PARALLEL_DIROPS,
# HANDLE_KILLPRIV, ABORT_ERROR, MAX_PAGES, CACHE_SYMLINKS
scenario init-flags with -I 0xecf069 -P 64 -w 65536 -r 65536 -g 1000 -b 7 -C 5
scenario init-old with -m 23
scenario readdirplus with -I 0x2000
scenario writeback with -I 0x10000
scenario no-open with -I 0x1020000 -N OPEN -N OPENDIR
scenario no-flush with -N FLUSH -N ACCESS -N GETXATTR
scenario direct-io with -O 1
scenario keep-cache with -O 2 -D 10
scenario no-timeouts with -e 0 -a 0
scenario mount-options with -o default_permissions,max_read=65536

# CRIU comes to the client first.
client_first() {
	place_new "$1"
	tree_start
	older_client c1
	cycle 1 c1
	cycle 2 c1
	clients_quit c1
	expect_rawd_clean
}
scenario client-first-host client_first host
scenario client-first-runc client_first runc

# A tree of clients only, its daemon outside: what CRIU does with it without
# the plugin.
clients_only() {
	place_new host
	"$IN/bin/rawd" -c 1024 -o allow_other "$MNT" || fail "rawd"
	tree_start
	client_start c1
	VIA=$1
	DAEMON=none
	tool_dump $T/img || fail "the checkpoint failed"
	[ -z "$(find $T/img -name 'fusecr-*.img')" ] || fail "images of ours"
	wait
	tool_restore $T/img || fail "the restore failed"
	clients_check c1
	clients_quit c1
}
scenario clients-only clients_only fusecr
scenario clients-only-criu clients_only criu

# It lets CRIU in or not: that is between the two of them.
clients_only_private() {
	local lets_in=/sys/module/fuse/parameters/allow_sys_admin_access
	place_new host
	"$IN/bin/rawd" -c 1024 -u 1000:1000 "$MNT" || fail "rawd"
	tree_start
	client_start c1 "$MNT" 1000
	DAEMON=none
	tool_dump $T/img && fail "dumped"
	grep -q 'Permission denied' $T/img/dump.log || fail "another failure"
	rm -r $T/img
	expect_unharmed c1
	[ -e $lets_in ] || return 0
	echo 1 >$lets_in
	tool_dump $T/img || fail "the checkpoint failed"
	wait
	tool_restore $T/img || fail "the restore failed"
	echo 0 >$lets_in
	clients_check c1
	clients_quit c1
}
scenario clients-only-private clients_only_private

# An executable that is open and read in part: CRIU looks for its build-id.
executable() {
	# shellcheck disable=SC2046
	place_new "$1" $(daemon_programs bindfs)
	tree_start
	daemon_start bindfs
	cp /bin/busybox "$OUT/src/elf"
	client_start c1
	tree_do "exec 5<$MNT/elf"
	tree_do "$IN/bin/busybox dd bs=1000 count=2 <&5 >/dev/null 2>&1"
	cycle 1 c1
	cycle 2 c1
	tree_do "$IN/bin/busybox cat <&5 >$IN/rest; $IN/bin/busybox mv $IN/rest $IN/whole"
	until_true test -e "$OUT/whole" || fail "the rest is not read"
	tail -c +2001 /bin/busybox | cmp - "$OUT/whole" || fail "the rest is not what it was"
	clients_quit c1
}
scenario executable-host executable host
scenario executable-runc executable runc

# Another plugin of CRIU's takes every task for its own, and is asked before ours or after.
other_plugin() {
	place_new "$1"
	plugins_load "$2"
	tree_start
	daemon_start rawd
	client_start c1
	leave_running c1
	cycle 1 c1
	cycle 2 c1
	grep -q 'Plugin "other_plugin"' "$LAST/restore.log" || fail "the other plugin is not loaded"
	clients_quit c1
	expect_rawd_clean
}
scenario other-plugin-first other_plugin host other
scenario other-plugin-last other_plugin host fusecr
scenario other-plugin-userns userns other_plugin userns other
