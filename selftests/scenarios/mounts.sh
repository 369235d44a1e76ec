# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# Mounts of every kind, on and over and beside each other.

# Several files of one mount over others.
files() {
	place_new "$1"
	tree_start
	daemon_start rawd
	client_start c1
	touch "$OUT"/{a,b}
	mount_in_tree --bind "$MNT/f0" "$IN/a"
	mount_in_tree --bind "$MNT/f1" "$IN/b"
	tree_do "exec 5<>$IN/a 6<$IN/b"
	tree_do "echo one >&5"
	cycle 1 c1
	mounted_at "$IN/a" || fail "a file is not mounted any more"
	tree_do "echo two >&5"
	cycle 2 c1
	[ "$(in_tree head -c 8 "$IN/a")" = "$(printf 'one\ntwo')" ] || fail "the file is another"
	tree_do "exec 5<&- 6<&-"
	in_tree umount "$IN/a"
	in_tree umount "$IN/b"
	clients_quit c1
	expect_rawd_clean
}
for place in host unshare runc; do
	scenario "files-$place" files $place
done

# libfuse's helper that waits for the daemon's end, in the tree: of libfuse 2 and 3.
auto() {
	local helper
	place_new host
	tree_start
	daemon_start "$@" -o auto_unmount
	helper=$(find_helper) || fail "there is no helper"
	client_start c1
	cycle 1 c1
	cycle 2 c1
	clients_quit c1
	helper=$(find_helper) || fail "the helper is lost"
	kill -KILL "$(find_task "${DAEMON:0:15}")"
	until_true not mounted_at "$MNT" || fail "the helper has not unmounted it"
	until_true gone "$helper" || fail "the helper is left"
}
# The helper of a user's daemon is root's in part. Not every libfuse's comes so far
# as to unmount: after a restore it does what it did before.
auto_user() {
	local before
	place_new host
	tree_start
	DAEMON=passthrough_ll
	mkdir "$OUT/src"
	chown 1000 "$OUT/src" "$OUT/mnt"
	user_mount
	before=$(what_helper_does)
	umount "$MNT" 2>/dev/null || :
	user_mount
	client_start c1 "$MNT" 1000
	cycle 1 c1
	cycle 2 c1
	clients_quit c1
	[ "$(what_helper_does)" = "$before" ] || fail "the helper did otherwise before: $before"
}
user_mount() {
	bring passthrough_ll
	tree_spawn "/usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups" \
		"$IN/bin/passthrough_ll -f -o source=$IN/src,auto_unmount $MNT"
	until_true mounted_at "$MNT" || fail "it does not mount"
}
what_helper_does() {
	local helper
	helper=$(find_helper) || fail "there is no helper"
	kill -KILL "$(find_task passthrough_ll)"
	until_true gone "$helper" || fail "the helper is left"
	if mounted_at "$MNT"; then
		echo nothing
	else
		echo unmounts
	fi
}
scenario auto-unmount-user auto_user

# Who is to unmount is not in the tree: of a daemon that has gone to the background.
unmounter() {
	place_new host
	DAEMON=none
	mkdir "$OUT/src"
	/usr/bin/bindfs -o auto_unmount "$IN/src" "$MNT" || fail "bindfs"
	PID=$(pgrep -x bindfs)
	until_true mounted_at "$MNT" || fail "it does not mount"
	refused 'fusermount.*is outside the tree and waits'
	echo hello >"$MNT/file" || fail "the mount is not usable"
	kill "$PID"
	until_true not mounted_here || fail "it is not unmounted"
}
# Who calls himself so, and cannot have mounted it.
unmounter_false() {
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	printf '%s\n' "#!$IN/bin/busybox sh" 'read -r end' >"$OUT/bin/fusermount3"
	chmod +x "$OUT/bin/fusermount3"
	mkfifo "$T/end"
	# Not of those whom this shell waits for.
	(
		setpriv --reuid 1000 --clear-groups "$IN/bin/fusermount3" -o auto_unmount -- "$MNT" \
			<>"$T/end" >/dev/null 2>&1 &
	)
	until_true pgrep -x fusermount3 >/dev/null || fail "it does not run"
	accepted c1
	pgrep -x fusermount3 >/dev/null || fail "it has ended"
	echo >"$T/end"
	until_true not pgrep -x fusermount3 >/dev/null
}
mounted_here() {
	grep -q " $MNT .* - fuse" /proc/self/mountinfo
}
scenario refuse-unmounter unmounter
scenario refuse-unmounter-false unmounter_false

