/*
 * The bytes of a simulated file: as they are, and as a crash would leave them. The durable image is
 * the one of the last sync; every write and every change of size since then is kept as a piece, in
 * order, so that a crash can keep, lose or tear each sector of each. Memory here is not the
 * program's: faults injected into its allocations do not reach it.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t LARGEST = (int64_t)4 << 30;

void sim_content_init(struct sim_content *content)
{
	*content = (struct sim_content){ 0 };
	content->last = &content->first;
}

static void pieces_drop(struct sim_content *content)
{
	while (content->first) {
		struct sim_piece *next = content->first->next;
		free(content->first);
		content->first = next;
	}
	content->last = &content->first;
}

void sim_content_free(struct sim_content *content)
{
	pieces_drop(content);
	free(content->bytes);
	free(content->durable);
}

/* Sets the size of an image; what is new is zero. */
static int image_resize(uint8_t **bytes, size_t *size, size_t *room, size_t wanted)
{
	if (wanted > *room) {
		size_t more = wanted > 2 * *room ? wanted : 2 * *room;
		uint8_t *grown = realloc(*bytes, more);
		if (!grown)
			return -ENOMEM;
		*bytes = grown;
		*room = more;
	}
	if (wanted > *size)
		memset(*bytes + *size, 0, wanted - *size);
	*size = wanted;
	return 0;
}

static int durable_resize(struct sim_content *content, size_t wanted)
{
	return image_resize(
		&content->durable, &content->durable_size, &content->durable_room, wanted);
}

static struct sim_piece *piece_add(struct sim_content *content, int64_t offset, size_t len)
{
	struct sim_piece *piece = malloc(sizeof(*piece) + len);
	if (!piece)
		return NULL;
	*piece = (struct sim_piece){ .offset = offset, .len = len };
	*content->last = piece;
	content->last = &piece->next;
	return piece;
}

int64_t sim_content_read(const struct sim_content *content, const struct iovec *iov, int count,
	int64_t offset, size_t most)
{
	if (offset < 0)
		return -EINVAL;
	if ((size_t)offset >= content->size)
		return 0;
	if (most > content->size - (size_t)offset)
		most = content->size - (size_t)offset;
	struct anyio_cursor cursor = anyio_cursor_make(iov, count);
	return (int64_t)anyio_cursor_put(&cursor, content->bytes + offset, most);
}

int64_t sim_content_write(struct sim_content *content, const struct iovec *iov, int count,
	int64_t offset, size_t most)
{
	if (offset < 0)
		return -EINVAL;
	if (most == 0)
		return 0;
	if (offset > LARGEST || most > (size_t)(LARGEST - offset))
		return -EFBIG;
	size_t end = (size_t)offset + most;
	if (end > content->size &&
		image_resize(&content->bytes, &content->size, &content->room, end) < 0)
		return -ENOSPC;
	struct sim_piece *piece = piece_add(content, offset, most);
	if (!piece)
		return -ENOSPC;
	struct anyio_cursor cursor = anyio_cursor_make(iov, count);
	anyio_cursor_get(&cursor, piece->data, most);
	memcpy(content->bytes + offset, piece->data, most);
	return (int64_t)most;
}

int sim_content_resize(struct sim_content *content, int64_t size)
{
	if (size < 0)
		return -EINVAL;
	if (size > LARGEST)
		return -EFBIG;
	if (image_resize(&content->bytes, &content->size, &content->room, (size_t)size) < 0)
		return -ENOSPC;
	return piece_add(content, size, 0) ? 0 : -ENOSPC;
}

static int durable_put(struct sim_content *content, size_t offset, const uint8_t *data, size_t len)
{
	if (offset + len > content->durable_size && durable_resize(content, offset + len) < 0)
		return -ENOMEM;
	memcpy(content->durable + offset, data, len);
	return 0;
}

int sim_content_sync(struct sim_content *content)
{
	for (const struct sim_piece *piece = content->first; piece; piece = piece->next) {
		int rc = piece->len
			? durable_put(content, (size_t)piece->offset, piece->data, piece->len)
			: durable_resize(content, (size_t)piece->offset);
		if (rc < 0)
			return rc;
	}
	pieces_drop(content);
	return 0;
}

enum fate { KEEP_ALL, LOSE_ALL, MIX };

/* How much of a run within one sector reaches the disk. */
static size_t sector_fate(enum fate fate, uint64_t *random, size_t run)
{
	if (fate != MIX)
		return fate == KEEP_ALL ? run : 0;
	uint64_t draw = sim_random(random);
	if ((draw & 7) == 7)
		return (draw >> 3) % (run + 1);
	return draw & 1 ? run : 0;
}

static int piece_crash(struct sim_content *content, const struct sim_piece *piece, enum fate fate,
	uint64_t *random)
{
	if (piece->len == 0)
		return sector_fate(fate, random, 1) ? durable_resize(content, (size_t)piece->offset)
						    : 0;
	for (size_t done = 0; done < piece->len;) {
		size_t at = (size_t)piece->offset + done;
		size_t run = SIM_SECTOR - at % SIM_SECTOR;
		if (run > piece->len - done)
			run = piece->len - done;
		size_t kept = sector_fate(fate, random, run);
		if (kept > 0 && durable_put(content, at, piece->data + done, kept) < 0)
			return -ENOMEM;
		done += run;
	}
	return 0;
}

int sim_content_crash(struct sim_content *content, uint64_t *random)
{
	static const enum fate fates[4] = { KEEP_ALL, LOSE_ALL, MIX, MIX };
	enum fate fate = content->first ? fates[sim_random(random) & 3] : KEEP_ALL;
	for (const struct sim_piece *piece = content->first; piece; piece = piece->next)
		if (piece_crash(content, piece, fate, random) < 0)
			return -ENOMEM;
	pieces_drop(content);
	size_t size = content->durable_size;
	int rc = image_resize(&content->bytes, &content->size, &content->room, size);
	if (rc == 0 && size > 0)
		memcpy(content->bytes, content->durable, size);
	return rc;
}
