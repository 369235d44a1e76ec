# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2046,SC2086,SC2154
#
# Daemons of file systems on a block device: fuseblk, which the kernel mounts from it
# too, and others that only have it open.

# disk_new - the device is known by a node that is not in /dev.
disk_new() {
	modprobe loop || fail "no loop devices"
	truncate -s 16M "$T/image"
	DEVICE=$(losetup -f --show "$T/image") || fail "losetup"
	cp -a "$DEVICE" "$OUT/disk"
}

# disk_start KIND [OPTION...] - a daemon, mounted at $MNT when it returns.
disk_start() {
	local options=${2:+-o $2} threads=''
	DAEMON=$1
	case $1 in
	ntfs-3g)
		mkntfs -q -F -Q "$DEVICE" >/dev/null || fail "mkntfs"
		tree_spawn "/usr/bin/ntfs-3g -o no_detach,allow_other $options $IN/disk $MNT"
		;;
	fuse2fs)
		mke2fs -q -F "$DEVICE" || fail "mke2fs"
		tree_spawn "$(command -v fuse2fs) -f -o fakeroot,allow_other $options $IN/disk $MNT"
		;;
	rawd | clones)
		DAEMON=rawd
		[ $1 = rawd ] || threads='-t 4'
		tree_spawn "$IN/bin/rawd -F $threads -T fuseblk -S $IN/disk -c 1024 -o allow_other${2:+,$2} $MNT"
		;;
	esac
	until_true mounted_at "$MNT" || fail "$1 does not mount"
}

disk_programs() {
	case $1 in
	ntfs-3g) echo /usr/bin/ntfs-3g ;;
	fuse2fs) command -v fuse2fs && echo /bin/mount ;;
	esac
}

# disk_with PLACE KIND [OPTION...]
disk_with() {
	[ "$1" = host ] || CRIU+=(--file-locks)
	place_new "$1" $(disk_programs "$2")
	disk_new
	tree_start
	disk_start "${@:2}"
}

# The daemon puts back on the disk what it has in its memory.
disk_end() {
	timeout "$PATIENCE" nsenter -t "$PID" -m "$IN/bin/busybox" umount "$MNT" || fail "umount"
	until_true not find_task "$DAEMON" >/dev/null || fail "the daemon does not end"
	losetup -d "$DEVICE"
}

blocks() {
	local n
	disk_with "$@"
	client_start c1
	clients_check c1
	leave_running c1
	for n in 1 2; do
		cycle $n c1
	done
	leave_running c1
	clients_quit c1
	[ $DAEMON != rawd ] || expect_rawd_clean
	disk_end
}
for place in host unshare runc; do
	scenario blocks-$place-ntfs blocks $place ntfs-3g
done
scenario blocks-host-fuse2fs blocks host fuse2fs
scenario blocks-runc-fuse2fs blocks runc fuse2fs
scenario blocks-host-rawd blocks host rawd blksize=1024

# What was saved is of one device: it has to be there, and of that size.
blocks_gone() {
	disk_with host ntfs-3g
	client_start c1
	checkpoint "$T/img"
	losetup -d "$DEVICE"
	restore_fails
	grep -q 'block device 7:[0-9]* (.*/disk) is not there' "$T/tool.log" || fail "not named"
	truncate -s 8M "$T/other"
	losetup "$DEVICE" "$T/other"
	restore_fails
	grep -q 'block device 7:[0-9]* (.*/disk) had 16777216 bytes, and has 8388608' "$T/tool.log" ||
		fail "not named"
	losetup -d "$DEVICE"
	losetup "$DEVICE" "$T/image"
	blocks_restored
}
scenario blocks-gone blocks_gone

blocks_restored() {
	restore "$T/img"
	verify "$T/img"
	clients_check c1
	clients_quit c1
	disk_end
}

# Whoever unmounts fuseblk waits for an answer, when a restore fails, too.
# blocks_fail PLACE KIND STAGE COMMAND
blocks_fail() {
	disk_with "$1" "$2"
	client_start c1
	checkpoint "$T/img"
	local criu=("${CRIU[@]}")
	at "$3" "$4"
	restore_fails
	reached "$3"
	CRIU=("${criu[@]}")
	blocks_restored
}
for place in host unshare; do
	scenario blocks-fails-$place blocks_fail $place ntfs-3g post-restore 'exit 1'
	scenario blocks-killed-$place blocks_fail $place clones post-restore "kill -KILL \$($(cat_worker))"
done
scenario blocks-killed-early blocks_fail host clones pre-restore "kill -KILL \$($(cat_worker))"

# Which of its files has the device to itself is not to be seen.
blocks_twice() {
	place_new host
	disk_new
	tree_start
	tree_do "exec 8<$IN/disk"
	disk_start fuse2fs
	tree_do "exec 8<&-"
	client_start c1
	tool_dump "$T/img" && fail "dumped"
	grep -q '(fuse2fs) fd [0-9]* (.*/disk): this block device is in exclusive use, and open several times' \
		"$T/tool.log" || fail "not named"
	expect_unharmed c1
	clients_quit c1
	disk_end
}
scenario blocks-twice blocks_twice
