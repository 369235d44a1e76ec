# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# The tree of a scenario, and where it is.
#
# The tree's root is a shell that runs the lines it reads from a FIFO. It sees
# as $IN what we see as $OUT; $ROOT is the root of its file system.

# Copies programs with the libraries that they need.
copy_programs() {
	local dir=$1 file
	shift
	for file; do
		echo "$file"
		ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || :
	done | sort -u | while read -r file; do
		mkdir -p "$dir${file%/*}"
		cp -L "$file" "$dir$file"
	done
}

make_root() {
	local dev
	mkdir -p "$ROOT"
	mount -t tmpfs -o mode=755 tmpfs "$ROOT"
	mkdir -p "$ROOT"/{proc,dev,sys,tmp,run,root,etc,old,bin}
	chmod 1777 "$ROOT/tmp"
	copy_programs "$ROOT" "$@"
	[ -d "$ROOT/lib64" ] || ln -s usr/lib64 "$ROOT/lib64"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$ROOT/etc/passwd"
	echo 'root:x:0:' >"$ROOT/etc/group"
	ln -s /proc/mounts "$ROOT/etc/mtab"
	case $PLACE in
	runc | crun | podman) return ;;
	esac
	for dev in null zero urandom; do
		cp -a "/dev/$dev" "$ROOT/dev/"
	done
	cp -a /dev/fuse "$ROOT/dev/"
}

# place_new PLACE [PROGRAM...] - the programs are for a root of its own.
place_new() {
	PLACE=$1
	shift
	ROOT='' IN=$T/t ID=scenario
	if [ "$PLACE" != host ]; then
		ROOT=$T/root IN=/t
		make_root "$@"
	fi
	OUT=$ROOT$IN MNT=$IN/mnt
	mkdir -p "$OUT"/{bin,mnt,mnt2}
	chmod 1777 "$OUT"/{mnt,mnt2}
	# What nearly each has; more is brought where it is wanted.
	cp /bin/busybox "$BUILD"/scenarios/{client,holder,subreaper} "$BUILD/lib/rawd" "$OUT/bin/"
	# shellcheck disable=SC2016
	printf '%s\n' "exec </dev/null >>$IN/tree.log 2>&1 3<>$IN/tree.cmd" 'cd /' \
		'while read -r line <&3; do eval "$line"; done' >"$OUT/tree"
	mkfifo "$OUT/tree.cmd"
}

# bring PROGRAM... - of our own, to where the tree sees them.
bring() {
	local name
	for name; do
		[ ! -e "$OUT/bin/$name" ] || continue
		if [ -e "$BUILD/scenarios/$name" ]; then
			cp "$BUILD/scenarios/$name" "$OUT/bin/"
		else
			cp "$BUILD/examples/$name" "$OUT/bin/"
		fi
	done
}

start_host() {
	"$IN/bin/subreaper" "$IN/bin/busybox" sh "$IN/tree" </dev/null >/dev/null 2>&1 &
	PID=$!
}

# The tree's root is the first process of its namespace.
start_unshare() {
	local parent
	unshare --mount --pid --fork --propagation private "$OUT/bin/busybox" sh -c "
		mount -t proc proc $ROOT/proc
		cd $ROOT
		pivot_root . old
		umount -l /old
		exec /t/bin/busybox setsid /t/bin/busybox sh /t/tree
	" </dev/null >/dev/null 2>&1 &
	parent=$!
	until_true child_of $parent || fail "unshare does not start"
}

# As root of a user namespace, which is nobody outside.
start_userns() {
	local parent
	chown -R $FIRST:$FIRST "$ROOT"
	"$BUILD/scenarios/userns" $FIRST "$OUT/bin/busybox" sh -c "
		mount -o bind $ROOT $ROOT
		mount -t proc proc $ROOT/proc
		cd $ROOT
		pivot_root . old
		umount -l /old
		exec /t/bin/busybox setsid /t/bin/busybox sh /t/tree
	" </dev/null >>$T/tool.log 2>&1 &
	parent=$!
	until_true init_of $parent || fail "userns does not start"
}

# Before it has another child.
init_of() {
	local ns
	child_of "$1" && ns=$(readlink "/proc/$PID/ns/pid") && [ "$ns" != "$(readlink /proc/self/ns/pid)" ]
}

child_of() {
	PID=''
	{ read -r PID _ <"/proc/$1/task/$1/children" || :; } 2>/dev/null
	[ -n "$PID" ]
}

