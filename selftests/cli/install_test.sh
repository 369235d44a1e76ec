#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install_test.sh BUILD - what "make install" installs works, and "make uninstall"
# takes all of it away. BUILD is where the tools are built. Prints TAP.

set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# shellcheck source=SCRIPTDIR/tap.sh
. "$here/tap.sh"

make_it() {
	make -s -C "$top" "$1" BUILD="$build" DESTDIR="$dir/root" PREFIX=/usr >"$dir/out" 2>"$dir/err"
	result $? "make $1"
}

# found NAME WANTED - the files that are there.
found() {
	(cd "$dir/root" && find . ! -type d -printf '%P\n' | sort) >"$dir/out"
	[ "$(cat "$dir/out")" = "$2" ]
	result $? "$1"
}

# Somebody else's, where ours go.
mkdir -p "$dir/root/usr/lib/criu" "$dir/root/usr/share/man/man8"
touch "$dir/root/usr/lib/criu/other_plugin.so" "$dir/root/usr/share/man/man8/other.8"
others=$'usr/lib/criu/other_plugin.so\nusr/share/man/man8/other.8'
make_it install
pages=$(cd "$top/Documentation" && for page in *.scd; do
	page=${page%.scd}
	echo "usr/share/man/man${page##*.}/$page"
done)
found "all is there" "$(sort <<<"$others
$pages
usr/lib/criu/fusecr_plugin.so
usr/sbin/fusecr
usr/share/bash-completion/completions/fusecr")"
fusecr=$dir/root/usr/sbin/fusecr
expect 0 "what was installed" --version
says out "its version" "$(cat "$top/VERSION")"
make_it install
make_it uninstall
found "nothing but what was there before" "$others"
make_it uninstall
finish
