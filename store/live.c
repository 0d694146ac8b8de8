#include "live.h"

#include <errno.h>
#include <string.h>
#include <anyio/memory.h>

enum { FIRST_ROOM = 1024 };

/* Where it is, or would be. */
static size_t place_of(const struct live *live, uint32_t segment)
{
	size_t low = 0, high = live->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (live->segments[middle].number < segment)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(struct live *live, size_t at, uint32_t segment)
{
	if (anyio_grow(&live->segments, &live->room, live->count + 1, sizeof(*live->segments)))
		return -ENOMEM;
	memmove(live->segments + at + 1, live->segments + at,
		(live->count - at) * sizeof(*live->segments));
	live->segments[at] = (struct live_segment){ .number = segment };
	live->count++;
	return 0;
}

static int make_room(struct live_segment *segment, uint32_t ordinal)
{
	uint64_t room = segment->room ? segment->room : FIRST_ROOM;

	if (ordinal < segment->room)
		return 0;
	while (room <= ordinal)
		room *= 2;
	if (room > UINT32_MAX)
		return -ENOMEM;
	uint64_t *more = anyio_realloc(segment->bits, room / 8);
	if (!more)
		return -ENOMEM;
	memset((uint8_t *)more + segment->room / 8, 0, (room - segment->room) / 8);
	segment->bits = more;
	segment->room = (uint32_t)room;
	return 0;
}

static int merge_segment(struct live *live, const struct live_segment *from)
{
	size_t at = place_of(live, from->number);
	uint64_t added = 0;
	int rc = 0;

	if (at == live->count || live->segments[at].number != from->number)
		rc = insert(live, at, from->number);
	if (rc == 0)
		rc = make_room(&live->segments[at], from->room - 1);
	if (rc < 0)
		return rc;
	struct live_segment *segment = &live->segments[at];
	for (uint32_t i = 0; i < from->room / 64; i++) {
		added += (uint64_t)__builtin_popcountll(from->bits[i] & ~segment->bits[i]);
		segment->bits[i] |= from->bits[i];
	}
	segment->count += added;
	segment->bytes += from->bytes / from->count * added;
	return 0;
}

int live_merge(struct live *live, const struct live *from)
{
	int rc = 0;

	for (size_t i = 0; i < from->count && rc == 0; i++)
		if (from->segments[i].count > 0)
			rc = merge_segment(live, &from->segments[i]);
	return rc;
}

int live_add(struct live *live, uint32_t number, uint32_t ordinal, uint32_t len)
{
	size_t at = place_of(live, number);
	int rc = 0;

	if (at == live->count || live->segments[at].number != number)
		rc = insert(live, at, number);
	if (rc == 0)
		rc = make_room(&live->segments[at], ordinal);
	if (rc < 0)
		return rc;
	struct live_segment *segment = &live->segments[at];
	uint64_t bit = UINT64_C(1) << ordinal % 64, *word = &segment->bits[ordinal / 64];
	if (*word & bit)
		return 0;
	*word |= bit;
	segment->count++;
	segment->bytes += (uint64_t)len + LIVE_HEAD;
	return 1;
}

const struct live_segment *live_of(const struct live *live, uint32_t number)
{
	size_t at = place_of(live, number);

	return at < live->count && live->segments[at].number == number ? &live->segments[at] : NULL;
}

bool live_has(const struct live *live, uint32_t number, uint32_t ordinal)
{
	const struct live_segment *segment = live_of(live, number);

	return segment && ordinal < segment->room &&
		segment->bits[ordinal / 64] >> ordinal % 64 & 1;
}

uint64_t live_count(const struct live *live, uint32_t number, uint32_t first, uint32_t end)
{
	const struct live_segment *segment = live_of(live, number);
	uint32_t room = segment ? segment->room : 0;
	uint64_t count = 0;

	if (end > room)
		end = room;
	for (uint32_t i = first; i < end; i += 64 - i % 64) {
		uint64_t bits = segment->bits[i / 64] >> i % 64;

		if (end - i < 64 - i % 64)
			bits &= (UINT64_C(1) << (end - i)) - 1;
		count += (uint64_t)__builtin_popcountll(bits);
	}
	return count;
}

void live_cut(struct live *live, uint32_t number, uint32_t end, uint64_t bytes)
{
	size_t at = place_of(live, number);
	uint64_t gone = live_count(live, number, end, UINT32_MAX);

	if (gone == 0)
		return;
	struct live_segment *segment = &live->segments[at];
	segment->count -= gone;
	segment->bytes -= bytes < segment->bytes ? bytes : segment->bytes;
	for (uint32_t i = end; i < segment->room; i++)
		segment->bits[i / 64] &= ~(UINT64_C(1) << i % 64);
}

void live_free(struct live *live)
{
	for (size_t i = 0; i < live->count; i++)
		anyio_free(live->segments[i].bits);
	anyio_free(live->segments);
	*live = (struct live){ 0 };
}
