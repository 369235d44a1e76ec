# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Dumps and restores that fail on the way. After a dump the tree runs and its
# mount is usable; after a restore nothing is left; the next try works.

# A tree with one client, and plain checkpoints of it.
plain_tree() {
	place_new "${1-host}"
	tree_start
	daemon_start rawd
	client_start c1
}

# dump_fails - and leaves all as it was.
dump_fails() {
	tool_dump "$T/img" && fail "the checkpoint succeeded"
	until_true no_surrogate || fail "a surrogate is left"
	[ -n "${WHOLE-}" ] || [ -z "$(find "$T/img" -name 'fusecr-*.img')" ] ||
		fail "images of ours are left"
	expect_no_trace
	expect_unharmed c1
}

# The next one works.
next_works() {
	umount "$T/img" 2>/dev/null || :
	rm -rf "$T/img"
	CRIU=()
	if left_out 3; then
		tool_dump "$T/img" --leave-running || fail "the next checkpoint failed"
		expect_no_trace
		clients_check c1
	else
		cycle 1 c1
	fi
	clients_quit c1
	expect_rawd_clean
}

disk_full() {
	plain_tree
	mkdir "$T/img"
	mount -t tmpfs -o "size=$1,mode=700" tmpfs "$T/img"
	dump_fails
	next_works
}
scenario dump-disk-full-early disk_full 4k
scenario dump-disk-full-late disk_full 300k

# CRIU comes upon something else that it cannot dump, after the daemon.
later_failure() {
	plain_tree
	holder_start h open /dev/cpu_dma_latency
	dump_fails
	tell h end
	until_true not find_task holder >/dev/null
	next_works
}
scenario dump-later-failure later_failure

# The same before anything was asked of the surrogate.
earlier_failure() {
	place_new host
	tree_start
	holder_start h open /dev/cpu_dma_latency
	daemon_start rawd
	client_start c1
	dump_fails
	tell h end
	until_true not find_task holder >/dev/null
	next_works
}
scenario dump-earlier-failure earlier_failure

script_fails() {
	plain_tree "${2-host}"
	at "$1" "exit 1"
	# After the last of CRIU's work all images are whole, and stay.
	[ "$1" != post-dump ] || WHOLE=1
	dump_fails
	reached "$1"
	next_works
}
scenario dump-fails-pre-dump script_fails pre-dump
scenario dump-fails-post-dump script_fails post-dump
scenario dump-fails-unshare script_fails post-dump unshare

# Killed where no task is in the middle of CRIU's own code.
criu_killed() {
	plain_tree
	at "$1" "kill -KILL \$PPID; sleep 1"
	tool_dump "$T/img" && fail "the checkpoint succeeded"
	reached "$1"
	until_true no_surrogate || fail "a surrogate is left"
	expect_unharmed c1
	next_works
}
scenario dump-criu-killed-early criu_killed pre-dump
scenario dump-criu-killed-late criu_killed post-dump

# Before CRIU has frozen anything: it waits for an answer then.
surrogate_killed_first() {
	plain_tree
	mv /usr/sbin/fusecr "$T/fusecr"
	cat >/usr/sbin/fusecr <<-END
		#!/bin/sh
		[ "\$1" = surrogate ] && kill -KILL \$\$
		exec $T/fusecr "\$@"
	END
	chmod +x /usr/sbin/fusecr
	tool_dump "$T/img" && fail "the checkpoint succeeded"
	mv "$T/fusecr" /usr/sbin/fusecr
	grep -q 'ended without an answer' "$T/tool.log" || fail "not said"
	expect_unharmed c1
	next_works
}
scenario dump-surrogate-never surrogate_killed_first

# doomed N [CALL] - has the surrogate killed in the middle of its answer number N to
# a request, or when it comes to another call (doomed.c) for that time.
doomed() {
	mv /usr/sbin/fusecr "$T/fusecr"
	cat >/usr/sbin/fusecr <<-END
		#!/bin/sh
		[ "\$1" = surrogate ] || exec $T/fusecr "\$@"
		export DOOM=$1 DOOM_CALL=${2-} DOOM_MARK=$T/doomed LD_PRELOAD=$BUILD/scenarios/doomed.so
		exec $T/fusecr "\$@"
	END
	chmod +x /usr/sbin/fusecr
}

spared() {
	[ -e "$T/doomed" ] || fail "the surrogate was not killed"
	mv "$T/fusecr" /usr/sbin/fusecr
}

# A second process ends what the first one began, as it would have failed.
surrogate_killed() {
	place_new "$1"
	tree_start
	older_client c1
	doomed "$2"
	dump_fails
	spared
	[ "$PLACE" = runc ] || grep -q 'the surrogate was killed' "$T/tool.log" ||
		fail "not said: $(cat "$T/tool.log")"
	next_works
}
for place in host unshare runc; do
	for answer in 1 2 9; do
		scenario dump-surrogate-killed-$place-$answer surrogate_killed $place $answer
	done
