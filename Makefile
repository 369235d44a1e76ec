# SPDX-License-Identifier: GPL-2.0
#
#   make                      the tools, in build/
#   make module KDIR=...      the kernel module, fusecr.ko
#   make install              the tools, manual pages and completion
#   make dkms-install         the module's source, built for all kernels by DKMS
#   make dkms-remove          and away again
#   make deb                  Debian packages, in build/deb/
#   make deps                 what building needs, with apt (as root)
#   make check                all tests, in virtual machines (as root)
#   make check-all            the same on every kernel, and DKMS
#   make check-whole          every scenario on Linux 6.1, 6.12 and 7.3
#   make check-debug          the same on kernels with KASAN, lockdep, kmemleak, ...
#   make check-load           checkpoints of busy trees by the hundred
#   make lint                 what static analysis has to say (as root)
#   make demo                 a checkpoint and a restore of sshfs to look at
#   make bench                numbers
#   make fuzz                 untrusted input, for half an hour (clang, libFuzzer)
#
# DESTDIR, PREFIX, CC, CFLAGS and LDFLAGS are those of every Makefile.

VERSION := $(shell cat VERSION)

# make V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

PREFIX ?= /usr
SBINDIR ?= $(PREFIX)/sbin
PLUGINDIR ?= $(PREFIX)/lib/criu
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions

BUILD ?= build
KDIR ?= /lib/modules/$(shell uname -r)/build

CC ?= gcc
CFLAGS ?= -O2 -g
INSTALL ?= install
PKG_CONFIG ?= pkg-config
PROTOC_C ?= protoc-c
SCDOC ?= scdoc

BUILD_DEPS := gcc libc6-dev pkg-config libmnl-dev libprotobuf-c-dev \
	protobuf-c-compiler libjson-c-dev libmount-dev scdoc

PACKAGES := libmnl libprotobuf-c json-c mount
WARNINGS := -Wall -Wextra -Wno-unused-parameter -Wstrict-prototypes \
	-Wmissing-prototypes -Werror=implicit-function-declaration \
	-Werror=implicit-int -Werror=int-conversion \
	-Werror=incompatible-pointer-types -Werror=return-type
HARDENING := -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
	-fstack-clash-protection -Wformat -Werror=format-security
ALL_CPPFLAGS := -D_GNU_SOURCE -DFUSECR_VERSION='"$(VERSION)"' \
	-DFUSECR_PATH='"$(SBINDIR)/fusecr"' \
	-Iinclude/uapi -I$(BUILD) -Itools -Itools/lib $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(HARDENING) $(CFLAGS)
ALL_LDFLAGS := -Wl,-z,relro -Wl,-z,now $(LDFLAGS)
PACKAGE_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
PACKAGE_LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES))

