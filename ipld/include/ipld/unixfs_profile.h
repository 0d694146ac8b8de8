/*
 * Import profiles (IPIP-499): the choices that decide a file's or directory's CID.
 */
#ifndef IPLD_UNIXFS_PROFILE_H
#define IPLD_UNIXFS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	UNIXFS_CHUNK_MAX = (2 << 20) - 256, /* bytes: a block less a dag-pb leaf's framing */
	UNIXFS_LINKS_MAX = 8192,            /* of a file's inner node: its block stays small */
};

/* How a directory's size is measured against hamt_threshold. */
enum unixfs_size_rule {
	UNIXFS_LINKS_BYTES, /* names and binary CIDs added up */
	UNIXFS_BLOCK_BYTES, /* the directory's block as one dag-pb node */
};

struct unixfs_profile {
	const char *name;
	uint8_t cid_version; /* 0 or 1, of dag-pb nodes; raw leaves always have version 1 */
	bool raw_leaves;
	uint32_t chunk_size;     /* bytes, 1 to UNIXFS_CHUNK_MAX */
	uint32_t links_per_node; /* of a file's inner nodes, 2 to UNIXFS_LINKS_MAX */
	uint32_t hamt_threshold; /* bytes; a directory above it is sharded. 0: never */
	enum unixfs_size_rule hamt_size_by;
	uint32_t hamt_fanout; /* a power of two from 8 to 1024 */
};

extern const struct unixfs_profile unixfs_v1_2025;     /* "unixfs-v1-2025" */
extern const struct unixfs_profile unixfs_v0_2015;     /* "unixfs-v0-2015", Kubo's default */
extern const struct unixfs_profile unixfs_kubo_cid_v1; /* "kubo-cid-v1": Kubo's --cid-version=1 */

/* A named profile, or NULL. */
const struct unixfs_profile *unixfs_profile_find(const char *name);

/* 0, or -EINVAL when a member is outside its range above. */
int unixfs_profile_check(const struct unixfs_profile *profile);

/* Reads a chunker in Kubo's words: "size-N". Sets *chunk_size. Returns 0; -EINVAL for malformed
 * text, -ERANGE for N of 0 or over UNIXFS_CHUNK_MAX, -ENOTSUP for "rabin..." and "buzhash", which
 * are not offered. */
int unixfs_chunker_parse(const char *text, uint32_t *chunk_size);

#ifdef __cplusplus
}
#endif
#endif