find_helper() {
	find_task fusermount3 || find_task fusermount
}
scenario auto-unmount-bindfs auto bindfs
scenario auto-unmount-passthrough auto passthrough_ll

# A daemon that serves what another serves.
stacked() {
	# shellcheck disable=SC2046
	place_new "$1" $(daemon_programs bindfs)
	tree_start
	daemon_start rawd "${@:2}"
	tree_do "$IN/bin/busybox mkdir -m 1777 $MNT/lower"
	tree_spawn "/usr/bin/bindfs -f $MNT/lower $IN/mnt2"
	until_true mounted_at "$IN/mnt2" || fail "bindfs does not mount"
	client_start c1
	client_start c2 "$IN/mnt2"
	cycle 1 c1 c2
	cycle 2 c1 c2
	leave_running c1 c2
	clients_quit c1 c2
}
scenario stacked-host stacked host
scenario stacked-runc stacked runc
scenario stacked-writeback stacked host -I 0x10000

# The same while it is busy: what one is asked, it asks the other.
stacked_busy() {
	# shellcheck disable=SC2046
	place_new "$1" $(daemon_programs bindfs)
	tree_start
	daemon_start rawd
	tree_do "$IN/bin/busybox mkdir -m 1777 $MNT/lower"
	tree_spawn "/usr/bin/bindfs -f $MNT/lower $IN/mnt2"
	until_true mounted_at "$IN/mnt2" || fail "bindfs does not mount"
	MNT=$IN/mnt2 hammer_start h 3
	busy_rounds 2 2
	clients_quit h
}
scenario stacked-busy stacked_busy host

# Binds that allow more than the mount does, or less.
unlike() {
	local before n
	place_new "$1"
	mkdir -p "$OUT"/mnt3/{a,b}
	tree_start
	daemon_start rawd
	client_start c1
	# Of those further down CRIU makes the first as the second is to be.
	for n in 2 3/a 3/b; do
		mount_in_tree --bind "$MNT" "$IN/mnt$n"
	done
	bound_again "$MNT" nosuid,nodev,noexec,nodiratime
	bound_again "$IN/mnt3/a" ro,noatime
	bound_again "$IN/mnt3/b" ro,noatime
	before=$(options_of)
	for n in 1 2; do
		cycle $n c1
		[ "$(options_of)" = "$before" ] || fail "other options: $(options_of), not $before"
	done
	clients_quit c1
	in_tree umount "$IN/mnt2" "$IN"/mnt3/{a,b} || fail "it cannot be unmounted"
	expect_rawd_clean
}
bound_again() {
	nsenter -t "$PID" -m -p "$IN/bin/busybox" mount -o "remount,bind,$2" "$1" || fail "remount $2"
}
options_of() {
	awk -v mnt="$IN/mnt" 'index($5, mnt) == 1 { print $5, $6 }' "/proc/$PID/mountinfo" | sort
}
for place in host unshare runc; do
	scenario bound-unlike-$place unlike $place
done

# The file system itself is read-only, and stays so: nobody is asked to write.
read_only() {
	local n
	place_new $1
	tree_start
	daemon_start rawd
	holder_start h read "$MNT/f1"
	remount ro || fail "remount"
	for n in 1 2; do
		step "round $n"
		checkpoint "$T/img.$n"
		restore "$T/img.$n"
		verify "$T/img.$n"
		! in_tree touch "$MNT/new" 2>"$T/touch" || fail "it can be written to"
		grep -q 'Read-only file system' "$T/touch" || fail "not read-only: $(cat "$T/touch")"
	done
	remount rw || fail "remount"
	in_tree touch "$MNT/f2" || fail "it cannot be written to again"
	tell h end
	until_true not find_task holder >/dev/null
	expect_rawd_clean
}
# By mount(2): what newer programs do (fsconfig(2)) fuse refuses.
remount() {
	nsenter -t "$PID" -m -p "$IN/bin/busybox" mount -o "remount,$1" "$MNT"
}
scenario read-only-host read_only host
scenario read-only-runc read_only runc

