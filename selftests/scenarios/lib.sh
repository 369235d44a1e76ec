# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What scenarios are made of. Runs inside the virtual machine only: the end of
# a scenario kills every other process and unmounts every FUSE mount there is.

FIRST=100000			# the first user of a user namespace, outside
T=/tmp/t			# all that a scenario makes, on a tmpfs
PATIENCE=100			# s: what is waited for comes soon or never

# Not to where a function is redirected to.
fail() {
	echo "FAIL: $*" >>"${REPORT:-/dev/stderr}"
	exit 1
}

skip() {
	echo "SKIP: $*"
	exit 77
}

step() {
	echo "- $* ($((SECONDS - ${BEGAN-0})) s)"
}

# A program takes longer to start in an emulated machine than to do what it does.
# Of these, -m does nothing.
for builtin in mkdir mkfifo realpath rm rmdir sleep uname; do
	[ ! -e "/usr/lib/bash/$builtin" ] || enable -f "/usr/lib/bash/$builtin" $builtin
done

# Waits for something that no event tells.
until_true() {
	local end=$((SECONDS + ${SOON:-$PATIENCE}))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

not() {
	! "$@"
}

# --- daemons -----------------------------------------------------------------

mounted_at() {
	local lines
	mapfile -t lines <"/proc/$PID/mountinfo"
	has_fuse_at "$1" "${lines[@]}"
}

# has_fuse_at PATH LINE... - of mountinfo; any, where the path is empty.
has_fuse_at() {
	local at=$1 line
	shift
	for line; do
		case $line in
		*' - fuse'[.\ ]* | *' - fuseblk'*)
			[ -n "$at" ] || return 0
			# shellcheck disable=SC2086
			set -- $line
			[ "$5" != "$at" ] || return 0
			;;
		esac
	done
	return 1
}

# The programs that a root of its own needs for a daemon.
daemon_programs() {
	case $1 in
	bindfs) echo /usr/bin/bindfs ;;
	sshfs) echo /usr/bin/sshfs /usr/bin/ssh /bin/mount ;;
	poll) echo /bin/mount ;;
	sftp) echo /usr/bin/sshfs /usr/lib/openssh/sftp-server /bin/mount ;;
	mergerfs | fuse-overlayfs) echo "/usr/bin/$1" /bin/mount ;;
	esac
}

start_sshd() {
	if [ -e "$T/ssh/pid" ]; then
		cp "$T/ssh/id" "$OUT/id"
		return
	fi
	mkdir -p "$T/ssh" /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/host"
	ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/id"
	cp "$T/ssh/id" "$OUT/id"
	/usr/sbin/sshd -f /dev/null -h "$T/ssh/host" -p 2222 \
		-o ListenAddress=127.0.0.1 -o UsePAM=no -o StrictModes=no \
		-o PidFile="$T/ssh/pid" -o PermitRootLogin=yes \
		-o AuthorizedKeysFile="$T/ssh/id.pub" \
		-o Subsystem='sftp internal-sftp' || fail "sshd"
}

SSH_OPTIONS="-F /dev/null -p 2222 -o BatchMode=yes -o LogLevel=ERROR \
-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"

# daemon_start KIND [OPTION...] - mounted at $MNT when it returns.
daemon_start() {
	local kind=$1
	shift
	DAEMON=$kind BACK=''
	case " $* " in
	*' -I 0x10000 '*) BACK=1 ;;
	esac
	case $kind in
	none)
		return
		;;
	rawd)
		tree_spawn "$IN/bin/rawd -F -c 1024 -o allow_other $* $MNT"
		;;
	clones)
		DAEMON=rawd
		tree_spawn "$IN/bin/rawd -F -t 4 -c 1024 -o allow_other $* $MNT"
		;;
	bindfs)
		mkdir "$OUT/src"
		chmod 1777 "$OUT/src"
		tree_spawn "/usr/bin/bindfs -f $* $IN/src $MNT"
		;;
	sshfs)
		criu_takes_tcp || skip "this CRIU cannot dump TCP sockets on this kernel, with or without FUSE"
		start_sshd
		mkdir -p "$T/far"
		chmod 1777 "$T/far"
		CRIU+=(--tcp-established)
		tree_spawn "/usr/bin/sshfs -f $SSH_OPTIONS -o IdentityFile=$IN/id" \
			"-o allow_other $* root@127.0.0.1:$T/far $MNT"
		;;
	sftp)
		# What sshfs has without a network: the other end of a socketpair.
		mkdir -p "$OUT/far"
		chmod 1777 "$OUT/far"
		printf '%s\n' "#!$IN/bin/busybox sh" 'exec /usr/lib/openssh/sftp-server' >"$OUT/bin/ssh"
		chmod +x "$OUT/bin/ssh"
		tree_spawn "/usr/bin/sshfs -f -o ssh_command=$IN/bin/ssh -o allow_other $* root@nowhere:$IN/far $MNT"
		;;
	hello | hello_ll | ioctl | notify_* | null | poll)
		bring "$kind"
		tree_spawn "$IN/bin/$kind -f $* $MNT"
		;;
	passthrough*)
		bring "$kind"
		mkdir "$OUT/src"
		chmod 1777 "$OUT/src"
		case $kind in
		passthrough_ll) set -- -o "source=$IN/src" "$@" ;;
		*) set -- -o "modules=subdir,subdir=$IN/src" "$@" ;;
		esac
		tree_spawn "$IN/bin/$kind -f -o allow_other $* $MNT"
		;;
	*)
		# In a file of scenarios.
		"start_$kind" "$@"
		;;
	esac
	until_true mounted_at "$MNT" || fail "$kind does not mount"
}

