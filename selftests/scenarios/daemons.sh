# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Daemons that speak to the kernel in other ways than most: in Go, with protocol code of
# its own; with a libfuse that was changed for it; and what containers have for a root.

# directories NAME... - that any user may write to.
directories() {
	local name
	for name; do
		mkdir "$OUT/$name"
		chmod 1777 "$OUT/$name"
	done
}

start_gocryptfs() {
	directories cipher
	echo secret >"$OUT/pass"
	gocryptfs -init -q -scryptn 10 -passfile "$OUT/pass" "$OUT/cipher" || fail "gocryptfs -init"
	tree_spawn "/usr/bin/gocryptfs -q -f -allow_other -passfile $IN/pass $IN/cipher $MNT"
}

start_mergerfs() {
	directories src1 src2
	tree_spawn "/usr/bin/mergerfs -f -o allow_other,minfreespace=0 $IN/src1:$IN/src2 $MNT"
}

start_fuse-overlayfs() {
	directories lower upper work
	echo lower >"$OUT/lower/file"
	tree_spawn "/usr/bin/fuse-overlayfs -f" \
		"-o allow_other,lowerdir=$IN/lower,upperdir=$IN/upper,workdir=$IN/work $MNT"
}

for daemon in gocryptfs mergerfs fuse-overlayfs; do
	scenario "host-$daemon" survive host "$daemon"
done
for daemon in mergerfs fuse-overlayfs; do
	scenario "runc-$daemon" survive runc "$daemon"
done
