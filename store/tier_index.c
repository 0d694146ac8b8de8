#include "tier_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <multiformats/multihash.h>
#include "tiering.h"

static int take_entry(void *arg, const struct car_index_entry *entry)
{
	struct tier_index *index = arg;

	if (index->count == index->max || entry->hash > UINT32_MAX)
		return -EBADMSG;
	index->entries[index->count++] = *entry;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct car_index_entry *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* Whole and as it was written: from any other a put might take for here what is not. */
static int check(struct tier_index *index, const struct segment_remote *remote, size_t len)
{
	uint8_t sum[SEGMENT_REMOTE_SUM];

	segment_remote_sum(index->bytes, len, sum);
	return memcmp(sum, remote->sum, sizeof(sum)) == 0
		? car_index_read(index->bytes, len, take_entry, index)
		: -EBADMSG;
}

int tier_index_read(
	struct store *store, const struct segment_remote *remote, struct tier_index *index)
{
	size_t len = (size_t)(remote->size - remote->to);

	*index = (struct tier_index){ .max = remote->blocks };
	index->bytes = anyio_malloc(len + 1);
	index->entries = anyio_calloc(index->max + 1, sizeof(*index->entries));
	if (!index->bytes || !index->entries)
		return -ENOMEM;
	int rc = tier_read(store, remote, remote->to, index->bytes, len);
	if (rc < 0)
		return rc;
	rc = tier_judge(tier_find(store, remote->tier), check(index, remote, len));
	if (rc == 0)
		qsort(index->entries, index->count, sizeof(*index->entries), by_place);
	return rc;
}

void tier_index_free(struct tier_index *index)
{
	anyio_free(index->bytes);
	anyio_free(index->entries);
}

void tier_index_cid(const struct car_index_entry *entry, struct mf_cid *cid)
{
	*cid = (struct mf_cid){ .version = 1,
		.codec = MF_CODEC_RAW,
		.hash = (uint32_t)entry->hash,
		.digest_len = entry->digest_len };
	memcpy(cid->digest, entry->digest, entry->digest_len);
}