# --- programs ----------------------------------------------------------------

declare -A CMD SAYS

# For whoever the program runs as.
make_fifos() {
	umask 0
	mkfifo "$@"
	umask 022
}

# controls_open NAME - our ends of them.
controls_open() {
	exec {fd}<>"$OUT/$1.cmd"
	CMD[$1]=$fd
	exec {fd}<>"$OUT/$1.out"
	SAYS[$1]=$fd
}

# program_spawn NAME COMMAND - a program of the tree that takes orders.
program_spawn() {
	local name=$1
	shift
	make_fifos "$OUT/$name.cmd" "$OUT/$name.out"
	controls_open "$name"
	tree_spawn "$*"
	expect "$name" ready
}

program_start() {
	bring "${2%% *}"
	[ "${2%% *}" != sender ] || SENT=4
	program_spawn "$1" "$IN/bin/${*:2}"
}

# client_start NAME [MOUNT [UID]]
client_start() {
	program_start "$1" "client ${3:+-u $3} $1 ${2-$MNT} $IN/$1"
}

# older_client NAME - and then a rawd: CRIU dumps processes by their age.
older_client() {
	make_fifos "$OUT/$1.cmd" "$OUT/$1.out" "$OUT/go"
	controls_open "$1"
	tree_spawn "{ read -r go <$IN/go; exec $IN/bin/client $1 $MNT $IN/$1; }"
	daemon_start rawd
	echo go >"$OUT/go"
	expect "$1" ready
}

# holder_start NAME WHAT PATH
holder_start() {
	program_start "$1" "holder $2 $3 $IN/$1"
}

# hammer_start NAME WORKERS - who also lock; fusecr asks for that by itself.
hammer_start() {
	[ "$PLACE" = host ] || CRIU+=(--file-locks)
	bring hammer
	tree_do "$IN/bin/busybox cp $IN/bin/hammer $MNT/hammer"
	program_start "$1" "hammer $2 $MNT $IN/$1"
}

# times N - so often, but at least once.
times() {
	local n=$(($1 / ${LOAD:-1}))
	echo $((n > 0 ? n : 1))
}

# load_start DAEMON [OPTION...] - a tree that is busy.
load_start() {
	# shellcheck disable=SC2046
	place_new host $(daemon_programs "$1")
	tree_start
	daemon_start "$@"
	hammer_start h 8
}

# expect NAME LINE - what the program says next.
expect() {
	local line
	read -r -t "$PATIENCE" -u "${SAYS[$1]}" line || line="nothing for $PATIENCE s"
	[ "$line" = "$2" ] || fail "$1 says: $line"
}

tell() {
	echo "$2" >&"${CMD[$1]}"
}

# Each client uses all that it holds.
clients_check() {
	local name
	for name; do
		tell "$name" check
		expect "$name" ok
	done
}

clients_quit() {
	local name
	for name; do
		tell "$name" quit
		expect "$name" bye
	done
}

# --- checkpoint and restore --------------------------------------------------

CRIU=()				# options for criu, in dump and restore
RESTORE=()			# in restore only
VIA=fusecr			# or plain criu
IN_GROUP=()			# what runs fusecr

# These are one array less the options that fusecr gives itself.
tool_dump() {
	local dir=$1
	shift
	mkdir -p "$dir"
	LAST=$dir
	case $PLACE-$VIA in
	runc-* | crun-*)
		"$PLACE" --root "$T/$PLACE" checkpoint --image-path "$dir" --work-path "$dir" \
			"${CRIU[@]}" "$@" "$ID"
		;;
	podman-*)
		podman_dump "$dir" "$@"
		;;
	*-criu)
		criu dump -t "$PID" -D "$dir" -v4 -o dump.log "${CRIU[@]}" "$@"
		;;
	*)
		"${IN_GROUP[@]}" fusecr checkpoint --pid "$PID" -D "$dir" "$@" -- "${CRIU[@]}"
		;;
	esac </dev/null >"$T/tool.log" 2>&1
}

