# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# FIFOs on the mount, and unix sockets that are bound to names there.

for place in host runc; do
	scenario special-$place-rawd goes_through $place rawd special
	# Asked about what has no path, it says that it is not there.
	scenario special-$place-bindfs goes_through $place bindfs special forgets
done
