// SPDX-License-Identifier: GPL-2.0
/* Messages to JSON, JSON to text. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "fusecr.pb-c.h"
#include "names.h"
#include "print.h"

#define KEY_COLOUR "\033[36m"
#define NO_COLOUR "\033[0m"

static const void *member(const void *msg, unsigned int offset)
{
	return (const char *)msg + offset;
}

char *print_dev(char *buf, size_t len, uint32_t dev)
{
	snprintf(buf, len, "%u:%u", major(dev), minor(dev));
	return buf;
}

/* --- text or bytes --------------------------------------------------------- */

/* Length of the UTF-8 character at s, or 0 when there is none. */
static size_t utf8_len(const uint8_t *s, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t len, i;

	if (s[0] < 0x80)
		return s[0] != 0;
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || len > left)
		return 0;
	code = s[0] & (0x7f >> len);
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return len;
}

static bool is_text(const uint8_t *s, size_t len)
{
	size_t at = 0, n;

	while (at < len) {
		n = utf8_len(s + at, len - at);
		if (!n)
			return false;
		at += n;
	}
	return true;
}

static struct json_object *base64(const uint8_t *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct json_object *obj = json_object_new_object();
	char *out = malloc(4 * ((len + 2) / 3) + 1), *p = out;
	size_t i, k;

	if (!out || !obj) {
		free(out);
		json_object_put(obj);
		return NULL;
	}
	for (i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		uint32_t group = 0;

		for (k = 0; k < 3; k++)
			/* cppcheck-suppress [knownConditionTrueFalse, badBitmaskCheck] ; have is 1 to 3 */
			group = group << 8 | (k < have ? data[i + k] : 0);
		for (k = 0; k < 4; k++)
			*p++ = k <= have ? digits[group >> (18 - 6 * k) & 63] : '=';
	}
	json_object_object_add(obj, "base64", json_object_new_string_len(out, p - out));
	free(out);
	return obj;
}

struct json_object *print_bytes(const void *data, size_t len)
{
	if (!len)
		return json_object_new_string("");
	return is_text(data, len) ? json_object_new_string_len(data, len) : base64(data, len);
}

/* --- names beside numbers -------------------------------------------------- */

static void add_sibling(struct json_object *obj, const char *key, const char *suffix,
			struct json_object *value)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", key, suffix);
	json_object_object_add(obj, name, value);
}

static void add_name(struct json_object *obj, const char *key, const char *name)
{
	add_sibling(obj, key, "_name", json_object_new_string(name));
}

static void add_names(struct json_object *obj, const char *key, const char *first,
		      const struct flag_name *table, uint64_t flags)
{
	struct json_object *list = json_object_new_array();
	char buf[1024], *at = buf, *name;

	if (first)
		json_object_array_add(list, json_object_new_string(first));
	flag_names(buf, sizeof(buf), table, flags);
	while ((name = strsep(&at, ",")))
		if (*name)
			json_object_array_add(list, json_object_new_string(name));
	add_sibling(obj, key, "_names", list);
}

static const char *access_mode(uint32_t flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return "O_RDONLY";
	case O_WRONLY:
		return "O_WRONLY";
	case O_RDWR:
		return "O_RDWR";
	default:
		return "O_ACCMODE";
	}
}

/* What the bits of a message's "flags" mean. */
static const struct flag_name *flags_table(const ProtobufCMessageDescriptor *desc)
{
	if (desc == &fuse_conn_entry__descriptor)
		return init_flag_names;
	if (desc == &fuse_request_entry__descriptor)
		return req_flag_names;
	if (desc == &fuse_inode_entry__descriptor)
		return inode_flag_names;
	return file_flag_names;
}

static void add_octal(struct json_object *obj, const char *key, uint32_t mode)
{
	char octal[16];

	snprintf(octal, sizeof(octal), "0%" PRIo32, mode);
	add_sibling(obj, key, "_octal", json_object_new_string(octal));
}

