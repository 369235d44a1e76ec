# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# Checkpoint, kill, restore, go on: each daemon in each place.

for place in host unshare runc; do
	for daemon in rawd clones bindfs sshfs; do
		scenario "$place-$daemon" survive "$place" "$daemon"
	done
done

# The same with criu alone.
plain_criu() {
	VIA=criu
	survive host "$@"
}
scenario criu-rawd plain_criu rawd
scenario criu-bindfs plain_criu bindfs

# Addresses are random everywhere but in these machines.
random_addresses() {
	echo 2 >/proc/sys/kernel/randomize_va_space
	survive "$@"
}
scenario random-addresses-host random_addresses host bindfs
scenario random-addresses-runc random_addresses runc rawd