done
for answer in 1 9; do
	scenario dump-surrogate-killed-userns-$answer userns surrogate_killed userns $answer
done

# What is deleted has its names again, whether the other one can end it well or not.
surrogate_killed_deleted() {
	place_new host
	tree_start
	daemon_start rawd
	program_start d "dweller d $MNT $IN/d cwd-gone dir-gone path-gone tmpfile"
	doomed "$1"
	tool_dump "$T/img" --leave-running || :
	spared
	expect_no_trace
	expect_unharmed d
	cycle 1 d
	clients_quit d
	expect_rawd_clean
}
scenario dump-surrogate-killed-deleted-2 surrogate_killed_deleted 2
scenario dump-surrogate-killed-deleted-9 surrogate_killed_deleted 9

# With the daemon before the client, all is saved by then, and nothing is lost.
surrogate_killed_late() {
	local pids
	plain_tree
	pids=$(tree_pids)
	doomed 2
	tool_dump "$T/img" || fail "the checkpoint failed: $(cat "$T/tool.log")"
	spared
	# shellcheck disable=SC2086
	expect_gone $pids
	wait
	restore_works
}
scenario dump-surrogate-killed-late surrogate_killed_late

# surrogate_ends LINE - at the very end, by what CRIU runs then.
surrogate_ends() {
	local pids
	plain_tree
	pids=$(tree_pids)
	at post-dump "$1"
	tool_dump "$T/img" || fail "the checkpoint failed: $(cat "$T/tool.log")"
	reached post-dump
	# shellcheck disable=SC2086
	expect_gone $pids
	wait
	CRIU=()
}

surrogate_killed_last() {
	surrogate_ends "kill -KILL \$($(cat_worker))"
	restore_works
}
scenario dump-surrogate-killed-last surrogate_killed_last

# Somebody ends all that has that name: the one that is left does what there is to do.
surrogate_terminated() {
	# shellcheck disable=SC2016
	surrogate_ends 'kill -TERM $(pidof fusecr); until [ $(pidof fusecr | wc -w) -le 2 ]; do :; done'
	grep -q 'was killed by signal 15' "$T/img/fusecr-dump.log" || fail "nobody was ended"
	grep -q 'cannot be broken off' "$T/tool.log" || fail "not said"
	restore_works
}
scenario dump-surrogate-terminated surrogate_terminated

# While all is prepared, and before CRIU stops anything, the daemon leaves the tree with
# the end of its parent: it lives, and its mount with it.
daemon_leaves() {
	place_new host
	"$IN/bin/busybox" sh "$IN/tree" </dev/null >/dev/null 2>&1 &
	PID=$!
	until_true tree_listens || fail "the tree does not start"
	tree_spawn "$IN/bin/busybox sh -c 'echo \$\$ >$T/between; $IN/bin/rawd -F -c 1024 -o allow_other $MNT; :'"
	until_true mounted_at "$MNT" || fail "no mount"
	DAEMON=rawd BACK=''
	client_start c1
	plugins_load fusecr
	export OTHER_PLUGIN
	OTHER_PLUGIN="kill -KILL $(<"$T/between")"
	tool_dump "$T/img" && fail "the checkpoint succeeded"
	grep -q 'left the tree' "$T/tool.log" || fail "not said"
	expect_unharmed c1
	expect_no_trace
	mounted_at "$MNT" || fail "the mount is gone"
	clients_quit c1
	expect_rawd_clean
}
scenario dump-daemon-leaves daemon_leaves

# What the daemon has asked the kernel for after all had come to rest, and has not read:
# whoever reads it has it alone.
retrieving() {
	local daemon
	tree_with rawd -W
	in_tree sh -c "cat $MNT/f0 >/dev/null; echo -n retrieve f0 >$MNT/.ctl"
	daemon=$(find_task rawd)
	plugins_load fusecr
	export OTHER_PLUGIN
	OTHER_PLUGIN="kill -USR2 $daemon; until grep -q ^State:.T /proc/$daemon/status; do :; done"
	tool_dump "$T/img" && fail "the checkpoint succeeded"
	grep -q 'NOTIFY_REPLY' "$T/tool.log" "$T/img/dump.log" || fail "not named"
	until_true no_surrogate || fail "a surrogate is left"
	kill -CONT "$daemon"
	expect_unharmed c1
	until_true retrieved || fail "the daemon still waits for what it has asked for"
	expect_no_trace
	clients_quit c1
	expect_rawd_clean
}
retrieved() {
	rawd_stats >"$T/stats.1"
	grep -q '^op NOTIFY_REPLY 1$' "$T/stats.1" && grep -q '^retrieved [1-9]' "$T/stats.1"
}
scenario dump-retrieving retrieving

