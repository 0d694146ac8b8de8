#include "segment_adopted.h"

#include <errno.h>
#include <string.h>
#include <anyio/file.h>
#include <anyio/memory.h>
#include "bytes.h"
#include "inner.h"

enum { FOREIGN = 1, ENTERED = 2, SWEPT = 4, GIVEN_UP = 8, FLAGS = 15 };

size_t segment_adopted_encode(
	const struct segment_adopted *adopted, uint8_t out[SEGMENT_ADOPTED_SIZE])
{
	out[0] = SEGMENT_STATE_ADOPTED;
	out[1] = (adopted->foreign ? FOREIGN : 0) | (adopted->entered ? ENTERED : 0) |
		(adopted->swept ? SWEPT : 0) | (adopted->given_up ? GIVEN_UP : 0);
	put_u64(out + 2, adopted->from);
	put_u64(out + 10, adopted->to);
	put_u64(out + 18, adopted->size);
	put_u64(out + 26, adopted->inode);
	put_u64(out + 34, (uint64_t)adopted->seconds);
	put_u32(out + 42, adopted->nanoseconds);
	if (!adopted->summed)
		return SEGMENT_ADOPTED_OLD;
	memcpy(out + SEGMENT_ADOPTED_OLD, adopted->heads, sizeof(adopted->heads));
	return SEGMENT_ADOPTED_SIZE;
}

int segment_adopted_decode(struct segment_adopted *adopted, const uint8_t *value, size_t len)
{
	if ((len != SEGMENT_ADOPTED_SIZE && len != SEGMENT_ADOPTED_OLD) ||
		value[0] != SEGMENT_STATE_ADOPTED || value[1] & ~FLAGS)
		return -EUCLEAN;
	*adopted = (struct segment_adopted){ .foreign = value[1] & FOREIGN,
		.entered = value[1] & ENTERED,
		.swept = value[1] & SWEPT,
		.given_up = value[1] & GIVEN_UP,
		.from = get_u64(value + 2),
		.to = get_u64(value + 10),
		.size = get_u64(value + 18),
		.inode = get_u64(value + 26),
		.seconds = (int64_t)get_u64(value + 34),
		.nanoseconds = get_u32(value + 42),
		.summed = len == SEGMENT_ADOPTED_SIZE };
	if (adopted->summed)
		memcpy(adopted->heads, value + SEGMENT_ADOPTED_OLD, sizeof(adopted->heads));
	return adopted->from <= adopted->to && adopted->to <= adopted->size &&
			adopted->size <= INT64_MAX
		? 0
		: -EUCLEAN;
}

void segment_adopted_know(struct segment_adopted *adopted, const struct stat *st)
{
	adopted->size = (uint64_t)st->st_size;
	adopted->inode = st->st_ino;
	adopted->seconds = st->st_mtim.tv_sec;
	adopted->nanoseconds = (uint32_t)st->st_mtim.tv_nsec;
}

bool segment_adopted_is(const struct segment_adopted *adopted, const struct stat *st)
{
	return !adopted->foreign ||
		(adopted->size == (uint64_t)st->st_size && adopted->inode == st->st_ino &&
			adopted->seconds == st->st_mtim.tv_sec &&
			adopted->nanoseconds == (uint32_t)st->st_mtim.tv_nsec);
}

/* What is there under its name now. */
static int look_at_file(struct segment_set *set, struct segment_file *file)
{
	int rc = segment_file_use(set, file);

	if (rc == 0)
		segment_file_release(file);
	return rc == -ENOENT ? 0 : rc;
}

int segment_set_adopt(
	struct segment_set *set, uint32_t number, const struct segment_adopted *adopted)
{
	struct segment_file *file = segment_set_find_adopted(set, number);

	if (file) {
		bool changed = file->adopted->changed;

		*file->adopted = *adopted;
		file->adopted->changed = changed;
		file->swept = adopted->swept;
		return 0;
	}
	file = anyio_calloc(1, sizeof(*file));
	struct segment_adopted *copy = anyio_malloc(sizeof(*copy));
	int rc = file && copy ? 0 : -ENOMEM;
	if (rc == 0) {
		*copy = *adopted;
		*file = (struct segment_file){ .number = number,
			.fd = -1,
			.set = set,
			.swept = adopted->swept,
			.adopted = copy };
		rc = look_at_file(set, file);
	}
	if (rc == 0)
		rc = segment_set_insert(set, file);
	if (rc < 0) {
		segment_file_free(set, file);
		if (!file)
			anyio_free(copy);
	}
	return rc;
}

int segment_set_note_unwanted(struct segment_set *set, uint32_t number)
{
	uint32_t *more;

	for (size_t i = 0; i < set->unwanted_count; i++)
		if (set->unwanted[i] == number)
			return 0;
	more = anyio_realloc(set->unwanted, (set->unwanted_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	/* A segment of that number would go with it. */
	if (set->last_number < number)
		set->last_number = number;
	set->unwanted = more;
	set->unwanted[set->unwanted_count++] = number;
	return 0;
}

void segment_set_forget_unwanted(struct segment_set *set, uint32_t number)
{
	size_t left = 0;

	for (size_t i = 0; i < set->unwanted_count; i++)
		if (set->unwanted[i] != number)
			set->unwanted[left++] = set->unwanted[i];
	set->unwanted_count = left;
}

uint32_t segment_set_take_number(struct segment_set *set)
{
	return set->last_number == UINT32_MAX ? 0 : ++set->last_number;
}

bool segment_adopted_has_heads(const struct segment_adopted *adopted, const struct scan *scan)
{
	uint8_t heads[SEGMENT_SEAL_SIZE];

	segment_sum_get(&scan->sum, heads);
	return !adopted->summed || scan->broken ||
		memcmp(heads, adopted->heads, sizeof(heads)) == 0;
}

void segment_scan_start(struct scan *scan, const struct segment_keys *keys,
	const struct segment_file *file, uint64_t end)
{
	const struct segment_adopted *adopted = file->adopted;

	if (!adopted) {
		scan_start(scan, keys, file->number, end);
		return;
	}
	uint64_t to = adopted->to < end ? adopted->to : end;
	scan_start_plain(scan, keys, file->number, to, adopted->from < to ? adopted->from : to);
}
