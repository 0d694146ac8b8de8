#include <errno.h>
#include <string.h>
#include "replay.h"
#include "segment_adopted.h"
#include "verifying.h"

void verifying_report(struct verifying *verifying, const struct store_fault *fault)
{
	if (fault->accepted)
		verifying->result->accepted++;
	else if (!fault->follows)
		verifying->result->faults++;
	if (verifying->options->fault)
		verifying->options->fault(verifying->options->arg, fault);
}

static bool same_place(const struct index_place *a, const struct index_place *b)
{
	return a->segment == b->segment && a->offset == b->offset && a->len == b->len;
}

static bool is_swept(const struct store *store, uint32_t number)
{
	const struct segment_file *file = segment_set_find(&store->segments, number);

	return file && file->swept;
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
	else if (rc == 0 && place.state == INDEX_DAMAGED && same_place(&place, &block->place))
		store_believe(verifying->store, block->cid, &place);
	else if (rc <= 0 && block->cid->hash != MF_HASH_IDENTITY &&
		!is_swept(verifying->store, block->place.segment))
		verifying_report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_INDEX,
				.segment = block->place.segment,
				.from = block->section,
				.to = block->end,
				.cid = block->cid,
				.error = rc });
	return 0;
}

/* Judged at the end: a VOID record comes after what it is about. */
static int on_fault(void *arg, const struct replay_fault *fault)
{
	const struct verifying *verifying = arg;

	/* An opening that could write would have said that nobody is to believe it. */
	if (fault->unfinished && verifying->store->unwritable)
		return 0;
	return verifying_add_damage(arg, fault->segment, fault->from, fault->to, fault->cid);
}

/* What was given up, and is in an index that was made anew since. */
static int drop_void(
	struct verifying *verifying, const struct mf_cid *cid, const struct index_place *place)
{
	verifying->matched++;
	return index_drop(&verifying->store->index, cid, place);
}

/* A block found bad counts as absent from now on, so that a put mends it. 1 when the damage remains, 0
 * when it is none: given up, or a copy of what is whole elsewhere; or a negative code. */
static int judge(
	struct verifying *verifying, const struct replay *replay, struct verify_damage *damage)
{
	struct index *index = &verifying->store->index;
	const struct store_range *range = &damage->range;
	bool accept = verifying->options->accept_loss;
	bool given_up = replay_is_void(replay, range->segment, range->from, range->to);
	struct index_place place = { .state = INDEX_GONE };
	int rc = damage->cid ? index_find(index, damage->cid, &place) : 0;

	if (rc < 0)
		return rc;
	bool here = (rc > 0 || place.state == INDEX_DAMAGED) && place.segment == range->segment &&
		place.offset > range->from && place.offset <= range->to;
	if (given_up)
		return rc > 0 && here ? drop_void(verifying, damage->cid, &place) : 0;
	if (!here)
		return rc == 0;
	damage->named = true;
	verifying_report(verifying,
		&(struct store_fault){ .kind = STORE_FAULT_BLOCK,
			.segment = range->segment,
			.from = range->from,
			.to = range->to,
			.cid = damage->cid,
			.error = -EBADMSG,
			.accepted = accept });
	/* A length that is wrong may cover what comes behind it. */
	if (place.offset + place.len < range->to &&
		verifying_add_damage(
			verifying, range->segment, place.offset + place.len, range->to, NULL) < 0)
		return -ENOMEM;
	verifying->matched += rc > 0;
	if (accept)
		rc = index_drop(index, damage->cid, &place);
	else
		store_forget(verifying->store, damage->cid, &place);
	return rc < 0 ? rc : 1;
}

static int judge_all(struct verifying *verifying, const struct replay *replay)
{
	size_t left = 0;
	int rc = 0;

	for (size_t i = 0; i < verifying->damage_count; i++) {
		struct verify_damage damage = verifying->damages[i];
		int remains = rc < 0 ? rc : judge(verifying, replay, &damage);

		if (remains == 0)
			anyio_free(damage.cid);
		else
			verifying->damages[left++] = damage;
		if (rc == 0)
			rc = remains < 0 ? remains : anyio_checkpoint();
	}
	verifying->damage_count = left;
	return rc;
}

int verifying_progress(void *arg, uint64_t bytes)
{
	struct verifying *verifying = arg;
	const struct store_verify_options *options = verifying->options;

	verifying->done += bytes;
	return options->progress
		? options->progress(options->arg, verifying->done, verifying->total)
		: 0;
}

static const struct replay_calls calls = { on_block, on_fault, NULL, verifying_progress };