tool_restore() {
	local dir=$1 root=()
	LAST=$dir
	case $PLACE in
	unshare | userns) root=(--root "$ROOT") ;;
	esac
	rm -f "$T/pid"
	case $PLACE-$VIA in
	runc-* | crun-*)
		"$PLACE" --root "$T/$PLACE" restore -d --image-path "$dir" --work-path "$dir" \
			--bundle "$T/bundle" --pid-file "$T/pid" "${CRIU[@]}" "$ID"
		;;
	podman-*)
		podman_restore
		;;
	*-criu)
		criu restore -d --pidfile "$T/pid" -D "$dir" -v4 -o restore.log \
			"${root[@]}" "${CRIU[@]}" "${RESTORE[@]}"
		;;
	*)
		"${IN_GROUP[@]}" fusecr restore -D "$dir" -- "${root[@]}" "${CRIU[@]}" "${RESTORE[@]}"
		;;
	esac </dev/null >"$T/tool.log" 2>&1 || return
	if [ -f "$T/pid" ]; then
		PID=$(<"$T/pid")
		return
	fi
	PID=$(<"$T/tool.log")
	[[ $PID =~ process\ ([0-9]+)\ and\ its\ tree:\ restored ]] || :
	PID=${BASH_REMATCH[1]-}
}

no_surrogate() {
	no_process fusecr
}

# no_process COMM... - but of those that the virtual machine came up with.
no_process() {
	local pid comm
	for pid in /proc/[0-9]*; do
		[ -z "${KEEP[${pid#/proc/}]-}" ] || continue
		comm=''
		{ read -r comm <"$pid/comm" || :; } 2>/dev/null
		[[ " $* " != *" $comm "* ]] || [ -z "$comm" ] || return 1
	done
	return 0
}

no_fuse_mounts() {
	local lines
	mapfile -t lines </proc/self/mountinfo
	! has_fuse_at '' "${lines[@]}"
}

# at STAGE LINE - has CRIU run the line at one of its stages.
at() {
	cat >"$T/script" <<-END
		#!/bin/sh
		[ "\$CRTOOLS_SCRIPT_ACTION" = "$1" ] || exit 0
		echo "$1" >>$T/stages
		$2
	END
	chmod +x "$T/script"
	CRIU+=(--action-script "$T/script")
}

# For at: till somebody waits for a daemon, who may never come.
# shellcheck disable=SC2016
TILL_ASKED='n=0
	until grep -qv "^0\$" /sys/fs/fuse/connections/*/waiting || [ $n = 100 ]; do
		n=$((n + 1))
		sleep 0.1
	done
	sleep 0.2'

# plugins_load FIRST - "other" or "fusecr": both, in that order, which goes by where their
# files are in the directory.
plugins_load() {
	local order plugin
	mkdir "$T/lib"
	for order in "other_plugin fusecr_plugin" "fusecr_plugin other_plugin"; do
		rm -f "$T/lib/"*
		for plugin in $order; do
			cp "$(plugin_file "$plugin")" "$T/lib/"
		done
		[ "$(plugin_first)" != "$1_plugin.so" ] || break
	done
	[ "$(plugin_first)" = "$1_plugin.so" ] || fail "no such order"
	CRIU+=(--libdir "$T/lib")
}
plugin_file() {
	[ "$1" = other_plugin ] && echo "$BUILD/scenarios/$1.so" || echo "/usr/lib/criu/$1.so"
}
plugin_first() {
	find "$T/lib" -type f -printf '%f\n' | head -n 1
}

reached() {
	grep -qx "$1" "$T/stages" || fail "CRIU did not come to $1"
}

# fusecr_counts WHAT - some connection has requests there.
fusecr_counts() {
	fusecr list -j | grep -q "\"num_$1\": *[1-9]"
}

# 4.1.1 and 4.2.1 do without some of their images, with a plugin or not: not to be told.
criu_may_crash() {
	echo 0 >/proc/sys/debug/exception-trace
}

# What is left of us besides the tree and its mounts.
expect_no_trace() {
	until_true no_surrogate || fail "a surrogate is left"
	! compgen -G '/run/fusecr.*' >/dev/null || fail "left: $(compgen -G '/run/fusecr.*')"
}

expect_gone() {
	until_true gone "$@" || fail "processes are left: $(ps -o pid,stat,args -p "${*// /,}")"
	expect_no_trace
	no_fuse_mounts || fail "a mount is left: $(grep ' - fuse' /proc/self/mountinfo)"
	no_connections || fail "a connection is left"
}

