# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# A daemon that has read a request and does not answer it: after the checkpoint
# it is asked once, and the program has one result.

# kept_start OPERATION OPCODE [OPTION...] - the program waits for the daemon.
kept_start() {
	local op=$1 opcode=$2
	shift 2
	daemon_start rawd -W -H "$opcode" -e 0 -a 0 "$@"
	program_start asker "asker $op $MNT $IN/asker"
	log_read
	rawd_stats >"$T/stats.0"
	rawd_signal
	tell asker go
	until_true kept_asked "$opcode" || fail "$opcode does not come"
}

# A look at the running tree objects to it.
kept_asked() {
	fusecr dump --pid "$PID" -D "$T/look" 2>&1 | grep -q "in flight: $1,"
}

# kept_once OPCODE - the daemon was asked once by the program.
kept_once() {
	local n want=1
	expect asker "done"
	case $1 in
	FLUSH)
		# It says of nobody. And twice once the first counters had been read.
		n=$(times_asked $1) want=3
		;;
	*)
		log_read
		n=$(times_asked_by "$(find_task asker)" $1)
		;;
	esac
	[ "$n" = $want ] || fail "the daemon was asked for $1 $n times"
	expect_no_duplicates
	tell asker check
	expect asker "and once"
	until_true not find_task asker >/dev/null
	expect_rawd_clean
}

# kept PLACE OPERATION OPCODE [OPTION...]
kept() {
	local place=$1 op=$2 opcode=$3
	shift 3
	place_new $place
	tree_start
	kept_start $op $opcode "$@"
	if ! left_out 2; then
		step "--leave-running"
		tool_dump $T/img.running --leave-running || fail "the checkpoint failed"
		expect_no_trace
	fi
	step "checkpoint"
	checkpoint $T/img
	step "restore"
	restore $T/img
	rawd_signal
	kept_once $opcode
}

# The daemon has done it already: to do it again would fail, or do it twice.
kept_late() {
	kept "$@" -L
}

# kept_since VERSION OPERATION OPCODE [OPTION...] - what older kernels do not ask for.
kept_since() {
	[ "$(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1)" = "$1" ] ||
		skip "this kernel's fuse has no $3"
	kept_late host "${@:2}"
}

while read -r op opcode options; do
	scenario kept-host-$op kept_late host $op $opcode $options
done <<'END'
lookup LOOKUP
getattr GETATTR
chmod SETATTR
chown SETATTR
utimens SETATTR
touch SETATTR
truncate SETATTR
readlink READLINK
symlink SYMLINK
mknod MKNOD
mkdir MKDIR
unlink UNLINK
rmdir RMDIR
rename RENAME
rename_over RENAME
rename2 RENAME2
link LINK
open OPEN
create CREATE
read READ
append WRITE
statfs STATFS
fsync FSYNC
setxattr SETXATTR
getxattr GETXATTR
listxattr LISTXATTR
removexattr REMOVEXATTR
opendir OPENDIR
readdir READDIR
readdirplus READDIRPLUS -I 0x2000
fsyncdir FSYNCDIR
setlk SETLK -I 0x2
getlk GETLK -I 0x2
ioctl IOCTL
access ACCESS
fallocate FALLOCATE
lseek LSEEK
close FLUSH
dup2 FLUSH
END

scenario kept-host-tmpfile kept_since 6.2 tmpfile TMPFILE
scenario kept-host-statx kept_since 6.6 statx STATX

# What was to be read ahead is asked for by nobody: its handle stays until it is answered.
kept_ahead() {
	place_new "$1"
	tree_start
	daemon_start rawd -W -H READ -I 0x1
	rawd_stats >"$T/stats.0"
	rawd_signal
	tree_spawn "$IN/bin/busybox cat $MNT/f5 >$IN/read"
	until_true fusecr_counts processing || fail "nothing is read"
	checkpoint "$T/img"
	fusecr show -j -D "$T/img" | jq -e '.connections[0].requests | any(.place >= 1024)' >/dev/null ||
		fail "not in the image"
	restore "$T/img"
	rawd_signal
	until_true all_is_read || fail "it is not read: $(wc -c <"$OUT/read")"
	in_tree cat "$MNT/f5" | cmp - "$OUT/read" || fail "other bytes"
	expect_no_duplicates
	expect_rawd_clean
	! grep IMPOSSIBLE "$OUT/tree.log" || fail "the daemon wonders"
}
all_is_read() {
	[ "$(wc -c <"$OUT/read")" = "$(in_tree stat -c %s "$MNT/f5")" ]
}
scenario kept-host-read-ahead kept_ahead host
scenario kept-runc-read-ahead kept_ahead runc

# It has not; and from inside a container.
scenario kept-host-mkdir-undone kept host mkdir MKDIR
scenario kept-host-append-undone kept host append WRITE
scenario kept-host-close-undone kept host close FLUSH
scenario kept-runc-mkdir kept_late runc mkdir MKDIR
scenario kept-runc-append kept_late runc append WRITE
scenario kept-runc-close kept runc close FLUSH
for op in mkdir unlink rename; do
	scenario kept-userns-$op userns kept_late userns $op ${op^^}
done

# kept_meanwhile COMMAND... - somebody outside asks for a directory during the restore: what he asked is
# put back for the daemon, and not what the daemon has read.
kept_meanwhile() {
	place_new host
	tree_start
	kept_start mkdir MKDIR -L
	checkpoint $T/img
	mkfifo $T/go
	{
		read -r go <$T/go
		"$@" $MNT/dir0 >$T/listed 2>&1
	} &
	at post-restore "echo go >$T/go; $TILL_ASKED"
	restore $T/img
	reached post-restore
	grep -q 'from outside wait for the daemon' $T/img/fusecr-restore.log || fail "nobody asked"
	until_true grep -q f1 $T/listed || fail "he has no answer: $(cat $T/listed)"
	rawd_signal
	kept_once MKDIR
}
scenario kept-meanwhile kept_meanwhile ls
# CRIU's program is anybody's to run.
# shellcheck disable=SC2016
scenario kept-meanwhile-criu kept_meanwhile setpriv --reuid 1000 --clear-groups \
	sh -c 'criu check --config "$1"; echo f1' sh
