#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# live_test.sh -m MODULE [-p PLUGIN] [FUSECR] - the verbs that ask the kernel,
# against bindfs. Loads the module: for a virtual machine. Prints TAP.

set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$here/../..
module='' plugin=$top/build/fusecr_plugin.so
while getopts m:p: option; do
	case $option in
	m) module=$OPTARG ;;
	p) plugin=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
fusecr=$(realpath "${1:-${FUSECR:-$top/build/fusecr}}")
if [ ! -x "$fusecr" ] || [ ! -e "$module" ]; then
	echo "Bail out! nothing to test: see -m"
	exit 1
fi

dir=$(mktemp -d)
src=$dir/src mnt=$dir/mnt img=$dir/img
mkdir "$src" "$mnt" "$dir/bind" "$src/d"
echo hello >"$src/a"
echo world >"$src/d/b"

# shellcheck source=SCRIPTDIR/tap.sh
. "$here/tap.sh"

# --- without the module

modprobe -q fuse || :
# As on every host.
mount -t securityfs securityfs /sys/kernel/security || :
expect 1 "list without the module" list
says err "list without the module: what to do" 'modprobe fusecr'
expect 1 "dump without the module" dump --pid $$ -D "$img"
expect 1 "check without the module" check -j
json "check without the module: named" '.ok, (.checks[] | select(.name == "module").status)' \
	$'false\nmissing'
insmod "$module" || { echo "Bail out! cannot load $module"; exit 1; }

# --- a tree: a shell that does what it is told, and its bindfs

# tell COMMAND: the tree's root does it, and it is done.
tell() {
	echo "$1" >&"${tree[1]}"
	read -r _ <&"${tree[0]}"
}

