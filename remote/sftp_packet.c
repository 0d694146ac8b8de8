#include "sftp_packet.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { ATTR_SIZE = 1, ATTR_OWNER = 2, ATTR_MODE = 4, ATTR_TIMES = 8 };
#define ATTR_EXTENDED 0x80000000u

/* ---- requests ---- */

static void add(struct sftp_packet *packet, const void *bytes, size_t len)
{
	if (packet->full || len > packet->cap - packet->len) {
		packet->full = true;
		return;
	}
	if (len)
		memcpy(packet->bytes + packet->len, bytes, len);
	packet->len += len;
}

static void put_u32(uint8_t out[4], uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (24 - 8 * i));
}

void sftp_add_u32(struct sftp_packet *packet, uint32_t value)
{
	uint8_t bytes[4];

	put_u32(bytes, value);
	add(packet, bytes, sizeof(bytes));
}

void sftp_add_u64(struct sftp_packet *packet, uint64_t value)
{
	sftp_add_u32(packet, (uint32_t)(value >> 32));
	sftp_add_u32(packet, (uint32_t)value);
}

void sftp_add_bytes(struct sftp_packet *packet, const void *bytes, size_t len)
{
	sftp_add_u32(packet, (uint32_t)len);
	add(packet, bytes, len);
}

void sftp_add_text(struct sftp_packet *packet, const char *text)
{
	sftp_add_bytes(packet, text, strlen(text));
}

void sftp_add_mode(struct sftp_packet *packet, unsigned mode)
{
	sftp_add_u32(packet, ATTR_MODE);
	sftp_add_u32(packet, mode);
}

void sftp_add_times(struct sftp_packet *packet, uint32_t seconds)
{
	sftp_add_u32(packet, ATTR_TIMES);
	sftp_add_u32(packet, seconds);
	sftp_add_u32(packet, seconds);
}

void sftp_begin(struct sftp_packet *packet, enum sftp_type type, uint32_t id)
{
	uint8_t byte = (uint8_t)type;

	packet->len = 0;
	packet->full = false;
	sftp_add_u32(packet, 0);
	add(packet, &byte, 1);
	sftp_add_u32(packet, id);
}

void sftp_end(struct sftp_packet *packet)
{
	if (packet->len >= 4)
		put_u32(packet->bytes, (uint32_t)(packet->len - 4));
}

/* ---- replies ---- */

/* Reading past the end gives nothing, and is noticed once, at the end. */
struct cursor {
	struct sftp_bytes left;
	bool bad;
};

static struct sftp_bytes take(struct cursor *cursor, size_t len)
{
	struct sftp_bytes out = { cursor->left.at, len };

	if (len > cursor->left.len) {
		cursor->bad = true;
		return (struct sftp_bytes){ NULL, 0 };
	}
	cursor->left.at += len;
	cursor->left.len -= len;
	return out;
}

static uint32_t take_u32(struct cursor *cursor)
{
	struct sftp_bytes bytes = take(cursor, 4);
	uint32_t value = 0;

	for (size_t i = 0; i < bytes.len; i++)
		value = value << 8 | bytes.at[i];
	return value;
}

static uint64_t take_u64(struct cursor *cursor)
{
	uint64_t high = take_u32(cursor);

	return high << 32 | take_u32(cursor);
}

static struct sftp_bytes take_bytes(struct cursor *cursor)
{
	return take(cursor, take_u32(cursor));
}

static enum sftp_kind kind_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case 0: return SFTP_KIND_UNKNOWN;
	case S_IFREG: return SFTP_KIND_FILE;
	case S_IFDIR: return SFTP_KIND_FOLDER;
	default: return SFTP_KIND_OTHER;
	}
}

static void take_attrs(struct cursor *cursor, struct sftp_attrs *attrs)
{
	uint32_t flags = take_u32(cursor), pairs;

	*attrs = (struct sftp_attrs){ .has_size = flags & ATTR_SIZE,
		.has_times = flags & ATTR_TIMES };
	if (flags & ATTR_SIZE)
		attrs->size = take_u64(cursor);
	if (attrs->size > INT64_MAX)
		cursor->bad = true;
	if (flags & ATTR_OWNER)
		take(cursor, 8);
	if (flags & ATTR_MODE)
		attrs->kind = kind_of(take_u32(cursor));
	if (flags & ATTR_TIMES) {
		take_u32(cursor);
		attrs->changed = take_u32(cursor);
	}
	if (!(flags & ATTR_EXTENDED))
		return;
	pairs = take_u32(cursor);
	while (pairs-- && !cursor->bad) {
		take_bytes(cursor);
		take_bytes(cursor);
	}
}

static bool is(struct sftp_bytes bytes, const char *text)
{
	return bytes.len == strlen(text) && !memcmp(bytes.at, text, bytes.len);
}

static void take_extensions(struct cursor *cursor, struct sftp_reply *reply)
{
	while (cursor->left.len && !cursor->bad) {
		struct sftp_bytes name = take_bytes(cursor), version = take_bytes(cursor);

		if (cursor->bad)
			return;
		reply->posix_rename |= is(name, "posix-rename@openssh.com") && is(version, "1");
		reply->fsync |= is(name, "fsync@openssh.com") && is(version, "1");
		reply->statvfs |= is(name, "statvfs@openssh.com") && is(version, "2");
	}
}

int sftp_parse(const uint8_t *bytes, size_t len, struct sftp_reply *reply)
{
	struct cursor cursor = { { bytes, len }, false };
	struct sftp_bytes type = take(&cursor, 1);

	*reply = (struct sftp_reply){ .type = type.len ? type.at[0] : 0 };
	reply->id = take_u32(&cursor);
	switch (reply->type) {
	case SFTP_VERSION: take_extensions(&cursor, reply); break;
	case SFTP_STATUS:
		reply->status = take_u32(&cursor);
		if (cursor.left.len) /* some servers leave the text out */
			reply->bytes = take_bytes(&cursor);
		break;
	case SFTP_HANDLE:
		reply->bytes = take_bytes(&cursor);
		cursor.bad |= reply->bytes.len > SFTP_HANDLE_MAX;
		break;
	case SFTP_DATA: reply->bytes = take_bytes(&cursor); break;
	case SFTP_NAME:
		reply->count = take_u32(&cursor);
		reply->names = cursor.left;
		break;
	case SFTP_ATTRS: take_attrs(&cursor, &reply->attrs); break;
	case SFTP_EXTENDED_REPLY: reply->bytes = cursor.left; break;
	default: break;
	}
	return cursor.bad ? -EPROTO : 0;
}

int sftp_next(struct sftp_reply *reply, struct sftp_entry *entry)
{
	struct cursor cursor = { reply->names, false };

	if (reply->count == 0)
		return 0;
	entry->name = take_bytes(&cursor);
	take_bytes(&cursor); /* a line as ls -l has it, for people */
	take_attrs(&cursor, &entry->attrs);
	reply->names = cursor.left;
	reply->count--;
	return cursor.bad ? -EPROTO : 1;
}

bool sftp_is_full(const struct sftp_reply *reply)
{
	struct cursor cursor = { reply->bytes, false };
	uint64_t numbers[11]; /* bsize, frsize, blocks, bfree, bavail, files, ffree, favail, ... */

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		numbers[i] = take_u64(&cursor);
	/* Some file systems count no inodes: then there are none in all either. */
	return !cursor.bad && (numbers[4] == 0 || (numbers[5] != 0 && numbers[7] == 0));
}
