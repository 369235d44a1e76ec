// SPDX-License-Identifier: GPL-2.0
/*
 * Who signed fusecr.ko, and whose keys the kernel has.
 *
 * A signature names its key by the issuer and the number of a certificate, which
 * /proc/keys does not show: a key's description is "common name: key id"
 * (crypto/asymmetric_keys/x509_public_key.c, 6.1). So names are compared. The
 * certificates of build keys and of DKMS are signed by themselves: who issued one
 * is who it is for.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cleanup.h"
#include "cmd.h"
#include "signed.h"

/*
 * kernel/module/signing.c: the first two, and what is in the third is in the second
 * (certs/system_keyring.c); Debian's kernels look into the last one, too.
 */
static const char *const keyrings[] = {
	".builtin_trusted_keys", ".secondary_trusted_keys", ".machine", ".platform",
};

/* Is that key whose name is signer's? */
static bool is_named(int32_t key, const char *signer)
{
	size_t len = strlen(signer);
	const char *name;
	char text[1024];
	long n;

	n = syscall(SYS_keyctl, KEYCTL_DESCRIBE, key, text, sizeof(text) - 1);
	if (n < 0 || n >= (long)sizeof(text))
		return false;
	text[n] = 0;
	/* "type;uid;gid;permissions;description" */
	name = strrchr(text, ';');
	return name && !strncmp(text, "asymmetric;", strlen("asymmetric;")) &&
	       !strncmp(name + 1, signer, len) && name[1 + len] == ':';
}

/* Returns false when it cannot be read. */
static bool has_named(int32_t keyring, const char *signer, bool *named)
{
	int32_t keys[256];
	long n;

	n = syscall(SYS_keyctl, KEYCTL_READ, keyring, keys, sizeof(keys));
	if (n < 0)
		return false;
	if (n > (long)sizeof(keys))
		n = sizeof(keys);
	for (long i = 0; i < n / (long)sizeof(*keys); i++)
		*named |= is_named(keys[i], signer);
	return true;
}

static enum signed_by look_up(struct signed_module *m)
{
	FILE *file cleanup(fclose_auto) = fopen("/proc/keys", "re");
	char line[1024], type[16], name[256];
	bool read = false, named = false;
	unsigned int id;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%x %*s %*s %*s %*s %*s %*s %15s %255[^:\n]", &id, type, name) != 3 ||
		    strcmp(type, "keyring") != 0)
			continue;
		for (size_t i = 0; i < sizeof(keyrings) / sizeof(*keyrings); i++) {
			if (strcmp(name, keyrings[i]) != 0)
				continue;
			read |= has_named((int32_t)id, m->signer, &named);
			if (named) {
				m->keyring = keyrings[i];
				return SIGNED_NAME_KNOWN;
			}
		}
	}
	return read ? SIGNED_UNKNOWN : SIGNED_KEYS_HIDDEN;
}

/* Not everybody has in his PATH where it is. */
#define MODINFO "PATH=$PATH:/usr/sbin:/sbin modinfo "

void signed_find(struct signed_module *m)
{
	memset(m, 0, sizeof(*m));
	if (!ask_program(m->path, sizeof(m->path), MODINFO "-n fusecr 2>/dev/null"))
		m->by = SIGNED_NOT_INSTALLED;
	else if (!ask_program(m->signer, sizeof(m->signer), MODINFO "-F signer fusecr 2>/dev/null") ||
		 !*m->signer)
		m->by = SIGNED_NOT;
	else
		m->by = look_up(m);
}