# CRIU would take it for another mount's place.
odd_place() {
	place_new unshare
	MNT="$IN/a]:b"
	mkdir "$OUT/a]:b"
	tree_start
	daemon_start rawd
	tool_dump "$T/img" && fail "dumped"
	grep -q 'which CRIU would take for another' "$T/tool.log" || fail "not said"
	expect_unharmed
	expect_no_trace
}
scenario refuse-odd-place odd_place

# Where the mount was made there is a peer of that place: the kernel makes the other by
# itself, and each is there once. The second is over the place itself.
peered() {
	local before
	place_new host
	mkdir "$OUT/a" "$OUT/b"
	mount -t tmpfs tmpfs "$IN/a"
	mount --make-shared "$IN/a"
	mkdir "$IN/a/mnt"
	mount --bind "$IN/a" "$IN/${1:-a}"
	MNT=$IN/a/mnt
	tree_start
	daemon_start rawd
	client_start c1
	before=$(mounts_at)
	[ "$(wc -l <<<"$before")" = 2 ] || fail "not two: $before"
	cycle 1 c1
	[ "$(mounts_at)" = "$before" ] || fail "now there are: $(mounts_at)"
	cycle 2 c1
	[ "$(mounts_at)" = "$before" ] || fail "now there are: $(mounts_at)"
	leave_running c1
	clients_quit c1
	expect_rawd_clean
}
mounts_at() {
	awk '/ - fuse[. ]/ { print $5, $4 }' /proc/self/mountinfo | sort
}
scenario peered-beside peered b
scenario peered-over peered

# A mount on a directory of another.
upon() {
	place_new "$1"
	tree_start
	daemon_start rawd
	tree_do "$IN/bin/busybox mkdir -m 1777 $MNT/upper"
	tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other -S other $MNT/upper"
	until_true mounted_at "$MNT/upper" || fail "the second rawd does not mount"
	client_start c1
	client_start c2 "$MNT/upper"
	cycle 1 c1 c2
	cycle 2 c1 c2
	leave_running c1 c2
	clients_quit c1 c2
	MNT=$MNT/upper expect_rawd_clean
	in_tree umount "$MNT/upper"
	LOGGED=0
	expect_rawd_clean
}
scenario upon-host upon host
scenario upon-runc upon runc

# And at one and the same place: only the upper one is in use.
over() {
	place_new host
	tree_start
	daemon_start rawd
	tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other -S other $MNT"
	until_true two_mounted || fail "the second rawd does not mount"
	client_start c1
	DAEMON=both
	cycle 1 c1
	cycle 2 c1
	clients_quit c1
	expect_rawd_clean
	umount "$MNT"
	LOGGED=0
	expect_rawd_clean
}
two_mounted() {
	[ "$(grep -c " $MNT .* - fuse" "/proc/$PID/mountinfo")" = 2 ]
}
scenario over-each-other over

# A file system of CRIU's on a directory of the mount.
tmpfs() {
	place_new runc
	tree_start
	daemon_start rawd
	tree_do "$IN/bin/busybox mkdir -m 1777 $MNT/tmp"
	client_start c1
	mount_in_tree -t tmpfs tmpfs "$MNT/tmp"
	tree_do "echo hello >$MNT/tmp/x"
	cycle 1 c1
	[ "$(in_tree cat "$MNT/tmp/x")" = hello ] || fail "what was in it is lost"
	cycle 2 c1
	clients_quit c1
}
scenario tmpfs-upon tmpfs

