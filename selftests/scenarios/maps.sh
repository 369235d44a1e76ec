# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Files of the mount in programs' memory: mapped, and run.

# maps PLACE DAEMON [OPTION...] - goes through all of it, twice.
maps() {
	local place=$1 daemon=$2 LOOK=1
	shift 2
	# shellcheck disable=SC2046
	place_new $place $(daemon_programs $daemon)
	tree_start
	daemon_start $daemon "$@"
	program_start m "mapper m $MNT $IN/m"
	maps_through m
}

# maps_through NAME
maps_through() {
	clients_check $1
	leave_running $1
	for n in 1 2; do
		cycle $n $1
	done
	clients_quit $1
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}

for place in host runc; do
	for daemon in rawd bindfs; do
		scenario maps-$place-$daemon maps $place $daemon
	done
	scenario maps-writeback-$place maps $place rawd -I 0x10000
done

# Nothing is in memory that the program has not touched since.
maps_cold() {
	place_new host
	tree_start
	daemon_start rawd
	program_start m "mapper m $MNT $IN/m"
	clients_check m
	echo 3 >/proc/sys/vm/drop_caches
	cycle 1 m
	echo 3 >/proc/sys/vm/drop_caches
	cycle 2 m
	clients_quit m
	expect_rawd_clean
}
scenario maps-cold maps_cold

# A program on the mount, and its child that runs it, too.
maps_program() {
	local place=$1 daemon=$2 RUNS=1
	# shellcheck disable=SC2046
	place_new $place $(daemon_programs $daemon)
	tree_start
	daemon_start $daemon
	bring mapper
	tree_do "$IN/bin/busybox cp $IN/bin/mapper $MNT/mapper"
	program_spawn m "$MNT/mapper m $MNT $IN/m"
	maps_through m
}

# Whose name is gone while it runs, and its child, too.
maps_program_deleted() {
	local RUNS=1
	place_new $1
	tree_start
	daemon_start rawd
	bring mapper
	tree_do "$IN/bin/busybox cp $IN/bin/mapper $MNT/mapper"
	program_spawn m "$MNT/mapper m $MNT $IN/m"
	tree_do "$IN/bin/busybox rm $MNT/mapper"
	until_true not in_tree test -e "$MNT/mapper"
	maps_deleted_is
	cycle 1 m
	maps_deleted_is
	maps_through m
}
maps_deleted_is() {
	[ "$(readlink "/proc/$(find_task mapper)/exe")" = "$MNT/mapper (deleted)" ] ||
		fail "it runs $(readlink "/proc/$(find_task mapper)/exe")"
}
for place in host runc; do
	scenario maps-program-deleted-$place maps_program_deleted $place
done

# One that finds its libraries there, and has not used all of them yet.
maps_library() {
	local place=$1 lib RUNS=1
	place_new $place /bin/bash
	tree_start
	daemon_start rawd
	copy_programs "$OUT/prog" /bin/bash
	cat >"$OUT/prog/script" <<-'END'
		exec <>"$1.cmd" 3<>"$1.out"
		echo ready >&3
		while read -r line; do
			case $line in
			check)
				n=$((n + 1))
				[ "$(printf '%03d %s' $n "${line^^}" | { read -r a b; echo "$b $a"; })" = "CHECK 00$n" ] &&
					[[ ab$n =~ ^a(b.)$ ]] && [ "${BASH_REMATCH[1]}" = b$n ] && echo ok >&3
				;;
			quit)
				echo bye >&3
				exit
				;;
			esac
		done
	END
	lib=$(dirname "$(find "$OUT/prog" -name 'libc.so.*' | head -n 1)")
	tree_do "$IN/bin/busybox cp -r $IN/prog $MNT/prog"
	program_spawn m "LD_LIBRARY_PATH=$MNT${lib#"$OUT"} $MNT/prog/bin/bash $IN/prog/script $IN/m"
	maps_through m
}
for place in host runc; do
	for daemon in rawd bindfs; do
		scenario maps-program-$place-$daemon maps_program $place $daemon
	done
	scenario maps-library-$place maps_library $place
done