/* The header is the same in all segments, so that it can be mended. */
static int mend_header(struct segment_file *file)
{
	int rc = anyio_pwrite_all(file->fd, segment_header, sizeof(segment_header), 0);

	return rc < 0 ? rc : anyio_fdatasync(file->fd);
}

/* A segment's header. 1; 0 when the file was taken away meanwhile; or a negative code. */
static int check_file(struct verifying *verifying, struct segment_file *file)
{
	struct store *store = verifying->store;
	bool accept = verifying->options->accept_loss;
	uint8_t header[SEGMENT_HEADER_SIZE];
	struct store_gap gap = { .segment = file->number, .known = file->size, .missing = true };
	int rc = segment_file_use(&store->segments, file);

	if (rc == -ENOENT) {
		file->size = 0;
		return verifying_add_gap(verifying, &gap);
	}
	if (rc < 0)
		return rc;
	rc = anyio_pread_all(file->fd, header, sizeof(header), 0);
	if (rc == -EIO || rc == ANYIO_INCOMPLETE_READ) {
		memset(header, 0, sizeof(header));
		rc = 0;
	}
	/* One that has nothing but its first record may be torn: an opening that could write would have mended it. */
	bool torn = store->unwritable && file == store->log.active &&
		store->log.committed.offset == SEGMENT_HEADER_SIZE;
	if (rc == 0 && !torn && memcmp(header, segment_header, sizeof(header)) != 0) {
		verifying_report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_DAMAGE,
				.segment = file->number,
				.to = sizeof(header),
				.error = -EBADMSG,
				.accepted = accept });
		rc = accept ? mend_header(file) : 0;
	}
	segment_file_release(file);
	return rc < 0 ? rc : 1;
}

/* One segment, up to end. */
static int verify_segment(struct verifying *verifying, struct replay *replay,
	struct segment_file *file, uint64_t end, bool last)
{
	static const struct index_position start = { 0 };
	int rc = check_file(verifying, file);

	if (rc <= 0)
		return rc;
	rc = replay_segment(replay, file, &start, end, last);
	if (rc == 0 && last && replay->tail < end)
		rc = verifying_add_damage(verifying, file->number, replay->tail, end, NULL);
	return rc;
}

/* The adopted ones up to a number. What is missing or changed is a gap, and told by then. */
static int verify_adopted(struct verifying *verifying, uint32_t last)
{
	struct segment_set *segments = &verifying->store->segments;
	struct segment_file *file;
	uint32_t number = 0;
	int rc = 0;

	while (rc == 0 && (file = segment_set_next(segments, number)) && file->number <= last) {
		struct replay replay = { .store = verifying->store,
			.calls = &calls,
			.arg = verifying,
			.check_all = true };

		number = file->number;
		if (!file->adopted || file->size == 0)
			continue;
		rc = replay_adopted(&replay, file);
		replay_free(&replay);
		if (rc == -ENOENT)
			rc = store_each_gap(verifying->store, verifying_add_gap, verifying);
	}
	return rc;
}

/* Every segment up to what is durable now. */
static int verify_segments(struct verifying *verifying)
{
	struct store *store = verifying->store;
	const struct segment_set *segments = &store->segments;
	const struct log *log = &store->log;
	/* Before anything waits: what is written later is not looked at. */
	const struct segment_file *active = log->active;
	size_t count = segments->count;
	/* What an opening read behind the index nothing but the log proves, unless that opening made it durable. */
	uint64_t durable = store->unwritable ? store->checkpoint.sequence : log->durable,
		 end = log->durable_end;
	uint32_t last_number = segments->last_number;
	struct replay replay = {
		.store = store, .calls = &calls, .arg = verifying, .check_all = true
	};
	int rc = 0;

	verifying->expected =
		store->index.counts.blocks - index_count_after(&store->index, durable);
	verifying->moves = store->moves;
	for (size_t i = 0; i < count; i++)
		verifying->total += segments->files[i] == active ? end : segments->files[i]->size;
	for (size_t i = 0; i < segments->adopted_count; i++)
		verifying->total += segments->adopted[i]->size;
	if (verifying->options->tiers)
		verifying->total += verifying_tiers_size(store);
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct segment_file *file = segments->files[i];
		bool last = file == active;

		rc = verify_segment(verifying, &replay, file, last ? end : file->size, last);
	}
	replay.proven = durable;
	if (rc == 0)
		rc = replay_finish(&replay);
	if (rc == 0)
		rc = verify_adopted(verifying, last_number);
	if (rc == 0)
		rc = judge_all(verifying, &replay);
	replay_free(&replay);
	return rc;
}

