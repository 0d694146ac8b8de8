/*
 * Protocol buffers on the wire (https://protobuf.dev/programming-guides/encoding): a bounded field
 * reader and a writer, no schema. Nested messages are bytes, read with a reader of their own.
 *
 *	struct mf_pb_reader in = mf_pb_read(data, len);
 *	struct mf_pb_field f;
 *	int rc;
 *
 *	while ((rc = mf_pb_next(&in, &f)) > 0) {
 *		switch (f.key) {
 *		case MF_PB_KEY(1, MF_PB_BYTES): name = f.bytes; break;
 *		case MF_PB_KEY(2, MF_PB_VARINT): size = f.value; break;
 *		}
 *	}
 *	return rc;
 *
 * Any thread. Only a growable writer allocates.
 */
#ifndef MULTIFORMATS_PB_H
#define MULTIFORMATS_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <multiformats/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mf_pb_wire {
	MF_PB_VARINT = 0,
	MF_PB_FIXED64 = 1,
	MF_PB_BYTES = 2,
	MF_PB_FIXED32 = 5,
};

/* A field's number and wire type in one value, for switch. A known number with an unexpected wire
 * type thus falls to default, as an unknown field. */
#define MF_PB_KEY(number, wire) ((uint32_t)(number) << 3 | (uint32_t)(wire))

/* Bytes inside somebody else's buffer. */
struct mf_pb_view {
	const uint8_t *data; /* never NULL in a field of wire type MF_PB_BYTES */
	size_t len;
};

struct mf_pb_field {
	uint32_t key;    /* MF_PB_KEY(number, wire) */
	uint32_t number; /* 1 to 2^29-1 */
	enum mf_pb_wire wire;
	uint64_t value;          /* varint, fixed32 and fixed64; 0 for bytes */
	struct mf_pb_view bytes; /* wire type MF_PB_BYTES only; points into the reader's data */
};

struct mf_pb_reader {
	const uint8_t *at, *end; /* the rest; at is where the next field starts */
};

/* A reader over data, which must stay until the last field was used. */
MF_API struct mf_pb_reader mf_pb_read(const void *data, size_t len);

/* Reads the next field. Returns 1; 0 at the end of the message; -EINVAL for a truncated field, a
 * varint over ten bytes or 64 bits, field number 0, or a wire type that is not one of the four
 * (groups included). After an error the reader stays where it was. */
MF_API int mf_pb_next(struct mf_pb_reader *reader, struct mf_pb_field *field);

/*
 * Writer. Errors stick: write everything, then look at mf_pb_finish.
 */
struct mf_pb_writer {
	uint8_t *data;
	size_t len, cap; /* bytes written and room; len <= cap */
	bool grows;
	int error; /* 0, -ENOSPC or -ENOMEM: the first one */
};

/* A writer into the caller's buffer; full means -ENOSPC. */
MF_API struct mf_pb_writer mf_pb_write_fixed(void *out, size_t cap);

/* A writer into memory of its own that grows; data belongs to the caller, who frees it with free()
 * whether or not an error struck. Starts with room for hint bytes (may be 0). */
MF_API struct mf_pb_writer mf_pb_write_growing(size_t hint);

/* Appends one field. Values are written even when they are zero or empty: whether a default is
 * left out is the message's business. Negative int32/int64 are cast to uint64_t by the caller. */
MF_API void mf_pb_put_varint(struct mf_pb_writer *writer, uint32_t number, uint64_t value);
MF_API void mf_pb_put_bytes(
	struct mf_pb_writer *writer, uint32_t number, const void *data, size_t len);
MF_API void mf_pb_put_text(struct mf_pb_writer *writer, uint32_t number, const char *text);
MF_API void mf_pb_put_fixed32(struct mf_pb_writer *writer, uint32_t number, uint32_t value);
MF_API void mf_pb_put_fixed64(struct mf_pb_writer *writer, uint32_t number, uint64_t value);

/* Appends the key and length of a bytes field; the caller then appends exactly len bytes with
 * mf_pb_put_raw or as fields. */
MF_API void mf_pb_put_length(struct mf_pb_writer *writer, uint32_t number, size_t len);

/* Appends bytes as they are. */
MF_API void mf_pb_put_raw(struct mf_pb_writer *writer, const void *data, size_t len);

/* A nested message whose length is not known yet: open, put its fields, close with what open
 * returned. May be nested. */
MF_API size_t mf_pb_open(struct mf_pb_writer *writer, uint32_t number);
MF_API void mf_pb_close(struct mf_pb_writer *writer, size_t mark);

/* Bytes written, or the first error. */
MF_API ssize_t mf_pb_finish(const struct mf_pb_writer *writer);

/* Sizes on the wire, key included. */
MF_API size_t mf_pb_size_varint(uint32_t number, uint64_t value);
MF_API size_t mf_pb_size_bytes(uint32_t number, size_t len);

#ifdef __cplusplus
}
#endif
#endif
