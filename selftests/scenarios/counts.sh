# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# What rawd has counted, and what may be in it.

AS=0				# the user whom the mount lets look

# By read(): since Linux 6.5 splice() takes such a file, whose size is 0, as empty.
rawd_file() {
	local user=''
	[ $PLACE != userns ] && [ -z "$USERS" ] || user=-U
	timeout "$PATIENCE" nsenter -t "$PID" -m $user -S $AS -G $AS \
		"$IN/bin/busybox" dd "if=$MNT/.$1" bs=64k 2>/dev/null ||
		fail "rawd does not answer"
}

# With -W: it begins to hold, or lets go.
rawd_signal() {
	kill -USR2 "$(find_task rawd)"
}

rawd_stats() {
	local text
	text=$(rawd_file stats)
	[[ $text = requests* ]] || fail "rawd tells nothing"
	echo "$text"
}

# A checkpoint and a restore are no business of the daemon's: between two looks
# it has seen the requests of one look, which changes nothing, and forgets. A
# program that is on the mount (RUNS) goes on as soon as it can, and the cache is
# a new one: each of its pages is read again, but not more often than once.
# CRIU takes files out of messages (SENT so many); a program that it starts then has
# copies, and closes them.
# With a write-back cache (BACK) the checkpoint has it written what is dirty, and when
# that was changed.
RUNS='' SENT=0 BACK=''
expect_quiet() {
	awk -v runs="$RUNS" -v back="$BACK" -v sent="$SENT" '
		runs && $1 == "node" && NR == FNR { read[$2] = $8 }
		runs && $1 == "node" && NR != FNR {
			again = $8 - read[$2]
			paged += again
			if (again > $10 / 4096 + 1) { print again, "READ of", $2; bad = 1 }
		}
		$1 != "op" || $2 ~ /FORGET/ { next }
		NR == FNR { before[$2] = $3; next }
		{ more[$2] = $3 - before[$2] }
		END {
			more["READ"] -= paged
			for (op in more) {
				most = op ~ /^(MKNOD|MKDIR|UNLINK|RMDIR|RENAME2?|LINK|SYMLINK|CREATE|TMPFILE|SETATTR|SETXATTR|REMOVEXATTR|FALLOCATE|COPY_FILE_RANGE|SETLKW?)$/ ? 0 : 3
				if (op == "FLUSH") most += sent
				if (back && op == "SETATTR") most = more["WRITE"]
				if (more[op] > most) { print more[op], op; bad = 1 }
			}
			exit bad
		}
	' "$@" >"$T/more" || fail "the daemon saw more requests: $(cat "$T/more")"
}

# What this look itself looks up and opens is not told.
rawd_idle() {
	echo 2 >/proc/sys/vm/drop_caches
	rawd_stats >"$T/stats.end"
	awk '
		$1 == "node" && $2 != "0x1" && $4 > 0 { nodes++ }
		$1 == "handle" { handles++ }
		END { exit nodes || handles }
	' "$T/stats.end"
}

expect_rawd_clean() {
	SOON=$((PATIENCE / 20)) until_true rawd_idle ||
		fail "the daemon still counts: $(grep -e ^node -e ^handle "$T/stats.end")"
	grep -qx 'duplicates 0' "$T/stats.end" || fail "requests came twice: $(old_uniques)"
}

# Requests that are numbered as, or below, one that came before.
old_uniques() {
	rawd_file log | tr ' =' '\n ' | awk '
		$1 == "unique" { old = $2 <= last; if (!old) last = $2 }
		old && $1 ~ /unique|op|nodeid|pid/ { printf "%s=%s ", $1, $2 }
	'
}

expect_no_duplicates() {
	rawd_stats >"$T/stats.1"
	grep -qx 'duplicates 0' "$T/stats.1" || fail "requests came twice: $(old_uniques)"
}

# times_asked OPCODE - how often since rawd_stats was kept in stats.0.
times_asked() {
	rawd_stats >"$T/stats.1"
	awk -v op="$1" '
		$1 != "op" || $2 != op { next }
		NR == FNR { before = $3; next }
		{ print $3 - before }
	' "$T"/stats.[01]
}

# What the daemon has logged since this was called before.
LOGGED=0
log_read() {
	rawd_file log | tail -n "+$((LOGGED + 1))" >"$T/log"
	LOGGED=$((LOGGED + $(wc -l <"$T/log")))
}

# pid_in_tree PID - in the tree's pid namespace.
pid_in_tree() {
	sed -n 's/^NSpid:.*\t//p' "/proc/$1/status"
}

# times_asked_by PID OPCODE - in what was read.
times_asked_by() {
	local pid
	pid=$(pid_in_tree "$1")
	grep -c "op=$2 .*pid=$pid " "$T/log" || :
}

# expect_seen PID UID - there are requests of this process in what was read, by
# its pid in the tree's pid namespace.
expect_seen() {
	local pid
	pid=$(pid_in_tree "$1")
	grep -q "op=WRITE .*uid=$2 .*pid=$pid " "$T/log" && return
	fail "the daemon saw no WRITE of pid $pid uid $2, but of:" \
		"$(grep op=WRITE "$T/log" | grep -o 'uid.*pid=[0-9]*' | sort | uniq -c | paste -sd ,)"
}
