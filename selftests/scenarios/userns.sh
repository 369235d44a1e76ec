# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2046,SC2086,SC2154
#
# Trees in a user namespace: who mounts is root there, and nobody outside.

for daemon in rawd clones bindfs; do
	scenario userns-$daemon userns survive userns $daemon
done
# Deleted files and places, sockets and FIFOs, mappings and programs, locks, what is
# cached of attributes.
for program in dweller special mapper moder attrs; do
	scenario userns-$program userns goes_through userns rawd $program
done

# A container whose users are its own, as of podman run --uidmap.
userns_runc() {
	USERS=1
	survive runc "$@"
}
scenario userns-runc-rawd userns userns_runc rawd

# Of a rawd that lets nobody else in.
userns_tree() {
	place_new userns
	tree_start
	DAEMON=rawd
	tree_spawn "$IN/bin/rawd -F -c 1024 $MNT"
	until_true mounted_at "$MNT" || fail "rawd does not mount"
	client_start c1
}

userns_private() {
	userns_tree
	clients_check c1
	for n in 1 2; do
		cycle $n c1
		# Another mount is theirs to make, too.
		tree_spawn "$IN/bin/rawd -F $IN/mnt2"
		until_true mounted_at "$IN/mnt2" || fail "no other mount"
		tree_do "umount $IN/mnt2"
		until_true not mounted_at "$IN/mnt2" || fail "it stays mounted"
	done
	leave_running c1
	clients_quit c1
	expect_rawd_clean
}
scenario userns-private userns userns_private

# The restored namespace has another number.
userns_numbered() {
	local pids='' n
	userns_tree
	checkpoint "$T/img"
	for n in 1 2 3; do
		unshare -U sleep 1000 &
		pids+="$! "
	done
	until_true [ "$(readlink /proc/[0-9]*/ns/user | sort -u | wc -l)" -ge 4 ] || fail "no namespaces"
	restore "$T/img"
	verify "$T/img"
	kill $pids
	wait $pids || :
	clients_check c1
	clients_quit c1
	expect_rawd_clean
}
scenario userns-numbered userns userns_numbered

# Of who asks while CRIU numbers users as it does, the daemon has its own number.
userns_outsider() {
	place_new userns
	tree_start
	daemon_start rawd
	client_start c1
	log_read
	mkfifo "$T/go"
	{
		read -r go <"$T/go"
		nsenter -t "$PID" -U -m -S 1000 -G 1000 "$IN/bin/busybox" mkdir "$MNT/of-1000"
		echo "done" >"$T/made"
	} &
	# Not CRIU's own child, which would be taken for CRIU.
	at post-dump "echo go >$T/go; $TILL_ASKED"
	tool_dump "$T/img.running" --leave-running || fail "the checkpoint failed"
	reached post-dump
	CRIU=()
	grep -q '[1-9][0-9]* requests left for the daemon' $T/img.running/fusecr-dump.log ||
		fail "it did not come while the tree stood"
	until_true [ -s $T/made ] || fail "it is not answered"
	log_read
	grep -q 'op=MKDIR .*uid=1000 gid=1000 ' "$T/log" || fail "the daemon saw: $(grep MKDIR "$T/log")"
	clients_quit c1
}
scenario userns-outsider userns userns_outsider

userns_fails() {
	userns_tree
	checkpoint "$T/img"
	at "$1" "$2"
	restore_fails
	reached "$1"
	CRIU=()
	restore "$T/img"
	verify "$T/img"
	clients_check c1
	clients_quit c1
	expect_rawd_clean
}
scenario userns-fails userns userns_fails post-restore 'exit 1'
scenario userns-killed userns userns_fails post-restore "kill -KILL \$($(cat_worker))"

userns_dump_fails() {
	userns_tree
	at "$1" "$2"
	tool_dump "$T/img" && fail "the checkpoint succeeded"
	reached "$1"
	expect_no_trace
	expect_unharmed c1
	CRIU=()
	cycle 1 c1
	clients_quit c1
	expect_rawd_clean
}
scenario userns-dump-fails userns userns_dump_fails post-dump 'exit 1'

# userns_refused PATTERN [OPTION...]
userns_refused() {
	place_new userns
	tree_start
	DAEMON=rawd
	tree_spawn "$IN/bin/rawd -F ${*:2} $MNT"
	until_true mounted_at "$MNT" || fail "rawd does not mount"
	tool_dump "$T/img" && fail "dumped"
	grep -q "$1" "$T/tool.log" || fail "not named"
	expect_no_trace
	[ -d "/proc/$PID" ] || fail "the tree is gone"
}
userns_old() {
	! criu_tells || skip "this CRIU says when the tree stands"
	userns_refused 'needs CRIU 4.1 or later'
}
scenario refuse-userns-old userns_old
scenario userns-other userns userns_refused 'without allow_other by who is not root' -u 1000:1000

# CRIU that is not root, of a process that has no FUSE: the module does not answer it.
unprivileged() {
	local as=(setpriv --reuid 1000 --regid 1000 --clear-groups)
	cp "$(command -v criu)" $T/criu
	setcap cap_checkpoint_restore+eip $T/criu || fail "setcap"
	mkdir -p $T/img
	chmod 777 $T/img
	setsid "${as[@]}" busybox sleep 1000 </dev/null >/dev/null 2>&1 &
	until_true grep -q sleep "/proc/$!/cmdline" || fail "no process"
	"${as[@]}" $T/criu dump --unprivileged -t $! -D $T/img -v4 -o dump.log ||
		fail "the checkpoint failed: $(grep Error $T/img/dump.log)"
	grep -q 'Plugin "fusecr_plugin"' $T/img/dump.log || fail "the plugin is not loaded"
	[ -z "$(find $T/img -name 'fusecr-*.img')" ] || fail "images of ours"
	until_true gone $! || fail "it is left"
}
scenario userns-unprivileged userns unprivileged
