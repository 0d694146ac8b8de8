#include <ipld/dag_pb.h>

#include <errno.h>

enum { NODE_DATA = 1, NODE_LINK = 2 };
enum { LINK_HASH = 1, LINK_NAME = 2, LINK_TSIZE = 3 };

/* A link's fields must come in rising order, which also refuses repeated ones. */
static int read_link(struct mf_pb_view bytes, struct dag_pb_link *link)
{
	struct mf_pb_reader in = mf_pb_read(bytes.data, bytes.len);
	struct mf_pb_field f;
	uint32_t last = 0;
	int rc;

	link->name = NULL;
	link->name_len = 0;
	link->has_tsize = false;
	link->tsize = 0;
	while ((rc = mf_pb_next(&in, &f)) > 0) {
		if (f.number <= last || (!last && f.number != LINK_HASH))
			return -EBADMSG;
		last = f.number;
		switch (f.key) {
		case MF_PB_KEY(LINK_HASH, MF_PB_BYTES):
			if (!f.bytes.len ||
				mf_cid_decode(&link->cid, f.bytes.data, f.bytes.len) !=
					(ssize_t)f.bytes.len)
				return -EBADMSG;
			link->cid_bytes = f.bytes;
			break;
		case MF_PB_KEY(LINK_NAME, MF_PB_BYTES):
			link->name = f.bytes.data;
			link->name_len = f.bytes.len;
			break;
		case MF_PB_KEY(LINK_TSIZE, MF_PB_VARINT):
			link->has_tsize = true;
			link->tsize = f.value;
			break;
		default: return -EBADMSG;
		}
	}
	return rc < 0 || !last ? -EBADMSG : 0;
}

int dag_pb_decode(struct dag_pb_node *node, const void *block, size_t len)
{
	struct mf_pb_reader in = mf_pb_read(block, len);
	struct mf_pb_field f;
	struct dag_pb_link link;
	bool closed = false; /* data came after links: no more links */
	int rc;

	*node = (struct dag_pb_node){ .block = { block, len } };
	while ((rc = mf_pb_next(&in, &f)) > 0) {
		if (f.key == MF_PB_KEY(NODE_DATA, MF_PB_BYTES) && !node->data) {
			node->data = f.bytes.data;
			node->data_len = f.bytes.len;
			closed = node->link_count > 0;
		} else if (f.key == MF_PB_KEY(NODE_LINK, MF_PB_BYTES) && !closed) {
			if (read_link(f.bytes, &link) < 0)
				return -EBADMSG;
			node->link_count++;
		} else {
			return -EBADMSG;
		}
	}
	return rc < 0 ? -EBADMSG : 0;
}

struct dag_pb_links dag_pb_links(const struct dag_pb_node *node)
{
	return (struct dag_pb_links){ mf_pb_read(node->block.data, node->block.len) };
}

bool dag_pb_next(struct dag_pb_links *links, struct dag_pb_link *link)
{
	struct mf_pb_field f;

	while (mf_pb_next(&links->in, &f) > 0) {
		if (f.number == NODE_LINK)
			return read_link(f.bytes, link) == 0;
	}
	return false;
}

static size_t fields_size(const struct dag_pb_link *link, size_t cid_len)
{
	size_t size = mf_pb_size_bytes(LINK_HASH, cid_len);

	if (link->name)
		size += mf_pb_size_bytes(LINK_NAME, link->name_len);
	if (link->has_tsize)
		size += mf_pb_size_varint(LINK_TSIZE, link->tsize);
	return size;
}

void dag_pb_put_link(struct mf_pb_writer *out, const struct dag_pb_link *link)
{
	uint8_t cid[MF_CID_BYTES_MAX];
	ssize_t cid_len = mf_cid_encode(&link->cid, cid, sizeof(cid));

	mf_pb_put_length(out, NODE_LINK, fields_size(link, (size_t)cid_len));
	mf_pb_put_bytes(out, LINK_HASH, cid, (size_t)cid_len);
	if (link->name)
		mf_pb_put_bytes(out, LINK_NAME, link->name, link->name_len);
	if (link->has_tsize)
		mf_pb_put_varint(out, LINK_TSIZE, link->tsize);
}

void dag_pb_put_data(struct mf_pb_writer *out, const void *data, size_t len)
{
	mf_pb_put_bytes(out, NODE_DATA, data, len);
}

size_t dag_pb_link_size(const struct dag_pb_link *link)
{
	uint8_t cid[MF_CID_BYTES_MAX];
	ssize_t cid_len = mf_cid_encode(&link->cid, cid, sizeof(cid));

	return mf_pb_size_bytes(NODE_LINK, fields_size(link, (size_t)cid_len));
}

size_t dag_pb_data_size(size_t len)
{
	return mf_pb_size_bytes(NODE_DATA, len);
}
