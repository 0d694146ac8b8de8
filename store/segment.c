#include "segment.h"
#include "bytes.h"

#include <errno.h>
#include <string.h>
#include <multiformats/multihash.h>
#include <multiformats/varint.h>

enum {
	RECORD_FIXED = 32, /* bytes before what the kind says */
	BODY_SEGMENT = 24,
	BODY_COMMIT = 56,
	BODY_VOID = 24,
	BODY_FILL = 8, /* at least */
	RECORD_CID = 36,
	RECORD_HEAD_MAX = 2 + RECORD_CID,
};

const uint8_t segment_header[SEGMENT_HEADER_SIZE] =
	"\x19\xa2\x65roots\x81\xd8\x2a\x45\0\x01\x55\0\0"
	"\x67version\x01";
const uint8_t segment_magic[SEGMENT_MAGIC_SIZE] = "ipfskit\1";

void segment_keys_derive(struct segment_keys *keys, const uint8_t secret[SEGMENT_SECRET_SIZE])
{
	crypto_kdf_derive_from_key(keys->record, sizeof(keys->record), 1, "kitstore", secret);
	crypto_kdf_derive_from_key(keys->heads, sizeof(keys->heads), 2, "kitstore", secret);
	crypto_kdf_derive_from_key(keys->repo, sizeof(keys->repo), 3, "kitstore", secret);
	crypto_kdf_derive_from_key(keys->ops, sizeof(keys->ops), 4, "kitstore", secret);
}

ssize_t segment_section_decode(struct segment_section *section, const uint8_t *data, size_t len)
{
	uint64_t size;
	int prefix = mf_varint_decode(data, len, &size);
	ssize_t cid_len;

	if (prefix < 0)
		return prefix;
	if (size == 0 || size > MF_CID_BYTES_MAX + IPLD_BLOCK_BIG_MAX)
		return -EINVAL;
	size_t there = len - prefix < size ? len - prefix : size;
	cid_len = mf_cid_decode(&section->cid, data + prefix, there);
	if (cid_len < 0)
		return there < size && there < MF_CID_BYTES_MAX ? -EAGAIN : -EINVAL;
	if (size - cid_len > IPLD_BLOCK_BIG_MAX)
		return -EINVAL;
	section->head = prefix + cid_len;
	section->len = size - cid_len;
	return section->head;
}

size_t segment_section_encode(const struct mf_cid *cid, size_t len, uint8_t out[SEGMENT_HEAD_MAX])
{
	uint8_t bytes[MF_CID_BYTES_MAX], prefix[MF_VARINT_WRITE_MAX];
	ssize_t cid_len = mf_cid_encode(cid, bytes, sizeof(bytes));
	int prefix_len = mf_varint_encode(cid_len + len, prefix);

	memcpy(out, prefix, prefix_len);
	memcpy(out + prefix_len, bytes, cid_len);
	return prefix_len + cid_len;
}

/* Writes what the kind says; returns its length. */
static size_t body_encode(const struct segment_record *record, uint8_t *out)
{
	switch (record->kind) {
	case SEGMENT_RECORD_SEGMENT:
		put_u32(out, record->previous.number);
		put_u32(out + 4, 0);
		put_u64(out + 8, record->previous.len);
		put_u64(out + 16, record->previous.synced);
		return BODY_SEGMENT;
	case SEGMENT_RECORD_COMMIT:
		put_u64(out, record->commit.start);
		put_u64(out + 8, record->commit.synced);
		put_u32(out + 16, record->commit.count);
		put_u32(out + 20, record->commit.operations);
		memcpy(out + 24, record->commit.heads, SEGMENT_SEAL_SIZE);
		return BODY_COMMIT;
	case SEGMENT_RECORD_VOID:
		put_u32(out, record->nothing.segment);
		put_u32(out + 4, 0);
		put_u64(out + 8, record->nothing.from);
		put_u64(out + 16, record->nothing.to);
		return BODY_VOID;
	case SEGMENT_RECORD_FILL: memset(out, 0, record->fill.zeros); return record->fill.zeros;
	}
	return 0;
}

