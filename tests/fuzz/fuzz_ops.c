/*
 * Batches of the operation log that the input writes and then hurts: a script of operations, seals, raw bytes and
 * flips. Whatever it is, decoding stays inside its bytes, and what it takes for a batch is one, of operations that
 * are encoded to the same bytes again. Then the input as the operations of a sealed batch, which may be anything.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/ops_batch.h"

enum { IMAGE_MAX = 1 << 16, GENERATION = 2 };

struct script {
	const uint8_t *at, *end;
};

static unsigned next(struct script *script)
{
	return script->at < script->end ? *script->at++ : 0;
}

static struct segment_keys keys;

/* The operations of a batch, each of them again. */
static void read_batch(struct ops_batch batch)
{
	uint8_t again[OPS_OPERATION_MAX];
	struct ops_operation operation;
	const uint8_t *at = batch.at;
	int rc;

	while ((rc = ops_batch_next(&batch, &operation)) > 0) {
		size_t len = ops_operation_encode(&operation, again);

		if (at + len != batch.at || batch.at > batch.end ||
			(at[1] <= 1 && memcmp(again, at, len) != 0))
			abort();
		at = batch.at;
	}
	if (rc == 0 && batch.at != batch.end)
		abort();
}

/* Appends a sealed batch of the operations that the script tells; the new length. */
static size_t add_batch(struct script *script, uint8_t *image, size_t len)
{
	uint8_t *out = image + len + OPS_HEAD_SIZE;
	size_t used = 0;

	for (unsigned count = next(script) % 4; count > 0; count--) {
		uint8_t key[STORE_STATE_KEY_MAX], value[64];
		struct ops_operation operation = { .space = (uint8_t)next(script),
			.put = next(script) & 1,
			.key_len = (uint16_t)(1 + next(script) % sizeof(key)),
			.key = key,
			.value_len = next(script) % sizeof(value),
			.value = value };

		memset(key, (int)next(script), sizeof(key));
		memset(value, (int)next(script), sizeof(value));
		used += ops_operation_encode(&operation, out + used);
	}
	return len + ops_batch_seal(&keys, GENERATION, len, next(script), used, image + len);
}

static size_t write_image(struct script *script, uint8_t *image)
{
	size_t len = 0;

	while (script->at < script->end && len < IMAGE_MAX - 4096) {
		unsigned op = next(script);

		switch (op % 4) {
		case 0: len = add_batch(script, image, len); break;
		case 1: image[len++] = (uint8_t)next(script); break;
		case 2:
			if (len > 0)
				image[(next(script) << 8 | next(script)) % len] ^=
					(uint8_t)next(script);
			break;
		case 3: len -= op / 4 < len ? op / 4 : 0; break;
		}
	}
	return len;
}

static void read_at(const uint8_t *image, size_t len, size_t at)
{
	struct ops_batch batch;
	uint8_t *window = malloc(len - at + 1); /* exact, for the sanitizer */

	memcpy(window, image + at, len - at);
	ssize_t there = ops_batch_decode(&keys, GENERATION, at, window, len - at, &batch);
	if (there > (ssize_t)(len - at))
		abort();
	if (there > 0)
		read_batch(batch);
	free(window);
}

/* No one who does not have the secret can make this; what is in it is looked at all the same. */
static void read_anything(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	memcpy(copy, data, size);
	read_batch((struct ops_batch){ .at = copy, .end = copy + size });
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[SEGMENT_SECRET_SIZE] = { 7 };
	static uint8_t image[IMAGE_MAX];
	struct script script = { data, data + size };

	if (sodium_init() < 0)
		abort();
	segment_keys_derive(&keys, secret);
	size_t len = write_image(&script, image);
	for (size_t at = 0; at < len; at++)
		read_at(image, len, at);
	read_anything(data, size);
	return 0;
}
