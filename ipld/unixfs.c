#include <ipld/unixfs.h>

#include <errno.h>
#include <string.h>

#include "unixfs.h"

enum { MTIME_SECONDS = 1, MTIME_NANOSECONDS = 2, MODE_BITS = 07777 };

/* What the message said, for the checks. */
struct claims {
	bool has_type, has_size;
	uint64_t type, size, hash, fanout;
	size_t size_count;
	uint64_t size_sum;
};

static int read_mtime(struct unixfs_meta *meta, struct mf_pb_view bytes)
{
	struct mf_pb_reader in = mf_pb_read(bytes.data, bytes.len);
	struct mf_pb_field f;
	bool seconds = false;
	int rc;

	meta->has_mtime = true;
	while ((rc = mf_pb_next(&in, &f)) > 0) {
		if (f.key == MF_PB_KEY(MTIME_SECONDS, MF_PB_VARINT)) {
			meta->mtime = (int64_t)f.value;
			seconds = true;
		} else if (f.key == MF_PB_KEY(MTIME_NANOSECONDS, MF_PB_FIXED32)) {
			meta->mtime_nsec = (uint32_t)f.value;
		}
	}
	return rc < 0 || !seconds || meta->mtime_nsec > 999999999 ? -EBADMSG : 0;
}

static int add_sizes(struct unixfs_node *node, struct claims *claims)
{
	struct unixfs_sizes sizes = unixfs_sizes(node);
	uint64_t size;

	while (unixfs_sizes_next(&sizes, &size)) {
		claims->size_count++;
		if (__builtin_add_overflow(claims->size_sum, size, &claims->size_sum))
			return -EBADMSG;
	}
	return 0;
}

static int read_message(struct unixfs_node *node, struct claims *claims)
{
	struct mf_pb_reader in = mf_pb_read(node->message.data, node->message.len);
	struct mf_pb_field f;
	int rc;

	while ((rc = mf_pb_next(&in, &f)) > 0) {
		switch (f.key) {
		case MF_PB_KEY(UNIXFS_FIELD_TYPE, MF_PB_VARINT):
			claims->has_type = true;
			claims->type = f.value;
			break;
		case MF_PB_KEY(UNIXFS_FIELD_DATA, MF_PB_BYTES):
			node->data = f.bytes.data;
			node->data_len = f.bytes.len;
			break;
		case MF_PB_KEY(UNIXFS_FIELD_FILESIZE, MF_PB_VARINT):
			claims->has_size = true;
			claims->size = f.value;
			break;
		case MF_PB_KEY(UNIXFS_FIELD_HASH, MF_PB_VARINT): claims->hash = f.value; break;
		case MF_PB_KEY(UNIXFS_FIELD_FANOUT, MF_PB_VARINT): claims->fanout = f.value; break;
		case MF_PB_KEY(UNIXFS_FIELD_MODE, MF_PB_VARINT):
			node->meta.has_mode = true;
			node->meta.mode = (uint32_t)f.value & MODE_BITS;
			break;
		case MF_PB_KEY(UNIXFS_FIELD_MTIME, MF_PB_BYTES):
			if (read_mtime(&node->meta, f.bytes) < 0)
				return -EBADMSG;
			break;
		default: break;
		}
	}
	if (rc < 0 || !claims->has_type || claims->type > UNIXFS_HAMT_SHARD)
		return -EBADMSG;
	node->type = (enum unixfs_type)claims->type;
	return add_sizes(node, claims);
}

static int check_file(struct unixfs_node *node, const struct claims *claims)
{
	struct dag_pb_links links = dag_pb_links(&node->pb);
	struct dag_pb_link link;
	uint64_t size;

	if (claims->size_count != node->pb.link_count)
		return -EBADMSG;
	if (__builtin_add_overflow(claims->size_sum, (uint64_t)node->data_len, &size))
		return -EBADMSG;
	if (claims->has_size && claims->size != size)
		return -EBADMSG;
	node->file_size = size;
	while (dag_pb_next(&links, &link)) {
		if (link.name_len)
			return -EBADMSG;
	}
	return 0;
}

