# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Who is in the tree: the daemon, and its clients outside, which wait.

# Threads, and processes that share a table of descriptors.
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario crew-$place-$daemon goes_through $place $daemon crew
	done
done

# held_tree DAEMON [OPTION...] - nothing but the daemon, and two clients.
held_tree() {
	place_new host
	tree_start
	daemon_start "$@"
	outside_client c1
	outside_client c2 "$MNT" 1000
	clients_check c1 c2
}

# The module tells who has the devices; ps has the name.
holder_runs() {
	grep -qx fusecr-hold "/proc/$1/comm" && ! gone "$1"
}

no_holder() {
	! grep -qx fusecr-hold /proc/[0-9]*/comm 2>/dev/null
}

tool_hold() {
	if [ "$VIA" = criu ]; then
		FUSECR_HOLD=1 tool_dump "$@"
	else
		tool_dump "$@" --hold
	fi
}

# checkpoint_held DIR - the tree is gone, and the mount is not.
checkpoint_held() {
	local pids
	pids=$(tree_pids)
	tool_hold "$1" || fail "the checkpoint failed"
	until_true gone $pids || fail "processes are left"
	wait "$PID" || :
	expect_no_trace
	HOLDER=$(fusecr show -j -D "$1" | jq .inventory.holder_pid)
	holder_runs "$HOLDER" || fail "nobody holds the mount: $HOLDER"
	[ "$VIA" = criu ] || grep -q "held by process $HOLDER" "$T/tool.log" || fail "the holder is not named"
	fusecr list | grep -q "$HOLDER/fusecr-hold" || fail "not listed: $(fusecr list)"
	grep -q " $MNT .* - fuse" /proc/self/mountinfo || fail "the mount is gone"
}

restore_held() {
	restore "$1"
	until_true no_holder || fail "the mount is still held"
	verify "$1"
}

# Nothing was mounted and nobody asked anew.
held_cycle() {
	local stats=$T/stats
	[ "$DAEMON" != rawd ] || rawd_stats >"$stats.0"
	step "checkpoint"
	checkpoint_held "$T/img"
	step "restore"
	restore_held "$T/img"
	[ "$DAEMON" != rawd ] || { rawd_stats >"$stats.1" && expect_quiet "$stats".[01]; }
	clients_check "$@"
}

# The same while the clients are at it.
held_busy() {
	local name
	step "checkpoint, and the clients go on"
	checkpoint_held "$T/img"
	for name; do
		tell "$name" check
	done
	until_true fusecr_counts pending || fail "nobody waits"
	# Nobody hears of it before the restore.
	echo 2 >/proc/sys/vm/drop_caches
	step "restore"
	restore_held "$T/img"
	for name; do
		expect "$name" ok
	done
	clients_check "$@"
	rm -r "$T/img"
}

