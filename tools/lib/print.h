/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One printer for people and for programs: image messages are printed through
 * their protobuf descriptors, so text and JSON cannot drift from the images.
 */
#ifndef FUSECR_PRINT_H
#define FUSECR_PRINT_H

#include <stdbool.h>
#include <stdio.h>
#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

/*
 * A message as a JSON object with the images' field names.  Numbers with a
 * meaning gain a sibling: opcode + opcode_name, use + use_name, a request's
 * state + state_name, mode + mode_octal, dev + dev_name ("0:45"); sets of bits
 * gain a list of names: flags + flags_names, state + state_names, no +
 * no_names, open_flags + open_flags_names, file_flags + file_flags_names.
 * Bytes that are UTF-8 text are strings; others are {"base64": ...}.
 * Caller puts the object.  NULL: no memory.
 */
struct json_object *print_message(const ProtobufCMessage *msg);
/* Bytes or text as a JSON string or, when not UTF-8, {"base64": ...}. */
struct json_object *print_bytes(const void *data, size_t len);
/* "key: value" lines, indented; colour for the keys when colour is true. */
void print_text(FILE *f, struct json_object *obj, int indent, bool colour);
/* Text that cannot steer a terminal: control characters become \ooo. */
void print_escaped(FILE *f, const char *s, size_t len);
/* "0:45" for a device number as stat() shows it.  Returns buf. */
char *print_dev(char *buf, size_t len, uint32_t dev);

#endif
