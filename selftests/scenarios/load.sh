# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2153,SC2154
#
# Long: busy clients, and again and again a checkpoint. LOAD divides the numbers.

load_busy() {
	load_start "$@"
	busy_rounds "$(times 100)" "$(times 20)"
	clients_quit h
	[ "$DAEMON" != rawd ] || expect_rawd_clean
}
scenario load-rawd load_busy rawd
scenario load-rawd-writeback load_busy rawd -I 0x10000
scenario load-bindfs load_busy bindfs
scenario load-sshfs load_busy sshfs
