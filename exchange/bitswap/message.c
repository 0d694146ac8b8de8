#include "message.h"

#include <errno.h>
#include <ipld/block.h>
#include <multiformats/multihash.h>
#include <multiformats/varint.h>
#include <string.h>

/* Field numbers of Message, Wantlist, Entry, Block and BlockPresence. */
enum {
	MESSAGE_WANTLIST = 1,
	MESSAGE_BLOCKS = 2, /* 1.0.0: bare CIDv0 blocks */
	MESSAGE_PAYLOAD = 3,
	MESSAGE_PRESENCES = 4,
	WANTLIST_ENTRIES = 1,
	WANTLIST_FULL = 2,
	ENTRY_BLOCK = 1,
	ENTRY_PRIORITY = 2,
	ENTRY_CANCEL = 3,
	ENTRY_TYPE = 4,
	ENTRY_SEND_DONT_HAVE = 5,
	BLOCK_PREFIX = 1,
	BLOCK_DATA = 2,
	PRESENCE_CID = 1,
	PRESENCE_TYPE = 2, /* 0 have, 1 do not have */
};

struct bitswap_reader bitswap_read(const void *data, size_t len)
{
	return (struct bitswap_reader){ .message = mf_pb_read(data, len) };
}

static bool read_cid(struct mf_cid *cid, struct mf_pb_view view)
{
	return view.len > 0 && view.len <= BITSWAP_CID_MAX &&
		mf_cid_decode(cid, view.data, view.len) == (ssize_t)view.len;
}

/* Reads one wantlist entry: 1, 0 to skip it, -EINVAL. */
static int read_entry(struct mf_pb_view view, struct bitswap_item *item)
{
	struct mf_pb_reader in = mf_pb_read(view.data, view.len);
	struct mf_pb_field f;
	bool named = false;
	int rc;

	*item = (struct bitswap_item){ .kind = BITSWAP_WANT, .priority = 1 };
	while ((rc = mf_pb_next(&in, &f)) > 0) {
		switch (f.key) {
		case MF_PB_KEY(ENTRY_BLOCK, MF_PB_BYTES):
			named = read_cid(&item->cid, f.bytes);
			break;
		case MF_PB_KEY(ENTRY_PRIORITY, MF_PB_VARINT):
			item->priority = (int32_t)f.value;
			break;
		case MF_PB_KEY(ENTRY_CANCEL, MF_PB_VARINT): item->cancel = f.value != 0; break;
		case MF_PB_KEY(ENTRY_TYPE, MF_PB_VARINT):
			item->want = f.value == 1 ? BITSWAP_WANT_HAVE : BITSWAP_WANT_BLOCK;
			break;
		case MF_PB_KEY(ENTRY_SEND_DONT_HAVE, MF_PB_VARINT):
			item->send_dont_have = f.value != 0;
			break;
		}
	}
	return rc < 0 ? rc : named;
}

/* A block's prefix is the head of its CID: version, codec, hash, digest length. */
static bool read_prefix(struct mf_cid *cid, struct mf_pb_view view)
{
	uint64_t word[4];
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		int n = mf_varint_decode(view.data + at, view.len - at, &word[i]);
		if (n < 0)
			return false;
		at += (size_t)n;
	}
	if (at != view.len || word[0] > 1 || word[1] > UINT32_MAX || word[2] > UINT32_MAX ||
		word[3] > MF_DIGEST_MAX)
		return false;
	if (word[0] == 0 &&
		(word[1] != MF_CODEC_DAG_PB || word[2] != MF_HASH_SHA2_256 || word[3] != 32))
		return false;
	*cid = (struct mf_cid){ .version = (uint8_t)word[0],
		.codec = (uint32_t)word[1],
		.hash = (uint32_t)word[2],
		.digest_len = (uint8_t)word[3] };
	return true;
}