checkpoint() {
	local pids
	pids=$(tree_pids)
	tool_dump "$1" || fail "the checkpoint failed"
	# shellcheck disable=SC2086
	expect_gone $pids
	nobody_killed "$1/fusecr-dump.log"
	wait
}

restore() {
	tool_restore "$1" || fail "the restore failed"
	if [ -z "$PID" ] || [ ! -d "/proc/$PID" ]; then
		fail "no pid of the restored tree"
	fi
	expect_no_trace
	nobody_killed "$1/fusecr-restore.log"
}

# Of a surrogate that crashes when all is saved, or handed over, nothing else is to be seen.
nobody_killed() {
	[ ! -e "$1" ] || ! grep 'the surrogate was killed' "$1" || fail "a surrogate was killed"
}

# What CRIU says before it creates a task.
FORKING='Forking task with'
nothing_forked() {
	[ -s "$1/restore.log" ] || fail "there is no log of the restore"
	! grep -q "$FORKING" "$1/restore.log" || fail "tasks were created"
}

# Lines that print the surrogate that does the work: the other one's child.
cat_worker() {
	cat <<-'END'
		for pid in $(pidof fusecr); do
			grep -qx fusecr /proc/$(sed -n 's/^PPid:.//p' /proc/$pid/status)/comm &&
				echo $pid
		done
	END
}

# A restore that fails, and leaves nothing.
restore_fails() {
	tool_restore "$T/img" && fail "the restore succeeded"
	until_true no_surrogate || fail "a surrogate is left"
	expect_no_trace
	no_fuse_mounts || fail "a mount is left: $(grep ' - fuse' /proc/self/mountinfo)"
	until_true no_connections || fail "a connection is left"
	until_true no_process client rawd ntfs-3g fuse2fs || fail "a process is left"
}

no_connections() {
	! compgen -G '/sys/fs/fuse/connections/*' >/dev/null
}

verify() {
	fusecr verify -D "$1" --pid "$PID" >"$T/tool.log" 2>&1 ||
		fail "verify: $(cat "$T/tool.log")"
}

# names_gone - those by which CRIU knew what is deleted, and the kernel forgets.
names_gone() {
	local pid
	rm -rf "$T/names"
	mkdir "$T/names"
	fusecr dump --pid "$PID" -D "$T/names" >"$T/tool.log" 2>&1 ||
		fail "dump: $(cat "$T/tool.log")"
	fusecr show -D "$T/names" >"$T/names/all"
	grep -q nodeid "$T/names/all" || fail "nothing is shown"
	! grep -F '#fusecr-' "$T/names/all" || fail "names of ours are left"
	for pid in $(tree_pids); do
		! find "/proc/$pid/"{cwd,root,fd} -lname '*#fusecr-*' | grep . || fail "names of ours are left"
	done
}

# A tree that nobody was to touch.
expect_unharmed() {
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	until_true no_surrogate || fail "a surrogate is left"
	clients_check "$@"
}

# left_out N [FROM] - of a step that many scenarios have, and that is left to one of N of
# them where BRIEF is a number, which says to which.
left_out() {
	[ -n "${BRIEF-}" ] && [ $(((NUMBER + BRIEF + ${2-0}) % $1)) != 0 ]
}

# cycle N CLIENT... - checkpoint, kill, restore, go on. In a brief run the second time is
# left to those scenarios that do not come to leave_running. With LOOK, where programs do
# nothing by themselves, it is compared what others see of their files.
cycle() {
	local n=$1 stats=$T/stats
	shift
	[ "$n" != 2 ] || ! left_out 2 1 || return 0
	step "round $n: checkpoint"
	[ "$DAEMON" != rawd ] || rawd_stats >"$stats.0"
	[ -z "${LOOK-}" ] || others_see "$T/seen"
	checkpoint "$T/img.$n"
	step "restore"
	restore "$T/img.$n"
	[ -z "${LOOK-}" ] || same_is_seen "$T/seen"
	if [ "$DAEMON" != none ]; then
		verify "$T/img.$n"
	fi
	[ "$DAEMON" != rawd ] || { rawd_stats >"$stats.1" && expect_quiet "$stats".[01]; }
	step "go on"
	clients_check "$@"
}