# CRIU has been told of a mount that is no more when it stops the tree.
mount_goes() {
	plain_tree unshare
	mount_in_tree --bind "$MNT" "$IN/mnt2"
	plugins_load fusecr
	export OTHER_PLUGIN
	OTHER_PLUGIN="nsenter -t $PID -m $IN/bin/busybox umount $IN/mnt2"
	tool_dump "$T/img" && fail "the checkpoint succeeded"
	grep -q 'meanwhile it was mounted or unmounted' "$T/tool.log" "$T/img/dump.log" || fail "not named"
	CRIU=()
	expect_unharmed c1
	expect_no_trace
	rm -r "$T/img"
	unset OTHER_PLUGIN
	checkpoint "$T/img"
	restore_works
}
scenario dump-mount-goes mount_goes

# --- restore -----------------------------------------------------------------

dumped_tree() {
	plain_tree "$@"
	checkpoint "$T/img"
}

restore_works() {
	restore "$T/img"
	verify "$T/img"
	clients_check c1
	clients_quit c1
	expect_rawd_clean
}

image_missing() {
	dumped_tree "${2-host}"
	mv "$T/img/$1" "$T/"
	restore_fails
	mv "$T/$1" "$T/img/"
	restore_works
}
criu_image_missing() {
	criu_may_crash
	image_missing "$@"
}
scenario restore-no-conn image_missing fusecr-conn-1.img
scenario restore-no-dev image_missing fusecr-dev-1.img
scenario restore-no-inode image_missing fusecr-inode-1.img
scenario restore-no-inventory image_missing fusecr-inventory-0.img
scenario restore-no-pstree criu_image_missing pstree.img
scenario restore-no-files criu_image_missing files.img
scenario restore-no-conn-unshare image_missing fusecr-conn-1.img unshare
scenario restore-no-files-unshare criu_image_missing files.img unshare

# Each byte of an image is foreign input.
image_corrupted() {
	local image size
	dumped_tree
	for image in conn dev inode file mount; do
		image=$T/img/fusecr-$image-1.img
		cp "$image" "$T/good"
		size=$(stat -c %s "$image")
		truncate -s $((size - 3)) "$image"
		restore_fails
		grep -q "${image##*/}" "$T/tool.log" || fail "${image##*/} is not named: $(cat "$T/tool.log")"
		cp "$T/good" "$image"
	done
	restore_works
}
scenario restore-corrupted image_corrupted

# Cut between entries it reads well: the inventory counts them.
entries_lost() {
	local image
	dumped_tree
	for image in inode file; do
		image=$T/img/fusecr-$image-1.img
		cp "$image" "$T/good"
		truncate -s "$(last_entry "$image")" "$image"
		restore_fails
		grep -q 'connection 1: an image has lost entries' "$T/tool.log" || fail "not named: $(cat "$T/tool.log")"
		cp "$T/good" "$image"
	done
	restore_works
}
# Two magic numbers, then entries that begin with their sizes.
last_entry() {
	local at=8 last=8 end size
	end=$(stat -c %s "$1")
	while [ $at -lt "$end" ]; do
		last=$at
		size=$(od -An -tu4 -j $at -N 4 "$1")
		at=$((at + 4 + size))
	done
	echo $last
}
scenario restore-lost-entries entries_lost

# What was looked at while it ran is no checkpoint.
running_images() {
	plain_tree
	fusecr dump --pid "$PID" -D "$T/img" >"$T/tool.log" 2>&1 || fail "dump"
	fusecr restore -D "$T/img" >"$T/tool.log" 2>&1 && fail "restored"
	grep -q 'are of a running tree (fusecr dump)' "$T/tool.log" || fail "not named: $(cat "$T/tool.log")"
	expect_unharmed c1
	clients_quit c1
}
scenario restore-running running_images

mountpoint_missing() {
	dumped_tree
	rmdir "$MNT"
	restore_fails
	grep -q "$MNT" "$T/tool.log" || fail "the mount point is not named"
	mkdir "$MNT"
	restore_works
}
scenario restore-no-mountpoint mountpoint_missing

pid_taken() {
	local taken=''
	dumped_tree
	until [ "$taken" = "$PID" ]; do
		echo $((PID - 1)) >/proc/sys/kernel/ns_last_pid
		sleep 1000 &
		taken=$!
		[ "$taken" = "$PID" ] || kill "$taken"
	done
	restore_fails
	kill "$PID"
	wait || :
	restore_works
}
scenario restore-pid-taken pid_taken