static int read_block(struct mf_pb_view view, struct bitswap_item *item)
{
	struct mf_pb_reader in = mf_pb_read(view.data, view.len);
	struct mf_pb_field f;
	bool named = false;
	int rc;

	*item = (struct bitswap_item){ .kind = BITSWAP_BLOCK, .data = { view.data, 0 } };
	while ((rc = mf_pb_next(&in, &f)) > 0) {
		if (f.key == MF_PB_KEY(BLOCK_PREFIX, MF_PB_BYTES))
			named = read_prefix(&item->cid, f.bytes);
		else if (f.key == MF_PB_KEY(BLOCK_DATA, MF_PB_BYTES))
			item->data = f.bytes;
	}
	return rc < 0 ? rc : named && item->data.len <= BITSWAP_BLOCK_MAX;
}

static int read_presence(struct mf_pb_view view, struct bitswap_item *item)
{
	struct mf_pb_reader in = mf_pb_read(view.data, view.len);
	struct mf_pb_field f;
	bool named = false, known = true;
	int rc;

	*item = (struct bitswap_item){ .kind = BITSWAP_PRESENCE, .have = true };
	while ((rc = mf_pb_next(&in, &f)) > 0) {
		if (f.key == MF_PB_KEY(PRESENCE_CID, MF_PB_BYTES)) {
			named = read_cid(&item->cid, f.bytes);
		} else if (f.key == MF_PB_KEY(PRESENCE_TYPE, MF_PB_VARINT)) {
			item->have = f.value == 0;
			known = f.value <= 1;
		}
	}
	return rc < 0 ? rc : named && known;
}

/* One field of the message itself: 1 an item, 0 nothing to tell, -EINVAL. */
static int read_field(
	struct bitswap_reader *reader, const struct mf_pb_field *f, struct bitswap_item *item)
{
	switch (f->key) {
	case MF_PB_KEY(MESSAGE_WANTLIST, MF_PB_BYTES):
		reader->wantlist = mf_pb_read(f->bytes.data, f->bytes.len);
		reader->in_wantlist = true;
		return 0;
	case MF_PB_KEY(MESSAGE_BLOCKS, MF_PB_BYTES):
		*item = (struct bitswap_item){ .kind = BITSWAP_BLOCK,
			.data = f->bytes,
			.cid = { .codec = MF_CODEC_DAG_PB,
				.hash = MF_HASH_SHA2_256,
				.digest_len = 32 } };
		return f->bytes.len <= BITSWAP_BLOCK_MAX;
	case MF_PB_KEY(MESSAGE_PAYLOAD, MF_PB_BYTES): return read_block(f->bytes, item);
	case MF_PB_KEY(MESSAGE_PRESENCES, MF_PB_BYTES): return read_presence(f->bytes, item);
	}
	return 0;
}

int bitswap_next(struct bitswap_reader *reader, struct bitswap_item *item)
{
	struct mf_pb_field f;
	int rc;

	for (;;) {
		if (reader->in_wantlist) {
			rc = mf_pb_next(&reader->wantlist, &f);
			if (rc == 0)
				reader->in_wantlist = false;
			else if (rc > 0)
				rc = f.key == MF_PB_KEY(WANTLIST_ENTRIES, MF_PB_BYTES)
					? read_entry(f.bytes, item)
					: 0;
		} else {
			rc = mf_pb_next(&reader->message, &f);
			if (rc == 0)
				return 0;
			if (rc > 0)
				rc = read_field(reader, &f, item);
		}
		if (rc != 0)
			return rc;
	}
}

bool bitswap_is_full(const void *data, size_t len)
{
	struct mf_pb_reader in = mf_pb_read(data, len);
	struct mf_pb_field f, inner;
	bool full = false;

	while (mf_pb_next(&in, &f) > 0) {
		if (f.key != MF_PB_KEY(MESSAGE_WANTLIST, MF_PB_BYTES))
			continue;
		struct mf_pb_reader list = mf_pb_read(f.bytes.data, f.bytes.len);
		while (mf_pb_next(&list, &inner) > 0)
			if (inner.key == MF_PB_KEY(WANTLIST_FULL, MF_PB_VARINT))
				full = inner.value != 0;
	}
	return full;
}

