/*
 * dag-pb (https://ipld.io/specs/codecs/dag-pb/spec): links and data, the blocks of UnixFS.
 *
 * Pure, any thread, nothing allocated; what is read points into the block.
 */
#ifndef IPLD_DAG_PB_H
#define IPLD_DAG_PB_H

#include <multiformats/cid.h>
#include <multiformats/pb.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dag_pb_link {
	struct mf_cid cid;
	struct mf_pb_view cid_bytes; /* the CID as it was read; writing takes cid */
	const uint8_t *name;         /* any bytes; NULL when the field is absent */
	size_t name_len;
	bool has_tsize;
	uint64_t tsize; /* claimed by whoever made the block: never trust it, never add unchecked */
};

struct dag_pb_node {
	const uint8_t *data; /* NULL when the field is absent */
	size_t data_len;
	size_t link_count;
	struct mf_pb_view block;
};

/* Position among a node's links. */
struct dag_pb_links {
	struct mf_pb_reader in;
};

/* Checks a whole block, every link of it. data may stand before or after the links, once. Returns
 * 0, or -EBADMSG: unknown fields, wrong wire types, a link without a CID or with bytes after it,
 * fields of a link out of order or repeated, data between links, lengths past the end. */
int dag_pb_decode(struct dag_pb_node *node, const void *block, size_t len);

/* The links of a decoded node, in the block's order. */
struct dag_pb_links dag_pb_links(const struct dag_pb_node *node);

/* Reads the next link; returns false after the last. */
bool dag_pb_next(struct dag_pb_links *links, struct dag_pb_link *link);

/* Appends one link. A NULL name or has_tsize false leaves the field out. */
void dag_pb_put_link(struct mf_pb_writer *out, const struct dag_pb_link *link);

/* Appends the data field; canonical blocks have it after the links. */
void dag_pb_put_data(struct mf_pb_writer *out, const void *data, size_t len);

/* What dag_pb_put_link and dag_pb_put_data append, in bytes. */
size_t dag_pb_link_size(const struct dag_pb_link *link);
size_t dag_pb_data_size(size_t len);

#ifdef __cplusplus
}
#endif
#endif
