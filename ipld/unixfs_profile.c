#include <ipld/unixfs_profile.h>

#include <errno.h>
#include <string.h>

#include <ipld/unixfs.h>

const struct unixfs_profile unixfs_v1_2025 = {
	.name = "unixfs-v1-2025",
	.cid_version = 1,
	.raw_leaves = true,
	.chunk_size = 1 << 20,
	.links_per_node = 1024,
	.hamt_threshold = 256 << 10,
	.hamt_size_by = UNIXFS_BLOCK_BYTES,
	.hamt_fanout = 256,
};

const struct unixfs_profile unixfs_v0_2015 = {
	.name = "unixfs-v0-2015",
	.cid_version = 0,
	.raw_leaves = false,
	.chunk_size = 256 << 10,
	.links_per_node = 174,
	.hamt_threshold = 256 << 10,
	.hamt_size_by = UNIXFS_LINKS_BYTES,
	.hamt_fanout = 256,
};

const struct unixfs_profile unixfs_kubo_cid_v1 = {
	.name = "kubo-cid-v1",
	.cid_version = 1,
	.raw_leaves = true,
	.chunk_size = 256 << 10,
	.links_per_node = 174,
	.hamt_threshold = 256 << 10,
	.hamt_size_by = UNIXFS_LINKS_BYTES,
	.hamt_fanout = 256,
};

const struct unixfs_profile *unixfs_profile_find(const char *name)
{
	static const struct unixfs_profile *const all[] = { &unixfs_v1_2025, &unixfs_v0_2015,
		&unixfs_kubo_cid_v1 };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!strcmp(all[i]->name, name))
			return all[i];
	}
	return NULL;
}

int unixfs_profile_check(const struct unixfs_profile *p)
{
	bool fanout = p->hamt_fanout >= 8 && p->hamt_fanout <= UNIXFS_FANOUT_MAX &&
		!(p->hamt_fanout & (p->hamt_fanout - 1));
	bool chunk = p->chunk_size >= 1 && p->chunk_size <= UNIXFS_CHUNK_MAX;
	bool links = p->links_per_node >= 2 && p->links_per_node <= UNIXFS_LINKS_MAX;

	return p->cid_version <= 1 && fanout && chunk && links ? 0 : -EINVAL;
}

int unixfs_chunker_parse(const char *text, uint32_t *chunk_size)
{
	uint64_t size = 0;

	if (!strcmp(text, "buzhash") || !strncmp(text, "rabin", 5))
		return -ENOTSUP;
	if (strncmp(text, "size-", 5) != 0 || !text[5] || strlen(text) > 15)
		return -EINVAL;
	for (const char *p = text + 5; *p; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		size = size * 10 + (uint64_t)(*p - '0');
	}
	if (size < 1 || size > UNIXFS_CHUNK_MAX)
		return -ERANGE;
	*chunk_size = (uint32_t)size;
	return 0;
}
