#include <errno.h>
#include <string.h>
#include <ipld/links.h>
#include <multiformats/multihash.h>
#include "inner.h"
#include "replay.h"

enum { STEPS_A_TURN = 1024 };

struct verifying {
	struct store *store;
	const struct store_verify_options *options;
	struct store_verify_result *result;
	uint64_t done, total; /* bytes */
	uint64_t matched;     /* entries of the index that were met in the log */
};

static void report(struct verifying *verifying, const struct store_fault *fault)
{
	verifying->result->faults++;
	if (verifying->options->fault)
		verifying->options->fault(verifying->options->arg, fault);
}

static bool same_place(const struct index_place *a, const struct index_place *b)
{
	return a->segment == b->segment && a->offset == b->offset && a->len == b->len;
}

static int on_block(void *arg, const struct replay_block *block)
{
	struct verifying *verifying = arg;
	struct index_place place;
	int rc = index_find(&verifying->store->index, block->cid, &place);

	verifying->result->blocks++;
	verifying->result->bytes += block->place.len;
	if (rc > 0 && same_place(&place, &block->place))
		verifying->matched++;
	else if (rc <= 0 && block->cid->hash != MF_HASH_IDENTITY)
		report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_INDEX,
				.segment = block->place.segment,
				.from = block->section,
				.to = block->end,
				.cid = block->cid,
				.error = rc });
	return 0;
}

/* A block found bad counts as absent from now on, so that a put mends it. */
static int on_fault(void *arg, const struct replay_fault *fault)
{
	struct verifying *verifying = arg;
	struct index *index = &verifying->store->index;
	struct index_place place;

	report(verifying,
		&(struct store_fault){ .kind = fault->cid ? STORE_FAULT_BLOCK : STORE_FAULT_DAMAGE,
			.segment = fault->segment,
			.from = fault->from,
			.to = fault->to,
			.cid = fault->cid,
			.error = -EBADMSG });
	if (fault->cid && index_find(index, fault->cid, &place) > 0 &&
		place.segment == fault->segment && place.offset > fault->from &&
		place.offset <= fault->to) {
		verifying->matched++;
		index_forget(index, fault->cid, &place);
	}
	return 0;
}

static int on_progress(void *arg, uint64_t bytes)
{
	struct verifying *verifying = arg;
	const struct store_verify_options *options = verifying->options;

	verifying->done += bytes;
	return options->progress
		? options->progress(options->arg, verifying->done, verifying->total)
		: 0;
}

static const struct replay_calls calls = { on_block, NULL, on_fault, NULL, on_progress };

/* A segment's header, and whether the segment before it is there. */
static int check_file(struct verifying *verifying, struct segment_file *file)
{
	struct store *store = verifying->store;
	const struct segment_file *previous = segment_set_find(&store->segments, file->previous);
	uint8_t header[SEGMENT_HEADER_SIZE];
	int rc;

	if (file->previous && (!previous || previous->size < file->previous_len))
		report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_SEGMENT,
				.segment = file->previous,
				.from = previous ? previous->size : 0,
				.to = file->previous_len,
				.error = -ENOENT });
	rc = segment_file_use(&store->segments, file);
	if (rc < 0)
		return rc;
	rc = anyio_pread_all(file->fd, header, sizeof(header), 0);
	segment_file_release(file);
	if (rc == -EIO || rc == ANYIO_INCOMPLETE_READ) {
		memset(header, 0, sizeof(header));
		rc = 0;
	}
	if (rc == 0 && memcmp(header, segment_header, sizeof(header)) != 0)
		report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_DAMAGE,
				.segment = file->number,
				.to = sizeof(header),
				.error = -EBADMSG });
	return rc;
}

/* Every segment up to what is durable now. */
static int verify_segments(struct verifying *verifying)
{
	struct store *store = verifying->store;
	const struct segment_set *segments = &store->segments;
	size_t count = segments->count;
	uint64_t durable = store->log.durable, end = store->log.durable_end;
	uint64_t expected = store->index.counts.blocks;
	struct replay replay = {
		.store = store, .calls = &calls, .arg = verifying, .check_all = true
	};
	struct index_position start = { 0 };
	int rc = 0;

	for (size_t i = 0; i < count; i++)
		verifying->total += i + 1 < count ? segments->files[i]->size : end;
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct segment_file *file = segments->files[i];
		bool last = i + 1 == count;

		rc = check_file(verifying, file);
		if (rc == 0)
			rc = replay_segment(&replay, file, &start, last ? end : file->size, last);
		if (rc == 0 && last && replay.tail < end)
			report(verifying,
				&(struct store_fault){ .kind = STORE_FAULT_DAMAGE,
					.segment = file->number,
					.from = replay.tail,
					.to = end,
					.error = -EBADMSG });
	}
	/* Only now: a VOID record comes after what it is about. */
	replay.proven = durable;
	if (rc == 0)
		rc = replay_finish(&replay);
	replay_free(&replay);
	if (rc == 0 && verifying->matched != expected)
		report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_POINTERS,
				.to = expected > verifying->matched ? expected - verifying->matched
								    : verifying->matched - expected,
				.error = -EUCLEAN });
	return rc;
}

