/*
 * UnixFS nodes (https://specs.ipfs.tech/unixfs/): files, directories, symlinks and directory
 * shards, as the data of dag-pb blocks or as raw leaves.
 *
 * Pure, any thread, nothing allocated; what is read points into the block.
 */
#ifndef IPLD_UNIXFS_H
#define IPLD_UNIXFS_H

#include <ipld/dag_pb.h>

#ifdef __cplusplus
extern "C" {
#endif

enum unixfs_type {
	UNIXFS_RAW = 0, /* a leaf of trickle files; also what a raw block reads as */
	UNIXFS_DIRECTORY = 1,
	UNIXFS_FILE = 2,
	UNIXFS_METADATA = 3,
	UNIXFS_SYMLINK = 4,
	UNIXFS_HAMT_SHARD = 5,
};

enum {
	UNIXFS_FANOUT_MAX = 1024,
	UNIXFS_HAMT_MURMUR3 = 0x22, /* murmur3-x64-64, the only hash of shards */
};

/* Optional metadata of a root. */
struct unixfs_meta {
	bool has_mode, has_mtime;
	uint32_t mode;       /* low 12 bits of st_mode */
	int64_t mtime;       /* seconds since 1970 */
	uint32_t mtime_nsec; /* under 10^9 */
};

/* A decoded and checked node. */
struct unixfs_node {
	enum unixfs_type type;
	bool is_raw;         /* a block of codec raw: all of it is data */
	const uint8_t *data; /* file bytes, symlink target, a shard's bitfield; NULL when absent */
	size_t data_len;
	uint64_t file_size; /* bytes of the file below this node; 0 for directories */
	uint32_t fanout;    /* shards only */
	struct unixfs_meta meta;
	struct dag_pb_node pb;     /* its links; empty when is_raw */
	struct mf_pb_view message; /* the UnixFS message, for unixfs_sizes */
};

/* The sizes of a file node's children, in the order of its links. */
struct unixfs_sizes {
	struct mf_pb_reader in;
	struct mf_pb_view packed;
};

/* Decodes a block of codec raw or dag-pb and checks it against itself: the declared file size is
 * the sum of what it holds; there is a block size for each link; chunks have no names; a shard's
 * fanout is a power of two from 8 to 1024, its hash is murmur3, its bitfield fits the fanout, has a
 * bit for each link, and each link's name starts with the hexadecimal position of its bit, in
 * order. Returns 0, -EBADMSG, or -EPROTONOSUPPORT for another codec. */
int unixfs_decode(struct unixfs_node *node, uint32_t codec, const void *block, size_t len);

struct unixfs_sizes unixfs_sizes(const struct unixfs_node *node);

/* The next child's size in bytes; false after the last. */
bool unixfs_sizes_next(struct unixfs_sizes *sizes, uint64_t *size);

/* Hexadecimal digits before the name in a shard's links: 2 for a fanout of 256. */
size_t unixfs_prefix_len(uint32_t fanout);

/* A message to write; its fields go in Kubo's order. */
struct unixfs_message {
	enum unixfs_type type;
	const void *data; /* left out when NULL */
	size_t data_len;
	bool with_size;
	uint64_t file_size; /* with_size only */
	const void *sizes;  /* block sizes, encoded already: fields 4, one after the other */
	size_t sizes_len;
	uint32_t fanout;                /* not 0: a shard, with its hash function */
	const struct unixfs_meta *meta; /* may be NULL */
};

/* Appends a message, or says how many bytes that would be. */
void unixfs_put_message(struct mf_pb_writer *out, const struct unixfs_message *message);
size_t unixfs_message_size(const struct unixfs_message *message);

/* Appends a message as a dag-pb block's data field. By itself that is a whole block without links:
 * a leaf, a symlink, an empty directory. */
void unixfs_put_block(struct mf_pb_writer *out, const struct unixfs_message *message);

#ifdef __cplusplus
}
#endif
#endif
