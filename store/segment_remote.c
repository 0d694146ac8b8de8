#include "segment_remote.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sodium.h>
#include <anyio/memory.h>
#include <multiformats/multihash.h>
#include "bytes.h"
#include "inner.h"

enum { ENTERED = 1, UNWANTED = 2, FLAGS = 3, SUM_AT = 38 };

/* What an index has for a block at most, were each of a kind of its own; and once. */
enum { INDEX_ENTRY_MAX = MF_DIGEST_MAX + 8 + 24, INDEX_HEAD = 6 };

bool segment_remote_is_name(const char *tier)
{
	size_t len = strspn(tier, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	return len > 0 && len <= STORE_TIER_NAME_MAX && !tier[len];
}

size_t segment_remote_encode(const struct segment_remote *remote, uint8_t out[SEGMENT_REMOTE_MAX])
{
	size_t len = strlen(remote->tier);

	out[0] = SEGMENT_STATE_REMOTE;
	out[1] = (remote->entered ? ENTERED : 0) | (remote->unwanted ? UNWANTED : 0);
	put_u64(out + 2, remote->from);
	put_u64(out + 10, remote->to);
	put_u64(out + 18, remote->size);
	put_u64(out + 26, remote->random);
	put_u32(out + 34, remote->blocks);
	memcpy(out + SUM_AT, remote->sum, SEGMENT_REMOTE_SUM);
	memcpy(out + SEGMENT_REMOTE_HEAD, remote->tier, len);
	return SEGMENT_REMOTE_HEAD + len;
}

/* So that nobody who believes it allocates more than the object is worth. */
static bool makes_sense(const struct segment_remote *remote)
{
	return remote->from <= remote->to && remote->to <= remote->size &&
		remote->size <= INT64_MAX && remote->blocks <= remote->to - remote->from &&
		remote->size - remote->to <=
		(uint64_t)remote->blocks * INDEX_ENTRY_MAX + INDEX_HEAD;
}

int segment_remote_decode(struct segment_remote *remote, const uint8_t *value, size_t len)
{
	if (len <= SEGMENT_REMOTE_HEAD || len > SEGMENT_REMOTE_MAX ||
		value[0] != SEGMENT_STATE_REMOTE || value[1] & ~FLAGS)
		return -EUCLEAN;
	*remote = (struct segment_remote){ .entered = value[1] & ENTERED,
		.unwanted = value[1] & UNWANTED,
		.from = get_u64(value + 2),
		.to = get_u64(value + 10),
		.size = get_u64(value + 18),
		.random = get_u64(value + 26),
		.blocks = get_u32(value + 34) };
	memcpy(remote->sum, value + SUM_AT, SEGMENT_REMOTE_SUM);
	memcpy(remote->tier, value + SEGMENT_REMOTE_HEAD, len - SEGMENT_REMOTE_HEAD);
	return segment_remote_is_name(remote->tier) &&
			strlen(remote->tier) == len - SEGMENT_REMOTE_HEAD && makes_sense(remote)
		? 0
		: -EUCLEAN;
}

void segment_remote_sum(const void *index, size_t len, uint8_t out[SEGMENT_REMOTE_SUM])
{
	crypto_generichash(out, SEGMENT_REMOTE_SUM, index, len, NULL, 0);
}

void segment_remote_object(const struct segment_remote *remote, char out[SEGMENT_REMOTE_OBJECT_MAX])
{
	snprintf(out, SEGMENT_REMOTE_OBJECT_MAX, "%08u-%016llx.car", remote->number,
		(unsigned long long)remote->random);
}

/* Where that of a number or a higher one stands. */
static size_t find_from(const struct segment_set *set, uint32_t number)
{
	size_t low = 0, high = set->remote_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (set->remote[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct segment_remote *segment_set_find_remote(const struct segment_set *set, uint32_t number)
{
	size_t at = find_from(set, number);

	return at < set->remote_count && set->remote[at]->number == number ? set->remote[at] : NULL;
}

struct segment_remote *segment_set_next_remote(const struct segment_set *set, uint32_t number)
{
	size_t at = number == UINT32_MAX ? set->remote_count : find_from(set, number + 1);

	return at < set->remote_count ? set->remote[at] : NULL;
}

int segment_set_note_remote(struct segment_set *set, const struct segment_remote *remote)
{
	struct segment_remote *known = segment_set_find_remote(set, remote->number);

	if (known) {
		bool busy = known->busy, doomed = known->doomed, thin = known->thin;

		*known = *remote;
		known->busy = busy;
		known->doomed = doomed;
		known->thin = thin;
		return 0;
	}
	void *more = anyio_realloc(set->remote, (set->remote_count + 1) * sizeof(*set->remote));
	if (!more)
		return -ENOMEM;
	set->remote = more;
	known = anyio_malloc(sizeof(*known));
	if (!known)
		return -ENOMEM;
	*known = *remote;
	size_t at = find_from(set, remote->number);
	memmove(set->remote + at + 1, set->remote + at,
		(set->remote_count++ - at) * sizeof(*set->remote));
	set->remote[at] = known;
	if (set->last_number < remote->number)
		set->last_number = remote->number;
	return 0;
}

void segment_set_forget_remote(struct segment_set *set, uint32_t number)
{
	size_t at = find_from(set, number);

	if (at == set->remote_count || set->remote[at]->number != number)
		return;
	anyio_free(set->remote[at]);
	memmove(set->remote + at, set->remote + at + 1,
		(--set->remote_count - at) * sizeof(*set->remote));
}