static size_t entry_size(const struct bitswap_item *want, size_t cid_len)
{
	size_t size = mf_pb_size_bytes(ENTRY_BLOCK, cid_len) +
		mf_pb_size_varint(ENTRY_PRIORITY, (uint64_t)(int64_t)want->priority);

	if (want->cancel)
		size += mf_pb_size_varint(ENTRY_CANCEL, 1);
	if (want->want == BITSWAP_WANT_HAVE)
		size += mf_pb_size_varint(ENTRY_TYPE, 1);
	if (want->send_dont_have)
		size += mf_pb_size_varint(ENTRY_SEND_DONT_HAVE, 1);
	return size;
}

static void put_entry(struct mf_pb_writer *out, const struct bitswap_item *want)
{
	uint8_t cid[MF_CID_BYTES_MAX];
	ssize_t len = mf_cid_encode(&want->cid, cid, sizeof(cid));

	mf_pb_put_length(out, WANTLIST_ENTRIES, entry_size(want, (size_t)len));
	mf_pb_put_bytes(out, ENTRY_BLOCK, cid, (size_t)len);
	mf_pb_put_varint(out, ENTRY_PRIORITY, (uint64_t)(int64_t)want->priority);
	if (want->cancel)
		mf_pb_put_varint(out, ENTRY_CANCEL, 1);
	if (want->want == BITSWAP_WANT_HAVE)
		mf_pb_put_varint(out, ENTRY_TYPE, 1);
	if (want->send_dont_have)
		mf_pb_put_varint(out, ENTRY_SEND_DONT_HAVE, 1);
}

void bitswap_put_wantlist(
	struct mf_pb_writer *out, const struct bitswap_item *wants, size_t count, bool full)
{
	size_t mark = mf_pb_open(out, MESSAGE_WANTLIST);

	for (size_t i = 0; i < count; i++)
		put_entry(out, &wants[i]);
	if (full)
		mf_pb_put_varint(out, WANTLIST_FULL, 1);
	mf_pb_close(out, mark);
}

void bitswap_put_block_head(struct mf_pb_writer *out, const struct mf_cid *cid, size_t len)
{
	uint8_t prefix[4 * MF_VARINT_WRITE_MAX];
	size_t n = 0;

	n += (size_t)mf_varint_encode(cid->version, prefix + n);
	n += (size_t)mf_varint_encode(cid->codec, prefix + n);
	n += (size_t)mf_varint_encode(cid->hash, prefix + n);
	n += (size_t)mf_varint_encode(cid->digest_len, prefix + n);
	mf_pb_put_length(out, MESSAGE_PAYLOAD,
		mf_pb_size_bytes(BLOCK_PREFIX, n) + mf_pb_size_bytes(BLOCK_DATA, len));
	mf_pb_put_bytes(out, BLOCK_PREFIX, prefix, n);
	mf_pb_put_length(out, BLOCK_DATA, len);
}

void bitswap_put_bare_head(struct mf_pb_writer *out, size_t len)
{
	mf_pb_put_length(out, MESSAGE_BLOCKS, len);
}

void bitswap_put_presence(struct mf_pb_writer *out, const struct mf_cid *cid, bool have)
{
	uint8_t bytes[MF_CID_BYTES_MAX];
	ssize_t len = mf_cid_encode(cid, bytes, sizeof(bytes));
	size_t size = mf_pb_size_bytes(PRESENCE_CID, (size_t)len);

	mf_pb_put_length(
		out, MESSAGE_PRESENCES, have ? size : size + mf_pb_size_varint(PRESENCE_TYPE, 1));
	mf_pb_put_bytes(out, PRESENCE_CID, bytes, (size_t)len);
	if (!have)
		mf_pb_put_varint(out, PRESENCE_TYPE, 1);
}