# daemon_only VIA DAEMON [OPTION...]
daemon_only() {
	VIA=$1
	held_tree "${@:2}"
	held_cycle c1 c2
	rm -r "$T/img"
	held_busy c1 c2
	held_busy c1 c2
	clients_quit c1 c2
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
scenario daemon-only daemon_only fusecr rawd
scenario daemon-only-criu daemon_only criu rawd
scenario daemon-only-clones daemon_only fusecr clones
scenario daemon-only-bindfs daemon_only fusecr bindfs
scenario daemon-only-sshfs daemon_only fusecr sshfs
scenario daemon-only-writeback daemon_only fusecr rawd -I 0x10000

# The daemon is in a container, and what it serves is mounted outside of it only.
start_served() {
	sed "s|@ROOT@|$ROOT|" "$HERE/config.json" >"$T/bundle/config.json"
	"$BUILD/scenarios/mounter" "$T/data" 4 runc --root "$T/runc" run -d --preserve-fds 2 \
		--bundle "$T/bundle" --pid-file "$T/pid" "$ID" </dev/null 3</dev/null >>"$T/tool.log" 2>&1 ||
		fail "runc run"
	PID=$(cat "$T/pid")
	until_true tree_listens || fail "the tree does not start"
}
daemon_in_runc() {
	local pids
	place_new runc
	mkdir -p $T/data $T/bundle
	start_served
	tree_spawn "$IN/bin/rawd -F -M 4 -c 1024 $* $MNT"
	from_host outside_client c1
	from_host outside_client c2 $T/data 1000
	clients_check c1 c2
	tool_dump $T/img && fail "dumped"
	grep -q 'not mounted in the mount namespace.*--hold' $T/tool.log $T/img/dump.log || fail "not named"
	rm -r $T/img
	for n in 1 2; do
		pids=$(tree_pids)
		FUSECR_HOLD=1 tool_dump $T/img || fail "the checkpoint failed"
		until_true gone $pids || fail "processes are left"
		expect_no_trace
		HOLDER=$(fusecr show -j -D $T/img | jq .inventory.holder_pid)
		holder_runs $HOLDER || fail "nobody holds the mount"
		tell c1 check
		until_true fusecr_counts pending || fail "nobody waits"
		restore_held $T/img
		expect c1 ok
		clients_check c1 c2
		rm -r $T/img
	done
	clients_quit c1 c2
	from_host expect_rawd_clean
}
scenario daemon-only-runc daemon_in_runc
scenario daemon-only-runc-clones daemon_in_runc -t 4

# Nobody else may look, not even root.
daemon_only_user() {
	place_new host
	AS=1000
	tree_start
	DAEMON=rawd
	tree_spawn "$IN/bin/rawd -F -c 1024 -u 1000:1000 $MNT"
	until_true mounted_at "$MNT" || fail "rawd does not mount"
	outside_client c1 "$MNT" 1000
	held_cycle c1
	clients_quit c1
	expect_rawd_clean
}
scenario daemon-only-user-only daemon_only_user

# The daemon is stopped in the middle of whatever, and nobody notices.
held_hammer() {
	local n
	VIA=fusecr
	place_new host
	tree_start
	daemon_start "$@"
	bring hammer
	cp "$IN/bin/hammer" "$MNT/hammer"
	outside_start h hammer 3 "$MNT" "$IN/h"
	for n in 1 2 3 4; do
		step "cycle $n"
		checkpoint_held "$T/img"
		restore_held "$T/img"
		clients_check h
		rm -r "$T/img"
	done
	clients_quit h
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
scenario hold-busy-rawd held_hammer rawd
scenario hold-busy-clones held_hammer clones
scenario hold-busy-bindfs held_hammer bindfs

# asked_once OPCODE - that the daemon had read before; a look asks for none.
asked_once() {
	local n
	n=$(times_asked "$1")
	[ "$n" = 1 ] || fail "the daemon was asked for $1 $n times"
	expect_no_duplicates
}

# slow_request OPERATION OPCODE [OPTION...] - over the checkpoint and the restore.
slow_request() {
	local op=$1 opcode=$2
	shift 2
	place_new host
	tree_start
	daemon_start rawd -W -H "$opcode" -e 0 -a 0 "$@"
	outside_start asker asker "$op" "$MNT" "$IN/asker"
	rawd_stats >"$T/stats.0"
	rawd_signal
	tell asker go
	until_true fusecr_counts processing || fail "$opcode does not come"
	checkpoint_held $T/img
	restore_held $T/img
	rawd_signal
	expect asker "done"
	asked_once $opcode
	tell asker quit
}
scenario slow-mkdir slow_request mkdir MKDIR
scenario slow-mkdir-late slow_request mkdir MKDIR -L
scenario slow-append slow_request append WRITE
scenario slow-clones slow_request mkdir MKDIR -t 4

# gives_up FUNCTION - and what the clients waited for fails.
gives_up() {
	local line
	held_tree rawd
	checkpoint_held $T/img
	tell c1 check
	until_true fusecr_counts pending || fail "nobody waits"
	$1
	read -r -t $PATIENCE -u ${SAYS[c1]} line || fail "c1 says nothing"
	[[ $line = "not ok:"* ]] || fail "c1 says: $line"
	until_true no_holder || fail "somebody holds it"
	tool_restore $T/img && fail "restored"
	grep -q "process $HOLDER, which held a connection for this tree, is no more" $T/tool.log || fail "not said"
	nothing_forked $T/img
	expect_no_trace
}
scenario holder-killed gives_up end_holder
end_holder() {
	kill "$HOLDER"
}
scenario holder-aborted gives_up abort_held
abort_held() {
	echo 1 | tee /sys/fs/fuse/connections/*/abort
}

# With nobody there, it can be unmounted.
hold_unmounted() {
	place_new host
	tree_start
	daemon_start rawd
	checkpoint_held $T/img
	# It must not look at what it unmounts.
	umount -lc $MNT
	until_true no_holder || fail "somebody holds it"
	tool_restore $T/img && fail "restored"
	grep -q "is no more" $T/tool.log || fail "not said"
	expect_no_trace
}
scenario holder-unmounted hold_unmounted

# Kills the surrogate that does the work: the other one's child, by its own name.
kill_worker() {
	cat <<-'END'
		for comm in $(grep -lx fusecr /proc/[0-9]*/comm); do
			dir=${comm%/comm}
			grep -qx fusecr "/proc/$(sed -n 's/^PPid:.//p' $dir/status)/comm" &&
				kill -KILL "${dir#/proc/}"
		done
		exit 0
	END
}

hold_surrogate_killed() {
	held_tree rawd
	at post-dump "$(kill_worker)"
	checkpoint_held $T/img
	reached post-dump
	grep -q 'the surrogate was killed' $T/img/fusecr-dump.log || fail "nobody was killed"
	CRIU=()
	restore_held $T/img
	clients_check c1 c2
	clients_quit c1 c2
	expect_rawd_clean
}
scenario hold-surrogate-killed hold_surrogate_killed

# In the middle of a restore nothing is lost.
restore_again() {
	held_tree rawd
	checkpoint_held $T/img
	at "$1" "exit 1"
	tool_restore $T/img && fail "the restore succeeded"
	reached "$1"
	CRIU=()
	expect_no_trace
	holder_runs $HOLDER || fail "the mount is not held any more"
	tell c1 check
	restore_held $T/img
	expect c1 ok
	clients_check c1 c2
	clients_quit c1 c2
	expect_rawd_clean
}
scenario hold-restore-again restore_again post-restore

image_lost() {
	held_tree rawd
	checkpoint_held $T/img
	criu_may_crash
	mv $T/img/files.img $T
	tool_restore $T/img && fail "the restore succeeded"
	expect_no_trace
	holder_runs $HOLDER || fail "the mount is not held any more"
	mv $T/files.img $T/img
	restore_held $T/img
	clients_check c1 c2
}
scenario hold-restore-lost image_lost

# restored_twice - the second finds nobody.
restored_twice() {
	held_tree rawd
	checkpoint_held $T/img
	restore_held $T/img
	tool_restore $T/img && fail "restored twice"
	grep -q 'the tree was restored before' $T/tool.log || fail "not said"
	clients_check c1 c2
	clients_quit c1 c2
	expect_rawd_clean
}
scenario hold-restored-twice restored_twice

# A kernel that was started since.
rebooted() {
	held_tree rawd
	checkpoint_held $T/img
	cat /proc/sys/kernel/random/uuid >$T/boot_id
	mount --bind $T/boot_id /proc/sys/kernel/random/boot_id
	tool_restore $T/img && fail "restored"
	umount /proc/sys/kernel/random/boot_id
	grep -q 'did not survive a reboot' $T/tool.log || fail "not said"
	! rmmod fusecr 2>/dev/null || fail "the module can be unloaded"
	restore_held $T/img
	clients_check c1 c2
}
scenario hold-rebooted rebooted

# The tree goes on with its own devices, and the images are of no use.
hold_running() {
	held_tree rawd
	tool_hold $T/img --leave-running || fail "the checkpoint failed"
	expect_no_trace
	until_true no_holder || fail "the mount is held"
	clients_check c1 c2
	tool_restore $T/img && fail "restored"
	grep -q 'went on after the dump' $T/tool.log || fail "not said"
	clients_check c1 c2
	held_cycle c1 c2
	clients_quit c1 c2
	expect_rawd_clean
}
scenario hold-leave-running hold_running

# A dump that fails late.
hold_fails() {
	held_tree rawd
	at post-dump "exit 1"
	tool_hold $T/img && fail "dumped"
	CRIU=()
	expect_no_trace
	until_true no_holder || fail "the mount is held"
	clients_check c1 c2
	rm -r $T/img
	held_cycle c1 c2
	clients_quit c1 c2
	expect_rawd_clean
}
scenario hold-dump-fails hold_fails

# As JSON; and somebody else has the connection when it is to be restored.
hold_json() {
	local gate pids
	held_tree rawd
	pids=$(tree_pids)
	fusecr checkpoint -j --hold --pid "$PID" -D $T/img >$T/json 2>$T/tool.log || fail "the checkpoint failed"
	jq -e '.done and (.tree_runs | not)' $T/json >/dev/null || fail "JSON: $(cat $T/json)"
	until_true gone $pids || fail "processes are left"
	wait "$PID" || :
	HOLDER=$(jq .holder $T/json)
	holder_runs "$HOLDER" || fail "JSON: $(cat $T/json)"
	fusecr gate close "$(fusecr list -j | jq -r '.connections[0].dev_name')" >$T/gate.log 2>&1 &
	gate=$!
	until_true gate_closed || fail "the gate is not closed: $(cat $T/gate.log)"
	tool_restore $T/img && fail "restored"
	grep -q 'has it in hand' $T/tool.log || fail "not said"
	kill $gate
	wait $gate || :
	restore_held $T/img
	clients_check c1 c2
}
gate_closed() {
	fusecr list | grep -q gated
}
scenario hold-json hold_json

# One connection has its client in the tree, the other one outside.
hold_one_of_two() {
	place_new host
	tree_start
	daemon_start rawd
	tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other -S other $IN/mnt2"
	until_true mounted_at "$IN/mnt2" || fail "the second rawd does not mount"
	client_start c1
	outside_client c2 "$IN/mnt2"
	checkpoint_one $T/img
	tell c2 check
	restore_held $T/img
	expect c2 ok
	clients_check c1 c2
	clients_quit c1 c2
	expect_rawd_clean
	MNT=$IN/mnt2 expect_rawd_clean
}
checkpoint_one() {
	MNT=$IN/mnt2 checkpoint_held "$1"
	! grep -q " $MNT .* - fuse" /proc/self/mountinfo || fail "the mount of the tree's own is left"
}
scenario hold-one-of-two hold_one_of_two

# --- what is refused ---------------------------------------------------------------

# not_held PATTERN CLIENT...
not_held() {
	local pattern=$1
	shift
	tool_hold "$T/img" && fail "dumped"
	grep -q -e "$pattern" "$T/tool.log" "$T/img/dump.log" || fail "not named: $pattern"
	[ -z "$(find "$T/img" -name 'fusecr-*.img')" ] || fail "images are left"
	rm -r "$T/img"
	until_true no_holder || fail "the mount is held"
	expect_unharmed "$@"
}

# At restore the way to the other's place would lead through it.
hold_under() {
	held_tree rawd
	tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other -S other $MNT/dir0"
	until_true mounted_at "$MNT/dir0" || fail "the second rawd does not mount"
	client_start c3 "$MNT/dir0"
	not_held "mounted at $MNT/dir0, below a mount that is to be held.*: $MNT" c1 c2 c3
	clients_quit c3
	tree_do "umount $MNT/dir0"
	until_true not mounted_at "$MNT/dir0" || fail "it stays mounted"
	held_cycle c1 c2
	clients_quit c1 c2
}
scenario refuse-hold-under hold_under

# Nor may its mount go with one that the tree takes along.
hold_over() {
	VIA=fusecr
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other -S other $MNT/dir0"
	until_true mounted_at "$MNT/dir0" || fail "the second rawd does not mount"
	outside_client c2 "$MNT/dir0"
	not_held "below another mount, which would go with it: .*$MNT/dir0" c1 c2
	clients_quit c1 c2
}
scenario refuse-hold-over hold_over

# Without the option it is named.
hold_unasked() {
	held_tree rawd
	tool_dump $T/img && fail "dumped"
	grep -q '(client).*outside the tree but uses the mount; "fusecr checkpoint --hold"' $T/tool.log ||
		fail "not named"
	clients_check c1 c2
}
scenario refuse-hold-unasked hold_unasked

hold_inside() {
	held_tree rawd
	client_start c3
	not_held '(client).*outside the tree.*and so does process.*cannot be held' c1 c2 c3
	clients_quit c3
	held_cycle c1 c2
}
scenario refuse-hold-inside hold_inside

# Its mount ends with the container.
hold_runc() {
	place_new runc
	VIA=criu
	tree_start
	daemon_start rawd
	(cd "/proc/$PID/root$MNT" && exec sleep 1000) &
	until_true in_hold_mount $!
	not_held 'cannot be held: it is mounted in the tree.s own mount namespace'
	kill $!
	wait $! || :
	client_start c1
	cycle 1 c1
}
in_hold_mount() {
	[[ $(readlink "/proc/$1/cwd") = *"$MNT" ]]
}
scenario refuse-hold-runc hold_runc

# Who waits for the daemon would be who has stopped it.
hold_images() {
	held_tree bindfs
	mkdir $MNT/images
	tool_hold $MNT/images && fail "dumped"
	grep -q '(criu).*is of the checkpoint itself' $T/tool.log || fail "not named"
	clients_check c1 c2
	held_cycle c1 c2
}
scenario refuse-hold-images hold_images

# CRIU goes by a path that leads to the mount now.
hold_below() {
	place_new host
	echo below >$OUT/mnt/below
	tree_start
	holder_start h open "$MNT/below"
	daemon_start rawd
	outside_client c1
	not_held 'a path in the tree leads over its mount' c1
	tell h end
	until_true not find_task holder >/dev/null
	held_cycle c1
	clients_quit c1
	expect_rawd_clean
}
scenario refuse-hold-below hold_below

# What the kernel forgets meanwhile, the daemon hears of: once. CRIU may be quicker.
forgets_while_frozen() {
	local rawd
	rawd=$(find_task rawd)
	ls -lR $MNT >/dev/null
	{
		until grep -q '^State:.t' /proc/$rawd/status || [ -e $T/over ]; do :; done
		echo 2 >/proc/sys/vm/drop_caches
	} &
	tool_hold "$T/img" && fail "dumped"
	grep -q 'a path in the tree leads over its mount' "$T/tool.log" || fail "not named"
	touch $T/over
	wait $!
	rm $T/over
	grep -q 'nodes are forgotten again' $T/img/fusecr-dump.log
}
# A tree with a file open where the mount will be, which cannot be held.
path_below() {
	local n
	place_new host
	echo below >$OUT/mnt/below
	tree_start
	# So that it takes CRIU a while to come to that path.
	for n in {1..20}; do
		tree_spawn "$IN/bin/busybox sleep 1000"
	done
	holder_start h open "$MNT/below"
}

hold_forgets() {
	path_below
	daemon_start rawd -d 4 -n 100
	outside_client c1
	until_true forgets_while_frozen || fail "nothing was forgotten in time"
	clients_check c1
	clients_quit c1
	expect_rawd_clean
}
scenario hold-forgets hold_forgets

# Somebody who waits is killed meanwhile: the daemon hears of it, and lets him go.
hold_interrupted() {
	local rawd asker
	path_below
	daemon_start rawd -W -H GETXATTR
	outside_start asker asker getxattr $MNT $IN/asker
	rawd=$(find_task rawd)
	asker=$(pidof asker)
	rawd_signal
	tell asker go
	until_true fusecr_counts processing || fail "nobody waits"
	{
		until grep -q '^State:.t' /proc/$rawd/status || [ -e $T/over ]; do :; done
		kill -KILL $asker
	} &
	tool_hold $T/img && fail "dumped"
	grep -q 'a path in the tree leads over its mount' $T/tool.log || fail "not named"
	touch $T/over
	wait $!
	expect_no_trace
	until_true gone $asker || fail "the daemon has not heard of it"
	grep '1 interrupts were read, 1 are sent again' $T/img/fusecr-dump.log || fail "not in time"
}
scenario hold-interrupted hold_interrupted

# The kernel would end the connection while it is held.
hold_timeout() {
	[ -e /proc/sys/fs/fuse/default_request_timeout ] || skip "this kernel's requests have no timeout"
	echo 60 >/proc/sys/fs/fuse/default_request_timeout
	held_tree rawd
	not_held 'its requests time out after' c1 c2
	echo 0 >/proc/sys/fs/fuse/default_request_timeout
}
scenario refuse-hold-timeout hold_timeout

# --- who checkpoints ------------------------------------------------------------------

# A pid namespace with a /proc of its own, as in a privileged container.
WITHIN=()
start_within() {
	unshare --mount --pid --fork --propagation private "$IN/bin/busybox" sh -c \
		"mount -t proc proc /proc; while $IN/bin/busybox sleep 1; do :; done" </dev/null >/dev/null 2>&1 &
	until_true child_of $! || fail "unshare does not start"
	WITHIN=(nsenter -t "$PID" -m -p)
	until_true knows_itself || fail "no /proc of its own"
	"${WITHIN[@]}" "$IN/bin/subreaper" "$IN/bin/busybox" sh "$IN/tree" </dev/null >/dev/null 2>&1 &
	until_true child_of $! || fail "nsenter does not start"
	until_true tree_listens || fail "the tree does not start"
}

knows_itself() {
	[ "$("${WITHIN[@]}" cat /proc/1/comm 2>/dev/null)" = busybox ]
}

# By the number that it has there.
number_within() {
	awk '$1 == "NSpid:" { print $NF }' "/proc/$PID/status"
}

# All of it in one: CRIU, the tool and the tree.
checkpoint_within() {
	local number pids
	place_new host
	start_within
	daemon_start rawd
	client_start c1
	number=$(number_within)
	[ "$number" != "$PID" ] || fail "the numbers are the same"
	step "--leave-running"
	"${WITHIN[@]}" fusecr checkpoint --pid "$number" -D $T/img.running --leave-running \
		>$T/tool.log 2>&1 </dev/null || fail "the checkpoint failed"
	compgen -G "$T/img.running/fusecr-conn*.img" >/dev/null || fail "nothing is saved"
	"${WITHIN[@]}" fusecr verify -D $T/img.running --pid "$number" >$T/tool.log 2>&1 || fail "verify"
	expect_no_trace
	clients_check c1
	step "checkpoint"
	pids=$(tree_pids)
	"${WITHIN[@]}" fusecr checkpoint --pid "$number" -D $T/img >$T/tool.log 2>&1 </dev/null ||
		fail "the checkpoint failed"
	until_true gone $pids || fail "processes are left"
	expect_no_trace
	step "restore"
	"${WITHIN[@]}" fusecr restore -D $T/img >$T/tool.log 2>&1 </dev/null || fail "the restore failed"
	"${WITHIN[@]}" fusecr verify -D $T/img --pid "$number" >$T/tool.log 2>&1 || fail "verify"
	clients_check c1
	clients_quit c1
}
scenario within-pidns checkpoint_within

# Who uses the mount and is in no part of it, is seen all the same, and named.
outsider_of_within() {
	place_new host
	start_within
	daemon_start rawd
	client_start c1
	printf '#!/bin/sh\nexec nsenter -t %s -m "$@"\n' $PID >$OUT/bin/entering
	chmod +x $OUT/bin/entering
	outside_start c2 entering $IN/bin/client c2 $MNT $IN/c2
	"${WITHIN[@]}" fusecr checkpoint --pid "$(number_within)" -D $T/img >$T/tool.log 2>&1 </dev/null &&
		fail "dumped"
	grep -q 'outside of this pid namespace.* is outside the tree but uses the mount' $T/tool.log ||
		fail "not named"
	expect_no_trace
	clients_check c1 c2
}
scenario within-pidns-outsider outsider_of_within
