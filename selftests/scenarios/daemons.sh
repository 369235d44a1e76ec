# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Daemons that are nobody's invention here: in Go, with protocol code of its own; with a
# libfuse that was changed for it; what containers have for a root; lxcfs; and the examples
# that come with libfuse.

# directories NAME... - that any user may write to.
directories() {
	local name
	for name; do
		mkdir "$OUT/$name"
		chmod 1777 "$OUT/$name"
	done
}

start_gocryptfs() {
	directories cipher
	echo secret >"$OUT/pass"
	gocryptfs -init -q -scryptn 10 -passfile "$OUT/pass" "$OUT/cipher" || fail "gocryptfs -init"
	tree_spawn "/usr/bin/gocryptfs -q -f -allow_other -passfile $IN/pass $IN/cipher $MNT"
}

start_mergerfs() {
	directories src1 src2
	tree_spawn "/usr/bin/mergerfs -f -o allow_other,minfreespace=0 $IN/src1:$IN/src2 $MNT"
}

start_fuse-overlayfs() {
	directories lower upper work
	echo lower >"$OUT/lower/file"
	tree_spawn "/usr/bin/fuse-overlayfs -f" \
		"-o allow_other,lowerdir=$IN/lower,upperdir=$IN/upper,workdir=$IN/work $MNT"
}

for daemon in gocryptfs mergerfs fuse-overlayfs; do
	scenario "host-$daemon" survive host "$daemon"
done
for daemon in mergerfs fuse-overlayfs; do
	scenario "runc-$daemon" survive runc "$daemon"
done

# The examples of libfuse.
example() {
	place_new "$1" /bin/mount
	tree_start
	daemon_start "${@:2}"
	client_start c1
	clients_check c1
	cycle 1 c1
	cycle 2 c1
	clients_quit c1
}
scenario passthrough-ll-host example host passthrough_ll
scenario passthrough-ll-runc example runc passthrough_ll
scenario passthrough-ll-single example host passthrough_ll -s
scenario passthrough-ll-clone example host passthrough_ll -o clone_fd,writeback,cache=always
scenario passthrough-host example host passthrough
scenario passthrough-fh-host example host passthrough_fh -s

# expect_line FILE PATTERN - which the tree writes.
expect_line() {
	until_true test -s "$OUT/$1" || fail "nothing is read"
	grep -q -x "$2" "$OUT/$1" || fail "read: $(cat "$OUT/$1")"
}

# A file that is open, and only read.
hello() {
	place_new "$1" /bin/mount
	tree_start
	daemon_start "${@:2}"
	tree_do "exec 5<$MNT/hello"
	until_true test -e "/proc/$PID/fd/5" || fail "it is not open"
	checkpoint "$T/img"
	restore "$T/img"
	verify "$T/img"
	tree_do "read -r line <&5; echo \$line >$IN/line"
	expect_line line 'Hello World!'
}
scenario hello-host hello host hello
scenario hello-runc hello runc hello
scenario hello-ll hello host hello_ll

# lxcfs in the container, some of its files over others, one open and read in part.
lxcfs() {
	place_new runc /usr/bin/lxcfs /usr/lib/x86_64-linux-gnu/lxcfs/liblxcfs.so /bin/mount
	CRIU+=(--file-locks)	# its pid file is locked
	tree_start
	DAEMON=lxcfs
	tree_spawn "/usr/bin/lxcfs -f -p /tmp/lxcfs.pid $MNT"
	until_true mounted_at "$MNT" || fail "lxcfs does not mount"
	touch "$OUT"/{meminfo,uptime}
	mount_in_tree --bind "$MNT/proc/meminfo" "$IN/meminfo"
	mount_in_tree --bind "$MNT/proc/uptime" "$IN/uptime"
	tree_do "exec 5<$IN/meminfo; read -r line <&5; echo \$line >$IN/first"
	expect_line first 'MemTotal: .* kB'
	for n in 1 2; do
		checkpoint "$T/img.$n"
		restore "$T/img.$n"
		verify "$T/img.$n"
		tree_do "read -r line <$IN/uptime; echo \$line >$IN/uptime.$n"
		expect_line uptime.$n '[0-9.]* [0-9.]*'
	done
	tree_do "read -r line <&5; echo \$line >$IN/second"
	expect_line second 'MemFree: .* kB'
	tree_do "exec 5<&-"
}
scenario lxcfs-runc lxcfs

