#include "ops_batch.h"
#include "bytes.h"

#include <errno.h>
#include <string.h>

const uint8_t ops_magic[8] = "ipfsops\1";

size_t ops_operation_encode(const struct ops_operation *operation, uint8_t *out)
{
	out[0] = operation->space;
	out[1] = operation->put;
	out[2] = operation->key_len;
	out[3] = operation->key_len >> 8;
	put_u32(out + 4, operation->value_len);
	memcpy(out + 8, operation->key, operation->key_len);
	if (operation->value_len)
		memcpy(out + 8 + operation->key_len, operation->value, operation->value_len);
	return 8 + operation->key_len + operation->value_len;
}

static void seal(const struct segment_keys *keys, const uint8_t *data, size_t len, uint8_t *out)
{
	crypto_generichash(out, OPS_SEAL_SIZE, data, len, keys->ops, sizeof(keys->ops));
}

size_t ops_batch_seal(const struct segment_keys *keys, uint32_t generation, uint64_t offset,
	uint64_t sequence, size_t len, uint8_t *out)
{
	size_t sealed = OPS_HEAD_SIZE + len;

	memcpy(out, ops_magic, sizeof(ops_magic));
	put_u32(out + 8, sealed + OPS_SEAL_SIZE);
	put_u32(out + 12, generation);
	put_u64(out + 16, offset);
	put_u64(out + 24, sequence);
	seal(keys, out, sealed, out + sealed);
	return sealed + OPS_SEAL_SIZE;
}

ssize_t ops_batch_decode(const struct segment_keys *keys, uint32_t generation, uint64_t offset,
	const uint8_t *data, size_t len, struct ops_batch *batch)
{
	uint8_t sealed[OPS_SEAL_SIZE];
	size_t there = len < sizeof(ops_magic) ? len : sizeof(ops_magic);

	if (memcmp(data, ops_magic, there) != 0)
		return -EINVAL;
	if (len < OPS_HEAD_SIZE)
		return -EAGAIN;
	uint32_t whole = get_u32(data + 8);
	if (whole < OPS_HEAD_SIZE + OPS_SEAL_SIZE || whole > OPS_BATCH_MAX ||
		get_u32(data + 12) != generation || get_u64(data + 16) != offset)
		return -EINVAL;
	if (len < whole)
		return -EAGAIN;
	seal(keys, data, whole - OPS_SEAL_SIZE, sealed);
	if (sodium_memcmp(sealed, data + whole - OPS_SEAL_SIZE, OPS_SEAL_SIZE) != 0)
		return -EINVAL;
	*batch = (struct ops_batch){ .len = whole,
		.sequence = get_u64(data + 24),
		.at = data + OPS_HEAD_SIZE,
		.end = data + whole - OPS_SEAL_SIZE };
	return whole;
}

int ops_batch_next(struct ops_batch *batch, struct ops_operation *operation)
{
	const uint8_t *at = batch->at;
	size_t left = batch->end - at;

	if (left == 0)
		return 0;
	if (left < 8)
		return -EINVAL;
	*operation = (struct ops_operation){ .space = at[0],
		.put = at[1] != 0,
		.key_len = at[2] | at[3] << 8,
		.value_len = get_u32(at + 4),
		.key = at + 8 };
	operation->value = operation->key + operation->key_len;
	left -= 8;
	if (operation->key_len == 0 || operation->key_len > STORE_STATE_KEY_MAX ||
		operation->value_len > STORE_STATE_VALUE_MAX || operation->key_len > left ||
		operation->value_len > left - operation->key_len)
		return -EINVAL;
	batch->at = operation->value + operation->value_len;
	return 1;
}