# shellcheck disable=SC2016,SC2034
coproc tree { exec bash -c '
	bindfs -f -o subtype=test "$1" "$2" </dev/null >/dev/null 2>&1 &
	until mountpoint -q "$2"; do kill -0 $! || exit; done
	exec 5<"$2/a" 6<>"$2/d/b" 7<"$2/d"
	read -r -N 2 <&5
	echo ready
	while read -r line; do eval "$line"; echo done; done
' - "$src" "$mnt"; }
root=$!
sleep infinity &
stranger=$!
trap 'kill -CONT "$daemon"; kill "$root" "$daemon" "$stranger"; umount -lq "$mnt"; rm -rf "$dir"' EXIT
read -r _ <&"${tree[0]}"
daemon=$(pgrep -P "$root" bindfs)

# --- list

# Newer bindfs names its type itself.
type=$(findmnt -n -o FSTYPE "$mnt")
expect 0 "list" list
says out "list: a row" "^ *[0-9]+ +0:[0-9]+ +$type +initialized,connected +$daemon/bindfs .* $mnt$"
silent err "list: no error"
expect 0 "list -j" list -j
json "list: one connection" '.connections | length' 1
json "list: device" '.connections[0].dev' "$(stat -c %d "$mnt")"
json "list: type" '.connections[0].type' "$type"
json "list: daemon" '.connections[0].daemons' "[{\"pid\":$daemon,\"comm\":\"bindfs\"}]"
json "list: mount point" '[.connections[0].mounts[].mountpoint]' "[\"$mnt\"]"
json "list: open files" '.connections[0].open_files' 3
json "list: inodes" '.connections[0].num_inodes' 4

# A mount in the daemon's namespace only.
mkdir "$dir/other"
mkfifo "$dir/go"
# shellcheck disable=SC2016
exec {other}< <(exec unshare -m --propagation private bash -c '
	bindfs -f "$1" "$2" </dev/null >/dev/null 2>&1 &
	until mountpoint -q "$2"; do kill -0 $! || exit; done
	echo $!
	read -r _
	kill $!
	wait' - "$src" "$dir/other" <"$dir/go")
pid=$!
exec {go}>"$dir/go"
read -r otherd <&"$other"
expect 0 "list with another namespace" list -j
json "list: a mount of another namespace" \
	"[.connections[] | select(.daemons[0].pid == $otherd).mounts[] | {pid, mountpoint}]" \
	"[{\"pid\":$otherd,\"mountpoint\":\"$dir/other\"}]"
expect 0 "list with another namespace, as text" list
says out "list: whose namespace" "$dir/other \(of $otherd\)$"
echo >&"$go"
wait "$pid"

# --- gate

# gate_is FILTER: waits until "gate show" says so.
gate_is() {
	until "$fusecr" gate show -j "$mnt" | jq -e "$1" >/dev/null; do :; done
}

# gate_close ARG...: in the background.
gate_close() {
	"$fusecr" gate close "$@" "$mnt" >"$dir/close" 2>&1 &
	closer=$!
	gate_is '.closed and .held == 1'
}

# gate_ended NAME: how that ended.
gate_ended() {
	wait "$closer"
	result $? "$1"
	gate_is '.closed | not'
	tell "[ -e $mnt/a ]"
}

mkdir -m 777 "$img.open"
expect 1 "dump where others can write" dump --pid $$ -D "$img.open"
says err "dump where others can write: said" 'others can write to it'
expect 1 "checkpoint where others can write" checkpoint --pid $$ -D "$img.open"
expect 1 "restore where others can write" restore -D "$img.open"
says err "restore where others can write: said" 'others can write to it'
expect 2 "checkpoint with a log of one's own" checkpoint --pid $$ -D "$img" -- -o log
says err "checkpoint with a log of one's own: said" 'option -o is'
expect 1 "gate of no connection" gate show 99:99
says err "gate of no connection: said" 'no connection 99:99'
expect 0 "gate show" gate show "$mnt"
says out "gate show: open" '^connection 0:[0-9]+: open$'
expect 0 "gate show -j" gate show -j "$mnt"
json "gate show -j: open" '[.closed, .held, .coming, .asleep, .requests]' '[false,0,0,0,0]'
json "gate show -j: nothing was counted" \
	'[.ever_held, .passed, .ended, .taken, .claimed, .given_up]' '[0,0,0,0,0,0]'
# Who asks the mount while the gate is closed is held.  jq rounds such numbers.
dev=0:$(($(stat -c %d "$mnt") & 255))
id=$("$fusecr" list | awk -v mnt="$mnt" '$NF == mnt { print $1 }')
expect 1 "gate open, open" gate open "$mnt"
says err "gate open, open: said" 'it is open'
expect 1 "gate close -x of nobody" gate close -x 4194304 "$mnt"
says err "gate close -x of nobody: said" 'No such process'

gate_close -t 600
expect 0 "gate show of an id" gate show "$id"
says out "gate show: closed" ': closed, 1 threads at rest, 0 not yet .* 0 requests under way'
says out "gate show: so far" '^so far: 1 threads were held(, [0-9]+ requests passed)?$'
expect 0 "gate show -j of an id" gate show -j "$id"
json "gate show -j: what was counted" '[.ever_held, .taken]' '[1,0]'
expect 0 "list, gate closed" list
says out "list, gate closed: state" '^ *[0-9]+ .*connected,held,gated '
expect 1 "gate close, closed" gate close "$dev"
says err "gate close, closed: said" 'a checkpoint or restore works on it'
# It looks a few times a second.
timeout 100 sh -c "until grep -q '^1 threads at rest, 0 not yet, 0 requests' '$dir/close'; do sleep 0.05; done"
result $? "gate close: said who is at rest"
expect 0 "gate open" gate open "$mnt"
gate_ended "gate open: the other one ends"
grep -q '^open: ' "$dir/close"
result $? "gate close: said that it is open"
grep -q '^so far: 1 threads were held' "$dir/close"
result $? "gate close: said what it has counted"

gate_close
kill -TERM "$closer"
gate_ended "gate close: a signal ends it"
gate_close
kill -KILL "$closer"
wait "$closer"
gate_is '.closed | not'
tell "[ -e $mnt/a ]"
expect 0 "gate close -t" gate close -t 1 "$mnt"
says out "gate close -t: said that it is open" '^open: '
gate_close -x "$stranger"
kill -INT "$closer"
gate_ended "gate close -x: SIGINT ends it"

# fork() has the mappings locked while it copies them, so they often cannot be
# read.  Who does nothing else is no client.
mkfifo "$dir/forks"
perl -e '$| = 1; $x = "x" x 2e8; while (1) { kill 9, $$ unless fork; wait; print "." }' \
	>"$dir/forks" &
forker=$!
exec {forks}<"$dir/forks"
read -r -N 1 <&"$forks"
gate_close -t 600
timeout 300 head -c 100 <&"$forks" | wc -c | grep -qx 100
result $? "gate close: a bystander that forks goes on"
expect 0 "gate close: a bystander is not held" gate show -j "$mnt"
json "gate close: a bystander is not held: count" .held 1
kill -INT "$closer"
gate_ended "gate close: open again"
kill -KILL "$forker"
exec {forks}<&-

# --- dump, show

expect 0 "dump" dump --pid "$root" -D "$img"
says out "dump: told" '^1 connection '
silent err "dump: no warning"
[ "$(stat -c %a "$img"/fusecr-*.img | sort -u)" = 600 ]
result $? "dump: images are private"
expect 0 "show" show -D "$img"
says out "show: text" '^  no: [0-9]+ \(.*SYNCFS'
expect 0 "show -j" show -j -D "$img"
json "show: kinds" '.connections[0] | keys_unsorted | join(" ")' \
	"id conn devs requests inodes files mounts backings"
json "show: device" '.connections[0].devs | map([.pid, .vpid])' "[[$daemon,$daemon]]"
json "show: source" '.connections[0].conn.source' "$src"
json "show: files" '.connections[0].files | map(select(.use_name == "fd")) | sort_by(.number) |
	map([.pid, .number, .path, .pos])' \
	"[[$root,5,\"/a\",2],[$root,6,\"/d/b\",0],[$root,7,\"/d\",0]]"
json "show: modes" '.connections[0].inodes | sort_by(.nodeid) | map(.mode_octal)' \
	'["040755","0100644","040755","0100644"]'
json "show: names" '[.connections[0].inodes[].name[].name] | sort' '["a","b","d"]'
json "show: mounts" '.connections[0].mounts | map(.mountpoint)' "[\"$mnt\"]"
expect 0 "show FILE" show -j "$img/fusecr-inode-1.img"
json "show FILE: kind" '[.kind, (.entries | length)]' '["inode",4]'

expect 0 "dump without FUSE" dump -j --pid "$stranger" -D "$dir/none"
json "dump without FUSE: no connection" .inventory.conns 0
expect 1 "dump of nobody" dump --pid 4194304 -D "$img"
says err "dump of nobody: said" 'no process 4194304'
expect 0 "dump of nobody: what was there stays" show -D "$img"
mkdir "$dir/criu"
: >"$dir/criu/inventory.img"
expect 1 "dump over a checkpoint" dump --pid "$root" -D "$dir/criu"
says err "dump over a checkpoint: said" 'has a checkpoint of CRIU.s'

# --- verify

expect 0 "dump again" dump --pid "$root" -D "$img"
expect 0 "verify" verify -D "$img" -j
json "verify: compared" '.ok, .compared' \
	$'true\n{"conns":1,"devs":1,"inodes":4,"files":3,"mounts":1,"backings":0,"blocks":0,"watches":0}'
expect 0 "verify with --pid" verify -D "$img" --pid "$root"
expect 1 "verify with the wrong root" verify -D "$img" --pid "$stranger"
tell 'read -r -N 1 <&5'
expect 1 "verify after a read" verify -D "$img" -j
json "verify after a read: position" '.differences | map(select(.field == "pos"))[0] | [.field, .image, .kernel]' '["pos",2,3]'
expect 1 "verify after a read, as text" verify -D "$img"
says out "verify: names the file" "^connection 1, process $root, fd 5: pos differs"
expect 0 "verify after a read, --running" verify -D "$img" --running
tell 'exec 8<&5'
expect 1 "verify after dup" verify -D "$img"
says out "verify after dup: named" 'fd 8: in the kernel, but not in the image'
tell 'exec 8<&- 6<&-'
expect 1 "verify after close" verify -D "$img" --running
says out "verify after close: named" 'fd 6: in the image, but not in the kernel'
expect 0 "dump once more" dump --pid "$root" -D "$img"
mount --bind "$mnt/d" "$dir/bind"
expect 1 "verify after mount" verify -D "$img" --running
says out "verify after mount: named" "mount at $dir/bind: in the kernel"
umount "$dir/bind"

# --- with the daemon stopped

kill -STOP "$daemon"
expect 0 "dump, stopped" dump --pid "$root" -D "$img"
expect 0 "verify, stopped" verify -D "$img" --running
tell "stat $mnt/new >/dev/null 2>&1 &"
until "$fusecr" list -j | jq -e '.connections[0].num_pending == 1' >/dev/null; do :; done
expect 0 "list, stopped" list -j
json "list, stopped: one waits" '.connections[0].num_pending' 1
expect 0 "dump with a request" dump --pid "$root" -D "$img"
says err "dump with a request: warning" 'warning: .*(LOOKUP|GETATTR).*pending'
expect 0 "show of a request" show -j "$img/fusecr-request-1.img"
# Whether the root's attributes have to be asked for again is a matter of time.
json "show of a request: as sent" '.entries | map([.state_name, .nodeid,
	{ "LOOKUP": [1, "bmV3AA=="], "GETATTR": [3, "AAAAAAAAAAAAAAAAAAAAAA=="] }[.opcode_name] ==
	[.opcode, .in_data.base64]])' '[["pending",1,true]]'