# And outside, as it is mostly used: runc itself declares such mounts external.
lxcfs_outside() {
	local file
	place_new runc
	mkdir "$T/lxcfs"
	/usr/bin/lxcfs -f -p /run/lxcfs.pid "$T/lxcfs" >"$T/lxcfs.log" 2>&1 &
	until_true grep -q " $T/lxcfs .* - fuse" /proc/self/mountinfo || fail "lxcfs does not mount"
	BOUND="$T/lxcfs"
	tree_start
	tree_do "exec 5</proc/meminfo; read -r line <&5; echo \$line >$IN/first"
	expect_line first 'MemTotal: .* kB'
	mounted_at /proc/meminfo || fail "it is not that of lxcfs"
	tool_dump "$T/img" || fail "the checkpoint failed"
	[ -z "$(find "$T/img" -name 'fusecr-*.img')" ] || fail "images of ours"
	tool_restore "$T/img" || fail "the restore failed"
	mounted_at /proc/meminfo || fail "it is not that of lxcfs now"
	# Of the open file lxcfs itself has lost what it read at first.
	tree_do "read -r line </proc/meminfo; echo \$line >$IN/second"
	expect_line second 'MemTotal: .* kB'
	tree_do "exec 5<&-"
}
scenario lxcfs-outside lxcfs_outside

# What a daemon tells the kernel by itself, once a second: that the content is another, or
# the new one; and then asks what the kernel has. It ends itself when that is not right.
# (notify_inval_entry does when the kernel has dropped a name from its cache, as it may.)
notifies() {
	local n
	place_new host /bin/mount
	tree_start
	daemon_start "$1"
	tree_do "exec 5<$MNT/current_time"
	until_true test -e "/proc/$PID/fd/5" || fail "it is not open"
	content_changes
	for n in 1 2; do
		checkpoint "$T/img.$n"
		restore "$T/img.$n"
		content_changes
	done
	find_task "${1:0:15}" >/dev/null || fail "the daemon has ended"
	tree_do "exec 5<&-"
}
# The kernel is to believe for days what it knows.
content_changes() {
	local before
	before=$(in_tree cat "$MNT/current_time")
	[[ $before = 'The current time is '* ]] || fail "read: $before"
	until_true another_content || fail "it does not change"
}
another_content() {
	[ "$(in_tree cat "$MNT/current_time")" != "$before" ]
}
scenario notify-inval-inode notifies notify_inval_inode
scenario notify-store-retrieve notifies notify_store_retrieve

# Its state is reached by ioctl() only.
ioctls() {
	place_new host /bin/mount
	bring ioctl_client
	tree_start
	daemon_start ioctl
	tree_do "$IN/bin/ioctl_client $MNT/fioc 100; exec 5<>$MNT/fioc"
	until_true test -e "/proc/$PID/fd/5" || fail "it is not open"
	checkpoint "$T/img"
	restore "$T/img"
	verify "$T/img"
	tree_do "$IN/bin/ioctl_client $MNT/fioc >$IN/size"
	expect_line size 100
	tree_do "exec 5<&-"
}
scenario ioctl-host ioctls

# The root is a file.
root_file() {
	place_new "$1" /bin/mount
	touch "$OUT/null"
	MNT=$IN/null
	tree_start
	daemon_start null
	tree_do "exec 5<$MNT"
	until_true test -e "/proc/$PID/fd/5" || fail "it is not open"
	for n in 1 2; do
		checkpoint "$T/img.$n"
		restore "$T/img.$n"
		verify "$T/img.$n"
		tree_do "head -c 3 <&5 | od -An -tx1 >$IN/bytes.$n"
		expect_line bytes.$n ' *00 00 00'
		in_tree sh -c "echo something >$MNT" || fail "it takes nothing"
	done
	tree_do "exec 5<&-"
}
scenario null-host root_file host
scenario null-runc root_file runc