# Peer groups: peers and slaves of each other, in a place that is shared, too.
shared() {
	place_new "$1"
	mkdir "$OUT"/mnt{3,4,5}
	[ "$1" = runc ] || mount --make-shared "$T"
	tree_start
	daemon_start rawd
	mount_in_tree --make-shared "$MNT"
	mount_in_tree --bind "$MNT" "$IN/mnt2"
	mount_in_tree --bind "$MNT" "$IN/mnt3"
	mount_in_tree --make-slave "$IN/mnt3"
	mount_in_tree --bind "$MNT" "$IN/mnt4"
	mount_in_tree --make-private "$IN/mnt4"
	mount_in_tree --bind "$MNT" "$IN/mnt5"
	mount_in_tree --make-unbindable "$IN/mnt5"
	groups "$T/before"
	client_start c1
	client_start c2 "$IN/mnt3"
	cycle 1 c1 c2
	groups "$T/after"
	diff "$T/before" "$T/after" || fail "the peer groups are others"
	cycle 2 c1 c2
	clients_quit c1 c2
}
# Which mounts are of one group, not how it is numbered.
groups() {
	awk '
		/ - fuse[. ]/ {
			line = $5
			for (i = 7; $i != "-"; i++) {
				n = split($i, part, ":")
				if (n > 1 && !(part[2] in group))
					group[part[2]] = ++groups
				line = line " " part[1] (n > 1 ? group[part[2]] : "")
			}
			print line
		}
	' "/proc/$PID/mountinfo" | sort >"$1"
}
scenario shared-host shared host
scenario shared-runc shared runc

# Of the file system only parts are mounted any more: a directory, twice, and a file
# that is not in it.
parts() {
	place_new "$1"
	mkdir "$OUT/mnt3"
	touch "$OUT/a"
	tree_start
	daemon_start rawd
	tree_do "$IN/bin/busybox mkdir -m 1777 $MNT/d"
	until_true in_tree test -d "$MNT/d"
	mount_in_tree --bind "$MNT/d" "$IN/mnt2"
	[ "$1" != host ] || mount_in_tree --make-shared "$IN/mnt2"
	mount_in_tree --bind "$IN/mnt2" "$IN/mnt3"
	mount_in_tree --bind "$MNT/f0" "$IN/a"
	in_tree umount "$MNT" || fail "umount"
	DAEMON=parts MNT=$IN/mnt2
	groups "$T/before"
	client_start c1
	client_start c2 "$IN/mnt3"
	tree_do "exec 5<>$IN/a"
	tree_do "echo one >&5"
	for n in 1 2; do
		cycle $n c1 c2
		groups "$T/after"
		diff "$T/before" "$T/after" || fail "the mounts are others"
		! mounted_at "$IN/mnt" || fail "mounted where it was not"
	done
	tree_do "echo two >&5; exec 5<&-"
	until_true in_tree grep -q two "$IN/a" || fail "the file is another"
	leave_running c1 c2
	clients_quit c1 c2
}
for place in host runc; do
	scenario "parts-$place" parts $place
done

# A program of the container has a mount namespace of its own.
nested_ns() {
	place_new runc
	tree_start
	daemon_start rawd
	client_start c1
	program_start c2 "busybox unshare -m $IN/bin/client c2 $MNT $IN/c2"
	[ "$(readlink "/proc/$(find_client c2)/ns/mnt")" != "$(readlink "/proc/$PID/ns/mnt")" ] ||
		fail "there is one mount namespace only"
	cycle 1 c1 c2
	[ "$(readlink "/proc/$(find_client c2)/ns/mnt")" != "$(readlink "/proc/$PID/ns/mnt")" ] ||
		fail "there is one mount namespace only now"
	cycle 2 c1 c2
	leave_running c1 c2
	clients_quit c1 c2
	expect_rawd_clean
}
scenario nested-namespace nested_ns

# Per mount, not of the file system.
no_symlinks() {
	place_new host
	tree_start
	daemon_start rawd
	mount -o remount,bind,nosymfollow "$MNT" || fail "remount"
	grep -q " $MNT .*nosymfollow.* - fuse" /proc/self/mountinfo || fail "no nosymfollow"
	client_start c1
	cycle 1 c1
	cycle 2 c1
	grep -q " $MNT .*nosymfollow.* - fuse" /proc/self/mountinfo || fail "nosymfollow is lost"
	clients_quit c1
	expect_rawd_clean
}
scenario nosymfollow no_symlinks