# BOUND: where an lxcfs is whose file is to be in the container. USERS, NET: whether its
# users, its network are its own. VIEW: where its root is seen by way of a daemon.
USERS='' NET='' VIEW=''
start_runc() {
	mkdir -p "$T/bundle"
	sed "s|@ROOT@|${VIEW:-$ROOT}|" "$HERE/config.json" |
		jq --arg view "${VIEW:+$OUT}" --arg from "${BIND-}" --arg lxcfs "${BOUND-}" --arg users "$USERS" --arg net "$NET" --argjson first $FIRST '
			def map: [{ containerID: 0, hostID: $first, size: 65536 }];
			def bind($what; $where): .mounts += [{
				destination: $where, type: "bind", source: $what, options: ["bind"] }];
			if $from == "" then . else bind($from; "/data") end |
			if $lxcfs == "" then . else bind($lxcfs + "/proc/meminfo"; "/proc/meminfo") end |
			if $view == "" then . else bind($view; "/t") end |
			if $net == "" then . else .linux.namespaces += [{ type: "network" }] end |
			if $users == "" then . else
				.linux.namespaces += [{ type: "user" }] | .linux.uidMappings = map |
				.linux.gidMappings = map | .linux.devices = [] |
				bind("/dev/fuse"; "/dev/fuse")
			end' >"$T/bundle/config.json"
	[ -z "$USERS" ] || chown -R $FIRST:$FIRST "$ROOT"
	"$PLACE" --root "$T/$PLACE" run -d --bundle "$T/bundle" --pid-file "$T/pid" "$ID" \
		</dev/null >>"$T/tool.log" 2>&1 || fail "$PLACE run"
	PID=$(cat "$T/pid")
}

tree_start() {
	start_"$PLACE"
	until_true tree_listens || fail "the tree does not start"
}

# It has opened its FIFO; until then a line would go nowhere.
tree_listens() {
	[ "/proc/$PID/fd/3" -ef "$OUT/tree.cmd" ]
}

# Has the tree's shell run a line.
tree_do() {
	echo "$*" >"$OUT/tree.cmd"
}

tree_spawn() {
	tree_do "$* 3<&- &"
}

# What follows starts no programs: where the processor is emulated, that takes
# longer than what is waited for.

# All processes of the tree, by our pids.
tree_pids() {
	local file pid children
	echo "${1-$PID}"
	for file in "/proc/${1-$PID}/task/"*/children; do
		children=()
		{ read -r -a children <"$file" || :; } 2>/dev/null
		for pid in "${children[@]}"; do
			tree_pids "$pid"
		done
	done
}

# in_tree COMMAND... - in the tree's mount namespace.
in_tree() {
	timeout "$PATIENCE" nsenter -t "$PID" -m "$IN/bin/busybox" "$@"
}

# Everything is mounted in the mount namespace that the tree lives in.
mount_in_tree() {
	in_tree mount "$@" || fail "mount $*"
}

# find_client NAME - the client itself, not its child.
find_client() {
	local pid args
	for pid in $(tree_pids); do
		args=()
		{ mapfile -d '' -t args <"/proc/$pid/cmdline" || :; } 2>/dev/null
		case "${args[*]} " in
		*"client "*"$1 "*)
			echo "$pid"
			return
			;;
		esac
	done
	return 1
}

# find_task COMM - the first such process of the tree that is not dead.
find_task() {
	local pid comm
	for pid in $(tree_pids); do
		comm=''
		{ read -r comm <"/proc/$pid/comm" || :; } 2>/dev/null
		if [ "$comm" = "$1" ] && ! gone "$pid"; then
			echo "$pid"
			return
		fi
	done
	return 1
}

# The tree's root may wait for this shell to reap it.
gone() {
	local pid key state
	for pid; do
		state=''
		while read -r key state _; do
			[ "$key" != State: ] || break
		done 2>/dev/null <"/proc/$pid/status" || :
		[ -z "$state" ] || [ "$state" = Z ] || return 1
	done
	return 0
}

# --- beside it ---------------------------------------------------------------

# outside_start NAME COMMAND - a program that takes orders, and is not of the tree.
outside_start() {
	local name=$1
	shift
	bring "$1"
	make_fifos "$OUT/$name.cmd" "$OUT/$name.out"
	controls_open "$name"
	PATH=$IN/bin:$PATH "$@" </dev/null >>"$T/outside.log" 2>&1 &
	expect "$name" ready
}

# outside_client NAME [MOUNT [UID]]
outside_client() {
	outside_start "$1" client ${3:+-u $3} "$1" "${2-$MNT}" "$IN/$1"
}

# from_host COMMAND... - with the mount as the host sees it.
from_host() {
	PID=$$ IN=$OUT MNT=$T/data "$@"
}