/* Bit i of a shard's bitfield, whose bytes run from high to low and start at the first that is not
 * 0. */
static bool bit(const struct unixfs_node *node, size_t i)
{
	size_t byte = i / 8;

	return byte < node->data_len && node->data[node->data_len - 1 - byte] >> i % 8 & 1;
}

static bool has_prefix(const struct dag_pb_link *link, size_t slot, size_t prefix_len)
{
	char prefix[UNIXFS_PREFIX_MAX];

	unixfs_slot_prefix(prefix, slot, prefix_len);
	return link->name_len >= prefix_len && !memcmp(link->name, prefix, prefix_len);
}

static int check_shard(struct unixfs_node *node, const struct claims *claims)
{
	struct dag_pb_links links = dag_pb_links(&node->pb);
	struct dag_pb_link link;
	uint64_t fanout = claims->fanout;

	if (fanout < 8 || fanout > UNIXFS_FANOUT_MAX || fanout & (fanout - 1))
		return -EBADMSG;
	if (claims->hash != UNIXFS_HAMT_MURMUR3 || node->data_len > fanout / 8 ||
		claims->size_count)
		return -EBADMSG;
	node->fanout = (uint32_t)fanout;
	size_t prefix_len = unixfs_prefix_len(node->fanout);
	for (size_t i = 0; i < fanout; i++) {
		if (!bit(node, i))
			continue;
		if (!dag_pb_next(&links, &link) || !has_prefix(&link, i, prefix_len))
			return -EBADMSG;
	}
	return dag_pb_next(&links, &link) ? -EBADMSG : 0;
}

static int decode_pb(struct unixfs_node *node, const void *block, size_t len)
{
	struct claims claims = { 0 };

	if (dag_pb_decode(&node->pb, block, len) < 0 || !node->pb.data)
		return -EBADMSG;
	node->message = (struct mf_pb_view){ node->pb.data, node->pb.data_len };
	if (read_message(node, &claims) < 0)
		return -EBADMSG;
	switch (node->type) {
	case UNIXFS_RAW:
	case UNIXFS_FILE: return check_file(node, &claims);
	case UNIXFS_HAMT_SHARD: return check_shard(node, &claims);
	case UNIXFS_DIRECTORY: return claims.size_count ? -EBADMSG : 0;
	case UNIXFS_SYMLINK: return node->pb.link_count || !node->data ? -EBADMSG : 0;
	case UNIXFS_METADATA:
	default: return -EBADMSG;
	}
}

int unixfs_decode(struct unixfs_node *node, uint32_t codec, const void *block, size_t len)
{
	*node = (struct unixfs_node){ 0 };
	if (codec == MF_CODEC_DAG_PB)
		return decode_pb(node, block, len);
	if (codec != MF_CODEC_RAW)
		return -EPROTONOSUPPORT;
	node->is_raw = true;
	node->data = block;
	node->data_len = len;
	node->file_size = len;
	return 0;
}

struct unixfs_sizes unixfs_sizes(const struct unixfs_node *node)
{
	return (struct unixfs_sizes){ .in = mf_pb_read(node->message.data, node->message.len) };
}

/* A packed field is a run of varints; wrapping it as a message of its own is not possible, so its
 * varints are read here. Protobuf varints may be padded, up to ten bytes. */