/* Only called on sealed bytes, so their form is not in doubt, only their kind. */
static bool body_decode(struct segment_record *record, const uint8_t *in, size_t len)
{
	switch (record->kind) {
	case SEGMENT_RECORD_SEGMENT:
		record->previous.number = get_u32(in);
		record->previous.len = get_u64(in + 8);
		record->previous.synced = get_u64(in + 16);
		return len == BODY_SEGMENT;
	case SEGMENT_RECORD_COMMIT:
		record->commit.start = get_u64(in);
		record->commit.synced = get_u64(in + 8);
		record->commit.count = get_u32(in + 16);
		record->commit.operations = get_u32(in + 20) & 1;
		memcpy(record->commit.heads, in + 24, SEGMENT_SEAL_SIZE);
		return len == BODY_COMMIT;
	case SEGMENT_RECORD_VOID:
		record->nothing.segment = get_u32(in);
		record->nothing.from = get_u64(in + 8);
		record->nothing.to = get_u64(in + 16);
		return len == BODY_VOID;
	case SEGMENT_RECORD_FILL: record->fill.zeros = len; return true;
	}
	return false;
}

static void seal(const struct segment_keys *keys, const uint8_t *data, size_t len, uint8_t *out)
{
	crypto_generichash(out, SEGMENT_SEAL_SIZE, data, len, keys->record, sizeof(keys->record));
}

size_t segment_record_encode(
	const struct segment_keys *keys, const struct segment_record *record, uint8_t *out)
{
	uint8_t *data = out + RECORD_HEAD_MAX, head[SEGMENT_HEAD_MAX];
	struct mf_cid cid;
	size_t len, head_len;

	memcpy(data, segment_magic, SEGMENT_MAGIC_SIZE);
	put_u32(data + 8, record->kind);
	put_u32(data + 12, record->segment);
	put_u64(data + 16, record->offset);
	put_u64(data + 24, record->sequence);
	len = RECORD_FIXED + body_encode(record, data + RECORD_FIXED);
	seal(keys, data, len, data + len);
	len += SEGMENT_SEAL_SIZE;
	mf_cid_of(&cid, 1, MF_CODEC_RAW, data, len);
	head_len = segment_section_encode(&cid, len, head);
	memmove(out + head_len, data, len);
	memcpy(out, head, head_len);
	return head_len + len;
}

size_t segment_fill_zeros(size_t section)
{
	const size_t fixed = RECORD_CID + RECORD_FIXED + SEGMENT_SEAL_SIZE;

	for (size_t varint = 1; varint <= 2; varint++)
		if (section >= varint + fixed + BODY_FILL &&
			(section - varint < 1 << 7) == (varint == 1))
			return section - varint - fixed;
	return 0;
}

bool segment_record_decode(const struct segment_keys *keys, const struct segment_section *section,
	const uint8_t *data, uint32_t number, uint64_t offset, struct segment_record *record)
{
	size_t len = section->len;
	uint8_t sealed[SEGMENT_SEAL_SIZE];

	if (len < RECORD_FIXED + BODY_FILL + SEGMENT_SEAL_SIZE || len > SEGMENT_FILL_MAX ||
		section->cid.version != 1 || section->cid.codec != MF_CODEC_RAW ||
		section->cid.hash != MF_HASH_SHA2_256 ||
		memcmp(data, segment_magic, SEGMENT_MAGIC_SIZE) != 0)
		return false;
	record->kind = get_u32(data + 8);
	record->segment = get_u32(data + 12);
	record->offset = get_u64(data + 16);
	record->sequence = get_u64(data + 24);
	if (record->segment != number || record->offset != offset)
		return false;
	len -= SEGMENT_SEAL_SIZE;
	seal(keys, data, len, sealed);
	if (sodium_memcmp(sealed, data + len, SEGMENT_SEAL_SIZE) != 0 ||
		ipld_block_verify(&section->cid, data, section->len) != 0)
		return false;
	return body_decode(record, data + RECORD_FIXED, len - RECORD_FIXED);
}

void segment_sum_start(struct segment_sum *sum, const struct segment_keys *keys)
{
	crypto_generichash_init(&sum->state, keys->heads, sizeof(keys->heads), SEGMENT_SEAL_SIZE);
	sum->count = 0;
}

void segment_sum_add(struct segment_sum *sum, const uint8_t *head, size_t len)
{
	crypto_generichash_update(&sum->state, head, len);
	sum->count++;
}

void segment_sum_get(const struct segment_sum *sum, uint8_t out[SEGMENT_SEAL_SIZE])
{
	crypto_generichash_state state = sum->state;

	crypto_generichash_final(&state, out, SEGMENT_SEAL_SIZE);
}