/* The walk of what a pin needs: CIDs still to look at, and multihashes seen. */
struct walk {
	struct verifying *verifying;
	const struct mf_cid *pin;
	struct table seen;
	uint8_t *todo; /* each a CID and, behind it, its length */
	size_t used, room;
	uint32_t steps;
};

/* Whatever goes over many links lets others have a turn now and then. */
static int step(struct walk *walk)
{
	return ++walk->steps % STEPS_A_TURN ? 0 : anyio_checkpoint();
}

static int walk_push(void *arg, const struct mf_cid *cid)
{
	struct walk *walk = arg;
	struct index_key key;
	int rc = step(walk);

	if (rc < 0)
		return rc;
	/* By the whole CID: the same bytes may be read in two ways. An identity CID carries its block,
	 * and may name others in it. */
	index_pin_key(&key, cid);
	if ((cid->hash == MF_HASH_IDENTITY && cid->codec == MF_CODEC_RAW) ||
		table_find(&walk->seen, key.bytes, key.len))
		return 0;
	if (table_reserve(&walk->seen, 1, key.len) < 0)
		return -ENOMEM;
	table_put(&walk->seen, key.bytes, key.len);
	if (walk->used + MF_CID_BYTES_MAX + 1 > walk->room) {
		size_t room = walk->room * 2 + 4096;
		uint8_t *todo = anyio_realloc(walk->todo, room);

		if (!todo)
			return -ENOMEM;
		walk->todo = todo;
		walk->room = room;
	}
	memcpy(walk->todo + walk->used, key.bytes, key.len);
	walk->used += key.len;
	walk->todo[walk->used++] = key.len;
	return 0;
}

static void report_missing(struct walk *walk, const struct mf_cid *cid, int error)
{
	report(walk->verifying,
		&(struct store_fault){
			.kind = STORE_FAULT_PIN, .cid = cid, .pin = walk->pin, .error = error });
}

/* Every block was read already; only those that may have links are read again. */
static int walk_block(struct walk *walk, const struct mf_cid *cid, bool links)
{
	struct store *store = walk->verifying->store;
	struct store_block block;
	int rc;

	if (!links || cid->codec == MF_CODEC_RAW) {
		rc = store_has(store, cid);
		if (rc == 0)
			report_missing(walk, cid, -ENOENT);
		return rc < 0 ? rc : 0;
	}
	rc = store_get(store, cid, &block);
	if (rc == 0) {
		rc = ipld_links(cid->codec, block.data, block.len, walk_push, walk);
		store_block_release(&block);
	}
	if (rc == -ENOENT || rc == -EBADMSG || rc == -EMSGSIZE || rc == -EIO) {
		report_missing(walk, cid, rc);
		return 0;
	}
	return rc;
}

static int walk_pin(struct walk *walk, const struct store_pin *pin)
{
	int rc = walk_push(walk, &pin->cid);

	walk->pin = &pin->cid;
	while (rc == 0 && walk->used > 0) {
		struct mf_cid cid;
		uint8_t len = walk->todo[--walk->used];

		walk->used -= len;
		mf_cid_decode(&cid, walk->todo + walk->used, len);
		rc = walk_block(walk, &cid, true);
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	return rc;
}

static int verify_pins(struct verifying *verifying)
{
	struct walk walk = { .verifying = verifying };
	struct store_cursor cursor = { 0 };
	struct store_pin pin;
	int rc;

	table_init(&walk.seen, 0);
	while ((rc = store_pin_next(verifying->store, &cursor, &pin)) > 0) {
		verifying->result->pins++;
		walk.pin = &pin.cid;
		rc = pin.mode == STORE_PIN_RECURSIVE ? walk_pin(&walk, &pin)
						     : walk_block(&walk, &pin.cid, false);
		if (rc < 0)
			break;
	}
	table_free(&walk.seen);
	anyio_free(walk.todo);
	return rc;
}

int store_verify(struct store *store, const struct store_verify_options *options,
	struct store_verify_result *result)
{
	static const struct store_verify_options defaults;
	struct verifying verifying = {
		.store = store, .options = options ? options : &defaults, .result = result
	};

	*result = (struct store_verify_result){ 0 };
	/* The next opening reads the index from end to end, which finds in it what cannot be told from
	 * the segments, and makes it anew when need be. */
	store->index.doubtful = true;
	int rc = store->broken ? ANYIO_BROKEN : log_sync(store, store->log.sequence);
	if (rc == 0)
		rc = verify_segments(&verifying);
	if (rc == 0 && !verifying.options->skip_pins)
		rc = verify_pins(&verifying);
	return rc;
}

int store_stat(struct store *store, struct store_stat *out)
{
	*out = (struct store_stat){ .blocks = store->index.counts.blocks,
		.bytes = store->index.counts.bytes,
		.pins = store->index.counts.pins,
		.segments = store->segments.count,
		.index_bytes = index_file_size(&store->index) };
	for (size_t i = 0; i < store->segments.count; i++)
		out->segment_bytes += store->segments.files[i]->size;
	return 0;
}
