/*
 * The bytes of the operation log. Pure functions: bytes in, bytes out.
 *
 * The log is a file of batches, one behind the other, each written by one call and synced before the next
 * is begun:
 *
 *	 0  magic, 8 bytes
 *	 8  length of the whole batch, u32
 *	12  number of the file (its generation), u32
 *	16  offset of the batch in the file, u64
 *	24  sequence, u64: of the commit in the segments that it belongs to
 *	32  operations
 *	-32 a keyed BLAKE2b-256 of all that comes before it
 *
 * and each operation is
 *
 *	 0  space, u8: what kind of state it changes
 *	 1  1 when the key has this value now, 0 when it has none any more
 *	 2  length of the key, u16
 *	 4  length of the value, u32
 *	 8  the key, the value
 *
 * (little endian). So an operation says what is, not what changed: it may be taken twice.
 */
#ifndef STORE_OPS_BATCH_H
#define STORE_OPS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <store/state.h>
#include "segment.h"

enum {
	OPS_HEAD_SIZE = 32,
	OPS_SEAL_SIZE = 32,
	OPS_OPERATION_MAX = 8 + STORE_STATE_KEY_MAX + STORE_STATE_VALUE_MAX,
	OPS_BATCH_MAX = 256 << 10,
};
extern const uint8_t ops_magic[8];

struct ops_operation {
	uint8_t space; /* enum store_space */
	bool put;
	uint16_t key_len;
	uint32_t value_len;
	const uint8_t *key, *value; /* in the batch */
};

struct ops_batch {
	uint32_t len;
	uint64_t sequence;
	const uint8_t *at, *end; /* operations not yet taken */
};

/* Writes an operation; its length. */
size_t ops_operation_encode(const struct ops_operation *operation, uint8_t *out);
/* Makes a batch whole: operations lie at out + OPS_HEAD_SIZE, len bytes of them, with room for the seal behind
 * them. Returns its length. */
size_t ops_batch_seal(const struct segment_keys *keys, uint32_t generation, uint64_t offset,
	uint64_t sequence, size_t len, uint8_t *out);
/* Whether such a batch was written at this place. Returns its length; -EAGAIN: it may be, and data ends within
 * it; -EINVAL: no. */
ssize_t ops_batch_decode(const struct segment_keys *keys, uint32_t generation, uint64_t offset,
	const uint8_t *data, size_t len, struct ops_batch *batch);
/* The next operation: 1, 0 at the end, -EINVAL: it is not of our making. */
int ops_batch_next(struct ops_batch *batch, struct ops_operation *operation);

#endif