static bool next_packed(struct mf_pb_view *packed, uint64_t *size)
{
	*size = 0;
	for (unsigned shift = 0; packed->len && shift < 64; shift += 7) {
		uint8_t byte = *packed->data;

		packed->data++;
		packed->len--;
		*size |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

bool unixfs_sizes_next(struct unixfs_sizes *sizes, uint64_t *size)
{
	struct mf_pb_field f;

	for (;;) {
		if (sizes->packed.len)
			return next_packed(&sizes->packed, size);
		if (mf_pb_next(&sizes->in, &f) <= 0)
			return false;
		if (f.key == MF_PB_KEY(UNIXFS_FIELD_BLOCKSIZES, MF_PB_VARINT)) {
			*size = f.value;
			return true;
		}
		if (f.key == MF_PB_KEY(UNIXFS_FIELD_BLOCKSIZES, MF_PB_BYTES))
			sizes->packed = f.bytes;
	}
}

size_t unixfs_prefix_len(uint32_t fanout)
{
	size_t len = 0;

	for (uint32_t last = fanout - 1; last; last >>= 4)
		len++;
	return len;
}

void unixfs_slot_prefix(char out[UNIXFS_PREFIX_MAX], size_t slot, size_t prefix_len)
{
	static const char hex[] = "0123456789ABCDEF";

	out[prefix_len] = 0;
	for (size_t i = prefix_len; i-- > 0; slot >>= 4)
		out[i] = hex[slot & 15];
}

static size_t mtime_size(const struct unixfs_meta *meta)
{
	return mf_pb_size_varint(MTIME_SECONDS, (uint64_t)meta->mtime) + (meta->mtime_nsec ? 5 : 0);
}

size_t unixfs_message_size(const struct unixfs_message *m)
{
	size_t size = mf_pb_size_varint(UNIXFS_FIELD_TYPE, m->type) + m->sizes_len;

	if (m->data)
		size += mf_pb_size_bytes(UNIXFS_FIELD_DATA, m->data_len);
	if (m->with_size)
		size += mf_pb_size_varint(UNIXFS_FIELD_FILESIZE, m->file_size);
	if (m->fanout)
		size += mf_pb_size_varint(UNIXFS_FIELD_HASH, UNIXFS_HAMT_MURMUR3) +
			mf_pb_size_varint(UNIXFS_FIELD_FANOUT, m->fanout);
	if (m->meta && m->meta->has_mode)
		size += mf_pb_size_varint(UNIXFS_FIELD_MODE, m->meta->mode);
	if (m->meta && m->meta->has_mtime)
		size += mf_pb_size_bytes(UNIXFS_FIELD_MTIME, mtime_size(m->meta));
	return size;
}

static void put_meta(struct mf_pb_writer *out, const struct unixfs_meta *meta)
{
	if (meta->has_mode)
		mf_pb_put_varint(out, UNIXFS_FIELD_MODE, meta->mode);
	if (!meta->has_mtime)
		return;
	mf_pb_put_length(out, UNIXFS_FIELD_MTIME, mtime_size(meta));
	mf_pb_put_varint(out, MTIME_SECONDS, (uint64_t)meta->mtime);
	if (meta->mtime_nsec)
		mf_pb_put_fixed32(out, MTIME_NANOSECONDS, meta->mtime_nsec);
}

void unixfs_put_message(struct mf_pb_writer *out, const struct unixfs_message *m)
{
	mf_pb_put_varint(out, UNIXFS_FIELD_TYPE, m->type);
	if (m->data)
		mf_pb_put_bytes(out, UNIXFS_FIELD_DATA, m->data, m->data_len);
	if (m->with_size)
		mf_pb_put_varint(out, UNIXFS_FIELD_FILESIZE, m->file_size);
	mf_pb_put_raw(out, m->sizes, m->sizes_len);
	if (m->fanout) {
		mf_pb_put_varint(out, UNIXFS_FIELD_HASH, UNIXFS_HAMT_MURMUR3);
		mf_pb_put_varint(out, UNIXFS_FIELD_FANOUT, m->fanout);
	}
	if (m->meta)
		put_meta(out, m->meta);
}

void unixfs_put_block(struct mf_pb_writer *out, const struct unixfs_message *message)
{
	mf_pb_put_length(out, 1, unixfs_message_size(message));
	unixfs_put_message(out, message);
}