# Owners that are others by another way. A map is told since 6.17.
idmaps() {
	able_of_idmaps
	tells_idmaps || skip "this kernel does not tell the map of a mount"
	"$@"
}
idmapped() {
	place_new "$1"
	tree_start
	daemon_start rawd "${IDMAPS[@]}"
	mkdir "$OUT"/{mnt3,mnt4}
	tree_do "$IN/bin/busybox mkdir -m 1777 $MNT/d"
	until_true in_tree test -d "$MNT/d"
	idmap_mount "$MNT" "$IN/mnt2" 0 10000 10
	mount_in_tree --bind "$IN/mnt2/d" "$IN/mnt3"
	idmap_mount "$MNT/d" "$IN/mnt4" 0 20000 10
	client_start c1
	client_start c2 "$IN/mnt2/d" 10003
	maps_ids a
	cycle 1 c1 c2
	maps_ids b
	cycle 2 c1 c2
	leave_running c1 c2
	maps_ids c
	clients_quit c1 c2
	in_tree umount "$IN/mnt2"
	in_tree umount "$IN/mnt3"
	in_tree umount "$IN/mnt4"
	expect_rawd_clean
}
idmap_mount() {
	bring idmapper
	nsenter -t "$PID" -m -p "$IN/bin/idmapper" "$@" || fail "no idmapped mount"
}
# maps_ids NAME - who makes a file by one way, is another by the other ways.
maps_ids() {
	local where owner
	nsenter -t "$PID" -m -S 10003 -G 10004 "$IN/bin/busybox" touch "$IN/mnt3/$1" ||
		fail "no $1"
	for where in "$MNT/d 3:4" "$IN/mnt2/d 10003:10004" "$IN/mnt3 10003:10004" "$IN/mnt4 20003:20004"; do
		owner=$(in_tree stat -c %u:%g "${where% *}/$1")
		[ "$owner" = "${where#* }" ] || fail "${where% *}/$1 is of $owner"
	done
	in_tree rm "$MNT/d/$1"
}
for place in host unshare runc; do
	scenario "idmapped-$place" idmaps idmapped $place
done

# The first that there is, which is made and not cloned.
idmapped_only() {
	place_new host
	tree_start
	daemon_start rawd "${IDMAPS[@]}"
	tree_do "$IN/bin/busybox chmod 1777 $MNT"
	idmap_mount "$MNT" "$IN/mnt2" 0 10000 10
	client_start c2 "$IN/mnt2" 10003
	umount "$MNT"
	MNT=$IN/mnt2
	cycle 1 c2
	! mounted_at "$IN/mnt" || fail "mounted where it was not"
	[ "$(stat -c %u "$MNT")" = 10000 ] || fail "the map is lost"
	cycle 2 c2
	clients_quit c2
}
scenario idmapped-only idmaps idmapped_only

# The first has a map that others do not have, or another one.
idmapped_first() {
	place_new host
	tree_start
	daemon_start rawd "${IDMAPS[@]}"
	mkdir "$OUT"/{mnt3,mnt4}
	tree_do "$IN/bin/busybox mkdir -m 1777 $MNT/d"
	until_true test -d "$MNT/d"
	idmap_mount "$MNT" "$IN/mnt2" 0 10000 10
	mount --bind "$MNT" "$IN/mnt3"
	idmap_mount "$MNT/d" "$IN/mnt4" 0 20000 10
	umount "$MNT"
	MNT=$IN/mnt3
	client_start c1
	client_start c2 "$IN/mnt2/d" 10003
	owners 10000 0 20000
	cycle 1 c1 c2
	owners 10000 0 20000
	cycle 2 c1 c2
	clients_quit c1 c2
	umount "$IN/mnt2" "$IN/mnt4"
	expect_rawd_clean
}
owners() {
	local now
	now=$(stat -c %u "$IN/mnt2/d" "$IN/mnt3/d" "$IN/mnt4" | xargs)
	[ "$now" = "$*" ] || fail "the owner shows as $now"
}
scenario idmapped-first idmaps idmapped_first
