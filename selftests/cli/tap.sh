# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# What the tests of the command line share. Sets and uses fusecr and dir.

count=0 failed=0

# result STATUS NAME: one line of TAP, and what fusecr had said.
result() {
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count $2"
	else
		echo "not ok $count $2"
		sed 's/^/# /' "$dir/out" "$dir/err" 2>/dev/null
		failed=$((failed + 1))
	fi
}

# expect STATUS NAME ARG...: runs fusecr and looks at how it ends.
expect() {
	local want=$1 name=$2 got=0
	shift 2
	"$fusecr" "$@" >"$dir/out" 2>"$dir/err" </dev/null || got=$?
	[ $got = "$want" ]
	result $? "$name: exit status $want"
}

# says FILE NAME PATTERN: what the last run has printed.
says() {
	grep -qE -e "$3" "$dir/$1"
	result $? "$2"
}

silent() {
	[ ! -s "$dir/$1" ]
	result $? "$2"
}

# json NAME FILTER WANTED: what the last run has printed, through jq.
json() {
	local got
	got=$(jq -rc "$2" "$dir/out" 2>&1)
	[ "$got" = "$3" ]
	result $? "$1"
	[ "$got" = "$3" ] || echo "# $2: '$got', not '$3'"
}

# The plan, and whether all went well.
finish() {
	echo "1..$count"
	[ $failed = 0 ]
}