restore_script_fails() {
	dumped_tree "${2-host}"
	at "$1" "exit 1"
	restore_fails
	reached "$1"
	CRIU=()
	restore_works
}
scenario restore-fails-early restore_script_fails setup-namespaces unshare
scenario restore-fails-late restore_script_fails post-restore
scenario restore-fails-late-unshare restore_script_fails post-restore unshare

restore_criu_killed() {
	dumped_tree
	at "$1" "kill -KILL \$PPID; sleep 1"
	tool_restore "$T/img" && fail "the restore succeeded"
	reached "$1"
	until_true no_surrogate || fail "a surrogate is left"
	until_true no_process client rawd || kill -KILL "$PID"
	until_true no_fuse_mounts || fail "a mount is left"
	CRIU=()
	restore_works
}
scenario restore-criu-killed restore_criu_killed pre-restore

# restore_surrogate_doomed PLACE N [CALL]
restore_surrogate_doomed() {
	dumped_tree "$1"
	doomed "${@:2}"
	restore_fails
	spared
	restore_works
}
scenario restore-surrogate-killed-host restore_surrogate_doomed host 6
scenario restore-surrogate-killed-unshare restore_surrogate_doomed unshare 6
# Before its first answer to CRIU: to INIT, the look at the root, what it does then.
for place in host unshare; do
	scenario restore-surrogate-killed-$place-init restore_surrogate_doomed $place 1
	scenario restore-surrogate-killed-$place-root restore_surrogate_doomed $place 2
	scenario restore-surrogate-killed-$place-owning restore_surrogate_doomed $place 1 attach
	scenario restore-surrogate-killed-$place-done restore_surrogate_doomed $place 1 sendmsg
done

restore_surrogate_killed() {
	dumped_tree "${2-host}"
	at "$1" "kill -KILL \$($(cat_worker))"
	restore_fails
	reached "$1"
	grep -q 'the surrogate was killed' "$T/tool.log" || fail "not said: $(cat "$T/tool.log")"
	CRIU=()
	restore_works
}
scenario restore-surrogate-killed-early restore_surrogate_killed pre-restore
scenario restore-surrogate-killed-late restore_surrogate_killed post-restore
# CRIU waits for the first process of a pid namespace, and that one for all others.
scenario restore-surrogate-killed-late-unshare restore_surrogate_killed post-restore unshare

# A handle keeps the module: it goes when nobody needs it.
rmmod_meanwhile() {
	dumped_tree
	at post-restore "! rmmod fusecr"
	restore_works
	reached post-restore
	module_unload
	module_load
}
scenario restore-rmmod rmmod_meanwhile

without_module_restore() {
	dumped_tree
	module_unload
	restore_fails
	grep -q 'fusecr.ko is not loaded' "$T/tool.log" || fail "not said"
	module_load
	restore_works
}
scenario restore-nomodule without_module_restore

# Whoever owns a directory on the way may have made it another one meanwhile.
led_astray() {
	place_new host
	mkdir -p "$OUT/way/mnt" "$T/astray/mnt"
	MNT=$IN/way/mnt
	tree_start
	daemon_start rawd
	client_start c1
	checkpoint "$T/img"
	mv "$OUT/way" "$OUT/away"
	ln -s "$T/astray" "$OUT/way"
	restore_fails
	grep -q "cannot be mounted at $MNT: Too many levels of symbolic links" "$T/tool.log" ||
		fail "not named: $(cat "$T/tool.log")"
	rm "$OUT/way"
	mv "$OUT/away" "$OUT/way"
	restore "$T/img"
	clients_check c1
	clients_quit c1
}
scenario restore-symlink led_astray

# What somebody has mounted over ours stays, when the restore fails and ours goes.
covered_by_another() {
	dumped_tree
	at post-restore "mount -t tmpfs other $MNT; exit 1"
	tool_restore "$T/img" && fail "the restore succeeded"
	reached post-restore
	expect_no_trace
	grep -q " $MNT .* - tmpfs other " /proc/self/mountinfo || fail "the other mount is gone"
	grep -q "umount $MNT: something else is mounted there" "$T/img/fusecr-restore.log" ||
		fail "not said"
	umount "$MNT"
	umount "$MNT"
	until_true no_connections || fail "a connection is left"
	CRIU=()
	restore_works
}
scenario restore-covered covered_by_another

# The directory is on the mount: who writes there would wait for who stands still.
images_here() {
	tree_with rawd
	mkdir -m 700 "$MNT/images"
	tool_dump "$MNT/images" && fail "dumped"
	grep -q '(\(criu\|fusecr\)).*is outside the tree but uses the mount' "$T/tool.log" || fail "not named"
	expect_no_trace
	accepted c1
}
scenario refuse-images-here images_here