# busy_rounds RUNNING CYCLES - so many checkpoints that leave the tree running,
# then so many with a restore.
busy_rounds() {
	local running=$1 cycles=$2 n
	for ((n = 1; n <= running; n++)); do
		step "checkpoint $n"
		rm -rf "$T/img.running"
		tool_dump "$T/img.running" --leave-running || fail "checkpoint $n failed"
		expect_no_trace
		clients_check h
	done
	for ((n = 1; n <= cycles; n++)); do
		step "cycle $n"
		rm -rf "$T/img"
		checkpoint "$T/img"
		restore "$T/img"
		clients_check h
	done
}

leave_running() {
	local stats=$T/stats
	! left_out 2 || return 0
	step "--leave-running"
	[ "$DAEMON" != rawd ] || rawd_stats >"$stats.0"
	tool_dump "$T/img.running" --leave-running || fail "the checkpoint failed"
	[ -d "/proc/$PID" ] || fail "the tree is gone"
	expect_no_trace
	[ "$DAEMON" != rawd ] || { rawd_stats >"$stats.1" && expect_quiet "$stats".[01]; }
	clients_check "$@"
}

# --- what is refused ----------------------------------------------------------

# refused PATTERN CLIENT... - PATTERN is part of what the person reads.
refused() {
	local pattern=$1 status=0
	shift
	tool_dump "$T/img" || status=$?
	[ $status = 1 ] || fail "the checkpoint ended with $status"
	grep -q -e "$pattern" "$T/tool.log" "$T/img/dump.log" ||
		fail "not named: $pattern"
	! grep -q 'Seized task' "$T/img/dump.log" || fail "the tree was stopped"
	[ -z "$(find "$T/img" -name 'fusecr-*.img')" ] || fail "images are left"
	rm -r "$T/img"
	expect_unharmed "$@"
}

# A tree with one client, to which something is added.
tree_with() {
	place_new host
	tree_start
	daemon_start "$@"
	client_start c1
}

# And once it is gone, nothing is in the way any more.
accepted() {
	if left_out 3; then
		fusecr dump --pid "$PID" -D "$T/look" >"$T/tool.log" 2>&1 || fail "cannot be dumped"
		! grep 'a checkpoint would refuse' "$T/tool.log" || fail "still refused"
		clients_check "$@"
	else
		cycle 1 "$@"
	fi
	clients_quit "$@"
}

# holding PATTERN WHAT FILE [OPTION...] - a program that holds something.
holding() {
	local pattern=$1 what=$2 file=$3
	shift 3
	tree_with rawd "$@"
	holder_start h "$what" "$MNT/$file"
	refused "$pattern" c1
	tell h end
	until_true not find_task holder >/dev/null
	accepted c1
}

# --- whole lives --------------------------------------------------------------

# survive PLACE DAEMON [OPTION...] - a tree goes through all of it, three times.
survive() {
	DAEMON=none
	local place=$1 daemon=$2 LOOK=1
	shift 2
	# shellcheck disable=SC2046
	place_new "$place" $(daemon_programs "$daemon")
	tree_start
	daemon_start "$daemon" "$@"
	client_start c1
	client_start c2 "$MNT" 1000
	clients_check c1 c2
	[ "$DAEMON" != rawd ] || log_read
	for n in 1 2 3; do
		# Where cycle leaves it out, the daemon has seen nothing new.
		[ $n != 2 ] || [ -z "${BRIEF-}" ] || continue
		cycle $n c1 c2
		if [ "$DAEMON" = rawd ]; then
			log_read
			expect_seen "$(find_client c1)" 0
			expect_seen "$(find_client c2)" 1000
		fi
	done
	leave_running c1 c2
	clients_quit c1 c2
	if [ "$DAEMON" = rawd ]; then
		expect_rawd_clean
	fi
}

# goes_through PLACE DAEMON PROGRAM [ARG...] - a program that checks what it holds
# goes through all of it, twice.
goes_through() {
	local place=$1 daemon=$2 program=$3 n LOOK=1
	shift 3
	# shellcheck disable=SC2046
	place_new "$place" $(daemon_programs "$daemon")
	tree_start
	daemon_start "$daemon"
	program_start p "$program p $MNT $IN/p $*"
	clients_check p
	leave_running p
	for n in 1 2; do
		cycle $n p
	done
	leave_running p
	clients_quit p
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}

# shellcheck source=selftests/scenarios/tree.sh
. "$HERE/tree.sh"
# shellcheck source=selftests/scenarios/counts.sh
. "$HERE/counts.sh"
# shellcheck source=selftests/scenarios/seen.sh
. "$HERE/seen.sh"
# shellcheck source=selftests/scenarios/able.sh
. "$HERE/able.sh"