static void add_meaning(struct json_object *obj, const ProtobufCMessageDescriptor *desc,
			const ProtobufCFieldDescriptor *field, uint64_t value)
{
	const char *key = field->name;
	char buf[32];

	if (!strcmp(key, "opcode"))
		add_name(obj, key, opcode_name(value));
	else if (!strcmp(key, "use"))
		add_name(obj, key, file_use_name(value));
	else if (!strcmp(key, "state") && desc == &fuse_request_entry__descriptor)
		add_name(obj, key, req_state_name(value));
	else if (!strcmp(key, "state"))
		add_names(obj, key, NULL, conn_state_names, value);
	else if (!strcmp(key, "flags"))
		add_names(obj, key, NULL, flags_table(desc), value);
	else if (!strcmp(key, "known_flags"))
		add_names(obj, key, NULL, init_flag_names, value);
	else if (!strcmp(key, "no"))
		add_names(obj, key, NULL, no_names, value);
	else if (!strcmp(key, "open_flags"))
		add_names(obj, key, NULL, open_flag_names, value);
	else if (!strcmp(key, "file_flags"))
		add_names(obj, key, access_mode(value), o_flag_names, value & ~O_ACCMODE);
	else if (!strcmp(key, "mode") || !strcmp(key, "rootmode"))
		add_octal(obj, key, value);
	/* A request's dev is a cookie. */
	else if ((!strcmp(key, "dev") || !strcmp(key, "conn_dev")) &&
		 field->type == PROTOBUF_C_TYPE_UINT32)
		add_name(obj, key, print_dev(buf, sizeof(buf), value));
}

/* --- messages -------------------------------------------------------------- */

static struct json_object *print_value(const ProtobufCFieldDescriptor *field, const void *value)
{
	const ProtobufCBinaryData *bytes = value;
	const char *s;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return json_object_new_boolean(*(const protobuf_c_boolean *)value);
	case PROTOBUF_C_TYPE_UINT32:
		return json_object_new_int64(*(const uint32_t *)value);
	case PROTOBUF_C_TYPE_UINT64:
		return json_object_new_uint64(*(const uint64_t *)value);
	case PROTOBUF_C_TYPE_SINT64:
		return json_object_new_int64(*(const int64_t *)value);
	case PROTOBUF_C_TYPE_STRING:
		s = *(const char *const *)value;
		return print_bytes(s, s ? strlen(s) : 0);
	case PROTOBUF_C_TYPE_BYTES:
		return print_bytes(bytes->data, bytes->len);
	case PROTOBUF_C_TYPE_MESSAGE:
		return print_message(*(const ProtobufCMessage *const *)value);
	default:
		return NULL;
	}
}

static struct json_object *print_list(const ProtobufCFieldDescriptor *field, const void *msg)
{
	size_t count = *(const size_t *)member(msg, field->quantifier_offset);
	const ProtobufCMessage *const *items = *(const ProtobufCMessage *const *const *)
		member(msg, field->offset);
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_object_array_add(list, print_message(items[i]));
	return list;
}

static bool is_present(const ProtobufCFieldDescriptor *field, const void *msg)
{
	if (field->label != PROTOBUF_C_LABEL_OPTIONAL)
		return true;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return *(const char *const *)member(msg, field->offset) != NULL;
	return *(const protobuf_c_boolean *)member(msg, field->quantifier_offset);
}

struct json_object *print_message(const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *desc = msg->descriptor;
	struct json_object *obj = json_object_new_object();
	unsigned int i;

	if (!obj)
		return NULL;
	for (i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &desc->fields[i];
		const void *value = member(msg, field->offset);

		if (!is_present(field, msg))
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			json_object_object_add(obj, field->name, print_list(field, msg));
			continue;
		}
		json_object_object_add(obj, field->name, print_value(field, value));
		if (field->type == PROTOBUF_C_TYPE_UINT32)
			add_meaning(obj, desc, field, *(const uint32_t *)value);
		else if (field->type == PROTOBUF_C_TYPE_UINT64)
			add_meaning(obj, desc, field, *(const uint64_t *)value);
	}
	return obj;
}

/* --- text ------------------------------------------------------------------ */

