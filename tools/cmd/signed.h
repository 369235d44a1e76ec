/* SPDX-License-Identifier: GPL-2.0 */
/* Would a kernel that loads only signed modules load fusecr.ko? */
#ifndef FUSECR_SIGNED_H
#define FUSECR_SIGNED_H

enum signed_by {
	SIGNED_NOT_INSTALLED,	/* modinfo finds none for this kernel */
	SIGNED_NOT,
	SIGNED_UNKNOWN,		/* by whom the kernel has no key */
	SIGNED_KEYS_HIDDEN,	/* the kernel's keys cannot be read */
	/*
	 * By who has the name of one of the kernel's keys. That it is that key only
	 * the kernel can find out.
	 */
	SIGNED_NAME_KNOWN,
};

struct signed_module {
	enum signed_by by;
	char path[512];
	char signer[256];		/* the common name of who issued the certificate */
	const char *keyring;		/* of SIGNED_NAME_KNOWN */
};

void signed_find(struct signed_module *m);

#endif /* FUSECR_SIGNED_H */
