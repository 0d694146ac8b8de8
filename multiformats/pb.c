#include <multiformats/pb.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/varint.h>

enum { FIELD_NUMBER_MAX = (1 << 29) - 1 };

struct mf_pb_reader mf_pb_read(const void *data, size_t len)
{
	/* An empty message may come as NULL; a reader never holds it, so views are never NULL. */
	const uint8_t *at = data ? data : (const uint8_t *)"";

	return (struct mf_pb_reader){ .at = at, .end = at + len };
}

/* Protobuf's varints are laxer than ours: ten bytes, and padded forms are legal. */
static const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *out)
{
	uint64_t value = 0;

	for (int shift = 0; shift < 70 && at < end; shift += 7) {
		uint8_t byte = *at++;
		if (shift == 63 && byte > 1)
			return NULL;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = value;
			return at;
		}
	}
	return NULL;
}

static const uint8_t *read_fixed(
	const uint8_t *at, const uint8_t *end, size_t size, struct mf_pb_field *field)
{
	if ((size_t)(end - at) < size)
		return NULL;
	for (size_t i = 0; i < size; i++)
		field->value |= (uint64_t)at[i] << (8 * i);
	return at + size;
}

static const uint8_t *read_bytes(const uint8_t *at, const uint8_t *end, struct mf_pb_field *field)
{
	uint64_t len;

	at = read_varint(at, end, &len);
	if (!at || len > (uint64_t)(end - at))
		return NULL;
	field->bytes = (struct mf_pb_view){ .data = at, .len = (size_t)len };
	return at + len;
}

int mf_pb_next(struct mf_pb_reader *reader, struct mf_pb_field *field)
{
	uint64_t key;

	if (reader->at == reader->end)
		return 0;
	const uint8_t *at = read_varint(reader->at, reader->end, &key);
	if (!at || key >> 3 == 0 || key >> 3 > FIELD_NUMBER_MAX)
		return -EINVAL;
	*field = (struct mf_pb_field){
		.key = (uint32_t)key,
		.number = (uint32_t)(key >> 3),
		.wire = (enum mf_pb_wire)(key & 7),
	};
	switch (key & 7) {
	case MF_PB_VARINT: at = read_varint(at, reader->end, &field->value); break;
	case MF_PB_FIXED64: at = read_fixed(at, reader->end, 8, field); break;
	case MF_PB_BYTES: at = read_bytes(at, reader->end, field); break;
	case MF_PB_FIXED32: at = read_fixed(at, reader->end, 4, field); break;
	default: at = NULL;
	}
	if (!at)
		return -EINVAL;
	reader->at = at;
	return 1;
}

struct mf_pb_writer mf_pb_write_fixed(void *out, size_t cap)
{
	return (struct mf_pb_writer){ .data = out, .cap = cap };
}

struct mf_pb_writer mf_pb_write_growing(size_t hint)
{
	struct mf_pb_writer writer = { .grows = true };

	if (hint > 0) {
		writer.data = malloc(hint);
		if (writer.data)
			writer.cap = hint;
		else
			writer.error = -ENOMEM;
	}
	return writer;
}

/* Makes room for len more bytes; false when the writer is or becomes broken. */
static bool reserve(struct mf_pb_writer *writer, size_t len)
{
	if (writer->error)
		return false;
	if (len <= writer->cap - writer->len)
		return true;
	if (!writer->grows) {
		writer->error = -ENOSPC;
		return false;
	}
	size_t cap = writer->cap < 64 ? 64 : writer->cap * 2;
	if (cap - writer->len < len)
		cap = writer->len + len;
	uint8_t *data = cap >= len ? realloc(writer->data, cap) : NULL;
	if (!data) {
		writer->error = -ENOMEM;
		return false;
	}
	writer->data = data;
	writer->cap = cap;
	return true;
}

void mf_pb_put_raw(struct mf_pb_writer *writer, const void *data, size_t len)
{
	if (len == 0 || !reserve(writer, len))
		return;
	memcpy(writer->data + writer->len, data, len);
	writer->len += len;
}

static void put_bare_varint(struct mf_pb_writer *writer, uint64_t value)
{
	uint8_t bytes[MF_VARINT_WRITE_MAX];

	mf_pb_put_raw(writer, bytes, (size_t)mf_varint_encode(value, bytes));
}

void mf_pb_put_varint(struct mf_pb_writer *writer, uint32_t number, uint64_t value)
{
	put_bare_varint(writer, MF_PB_KEY(number, MF_PB_VARINT));
	put_bare_varint(writer, value);
}

void mf_pb_put_length(struct mf_pb_writer *writer, uint32_t number, size_t len)
{
	put_bare_varint(writer, MF_PB_KEY(number, MF_PB_BYTES));
	put_bare_varint(writer, len);
}

void mf_pb_put_bytes(struct mf_pb_writer *writer, uint32_t number, const void *data, size_t len)
{
	mf_pb_put_length(writer, number, len);
	mf_pb_put_raw(writer, data, len);
}

void mf_pb_put_text(struct mf_pb_writer *writer, uint32_t number, const char *text)
{
	mf_pb_put_bytes(writer, number, text, strlen(text));
}

static void put_fixed(struct mf_pb_writer *writer, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	mf_pb_put_raw(writer, bytes, size);
}

void mf_pb_put_fixed32(struct mf_pb_writer *writer, uint32_t number, uint32_t value)
{
	put_bare_varint(writer, MF_PB_KEY(number, MF_PB_FIXED32));
	put_fixed(writer, value, 4);
}

void mf_pb_put_fixed64(struct mf_pb_writer *writer, uint32_t number, uint64_t value)
{
	put_bare_varint(writer, MF_PB_KEY(number, MF_PB_FIXED64));
	put_fixed(writer, value, 8);
}

size_t mf_pb_open(struct mf_pb_writer *writer, uint32_t number)
{
	/* One byte of length is right for nearly every nested message; close widens it. */
	mf_pb_put_length(writer, number, 0);
	return writer->len;
}

void mf_pb_close(struct mf_pb_writer *writer, size_t mark)
{
	if (writer->error)
		return;
	size_t len = writer->len - mark;
	size_t more = (size_t)mf_varint_size(len) - 1;
	if (!reserve(writer, more))
		return;
	memmove(writer->data + mark + more, writer->data + mark, len);
	mf_varint_encode(len, writer->data + mark - 1);
	writer->len += more;
}

ssize_t mf_pb_finish(const struct mf_pb_writer *writer)
{
	return writer->error ? writer->error : (ssize_t)writer->len;
}

size_t mf_pb_size_varint(uint32_t number, uint64_t value)
{
	return (size_t)(mf_varint_size(MF_PB_KEY(number, 0)) + mf_varint_size(value));
}

size_t mf_pb_size_bytes(uint32_t number, size_t len)
{
	return mf_pb_size_varint(number, len) + len;
}
