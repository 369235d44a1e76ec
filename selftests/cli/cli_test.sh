#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cli_test.sh [FUSECR] - the command line of fusecr, as far as it needs no kernel
# module: usage, exit status, images, completion. Prints TAP.

set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
fusecr=$(realpath "${1:-${FUSECR:-$top/build/fusecr}}")
[ -x "$fusecr" ] || { echo "Bail out! $fusecr is not built"; exit 1; }
verbs="list dump show checkpoint restore verify gate check"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# shellcheck source=SCRIPTDIR/tap.sh
. "$here/tap.sh"

# --- usage

expect 2 "no verb"
says err "no verb: usage on the standard error" '^usage: fusecr'
silent out "no verb: nothing on the standard output"
expect 2 "unknown verb" frobnicate
says err "unknown verb: named" "no verb 'frobnicate'"
expect 2 "unknown global option" --frobnicate list
expect 0 "help" --help
for verb in $verbs; do
	says out "help: names $verb" "^  $verb "
done
says out "help: nothing internal" 'fusecr\(8\)'
if grep -q surrogate "$dir/out"; then
	result 1 "help: no surrogate"
else
	result 0 "help: no surrogate"
fi
expect 0 "version" --version
says out "version: that of the sources" "^fusecr $(cat "$top/VERSION")$"

for verb in $verbs; do
	expect 0 "$verb --help" "$verb" --help
	says out "$verb --help: usage" "^usage: fusecr $verb"
	silent err "$verb --help: no error"
	expect 2 "$verb --frobnicate" "$verb" --frobnicate
	says err "$verb --frobnicate: where help is" "Try 'fusecr $verb --help'"
done
for verb in list check dump verify; do
	expect 2 "$verb with a word too many" "$verb" --json surplus
done
for verb in dump checkpoint; do
	expect 2 "$verb without --pid" "$verb" -D "$dir"
	expect 2 "$verb without -D" "$verb" --pid 1
	for pid in 0 -1 x 1x '' 99999999999; do
		expect 2 "$verb --pid '$pid'" "$verb" -D "$dir" --pid "$pid"
	done
done
expect 2 "restore without -D" restore
expect 2 "verify without -D" verify
expect 2 "show of nothing" show
expect 2 "show of a directory and a file" show -D "$dir" file
expect 2 "gate of nothing" gate
for what in show close open; do
	expect 2 "gate $what of nothing" gate "$what"
	expect 2 "gate $what of two" gate "$what" 0:1 0:2
done
for args in "-j close" "-j open" "-t 5 show" "-t 5 open" "-x 1 show" "-x 1 open"; do
	# shellcheck disable=SC2086
	expect 2 "gate $args" gate $args 0:1
	says err "gate $args: it is told what for" "for 'gate"
done
expect 2 "gate: an unknown word" gate shut 0:1
says err "gate: the unknown word is named" "cannot 'shut' a gate"
for time in 0 -1 x 3601 ''; do
	expect 2 "gate close -t '$time'" gate close -t "$time" 0:1
	says err "gate close -t '$time': the limits are told" 'from 1 to 3600'
done
for pid in 0 -1 x ''; do
	expect 2 "gate close -x '$pid'" gate close -x "$pid" 0:1
done

# --- failures that need no module

expect 1 "show: no such directory" show -D "$dir/none"
says err "show: the directory is named" "$dir/none"
expect 1 "show: no inventory" show -D "$dir"
says err "show: the inventory is named" 'fusecr-inventory-0.img'
silent out "show: nothing printed"
expect 1 "show: no such file" show "$dir/none.img"
head -c 100 /dev/zero >"$dir/zero.img"
expect 1 "show: not an image" show "$dir/zero.img"
says err "show: not an image: said" 'zero.img: not a CRIU image'
expect 1 "verify: no inventory" verify -D "$dir"
if "$fusecr" --help >/dev/full 2>"$dir/err"; then
	result 1 "a full device is told"
else
	says err "a full device is told" 'cannot write'
fi

# --- images, made by hand

# Field 1 to 9 of the inventory: version 2, "0.1", "6.1", pid 42, no connection,
# vpid 1, own namespaces, not frozen.
inventory='\010\002\022\00030.1\032\00036.1\040\052\050\000\060\001\070\001\100\001\110\000'
# The magics, and an entry of 24 bytes.
printf '%b' '\031\103\126\124\001\000\000\374\030\000\000\000' "$inventory" >"$dir/fusecr-inventory-0.img"
expect 0 "show a set" show -D "$dir"
says out "show a set: text" '^  root_pid: 42$'
expect 0 "show a set as JSON" show -j -D "$dir"
json "show a set as JSON: parsed" '[.inventory.kernel, .connections]' '["6.1",[]]'
expect 0 "show a file as JSON" show -j "$dir/fusecr-inventory-0.img"
json "show a file as JSON: parsed" '[.kind, .entries[0].root_pid]' '["inventory",42]'
expect 0 "show files as JSON" show -j "$dir/fusecr-inventory-0.img" "$dir/fusecr-inventory-0.img"
json "show files as JSON: parsed" length 2
expect 1 "verify: a pid that is not there" verify -D "$dir" --pid 4194304

printf '\003' | dd of="$dir/fusecr-inventory-0.img" bs=1 seek=13 conv=notrunc status=none
expect 1 "show another version" show -D "$dir"
says err "show another version: told" 'format version 3'

# --- completion

# complete WORD...: what is offered for the last word.
complete_words() {
	bash -c '
		. "$1"; shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
		_fusecr 2>/dev/null
		echo "${COMPREPLY[*]}"' - "$top/tools/completion/fusecr" "$@"
}

[ "$(complete_words fusecr '')" = "$verbs" ]
result $? "completion: verbs"
[ "$(complete_words fusecr che)" = "checkpoint check" ]
result $? "completion: a verb begun"
[ "$(complete_words fusecr show "$dir/fusecr-inv")" = "$dir/fusecr-inventory-0.img" ]
result $? "completion: an image"
[ "$(complete_words fusecr gate '')" = "show close open" ]
result $? "completion: what to do with a gate"
[ -z "$(complete_words fusecr gate close -t '')" ]
result $? "completion: seconds are no pid"
[[ " $(complete_words fusecr dump -t '') " = *" 1 "* ]]
result $? "completion: pids"
[ "$(complete_words fusecr gate show '')" = "$(awk '$3 ~ /^fuse/ && $3 !~ /^fusectl/ { print $2 }' /proc/self/mounts | paste -sd ' ')" ]
result $? "completion: where FUSE is mounted"
[ -z "$(complete_words fusecr restore -D x -- --)" ]
result $? "completion: criu's options are criu's"
# Each option that is offered is one, and the other way round.
for verb in $verbs; do
	offered=$(complete_words fusecr "$verb" --)
	told=$("$fusecr" "$verb" --help | grep -oE -- '^ .*--[a-z-]+' | grep -oE -- '--[a-z-]+')
	[ "$(echo "$offered" | tr ' ' '\n' | sort)" = "$(echo "$told" | sort)" ]
	result $? "completion: options of $verb"
done

finish
