# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# What is not carried is refused by name, before the tree is touched, and the
# tree goes on unharmed.

scenario refuse-lock-sent holding 'FLOCK.*through no descriptor' sent f0

# CRIU comes upon it, when all stands still.
device_sent() {
	local pid fd
	tree_with rawd
	pid=$(find_task rawd)
	fd=$(find /proc/$pid/fd -lname /dev/fuse -printf '%f\n' | head -n 1)
	holder_start h device-sent $pid/$fd
	tool_dump $T/img && fail "dumped"
	grep -q 'one of its /dev/fuse is in a message between processes' $T/tool.log $T/img/dump.log ||
		fail "not named"
	[ -z "$(find $T/img -name 'fusecr-*.img')" ] || fail "images are left"
	rm -r $T/img
	expect_no_trace
	expect_unharmed c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
scenario refuse-device-sent device_sent

# Another of which nothing can be told from it is no proof that it is there.
alike() {
	local h
	tree_with rawd
	holder_start g ofd "$MNT/f0"
	holder_start h ofd-sent "$MNT/f0"
	refused 'OFDLCK.*through no descriptor' c1
	h=$(pgrep -n -x holder)
	tell h end
	until_true gone $h || fail "it does not end"
	checkpoint $T/img
	restore $T/img
	clients_check c1
	tell g end
	clients_quit c1
	expect_rawd_clean
}
scenario refuse-lock-alike alike

scenario refuse-sent-nested holding '(holder) in a message to socket [0-9]* (/f2) can be received only with another' sent-nested f2
scenario refuse-sent-early holding '(holder) in a message to socket [0-9]* (/f2) can be received only with another' sent-early f2
scenario refuse-deleted-below holding 'd/d) is in a deleted directory, with more of them above it than are known' far-below gone
# CRIU tells FIFOs apart by their inode numbers only; bindfs has those of what it shows.
same_number() {
	tree_with bindfs
	mkfifo "$OUT/src/fifo"
	holder_start h open "$MNT/fifo"
	holder_start g open "$IN/src/fifo"
	refused '(holder) fd [0-9]* (/fifo) is a FIFO with the inode number of another, process [0-9]* (holder) fd [0-9]* (.*/src/fifo)' c1
	tell g end
	until_true not is_open "$IN/src/fifo"
	tool_dump "$T/img" --leave-running || fail "still refused"
	rm -r "$T/img"
	# And so for one of another daemon.
	tree_spawn "/usr/bin/bindfs -f $IN/src ${MNT}2"
	until_true mounted_at "${MNT}2" || fail "the second bindfs does not mount"
	holder_start f open "${MNT}2/fifo"
	refused '(holder) fd [0-9]* (/fifo) is a FIFO with the inode number of another, process [0-9]* (holder) fd [0-9]* (/fifo)' c1
	tell f end
	until_true not is_open "${MNT}2/fifo"
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
is_open() {
	readlink /proc/[0-9]*/fd/* | grep -qx "$1"
}
scenario refuse-fifo-number same_number
scenario refuse-fifo-path holding 'FIFO' path fifo

# With FOPEN_DIRECT_IO and without.
opened_twice() {
	tree_with rawd
	holder_start h open "$MNT/f0"
	in_tree sh -c "echo open 1 >$MNT/.ctl"
	holder_start g open "$MNT/f0"
	in_tree sh -c "echo open 0 >$MNT/.ctl"
	refused 'is open twice, alike but for different FOPEN flags (0, 0x1)' c1
	tell g end
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
scenario refuse-opened-twice opened_twice

# A daemon whose cookies are negative as positions.
far_cookie() {
	place_new host
	tree_start
	daemon_start rawd -x 0xf000000000000000
	program_start r "remover r $MNT $IN/r"
	holder_start h listed "$MNT/dir0"
	refused 'dir0) stands at a place' r
	tell h end
	until_true not find_task holder >/dev/null
	accepted r
}
scenario refuse-cookie far_cookie
scenario refuse-watch-once holding 'watches node.*IN_ONESHOT' watch-once f1
scenario refuse-watch-deleted holding 'gone) is watched, and deleted' watch-deleted gone
scenario refuse-dnotify holding 'watched, but through no descriptor' dnotify dir0
scenario refuse-permission holding 'asked for permission' permission f1
scenario refuse-permission-mount holding '(holder) watches a mount of it (FAN_MARK_MOUNT) and is asked for permission' permission-mount f1
scenario refuse-watch-all holding '(holder) watches all of it (FAN_MARK_FILESYSTEM), which CRIU would lose' watch-all f1
scenario refuse-device holding 'kmsg) is a device' kmsg kmsg
scenario refuse-bound-below holding 'gone/socket) is a socket in a deleted directory' bound-below gone
scenario refuse-bound-twice holding 'gone) is deleted, and another socket has its name' bound-twice gone

# What is watched stays in memory, what it is called does not.
nameless() {
	local n
	tree_with rawd
	holder_start h watch "$MNT/f1"
	for n in 1 2 3 4; do
		echo 2 >/proc/sys/vm/drop_caches
	done
	refused 'is watched, and the kernel has forgotten its name' c1
	in_tree stat "$MNT/f1" >/dev/null || fail "f1 is not there"
	accepted c1
	tell h end
}
scenario refuse-watch-nameless nameless

# Read by the daemon, and not answered: close_range() does not start over.
in_flight() {
	tree_with rawd -W -H FLUSH
	program_start asker "asker close_range $MNT $IN/asker"
	rawd_signal
	tell asker go
	until_true fusecr_counts processing || fail "no request is held"
	tool_dump "$T/img" && fail "dumped"
	grep 'connection 0:[0-9]* (fuse): request in flight: FLUSH, unique [0-9]*, node [0-9]*, pid [0-9]* (asker), processing' \
		"$T/tool.log" || fail "the request is not named"
	rawd_signal
	expect asker "done"
	tell asker quit
	expect_unharmed c1
	rm -r "$T/img"
	until_true not find_task asker >/dev/null
	accepted c1
}
scenario refuse-in-flight in_flight

# What is dirty is written before, as long as the daemon takes it.
dirty() {
	local daemon
	tree_with rawd -I 0x10000
	holder_start h dirty "$MNT/f0"
	daemon=$(find_task rawd)
	kill -STOP "$daemon"
	tool_dump "$T/img" && fail "dumped"
	grep 'request in flight: WRITE' "$T/tool.log" || fail "the request is not named"
	kill -CONT "$daemon"
	expect_unharmed c1
	rm -r "$T/img"
	cycle 1 c1
	[ "$(in_tree head -c 5 "$MNT/f0")" = dirty ] || fail "it was not written"
	tell h end
	clients_quit c1
}
scenario refuse-dirty dirty

waits() {
	grep -q '^State:.[DS]' "/proc/$1/status" && grep -q fuse "/proc/$1/wchan"
}

# In the queue, the daemon being stopped.
pending() {
	local daemon
	tree_with rawd -a 0
	daemon=$(find_task rawd)
	kill -STOP "$daemon"
	tree_spawn "/usr/bin/ls -l $MNT >/dev/null"
	until_true find_task ls >/dev/null
	until_true fusecr_counts pending
	tool_dump "$T/img" && fail "dumped"
	grep 'request in flight: .*pending' "$T/tool.log" || fail "the request is not named"
	kill -CONT "$daemon"
	expect_unharmed c1
	rm -r "$T/img"
	until_true not find_task ls >/dev/null
	accepted c1
}
scenario refuse-pending pending

cuse() {
	modprobe cuse || skip "this kernel has no CUSE"
	until_true test -c /dev/cuse || skip "there is no /dev/cuse"
	tree_with rawd
	holder_start h open /dev/cuse
	refused 'CUSE' c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
scenario refuse-cuse cuse

# A program outside of the tree.
outsider() {
	local what
	tree_with rawd
	mkfifo "$OUT"/h.{cmd,out}
	exec {fd}<>"$OUT/h.out"
	SAYS[h]=$fd
	for what in "open $MNT/f1" "bound $MNT/socket" "watch $MNT/f1" "watch-all $MNT/f1"; do
		# shellcheck disable=SC2086
		"$IN/bin/holder" $what "$IN/h" &
		expect h ready
		refused "$! (holder).*outside the tree" c1
		kill $!
		wait $! || :
	done
	for what in FLOCK POSIX; do
		case $what in
		FLOCK) "$IN/bin/holder" flock "$MNT/f1" "$IN/h" & ;;
		POSIX) "$IN/bin/holder" lock "$MNT/f1" "$IN/h" & ;;
		esac
		expect h ready
		refused "$! (holder).*outside the tree" c1
		grep -q "the lock \"$what ADVISORY WRITE $! " "$T/tool.log" || fail "the lock is not named"
		kill $!
		wait $! || :
	done
	(cd "$MNT" && exec sleep 1000) &
	until_true in_mount $!
	refused "$! (sleep).*outside the tree" c1
	kill $!
	wait $! || :
	accepted c1
}
in_mount() {
	[ "$(readlink "/proc/$1/cwd")" = "$MNT" ]
}
scenario refuse-outsider outsider

# Users that are no processes.
overlaid() {
	tree_with rawd
	modprobe overlay
	mkdir "$OUT/merged"
	mount -t overlay -o "lowerdir=$MNT:$OUT/bin" overlay "$OUT/merged" || fail "mount"
	# A program of it runs: what is mapped then is the file below.
	in_tree cp "$IN/bin/busybox" "$MNT/busybox" || fail "cp"
	until_true test -x "$OUT/merged/busybox" || fail "no program"
	"$OUT/merged/busybox" sleep 1000 &
	refused "$MNT is in use by the kernel: by the overlay mounted at $OUT/merged" c1
	fusecr list >/dev/null || fail "cannot list"
	kill $!
	wait $! || :
	in_tree rm "$MNT/busybox"
	grep -q '1 of its mounts are in no mount namespace' "$T/tool.log" || fail "not counted"
	umount "$OUT/merged"
	accepted c1
}
scenario refuse-overlay overlaid

looped() {
	local dev
	place_new $1
	tree_start
	daemon_start rawd
	client_start c1
	modprobe loop || fail "no loop"
	tree_do "$IN/bin/busybox dd if=/dev/zero of=$MNT/disk bs=4096 count=16"
	until_true in_tree test -s "$MNT/disk" || fail "no disk"
	exec {file}<"/proc/$PID/root$MNT/disk"
	dev=$(losetup -f)
	losetup -r "$dev" "/proc/self/fd/$file" || fail "losetup"
	exec {file}<&-
	refused "$MNT/disk is in use by the kernel: by the device ${dev#/dev/}" c1
	losetup -d "$dev"
	until_true not test -e "/sys/block/${dev#/dev/}/loop" || fail "not let go"
	in_tree rm "$MNT/disk"
	accepted c1
}
scenario refuse-loop looped host
scenario refuse-loop-runc looped runc

# Exported as exportfs would have it, which is not here.
exported() {
	tree_with rawd
	modprobe nfsd || skip "this kernel has no nfsd"
	echo 'nfsd 127.0.0.1 2147483647 somebody' >/proc/net/rpc/auth.unix.ip/channel
	echo "somebody $MNT 2147483647 9217 65534 65534 7" >/proc/net/rpc/nfsd.export/channel
	grep -q "^$MNT" /proc/net/rpc/nfsd.export/content || fail "not exported"
	refused "$MNT is in use by the kernel: exported by nfsd" c1
	echo 0 >/proc/net/rpc/nfsd.export/flush
	date +%s >/proc/net/rpc/nfsd.export/flush
	until_true not grep -q "^$MNT" /proc/net/rpc/nfsd.export/content || fail "still exported"
	accepted c1
}
scenario refuse-nfsd exported

# In no mount namespace any more, but somebody has a directory of it.
detached() {
	tree_with rawd
	mount --bind "$MNT" "${MNT}2"
	exec {dir}<"${MNT}2/dir0"
	umount -l "${MNT}2"
	refused '1 of its mounts are in no mount namespace' c1
	exec {dir}<&-
	accepted c1
}
scenario refuse-detached detached

# The daemon's /dev/fuse is in the hands of a process outside, too.
outside_holder() {
	local daemon fd
	tree_with rawd
	daemon=$(find_task rawd)
	for fd in "/proc/$daemon/fd/"*; do
		[ "$(readlink "$fd")" != /dev/fuse ] || break
	done
	mkfifo "$OUT"/h.{cmd,out}
	"$IN/bin/holder" device "$daemon/${fd##*/}" "$IN/h" &
	exec {out}<>"$OUT/h.out"
	SAYS[h]=$out
	expect h ready
	refused "$! (holder).*outside the tree" c1
	kill $!
	wait $! || :
	accepted c1
}
scenario refuse-outside-holder outside_holder

nested() {
	tree_with rawd
	tree_spawn "/usr/bin/unshare --mount /usr/bin/sleep 1000"
	until_true find_task sleep >/dev/null
	refused 'mounted in the nested mount namespace.*sleep' c1
	kill "$(find_task sleep)"
	until_true not find_task sleep >/dev/null
	accepted c1
}
scenario refuse-nested-mount nested

elsewhere() {
	tree_with rawd
	unshare --mount sleep 1000 &
	until_true named $! sleep
	refused "another mount namespace of process $!" c1
	kill $!
	wait $! || :
	accepted c1
}
named() {
	[ "$(cat "/proc/$1/comm")" = "$2" ]
}
scenario refuse-other-mount elsewhere

# beside PLACE PATTERN MOUNT-ARG... - a mount beside that of the tree's connection.
beside() {
	local pattern=$2
	place_new "$1"
	tree_start
	daemon_start rawd
	tree_do "$IN/bin/busybox mkdir -m 1777 $MNT/dir"
	client_start c1
	in_tree mount "${@:3}" || fail "mount"
	refused "$pattern"
	in_tree umount "${*: -1}"
	expect_unharmed c1
	accepted c1
}
scenario refuse-mount-upon beside host 'below another mount.*: tmpfs at .*/mnt/dir' \
	-t tmpfs tmpfs "$T/t/mnt/dir"
scenario refuse-same-place beside runc 'CRIU cannot tell it from another mount: tmpfs at /t/mnt' \
	-t tmpfs tmpfs /t/mnt

# CRIU does not find what is open below another mount of all of it.
hidden() {
	local second
	tree_with rawd
	tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other -S other $MNT"
	until_true grep -q " $MNT .* other " "/proc/$PID/mountinfo" || fail "the second rawd does not mount"
	second=$(pgrep -n rawd)
	refused 'another one hides'
	umount "$MNT"
	until_true gone "$second" || fail "the second rawd is left"
	accepted c1
}
scenario refuse-hidden hidden

# A file that is mounted and deleted.
mounted_deleted() {
	tree_with rawd
	touch "$OUT/file"
	tree_do "echo >$MNT/victim"
	until_true test -e "$MNT/victim"
	mount --bind "$MNT/victim" "$OUT/file"
	rm "$MNT/victim"
	refused 'of a file that is deleted' c1
	umount "$OUT/file"
	accepted c1
}
scenario refuse-mounted-deleted mounted_deleted

# Peers of which none shows what the others do.
peers() {
	tree_with rawd
	mkdir "$OUT"/{x,y,z}
	tree_do "$IN/bin/busybox mkdir -p $MNT/d/e $MNT/d/f"
	until_true test -d "$MNT/d/f"
	mount --bind "$MNT/d" "$IN/x"
	mount --make-shared "$IN/x"
	mount --bind "$IN/x/e" "$IN/y"
	mount --bind "$IN/x/f" "$IN/z"
	mount --make-private "$IN/x"
	refused 'a slave or a peer of mounts' c1
	umount "$IN/z" "$IN/y"
	cycle 1 c1
	umount "$IN/x"
	tree_do "$IN/bin/busybox rm -r $MNT/d"
	clients_quit c1
}
scenario refuse-peers peers

# Ids that the mount maps, and the kernel does not say how.
idmapped_old() {
	able_of_idmaps
	! tells_idmaps || skip "this kernel tells the map of a mount"
	tree_with rawd "${IDMAPS[@]}"
	bring idmapper
	"$IN/bin/idmapper" "$MNT" "$IN/mnt2" 0 10000 10 || fail "no idmapped mount"
	refused 'option that is not carried: idmapped, and only of Linux 6.17' c1
	umount "$IN/mnt2"
	accepted c1
}
scenario refuse-idmapped-old idmapped_old

# One without a map would have to be cloned from a peer that has one.
idmapped_peers() {
	able_of_idmaps
	tells_idmaps || skip "this kernel does not tell the map of a mount"
	place_new host
	tree_start
	daemon_start rawd "${IDMAPS[@]}"
	mount --make-shared "$MNT"
	bring idmapper
	"$IN/bin/idmapper" "$MNT" "$IN/mnt2" 0 10000 10 || fail "no idmapped mount"
	mkdir "$OUT/mnt3"
	mount --bind "$MNT" "$IN/mnt3"
	umount "$MNT"
	MNT=$IN/mnt3
	client_start c1
	refused 'a peer of one that is idmapped otherwise' c1
	umount "$IN/mnt2"
	accepted c1
}
scenario refuse-idmapped-peer idmapped_peers

no_symlinks_runc() {
	place_new runc /bin/mount
	tree_start
	daemon_start rawd
	client_start c1
	mount_option nosymfollow
	refused 'option that is not carried: nosymfollow' c1
	mount_option symfollow
	accepted c1
}
mount_option() {
	nsenter -t "$PID" -m -p /bin/mount -o "remount,bind,$1" "$MNT" || fail "remount,$1"
}
scenario refuse-nosymfollow no_symlinks_runc

# Mounted in the nested one only.
nested_only() {
	place_new runc
	tree_start
	daemon_start rawd
	client_start c1
	tree_spawn "$IN/bin/busybox unshare -m $IN/bin/busybox sh -c" \
		"'$IN/bin/rawd -F -o allow_other -S other $IN/mnt2'"
	until_true find_other || fail "no second rawd"
	until_true mounted_in "$(find_other)" "$IN/mnt2" || fail "it does not mount"
	refused 'not mounted in the mount namespace of the tree'
	expect_unharmed c1
	kill "$(find_other)"
	until_true not find_other
	accepted c1
}
# By what it is called with.
find_other() {
	pgrep -f 'rawd -F -o allow_other -S other'
}
scenario refuse-nested-only nested_only

user_namespace() {
	place_new host
	tree_start
	tree_spawn "/usr/bin/unshare --user --map-root-user --mount $IN/bin/rawd -F -u 0:0 $MNT"
	until_true find_task rawd >/dev/null || fail "no rawd"
	until_true mounted_in "$(find_task rawd)" "$MNT" || skip "no mount from a user namespace"
	refused 'user namespace'
}
mounted_in() {
	grep -q " $2 .* - fuse" "/proc/$1/mountinfo"
}
scenario refuse-user-namespace user_namespace

aborted() {
	local rawd
	tree_with rawd
	rawd=$(find_task rawd)
	# It would end.
	kill -STOP "$rawd"
	for conn in /sys/fs/fuse/connections/*/abort; do
		echo 1 >"$conn"
	done
	refused 'it is aborted or its daemon is dead'
	expect_no_trace
	kill -CONT "$rawd"
	until_true not find_task rawd >/dev/null
}
scenario refuse-aborted aborted

unmounted() {
	tree_with rawd
	umount -l "$MNT"
	tool_dump "$T/img" && fail "dumped"
	grep -q -e 'not mounted' -e 'no mount' "$T/tool.log" || fail "not named"
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	expect_no_trace
}
scenario refuse-unmounted unmounted

passthrough() {
	grep -q fuse_passthrough_open /proc/kallsyms ||
		skip "this kernel's fuse has no passthrough"
	place_new host
	mkdir "$OUT/behind"
	tree_start
	# INIT_EXT and PASSTHROUGH, which counts only with a stack depth.
	daemon_start rawd -I 0x2040000000 -k 1 -B "$IN/behind"
	holder_start h open "$MNT/f1"
	case $1 in
	closed)
		tree_do "echo -n unregister >$MNT/.ctl; mkdir $IN/done"
		until_true test -e "$OUT/done" || fail "not done"
		refused 'the daemon has closed the id'
		;;
	deleted)
		rm "$OUT/behind/"*
		refused 'the passthrough file .* it is deleted'
		;;
	hidden)
		mount -t tmpfs tmpfs "$OUT/behind"
		refused 'the passthrough file .* another one hides'
		umount "$OUT/behind"
		;;
	esac
	tell h end
	until_true not find_task holder >/dev/null
	client_start c1
	accepted c1
}
scenario refuse-passthrough passthrough closed
scenario refuse-passthrough-deleted passthrough deleted
scenario refuse-passthrough-hidden passthrough hidden

io_uring() {
	grep -q fuse_uring_cmd /proc/kallsyms || skip "this kernel's fuse has no io_uring"
	echo 1 >/sys/module/fuse/parameters/enable_uring || fail "it cannot be enabled"
	place_new host
	tree_start
	# INIT_EXT and OVER_IO_URING. The server has no queues, so everyone would
	# wait for them: nobody uses the mount.
	daemon_start rawd -I 0x20040000000
	tool_dump "$T/img" && fail "dumped"
	echo 0 >/sys/module/fuse/parameters/enable_uring
	grep -q 'io_uring queues are in use' "$T/tool.log" || fail "not named: $(cat "$T/tool.log")"
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	[ -n "$(find_task rawd)" ] || fail "the daemon is gone"
}
scenario refuse-io-uring io_uring

# The virtual machine was given a directory of the host's.
virtio() {
	modprobe virtiofs || fail "no virtiofs"
	tree_with rawd
	mkdir "$T/far"
	mount -t virtiofs host "$T/far" || fail "cannot mount"
	tree_do "exec 9<$T/far/root"
	until_true test -e "/proc/$PID/fd/9" || fail "not open"
	tool_dump "$T/img" && fail "dumped"
	grep -q 'fd 9 (/root): on virtiofs' "$T/tool.log" || fail "not named"
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	clients_check c1
}
scenario refuse-virtiofs virtio

# Without daemons of its own the tree is CRIU's, and goes through.
virtio_alone() {
	modprobe virtiofs || fail "no virtiofs"
	place_new host
	mkdir "$T/far"
	mount -t virtiofs host "$T/far" || fail "cannot mount"
	tree_start
	daemon_start none
	tree_do "exec 9<$T/far/root"
	until_true test -e "/proc/$PID/fd/9" || fail "not open"
	checkpoint "$T/img"
	restore "$T/img"
	[ "$(readlink "/proc/$PID/fd/9")" = "$T/far/root" ] || fail "it has $(readlink "/proc/$PID/fd/9")"
}
scenario virtiofs-alone virtio_alone

# A device that is open, and nothing is mounted with it.
not_mounted() {
	tree_with rawd
	tree_do "exec 9<>/dev/fuse"
	until_true test -e "/proc/$PID/fd/9" || fail "not open"
	refused 'fd 9: a /dev/fuse that nothing is mounted with' c1
	tree_do "exec 9<&-"
	until_true not test -e "/proc/$PID/fd/9"
	accepted c1
}
scenario refuse-not-mounted not_mounted

# Mounted by who counts processes otherwise than the daemon, its tree and CRIU do.
other_pids() {
	place_new host
	tree_start
	tree_do "exec 9<>/dev/fuse"
	until_true test -e "/proc/$PID/fd/9" || fail "not open"
	tree_do "$IN/bin/busybox unshare -p -f $IN/bin/busybox mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0,allow_other rawd $MNT"
	until_true mounted_at "$MNT" || fail "it does not mount"
	tree_spawn "$IN/bin/rawd -F -M 9 $MNT"
	tree_do "exec 9<&-"
	client_start c1
	refused 'mounted from a pid namespace that is not the tree' c1
	clients_quit c1
}
scenario refuse-other-pids other_pids

# What is refused leaves an older checkpoint in its directory as it was.
over_another() {
	tree_with rawd
	tool_dump "$T/older" --leave-running || fail "the checkpoint failed"
	expect_no_trace
	sha256sum "$T/older"/*.img >"$T/sums"
	holder_start h watch-once "$MNT/f1"
	tool_dump "$T/older" && fail "dumped"
	grep -q 'watches node.*IN_ONESHOT' "$T/tool.log" || fail "not named"
	sha256sum -c --quiet "$T/sums" || fail "images were touched"
	expect_unharmed c1
}
scenario refuse-over-another over_another

# The same way out of a container.
refused_in_runc() {
	place_new runc
	tree_start
	daemon_start rawd
	client_start c1
	holder_start h watch-once "$MNT/f0"
	refused 'watches node.*IN_ONESHOT' c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}
scenario refuse-runc refused_in_runc

# As JSON, and with the exit status that is promised.
refused_json() {
	tree_with rawd
	holder_start h watch-once "$MNT/f0"
	local status=0
	fusecr checkpoint -j --pid "$PID" -D "$T/img" >"$T/json" 2>"$T/tool.log" || status=$?
	[ $status = 1 ] || fail "it ended with $status"
	jq -e '.done == false and .tree_runs == true' "$T/json" >/dev/null ||
		fail "JSON: $(cat "$T/json")"
	expect_unharmed c1
}
scenario refuse-json refused_json