static int report_operations(void *arg, uint64_t from, uint64_t to)
{
	struct verifying *verifying = arg;

	verifying->operations_damaged = true;
	verifying_report(verifying,
		&(struct store_fault){ .kind = STORE_FAULT_OPERATIONS,
			.segment = verifying->store->ops.generation,
			.from = from,
			.to = to,
			.error = to ? -EBADMSG : -ENOENT,
			.accepted = verifying->options->accept_loss });
	return 0;
}

/* The operation log, from end to end. */
static int verify_operations(struct verifying *verifying)
{
	static const struct ops_calls calls = { .damaged = report_operations };
	struct store *store = verifying->store;
	uint64_t durable = store->ops.durable_end, end;
	int rc = ops_read(store, 0, UINT64_MAX, &calls, verifying, &end);

	/* To an opening its end may be what a crash left. */
	if (rc == 0 && store->ops.fd >= 0 && end < durable)
		rc = report_operations(verifying, end, durable);
	/* What the disk does not give back. */
	if (rc == -EIO || rc == ANYIO_INCOMPLETE_READ)
		rc = report_operations(verifying, end, store->ops.end);
	if (rc == 0 && store->ops.lost && !verifying->operations_damaged)
		rc = report_operations(verifying, 0, 0);
	return rc;
}

/* What lies here. */
static int verify_here(struct verifying *verifying)
{
	struct store *store = verifying->store;
	bool accept = verifying->options->accept_loss;
	int rc = 0;

	/* The next opening reads the index from end to end, which finds in it what cannot be told from
	 * the segments, and makes it anew when need be. */
	store->index.doubtful = true;
	if (!store_only_reads(store))
		rc = store->broken ? store->broken : log_sync(store, store->log.sequence);
	if (rc == 0)
		rc = store_each_gap(store, verifying_add_gap, verifying);
	if (rc == 0)
		rc = verify_operations(verifying);
	store->ops.lost |= verifying->operations_damaged && accept;
	if (rc == 0 && accept)
		rc = store_go_on(store);
	if (rc == 0)
		rc = verify_segments(verifying);
	return rc == 0 ? verifying_lost(verifying) : rc;
}

static int verify_pins(struct verifying *verifying)
{
	return verifying->options->skip_pins ? 0 : verifying_pins(verifying);
}

static int verify_all(struct verifying *verifying)
{
	int rc = verify_here(verifying);

	return rc == 0 ? verify_pins(verifying) : rc;
}

static int arranging(struct verifying *verifying, int (*body)(struct verifying *verifying))
{
	struct store *store = verifying->store;
	int rc = anyio_lock_acquire(&store->arranging);

	if (rc < 0)
		return rc;
	rc = body(verifying);
	anyio_lock_release(&store->arranging);
	return rc;
}

/* Tiers take their time: nobody who wants to collect waits for them. */
static int verify_with_tiers(struct verifying *verifying)
{
	int rc = arranging(verifying, verify_here);

	if (rc == 0)
		rc = verifying_tiers(verifying);
	return rc == 0 ? arranging(verifying, verify_pins) : rc;
}

int store_verify(struct store *store, const struct store_verify_options *options,
	struct store_verify_result *result)
{
	static const struct store_verify_options defaults;
	struct verifying verifying = {
		.store = store, .options = options ? options : &defaults, .result = result
	};

	*result = (struct store_verify_result){ 0 };
	if (verifying.options->accept_loss && store->unwritable)
		return store->unwritable;
	int rc = verifying.options->tiers ? verify_with_tiers(&verifying)
					  : arranging(&verifying, verify_all);
	verifying_free(&verifying);
	return rc;
}

int store_stat(struct store *store, struct store_stat *out)
{
	*out = (struct store_stat){ .blocks = store->index.counts.blocks,
		.bytes = store->index.counts.bytes,
		.pins = store->index.counts.pins,
		.damaged = store->index.damaged,
		.segments = store->segments.count,
		.index_bytes = index_file_size(&store->index) };
	for (size_t i = 0; i < store->segments.count; i++)
		out->segment_bytes += store->segments.files[i]->size;
	for (size_t i = 0; i < store->segments.adopted_count; i++) {
		const struct segment_file *file = store->segments.adopted[i];

		out->segments++;
		out->adopted++;
		out->linked += file->adopted->foreign;
		if (!file->adopted->foreign)
			out->segment_bytes += file->size;
	}
	return 0;
}
