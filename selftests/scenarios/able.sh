# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What this CRIU can, with or without FUSE.

# Whether stock CRIU dumps a TCP socket on this kernel, FUSE or not: up to 4.1.1
# it asks every socket for SO_PASSCRED, which since Linux 6.16 only unix ones have.
criu_takes_tcp() {
	local dir=/run/tcp pid
	if [ ! -d $dir ]; then
		mkdir $dir
		setsid busybox nc -l -p 2223 </dev/null >/dev/null 2>&1 &
		pid=$!
		until_true grep -q ':08AF ' /proc/net/tcp /proc/net/tcp6 || fail "nc does not listen"
		criu dump -t $pid -D $dir -o dump.log --tcp-established >/dev/null 2>&1 ||
			cp $dir/dump.log $dir/fails
		kill -KILL $pid 2>/dev/null || :
		wait $pid || :
	fi
	[ ! -e $dir/fails ]
}

# Whether it dumps a network namespace: up to 4.1.1 it asks for UDP-Lite sockets, which
# Linux 7.3 has no more.
criu_takes_net() {
	local dir=/run/net pid
	if [ ! -d $dir ]; then
		mkdir $dir
		unshare -n setsid busybox sleep 1000 </dev/null >/dev/null 2>&1 &
		pid=$!
		until_true grep -q sleep "/proc/$pid/cmdline" || fail "unshare does not start"
		criu dump -t $pid -D $dir -o dump.log >/dev/null 2>&1 || cp $dir/dump.log $dir/fails
		kill -KILL $pid 2>/dev/null || :
		wait $pid || :
	fi
	[ ! -e $dir/fails ]
}

# CRIU tells of the freeze since 4.1; before, such a mount is refused.
criu_tells() {
	nm -D "$(command -v criu)" | grep -q ' T checkpoint_devices$'
}

userns() {
	criu_tells || skip "this CRIU does not say when the tree stands"
	"$@"
}

# older_than RELEASE
older_than() {
	[ "$(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1)" != "$1" ]
}

# INIT_EXT and ALLOW_IDMAP, which needs default_permissions.
# shellcheck disable=SC2034,SC2054
IDMAPS=(-I 0x10040000000 -o allow_other,default_permissions)

able_of_idmaps() {
	! older_than 6.12 || skip "fuse has no idmapped mounts"
}

# statmount() does, STATMOUNT_MNT_UIDMAP; that of 6.15 and 6.16 is broken.
tells_idmaps() {
	! older_than 6.17
}
