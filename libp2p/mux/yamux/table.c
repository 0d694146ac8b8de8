/* The streams of a session by id, and the list of those with something to say. */
#include "table.h"

#include <errno.h>

#include <anyio/memory.h>

static struct p2p_yamux_stream **bucket_of(const struct p2p_yamux *core, uint32_t id)
{
	return &core->buckets[(id >> 1) & (core->bucket_count - 1)];
}

static int table_grow(struct p2p_yamux *core)
{
	size_t old_count = core->bucket_count;
	struct p2p_yamux_stream **old = core->buckets;

	core->bucket_count = old_count ? 2 * old_count : 8;
	core->buckets = anyio_calloc(core->bucket_count, sizeof *core->buckets);
	if (!core->buckets) {
		core->buckets = old;
		core->bucket_count = old_count;
		return -ENOMEM;
	}
	for (size_t i = 0; i < old_count; i++) {
		struct p2p_yamux_stream *next;

		for (struct p2p_yamux_stream *stream = old[i]; stream; stream = next) {
			next = stream->next_in_bucket;
			stream->next_in_bucket = *bucket_of(core, stream->id);
			*bucket_of(core, stream->id) = stream;
		}
	}
	anyio_free(old);
	return 0;
}

int p2p_yamux_table_add(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	if (core->stream_count >= 2 * core->bucket_count && table_grow(core) < 0)
		return -ENOMEM;
	stream->next_in_bucket = *bucket_of(core, stream->id);
	*bucket_of(core, stream->id) = stream;
	stream->attached = true;
	core->stream_count++;
	return 0;
}

struct p2p_yamux_stream *p2p_yamux_table_find(const struct p2p_yamux *core, uint32_t id)
{
	struct p2p_yamux_stream *stream;

	if (!core->buckets)
		return NULL;
	for (stream = *bucket_of(core, id); stream; stream = stream->next_in_bucket)
		if (stream->id == id)
			return stream;
	return NULL;
}

void p2p_yamux_table_remove(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	struct p2p_yamux_stream **at = bucket_of(core, stream->id);

	while (*at != stream)
		at = &(*at)->next_in_bucket;
	*at = stream->next_in_bucket;
	stream->attached = false;
	core->stream_count--;
	p2p_yamux_unlist(core, stream);
	if (core->stream_count == 0) {
		anyio_free(core->buckets);
		core->buckets = NULL;
		core->bucket_count = 0;
	}
}

struct p2p_yamux_stream *p2p_yamux_next(
	const struct p2p_yamux *core, const struct p2p_yamux_stream *stream)
{
	size_t i = 0;

	if (stream && stream->next_in_bucket)
		return stream->next_in_bucket;
	if (stream)
		i = ((stream->id >> 1) & (core->bucket_count - 1)) + 1;
	for (; i < core->bucket_count; i++)
		if (core->buckets[i])
			return core->buckets[i];
	return NULL;
}

void p2p_yamux_list(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	if (stream->listed || !stream->attached)
		return;
	stream->listed = true;
	stream->next_listed = NULL;
	*core->listed_last = stream;
	core->listed_last = &stream->next_listed;
}

void p2p_yamux_unlist(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	struct p2p_yamux_stream **at = &core->listed_first;

	if (!stream->listed)
		return;
	while (*at != stream)
		at = &(*at)->next_listed;
	*at = stream->next_listed;
	if (core->listed_last == &stream->next_listed)
		core->listed_last = at;
	stream->listed = false;
}
