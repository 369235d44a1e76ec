# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154
#
# Trees without FUSE: the plugin must change nothing, module or not.

without_fuse() {
	survive "$1" none
}

without_module() {
	module_unload
	survive "$1" none
}

for place in host unshare runc; do
	scenario "plain-$place" without_fuse "$place"
	scenario "plain-$place-nomodule" without_module "$place"
done

# With plain criu, and with no plugin at all: what all else is measured against.
without_plugin() {
	mv /usr/lib/criu/fusecr_plugin.so $T/
	VIA=criu
	survive host none
}
scenario plain-host-noplugin without_plugin

plain_criu_without_fuse() {
	VIA=criu
	survive host none
}
scenario plain-host-criu plain_criu_without_fuse

# Where a checkpoint with FUSE was before, its images are not to be taken for its own.
where_fuse_was() {
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	checkpoint $T/img
	[ -z "$1" ] || module_unload
	daemon_start none
	tree_start
	client_start c2
	checkpoint $T/img
	[ -z "$(find $T/img -name 'fusecr-*.img')" ] || fail "images are left"
	restore $T/img
	clients_check c2
	clients_quit c2
}
scenario plain-where-fuse-was where_fuse_was ''
scenario plain-where-fuse-was-nomodule where_fuse_was 1

# With FUSE it has to be said what is missing, and nothing may have happened.
fuse_without_module() {
	place_new host
	tree_start
	daemon_start rawd
	client_start c1
	module_unload
	VIA=$1
	tool_dump $T/img && fail "a FUSE tree was dumped without the module"
	grep -h 'fusecr.ko is not loaded' $T/tool.log $T/img/dump.log ||
		fail "the module is not named"
	expect_unharmed c1
}
scenario fuse-nomodule fuse_without_module fusecr
scenario fuse-nomodule-criu fuse_without_module criu
