# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# FIFOs on the mount, and unix sockets that are bound to names there.

for place in host runc; do
	for daemon in rawd bindfs; do
		scenario special-$place-$daemon goes_through $place $daemon special
	done
done
