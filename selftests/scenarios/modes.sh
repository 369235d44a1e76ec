# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# How files and directories are open, by the program's wish and by the daemon's;
# what the administrator has set; and extended attributes.

# modes PLACE KIND [OPTION...] - of rawd, which says to the program what it opens.
modes() {
	local place=$1 kind=$2 n LOOK=1
	shift 2
	place_new $place
	tree_start
	daemon_start rawd "$@"
	# Its own counters are files that have to be opened.
	[[ $* != *"-N OPEN"* ]] || DAEMON=dark
	program_start m "moder m $MNT $IN/m $kind"
	clients_check m
	leave_running m
	for n in 1 2; do
		cycle $n m
	done
	clients_quit m
	[ $DAEMON = dark ] || expect_rawd_clean
}

# include/uapi/linux/fuse.h: DIRECT_IO 1, KEEP_CACHE 2, NONSEEKABLE 4, CACHE_DIR 8,
# STREAM 16, NOFLUSH 32, PARALLEL_DIRECT_WRITES 64
for place in host runc; do
	scenario modes-plain-$place modes $place seekable
	scenario modes-stream-$place modes $place stream -O 16 -D 8
	scenario modes-nonseekable-$place modes $place "nonseekable fixed" -O 4 -D 4
	scenario modes-direct-io-$place modes $place seekable -O 1
	scenario modes-direct-stream-$place modes $place "stream fixed" -O 17 -D 16
	scenario modes-parallel-writes-$place modes $place seekable -O 65
	scenario modes-keep-cache-$place modes $place seekable -O 2 -D 10
	scenario modes-writeback-$place modes $place seekable -I 0x10000 -O 2
	scenario modes-readdirplus-$place modes $place seekable -I 0x2000
	scenario modes-readdirplus-cached-$place modes $place seekable -I 0x6000 -D 10
	scenario modes-cookies-$place modes $place seekable -x 0x7000000000000000 -D 8
	# NO_OPEN_SUPPORT, NO_OPENDIR_SUPPORT
	scenario modes-no-open-$place modes $place seekable -I 0x1020000 -N OPEN -N OPENDIR
done

# One file, in the page cache and past it; under several names (a hard link), too.
opened_both() {
	local n
	place_new $1
	tree_start
	daemon_start rawd -q 1
	program_start o "opener o $MNT $IN/o"
	clients_check o
	leave_running o
	for n in 1 2; do
		cycle $n o
	done
	clients_quit o
	expect_rawd_clean
}
for place in host runc; do
	scenario opened-both-$place opened_both $place
done

# A close sends nothing. The rest of the OPENs, but the program's twelve, are looks at
# what rawd counts: dd closes such a file twice.
no_flush() {
	modes $1 seekable -O 32
	awk '$1 == "op" { n[$2] = $3 } END { exit (n["FLUSH"] > 2 * (n["OPEN"] - 12)) }' $T/stats.end ||
		fail "there were FLUSHes: $(grep -e OPEN -e FLUSH $T/stats.end | paste -sd ,)"
}
for place in host runc; do
	scenario modes-no-flush-$place no_flush $place
done

# Each is a file and what it has, of the connection that is there.
limits() {
	local dir
	for dir in "/sys/fs/fuse/connections/"* "/sys/class/bdi/0:$(basename /sys/fs/fuse/connections/*)"; do
		(cd "$dir" && grep -s . max_background congestion_threshold read_ahead_kb \
			m*_ratio m*_ratio_fine strict_limit) || :
	done
}

set_limit() {
	[ ! -e "$2" ] || echo $1 >"$2" || fail "$2 takes no $1"
}

limits_kept() {
	local place=$1 max=$2 congested=$3 conn bdi n
	place_new $place
	tree_start
	daemon_start rawd
	client_start c1
	conn=$(echo /sys/fs/fuse/connections/*)
	bdi=/sys/class/bdi/0:${conn##*/}
	set_limit $max $conn/max_background
	set_limit $congested $conn/congestion_threshold
	set_limit 512 $bdi/read_ahead_kb
	set_limit 7 $bdi/max_ratio
	set_limit 75000 $bdi/max_ratio_fine
	set_limit 3 $bdi/min_ratio
	set_limit 0 $bdi/strict_limit
	limits >$T/limits
	[ "$(wc -l <$T/limits)" -ge 5 ] || fail "there are no limits: $(cat $T/limits)"
	for n in 1 2; do
		cycle $n c1
		limits | diff $T/limits - || fail "other limits"
	done
	clients_quit c1
	expect_rawd_clean
}
scenario limits-host limits_kept host 33 21
scenario limits-runc limits_kept runc 33 21

# Where nobody may set them, as in a container, or even see them: said, and no more.
limits_unsettable() {
	local bdi
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	bdi=/sys/class/bdi/0:$(basename /sys/fs/fuse/connections/*)
	[ "$1" = same ] || set_limit 512 $bdi/read_ahead_kb
	[ "$1" = same ] || set_limit 7 $bdi/max_ratio
	checkpoint $T/img
	if [ "$1" = hidden ]; then
		mount -t tmpfs tmpfs /sys
	else
		mount -o remount,bind,ro /sys
	fi
	tool_restore $T/img || fail "the restore failed: $(cat $T/tool.log)"
	if [ "$1" = hidden ]; then
		umount /sys
	else
		mount -o remount,bind,rw /sys
	fi
	if [ "$1" = same ]; then
		! grep warning $T/tool.log || fail "there is no reason for that"
	else
		grep -q 'warning: connection .*read_ahead_kb was 512' $T/tool.log || fail "not said: $(cat $T/tool.log)"
		grep -q 'warning: connection .*max_ratio.* was' $T/tool.log || fail "not said: $(cat $T/tool.log)"
	fi
	clients_check c1
	clients_quit c1
	expect_rawd_clean
}
scenario limits-readonly limits_unsettable readonly
scenario limits-hidden limits_unsettable hidden
scenario limits-same limits_unsettable same

# The most, and what INIT cannot say.
scenario limits-far limits_kept host 65535 0

# attributes PLACE KIND [OPTION...]
attributes() {
	local place=$1 kind=$2 n
	shift 2
	place_new $place
	tree_start
	daemon_start rawd "$@"
	program_start a "attrs a $MNT $IN/a $kind"
	clients_check a
	leave_running a
	for n in 1 2; do
		cycle $n a
	done
	clients_quit a
	expect_rawd_clean
}
for place in host runc; do
	scenario xattrs-$place attributes $place ''
	# FUSE_POSIX_ACL
	scenario acls-$place attributes $place acl -I 0x100000
done
# Which the kernel asks for when it writes (cap_inode_need_killpriv()). In the container
# nobody may set them.
scenario xattrs-security attributes host security
