# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# What the archive has, as the apt of a suite's root knows it. $here is this
# directory, set by who sources this; SUITE and ROOT are set by find_suite or find_root.

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

find_root() {
	SUITE=$1
	ROOT=$("$here/rootfs" "$SUITE")
}

# By the beginning of a kernel's release.
find_suite() {
	SUITE=$(awk -v want="$1" '!/^#/ && index(want ".", $1 ".") == 1 { print $2; exit }' \
		"$here/kernels")
	[ -n "$SUITE" ] || die "which suite goes with $1? Say it: @SUITE"
	find_root "$SUITE"
}

# Prints version, name, site, file and hash of the newest package whose name
# matches.
newest() {
	apt_indexes | while read -r site list; do
		awk -v site="$site" -v pattern="^$1\$" '
			function put() {
				if (name ~ pattern)
					print version, name, site, file, hash
			}
			/^Package: / { put(); name = $2; file = hash = "" }
			/^Version: / { version = $2 }
			/^Filename: / { file = $2 }
			/^SHA256: / { hash = $2 }
			END { put() }
		' "$list"
	done | sort -V | tail -n 1
}

# The sites and the lists of the root's apt.
apt_indexes() {
	# shellcheck disable=SC2016
	"$here/rootfs" "$SUITE" apt-get indextargets --format '$(SITE) $(FILENAME)' \
		'Created-By: Packages' | sed "s| /| $ROOT/|"
}

# are_old ROOT - are its apt's lists of another day? Then what they name may be gone.
are_old() {
	[ -n "$(find "$1/var/lib/apt/lists/partial" -maxdepth 0 -mmin +1440)" ]
}

# Before packages are installed in the root. A mirror that cannot be reached may not
# be needed.
renew_lists() {
	! are_old "$ROOT" || "$here/rootfs" "$SUITE" apt-get -qq update >&2 ||
		echo "${0##*/}: the lists of packages are old" >&2
}

# fetch URL FILE [HASH]
fetch() {
	/usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root download-file \
		"$1" "$2" ${3:+"SHA256:$3"} >&2 || die "cannot download $1"
}