kill -CONT "$daemon"
tell 'wait $!'

# --- a connection whose mount is gone, and whose daemon has not noticed yet

mkdir "$dir/gone"
"$top/build/selftests/lib/rawd" -F "$dir/gone" </dev/null >/dev/null 2>&1 &
late=$!
until mountpoint -q "$dir/gone"; do kill -0 $late || break; done
kill -STOP $late
# Nothing that asks the mount where it is.
busybox umount -l "$dir/gone"
expect 0 "dump, unmounted" dump --pid $late -D "$img"
says out "dump, unmounted: left out" '^0 connections'
says err "dump, unmounted: warning" 'of the tree has no mount any more .*: end its daemon'
kill -CONT $late
wait $late

# --- check

check_plugin() {
	expect "$1" "check, $2" check -j
	json "check, $2: plugin" '.checks[] | select(.name == "plugin").status' "$3"
}

rm -f /usr/lib/criu/fusecr_plugin.so
check_plugin 1 "no plugin" missing
mkdir -p /usr/lib/criu
echo nonsense >/usr/lib/criu/fusecr_plugin.so
check_plugin 1 "broken plugin" missing
cp "$plugin" /usr/lib/criu/fusecr_plugin.so
check_plugin 0 "all there" ok
json "check: all ok" '.ok, ([.checks[].status] | unique)' $'true\n["ok"]'
runtimes='"runc"'
! type crun >/dev/null 2>&1 || runtimes+=',"crun"'
json "check: what runs containers" '[.checks[].name | select(. == "runc" or . == "crun")]' "[$runtimes]"
setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all "$fusecr" check >"$dir/out" 2>"$dir/err"
[ $? = 1 ]
result $? "check without privileges: exit status 1"
says out "check without privileges: named" '^missing +privileges .*run this as root'
setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all "$fusecr" list >"$dir/out" 2>"$dir/err"
[ $? = 1 ]
result $? "list without privileges: exit status 1"
says err "list without privileges: named" 'CAP_'

finish
