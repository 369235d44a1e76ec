# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# What containers are run by besides runc: crun, and podman with either.

start_crun() {
	start_runc
}

crun_knows_criu() {
	type crun >/dev/null 2>&1 || skip "crun of this release knows nothing of CRIU"
}

# Everything of its own is on the scenario's tmpfs.
run_podman() {
	podman --root "$T/storage" --runroot "$T/podman" --storage-driver vfs \
		--cgroup-manager cgroupfs --events-backend none --runtime "$RUNTIME" "$@"
}

podman_pid() {
	PID=$(run_podman inspect -f '{{.State.Pid}}' "$ID")
}

# From an image, as what is to be restored elsewhere must; what the tree and we share is
# a volume.
start_podman() {
	{
		tar -C "$ROOT" --exclude ./t -c . | run_podman import -q - tree &&
			run_podman run -d --name "$ID" --pull never --network host \
				--device /dev/fuse --cap-add SYS_ADMIN,MKNOD -v "$OUT:$IN" \
				tree "$IN/bin/busybox" sh "$IN/tree"
	} </dev/null >>"$T/tool.log" 2>&1 || fail "podman run"
	podman_pid
}

# podman_dump DIR OPTION... - which has its images in a place of its own, or in a file
# that is to be taken elsewhere.
podman_dump() {
	local dir=$1 own
	shift
	own=$(run_podman inspect -f '{{.StaticDir}}' "$ID")
	run_podman container checkpoint --keep "$@" "$ID"
	set -- $?
	cp -a "$own"/dump.log "$own"/checkpoint/. "$dir" || :
	return $1
}

podman_restore() {
	run_podman container restore --keep "$ID"
	set -- $?
	cp "$(run_podman inspect -f '{{.StaticDir}}' "$ID")/restore.log" "$LAST" || :
	[ $1 = 0 ] && podman_pid && echo "$PID" >"$T/pid"
}

in_crun() {
	crun_knows_criu
	survive crun "$@"
}
scenario crun-rawd in_crun rawd
scenario crun-bindfs in_crun bindfs

# in_podman RUNTIME DAEMON
in_podman() {
	RUNTIME=$1
	[ "$RUNTIME" != crun ] || crun_knows_criu
	survive podman "$2"
}
for runtime in runc crun; do
	scenario "podman-$runtime-rawd" in_podman $runtime rawd
done

# Checkpointed to a file, removed, and restored from it: as on another host that has the
# image. Under its own name, since by another runc would look for it in another cgroup
# the next time, with or without FUSE.
podman_moved() {
	RUNTIME=runc
	# shellcheck disable=SC2046
	place_new podman $(daemon_programs "$1")
	tree_start
	daemon_start "$1"
	client_start c1
	client_start c2 "$MNT" 1000
	clients_check c1 c2
	step "checkpoint"
	local pids
	pids=$(tree_pids)
	{
		run_podman container checkpoint --compress none -e "$T/moves.tar" "$ID" &&
			run_podman rm "$ID"
	} >"$T/tool.log" 2>&1 || fail "the checkpoint failed"
	expect_gone $pids
	mkdir "$T/img"
	tar -C "$T/img" --strip-components=1 -xf "$T/moves.tar" checkpoint
	step "restore"
	run_podman container restore -i "$T/moves.tar" >"$T/tool.log" 2>&1 ||
		fail "the restore failed"
	podman_pid
	expect_no_trace
	verify "$T/img"
	clients_check c1 c2
	step "and again"
	cycle 1 c1 c2
	clients_quit c1 c2
}
scenario podman-moved-bindfs podman_moved bindfs

# As nearly every container has it: a network of its own.
with_net() {
	criu_takes_net || skip "this CRIU cannot dump networks on this kernel, with or without FUSE"
	NET=1
	survive runc "$@"
}
scenario net-runc with_net rawd