TOOL_SRC := tools/fusecr.c $(wildcard tools/cmd/*.c tools/lib/*.c tools/surrogate/*.c)
TOOL_OBJ := $(TOOL_SRC:%.c=$(BUILD)/%.o) $(BUILD)/fusecr.pb-c.o
PLUGIN_SRC := $(wildcard tools/plugin/*.c)
PLUGIN_OBJ := $(PLUGIN_SRC:%.c=$(BUILD)/%.o)
PLUGIN := $(if $(PLUGIN_SRC),$(BUILD)/fusecr_plugin.so)
MAN_SRC := $(wildcard Documentation/*.scd)
MAN := $(MAN_SRC:Documentation/%.scd=$(BUILD)/%)

.PHONY: all tools man module module-clean install uninstall deps \
	check-all check-whole check-debug check-load dkms-source dkms-install dkms-remove \
	deb \
	selftests check lint demo bench fuzz clean FORCE
.DELETE_ON_ERROR:

all: tools man

tools: $(BUILD)/fusecr $(PLUGIN)

man: $(MAN)

# --- the tools -------------------------------------------------------------

$(BUILD)/fusecr: $(TOOL_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -pie $(ALL_LDFLAGS) -o $@ $^ $(PACKAGE_LIBS)

# CRIU loads the plugin into itself: a symbol that it lacks, or a library that
# is not installed, would fail every dump on the host.  So nothing but libc, and
# a symbol of CRIU's that is not declared weak fails the build.
$(BUILD)/fusecr_plugin.so: $(PLUGIN_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -shared $(ALL_LDFLAGS) -Wl,-z,defs -o $@ $^

$(PLUGIN_OBJ): PIC := -fPIC
$(TOOL_OBJ): PIC := -fPIE
$(TOOL_OBJ): INCLUDES = $(PACKAGE_CFLAGS)

# Paths and flags are compiled in: other ones build everything again.
$(BUILD)/flags: FORCE | $(BUILD)
	$(file >$@.new,$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS))
	@cmp -s $@ $@.new && rm $@.new || mv $@.new $@

$(BUILD)/%.o: %.c $(BUILD)/flags | $(BUILD)/fusecr.pb-c.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(INCLUDES) $(ALL_CFLAGS) $(PIC) -MMD -MP -c -o $@ $<

$(BUILD)/fusecr.pb-c.o: $(BUILD)/fusecr.pb-c.c
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(INCLUDES) $(ALL_CFLAGS) $(PIC) -c -o $@ $<

$(BUILD)/fusecr.pb-c.c $(BUILD)/fusecr.pb-c.h &: tools/proto/fusecr.proto
	@mkdir -p $(BUILD)
	$(call say,PROTOC,$<)
	$(Q)$(PROTOC_C) --proto_path=tools/proto --c_out=$(BUILD) fusecr.proto

$(BUILD):
	@mkdir -p $@

$(BUILD)/%: Documentation/%.scd
	@mkdir -p $(@D)
	$(call say,SCDOC,$<)
	$(Q)$(SCDOC) <$< >$@

-include $(TOOL_OBJ:.o=.d) $(PLUGIN_OBJ:.o=.d)

# --- the kernel module -----------------------------------------------------

# With MODULE_OUT=dir the build happens there, on copies: several kernels can
# be built for at the same time.
MODULE_DIR := $(abspath $(or $(MODULE_OUT),.))
MODULE_SRC := Kbuild VERSION $(wildcard include/uapi/linux/*.h kmod/*.[ch])

# Without BTF of its own, where there would be one: the kernel takes as long to
# fit that to its own as for all the rest of a load, and only BPF programs that
# trace the module would need it.
module:
ifneq ($(MODULE_DIR),$(CURDIR))
	$(Q)mkdir -p $(MODULE_DIR)
	$(Q)cp --parents --preserve=timestamps --update $(MODULE_SRC) $(MODULE_DIR)
endif
	$(Q)$(MAKE) -C $(KDIR) M=$(MODULE_DIR) CONFIG_DEBUG_INFO_BTF_MODULES= \
		$(if $(W),W=$(W)) modules

module-clean:
	$(Q)$(MAKE) -C $(KDIR) M=$(MODULE_DIR) clean

# --- installing ------------------------------------------------------------

install: all
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(PLUGINDIR) $(DESTDIR)$(COMPLETIONDIR)
	$(INSTALL) -m 755 $(BUILD)/fusecr $(DESTDIR)$(SBINDIR)/fusecr
	$(if $(PLUGIN),$(INSTALL) -m 755 $(PLUGIN) $(DESTDIR)$(PLUGINDIR)/)
	$(foreach page,$(MAN),$(INSTALL) -D -m 644 $(page) \
		$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)) &&) :
	$(INSTALL) -m 644 tools/completion/fusecr $(DESTDIR)$(COMPLETIONDIR)/fusecr

uninstall:
	$(RM) $(DESTDIR)$(SBINDIR)/fusecr $(DESTDIR)$(PLUGINDIR)/fusecr_plugin.so \
		$(DESTDIR)$(COMPLETIONDIR)/fusecr
	$(RM) $(foreach page,$(MAN),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

# --- DKMS and Debian packages -------------------------------------------------

DKMS_SRC = $(DESTDIR)/usr/src/fusecr-$(VERSION)

dkms-source:
	$(Q)$(INSTALL) -d $(DKMS_SRC)
	$(Q)cp --parents --preserve=timestamps $(MODULE_SRC) LICENSE $(DKMS_SRC)
	$(Q)sed 's/#MODULE_VERSION#/$(VERSION)/' dkms.conf >$(DKMS_SRC)/dkms.conf

# For each kernel whose headers are there; dkms builds for later ones by itself. What was
# built from other sources of this version goes first: dkms would leave it. 77: not for
# this kernel (BUILD_EXCLUSIVE_...).
dkms-install: dkms-source
	$(Q)! dkms status fusecr/$(VERSION) | grep -q . || dkms remove fusecr/$(VERSION) --all
	$(Q)dkms add fusecr/$(VERSION)
	$(Q)failed=; for build in /lib/modules/*/build; do \
		[ -d "$$build/" ] || continue; \
		kernel=$${build%/build}; \
		dkms install fusecr/$(VERSION) -k "$${kernel##*/}" || [ $$? = 77 ] || \
			failed="$$failed $${kernel##*/}"; \
	done; \
	[ -z "$$failed" ] || { echo "fusecr: not built for$$failed" >&2; exit 1; }

# Of several kernels, dkms does not tell all that it is gone.
dkms-remove:
	$(Q)dkms remove fusecr/$(VERSION) --all
	$(Q)$(RM) -r $(DKMS_SRC)
	$(Q)for dep in /lib/modules/*/modules.dep; do \
		! grep -qs '/fusecr[.]ko' "$$dep" || { kernel=$${dep%/*}; \
			depmod "$${kernel##*/}" || exit; }; \
	done

