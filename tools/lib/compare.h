/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a restored kernel must say again, field by field.  A field that has no
 * rule must be equal.
 */
#ifndef FUSECR_COMPARE_H
#define FUSECR_COMPARE_H

#include <stdbool.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

enum compare_how {
	COMPARE_EQUAL,
	COMPARE_EQUAL_AT_REST,	/* not asked of programs that went on */
	COMPARE_BITS,		/* all but the bits in mask */
	COMPARE_NOT_LESS,	/* the kernel's may be larger */
	COMPARE_IF_BOTH,	/* equal, where both kernels know of it */
	COMPARE_NOT,
};

struct compare_rule {
	const ProtobufCMessageDescriptor *desc;
	const char *field;
	enum compare_how how;
	uint64_t mask;
	const char *why;
};

extern const unsigned int compare_rules;	/* how many there are */

/* NULL when the field must be equal. */
const struct compare_rule *compare_rule(const ProtobufCMessageDescriptor *desc, const char *field);

typedef void (*compare_cb)(const ProtobufCFieldDescriptor *field, void *arg);

/*
 * Calls back for each field that breaks its rule.  Both messages are of one
 * type.  Returns how many there were.
 */
unsigned int compare_messages(const ProtobufCMessage *image, const ProtobufCMessage *kernel,
			      bool running, compare_cb cb, void *arg);

#endif