void print_escaped(FILE *f, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t c = s[i];
		/* U+0080 to U+009f steer some terminals too. */
		bool c1 = c == 0xc2 && i + 1 < len && (uint8_t)s[i + 1] < 0xa0;

		if (c1)
			fprintf(f, "\\%03o\\%03o", c, (uint8_t)s[++i]);
		else if (c < 0x20 || c == 0x7f || c == '\\')
			fprintf(f, "\\%03o", c);
		else
			fputc(c, f);
	}
}

static bool is_scalar(struct json_object *value)
{
	return !json_object_is_type(value, json_type_object) &&
	       !json_object_is_type(value, json_type_array);
}

static void text_scalar(FILE *f, struct json_object *value)
{
	if (json_object_is_type(value, json_type_string))
		print_escaped(f, json_object_get_string(value), json_object_get_string_len(value));
	else
		fputs(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN), f);
}

/* A list of scalars on one line. */
static void text_flat(FILE *f, struct json_object *list)
{
	size_t i, count = json_object_array_length(list);

	for (i = 0; i < count; i++) {
		fputs(i ? ", " : "", f);
		text_scalar(f, json_object_array_get_idx(list, i));
	}
}

static bool is_flat(struct json_object *list)
{
	size_t count = json_object_array_length(list);

	return count == 0 || is_scalar(json_object_array_get_idx(list, 0));
}

/* The key that a sibling belongs to is there: it is printed beside that one. */
static bool is_sibling(struct json_object *obj, const char *key)
{
	static const char *const suffixes[] = { "_names", "_name", "_octal" };
	size_t i, len = strlen(key), cut;
	char base[64];

	for (i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		cut = strlen(suffixes[i]);
		if (len <= cut || len - cut >= sizeof(base) || strcmp(key + len - cut, suffixes[i]))
			continue;
		snprintf(base, sizeof(base), "%.*s", (int)(len - cut), key);
		if (json_object_object_get_ex(obj, base, NULL))
			return true;
	}
	return false;
}

static void text_siblings(FILE *f, struct json_object *obj, const char *key)
{
	struct json_object *value;
	char name[64];

	snprintf(name, sizeof(name), "%s_name", key);
	if (!json_object_object_get_ex(obj, name, &value)) {
		snprintf(name, sizeof(name), "%s_octal", key);
		json_object_object_get_ex(obj, name, &value);
	}
	if (value) {
		fputs(" (", f);
		text_scalar(f, value);
		fputc(')', f);
	}
	snprintf(name, sizeof(name), "%s_names", key);
	if (json_object_object_get_ex(obj, name, &value) && json_object_array_length(value)) {
		fputs(" (", f);
		text_flat(f, value);
		fputc(')', f);
	}
}

static void text_list(FILE *f, struct json_object *list, int indent, bool colour)
{
	size_t i, count = json_object_array_length(list);

	fputc('\n', f);
	for (i = 0; i < count; i++) {
		if (i)
			fputc('\n', f);
		print_text(f, json_object_array_get_idx(list, i), indent + 2, colour);
	}
}

void print_text(FILE *f, struct json_object *obj, int indent, bool colour)
{
	struct json_object *inner;

	json_object_object_foreach(obj, key, value) {
		if (is_sibling(obj, key))
			continue;
		fprintf(f, "%*s%s%s:%s", indent, "", colour ? KEY_COLOUR : "", key,
			colour ? NO_COLOUR : "");
		if (json_object_is_type(value, json_type_object) &&
		    json_object_object_get_ex(value, "base64", &inner)) {
			fputs(" base64 ", f);
			text_scalar(f, inner);
			fputc('\n', f);
		} else if (json_object_is_type(value, json_type_object)) {
			fputc('\n', f);
			print_text(f, value, indent + 2, colour);
		} else if (!is_scalar(value) && !is_flat(value)) {
			text_list(f, value, indent, colour);
		} else {
			fputc(' ', f);
			if (is_scalar(value))
				text_scalar(f, value);
			else
				text_flat(f, value);
			text_siblings(f, obj, key);
			fputc('\n', f);
		}
	}
}