DEB_DIR := $(BUILD)/deb/fusecr-$(VERSION)
DEB_DATE = $(shell date -R -u -d "@$${SOURCE_DATE_EPOCH:-$$(stat -c %Y VERSION)}")

# In a copy: debian/changelog is made from VERSION.
deb:
	$(Q)$(RM) -r $(BUILD)/deb
	$(Q)mkdir -p $(DEB_DIR)
	$(Q)cp -r --preserve=timestamps Kbuild Makefile VERSION LICENSE README.md dkms.conf \
		kmod tools include Documentation debian $(DEB_DIR)
	$(Q)printf 'fusecr (%s) unstable; urgency=medium\n\n  * Version %s.\n\n -- %s  %s\n' \
		'$(VERSION)' '$(VERSION)' 'The fusecr authors <fusecr@localhost>' '$(DEB_DATE)' \
		>$(DEB_DIR)/debian/changelog
	$(Q)cd $(DEB_DIR) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL dpkg-buildpackage -b -us -uc

# --- tests, in virtual machines; each installs what it needs -----------------

selftests:
	$(MAKE) -C selftests

check:
	@selftests/check

# Every kernel, the packages and DKMS: hours.
check-all:
	@selftests/check -a

# What the others leave out in their turn: hours.
check-whole:
	@selftests/check -w

# Kernels are built, once; allocations fail, a million calls are made up: longer.
check-debug:
	@selftests/check -d

# Checkpoints by the hundred, and somebody killed in as many: hours.
check-load:
	@selftests/check -l

lint:
	@selftests/lint

demo:
	@selftests/demo/run

bench:
	@selftests/bench/run

# FUZZ="-t 60 image" is for selftests/fuzz/run.
fuzz:
	@selftests/fuzz/run $(FUZZ)

deps:
	apt-get update
	apt-get install -y --no-install-recommends $(BUILD_DEPS)

clean:
	$(RM) -r $(BUILD)
	test ! -d $(KDIR) || $(MAKE) -C $(KDIR) M=$(CURDIR) clean
