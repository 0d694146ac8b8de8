#include "replay.h"

#include <errno.h>
#include <string.h>
#include <store/gate.h>
#include "inner.h"
#include "segment_adopted.h"

enum {
	WINDOW_SIZE = 1 << 20,
	CHECK_SIZE = IPLD_BLOCK_BIG_MAX + SEGMENT_HEAD_MAX,
	CHECK_BLOCKS = 256,
	STEPS_A_TURN = 1024,
	SECTOR = 4096, /* what a disk cannot give back, at least */
};

enum item_what { ITEM_BLOCK, ITEM_LOST };

struct replay_item {
	uint64_t offset, len; /* of the section, or of what is lost */
	uint32_t segment;
	uint32_t ordinal;  /* of a block */
	uint32_t bytes_at; /* of its CID */
	uint16_t head;
	uint8_t cid_len;
	uint8_t what;
	bool bad;
};

struct replay_group {
	size_t first, count; /* items */
	uint64_t sequence;
	uint64_t oldest; /* of several whose commits are lost, and which therefore are one here */
	bool intact;
	bool operations;                /* a batch of them goes with it */
	struct index_position position; /* of its commit; segment 0: it has none */
};

struct replay_void {
	uint32_t segment;
	uint64_t from, to;
};

void replay_free(struct replay *replay)
{
	anyio_free(replay->items);
	anyio_free(replay->bytes);
	anyio_free(replay->groups);
	anyio_free(replay->voids);
	anyio_free(replay->window);
	anyio_free(replay->check);
}

/* A new item, with a CID or without. */
static struct replay_item *add_item(
	struct replay *replay, enum item_what what, const struct mf_cid *cid, int *rc)
{
	*rc = anyio_grow(
		&replay->items, &replay->item_room, replay->item_count + 1, sizeof(*replay->items));
	if (*rc == 0)
		*rc = anyio_grow(&replay->bytes, &replay->bytes_room,
			replay->bytes_used + MF_CID_BYTES_MAX, 1);
	if (*rc < 0)
		return NULL;
	struct replay_item *item = &replay->items[replay->item_count++];
	*item = (struct replay_item){ .what = what, .bytes_at = replay->bytes_used };
	if (cid) {
		item->cid_len =
			mf_cid_encode(cid, replay->bytes + replay->bytes_used, MF_CID_BYTES_MAX);
		replay->bytes_used += item->cid_len;
	}
	return item;
}

static void item_cid(
	const struct replay *replay, const struct replay_item *item, struct mf_cid *cid)
{
	mf_cid_decode(cid, replay->bytes + item->bytes_at, item->cid_len);
}

bool replay_is_void(const struct replay *replay, uint32_t segment, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < replay->void_count; i++) {
		const struct replay_void *nothing = &replay->voids[i];

		if (nothing->segment == segment && nothing->from <= from && to <= nothing->to)
			return true;
	}
	return false;
}

static bool is_void(const struct replay *replay, const struct replay_item *item)
{
	return replay_is_void(replay, item->segment, item->offset, item->offset + item->len);
}

static uint64_t data_at(const struct replay_item *item)
{
	return item->offset + item->head;
}

/* How many items from here on fit into the check buffer together. */
static size_t check_run(const struct replay_item *items, size_t count)
{
	size_t n = 1;

	while (n < count && n < CHECK_BLOCKS && items[n].segment == items[0].segment &&
		items[n].offset + items[n].len - items[0].offset <= CHECK_SIZE)
		n++;
	return n;
}

/* Reads a run of items and marks those that don't pass the gate. */
static int check_items(struct replay *replay, struct replay_item *items, size_t count)
{
	struct store *store = replay->store;
	struct segment_file *file = segment_set_find(&store->segments, items[0].segment);
	uint64_t from = items[0].offset;
	size_t len = items[count - 1].offset + items[count - 1].len - from, n = 0;
	struct store_block *blocks = anyio_calloc(count, sizeof(*blocks));
	int *results = anyio_calloc(count, sizeof(*results));
	int rc = !blocks || !results ? -ENOMEM
		: file               ? segment_file_use(&store->segments, file)
				     : -EIO;

	if (rc == 0) {
		rc = anyio_pread_all(file->fd, replay->check, len, from);
		segment_file_release(file);
	}
	for (size_t i = 0; i < count && rc == 0; i++) {
		if (items[i].what != ITEM_BLOCK)
			continue;
		item_cid(replay, &items[i], &blocks[n].cid);
		blocks[n].data = replay->check + (data_at(&items[i]) - from);
		blocks[n++].len = items[i].len - items[i].head;
	}
	if (rc == 0 && n > 0)
		rc = store_gate_check_big(blocks, n, results);
	for (size_t i = 0, j = 0; i < count && rc == 0; i++)
		if (items[i].what == ITEM_BLOCK)
			items[i].bad = results[j++] != 0;
	anyio_free(blocks);
	anyio_free(results);
	return rc;
}

/* The disk does not give it, or it is not there any more. */
static bool cannot_be_read(int rc)
{
	return rc == -EIO || rc == ANYIO_INCOMPLETE_READ;
}

/* To a verification, items that cannot even be read are bad, each for itself. An opening fails (read_window). */
static int check_run_of_items(struct replay *replay, struct replay_item *items, size_t count)
{
	int rc = check_items(replay, items, count);

	if (!cannot_be_read(rc))
		return rc;
	const struct segment_file *file =
		segment_set_find(&replay->store->segments, items[0].segment);
	/* What a collection has dropped or cut is behind, and comes yet. */
	if (!replay->check_all && file &&
		file->size >= items[count - 1].offset + items[count - 1].len) {
		replay->unreadable = items[0].segment;
		return rc;
	}
	for (size_t i = 0; i < count; i++) {
		if (items[i].what != ITEM_BLOCK)
			continue;
		rc = check_items(replay, &items[i], 1);
		if (cannot_be_read(rc))
			items[i].bad = true;
		else if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_group(struct replay *replay, const struct replay_group *group)
{
	struct replay_item *items = replay->items + group->first;
	size_t count = group->count, at = 0;

	if (!replay->check)
		replay->check = anyio_malloc(CHECK_SIZE);
	if (!replay->check)
		return -ENOMEM;
	while (at < count) {
		if (items[at].what != ITEM_BLOCK) {
			at++;
			continue;
		}
		size_t run = check_run(items + at, count - at);
		while (items[at + run - 1].what != ITEM_BLOCK)
			run--;
		int rc = check_run_of_items(replay, items + at, run);
		if (rc < 0)
			return rc;
		at += run;
	}
	return 0;
}

static int settle_item(struct replay *replay, const struct replay_group *group,
	const struct replay_item *item, bool proven)
{
	struct replay_block block = { 0 };
	struct mf_cid cid;

	if (item->cid_len)
		item_cid(replay, item, &cid);
	/* An opening that found it unfinished said so behind it, and its group is durable since. Who checks all
	 * may meet the VOID record long after this. */
	if (!replay->check_all && is_void(replay, item))
		return 0;
	if (item->bad || item->what == ITEM_LOST) {
		struct replay_fault fault = { .segment = item->segment,
			.from = item->offset,
			.to = item->offset + item->len,
			.cid = item->cid_len ? &cid : NULL,
			.unfinished = !proven && group->sequence > replay->durable };

		if (fault.unfinished && !replay->torn)
			replay->torn = group->oldest;
		return replay->calls->fault(replay->arg, &fault);
	}
	block.cid = &cid;
	block.section = item->offset;
	block.end = item->offset + item->len;
	block.place = (struct index_place){ .segment = item->segment,
		.offset = data_at(item),
		.len = item->len - item->head,
		.ordinal = item->ordinal,
		.codec = cid.codec,
		.version = cid.version };
	return replay->calls->block(replay->arg, &block);
}

static int settle_group(struct replay *replay, const struct replay_group *group, bool proven)
{
	int rc = 0;

	if (!group->intact || !proven || replay->check_all)
		rc = check_group(replay, group);
	for (size_t i = 0; i < group->count && rc == 0; i++) {
		rc = settle_item(replay, group, &replay->items[group->first + i], proven);
		/* A group may have a million blocks. */
		if (rc == 0 && (i + 1) % STEPS_A_TURN == 0)
			rc = anyio_checkpoint();
	}
	if (proven && group->operations)
		replay->operations = group->sequence;
	if (rc == 0 && group->position.segment && proven && replay->calls->settled)
		rc = replay->calls->settled(replay->arg, &group->position);
	return rc;
}

/* Items before the first group that is left are done with. */
static void drop_settled(struct replay *replay)
{
	size_t gone = replay->group_count ? replay->groups[0].first : replay->open_first;
	size_t left = replay->item_count - gone;
	uint32_t bytes = left ? replay->items[gone].bytes_at : replay->bytes_used;

	if (gone == 0)
		return;
	memmove(replay->items, replay->items + gone, left * sizeof(*replay->items));
	memmove(replay->bytes, replay->bytes + bytes, replay->bytes_used - bytes);
	for (size_t i = 0; i < left; i++)
		replay->items[i].bytes_at -= bytes;
	for (size_t i = 0; i < replay->group_count; i++)
		replay->groups[i].first -= gone;
	replay->item_count = left;
	replay->open_first -= gone;
	replay->bytes_used -= bytes;
}

/* Settles all groups that are proven by now, or all. */
static int settle(struct replay *replay, bool all)
{
	size_t done = 0;
	int rc = 0;

	while (done < replay->group_count && rc == 0) {
		const struct replay_group *group = &replay->groups[done];
		bool proven = group->sequence <= replay->proven;

		if (!proven && !all)
			break;
		rc = settle_group(replay, group, proven);
		done++;
	}
	if (done == 0)
		return rc;
	replay->group_count -= done;
	memmove(replay->groups, replay->groups + done,
		replay->group_count * sizeof(*replay->groups));
	drop_settled(replay);
	return rc;
}

/* The open items up to end become a group. */
static int close_group(struct replay *replay, size_t end, uint64_t sequence, bool intact,
	const struct index_position *position)
{
	int rc = anyio_grow(&replay->groups, &replay->group_room, replay->group_count + 1,
		sizeof(*replay->groups));

	if (rc < 0)
		return rc;
	replay->groups[replay->group_count++] = (struct replay_group){ .first = replay->open_first,
		.count = end - replay->open_first,
		.sequence = sequence,
		.oldest = position->segment ? sequence : replay->sequence + 1,
		.intact = intact,
		.position = *position };
	replay->open_first = end;
	return 0;
}

/* A commit says where its group starts: what lies before that is of an older one, whose commit is
 * damaged. */
static int close_older_group(struct replay *replay, const struct segment_record *commit)
{
	size_t end = replay->open_first;

	while (end < replay->item_count && replay->items[end].offset < commit->commit.start)
		end++;
	if (end == replay->open_first)
		return 0;
	return close_group(replay, end, commit->sequence - 1, false, &(struct index_position){ 0 });
}

static int take_void(struct replay *replay, const struct segment_record *record)
{
	int rc = anyio_grow(
		&replay->voids, &replay->void_room, replay->void_count + 1, sizeof(*replay->voids));

	if (rc == 0)
		replay->voids[replay->void_count++] = (struct replay_void){ record->nothing.segment,
			record->nothing.from, record->nothing.to };
	return rc;
}

static int take_record(struct replay *replay, const struct scan_event *event)
{
	const struct segment_record *record = &event->record;
	struct index_position position = { .segment = record->segment,
		.offset = event->offset,
		.end = event->offset + event->len,
		.sequence = record->sequence,
		.ordinal = event->ordinal };
	int rc = 0;

	switch (record->kind) {
	case SEGMENT_RECORD_SEGMENT:
		/* Its sequence is the next group's. */
		position.sequence--;
		replay->last = position;
		if (replay->proven < record->previous.synced)
			replay->proven = record->previous.synced;
		return settle(replay, false);
	case SEGMENT_RECORD_COMMIT:
		rc = close_older_group(replay, record);
		if (rc == 0)
			rc = close_group(replay, replay->item_count, record->sequence,
				event->intact, &position);
		if (rc == 0)
			replay->groups[replay->group_count - 1].operations =
				record->commit.operations;
		if (record->commit.operations && replay->promised < record->sequence)
			replay->promised = record->sequence;
		replay->last = position;
		if (replay->sequence < record->sequence)
			replay->sequence = record->sequence;
		if (replay->proven < record->commit.synced)
			replay->proven = record->commit.synced;
		return rc < 0 ? rc : settle(replay, false);
	case SEGMENT_RECORD_VOID: return take_void(replay, record);
	case SEGMENT_RECORD_FILL: return 0;
	}
	return 0;
}

/* What is open makes a group by itself. */
static int settle_open(struct replay *replay)
{
	int rc = close_group(replay, replay->item_count, 0, true, &(struct index_position){ 0 });

	return rc < 0 ? rc : settle(replay, false);
}

static int take_event(struct replay *replay, uint32_t segment, const struct scan_event *event)
{
	struct replay_item *item;
	int rc;

	if (event->what == SCAN_RECORD)
		return take_record(replay, event);
	item = event->what == SCAN_BLOCK ? add_item(replay, ITEM_BLOCK, &event->section.cid, &rc)
					 : add_item(replay, ITEM_LOST, NULL, &rc);
	if (!item)
		return rc;
	item->segment = segment;
	item->offset = event->offset;
	item->len = event->len;
	item->head = event->what == SCAN_BLOCK ? event->section.head : 0;
	item->ordinal = event->what == SCAN_BLOCK ? event->ordinal : 0;
	return replay->adopted && replay->item_count - replay->open_first == CHECK_BLOCKS
		? settle_open(replay)
		: 0;
}

/* Reads a window. A verification wants to know the extent of what the disk does not give back: that
 * becomes zeros, which are no section, and no block's bytes. An opening must not take for lost what
 * may be read another time: it fails. */
static int read_window(struct replay *replay, struct segment_file *file, size_t len, uint64_t from)
{
	int rc = anyio_pread_all(file->fd, replay->window, len, from);

	for (size_t at = 0, piece; cannot_be_read(rc) && replay->check_all && at < len;
		at += piece) {
		piece = len - at < SECTOR ? len - at : SECTOR;
		int got = anyio_pread_all(file->fd, replay->window + at, piece, from + at);
		if (cannot_be_read(got))
			memset(replay->window + at, 0, piece);
		else if (got < 0)
			return got;
	}
	if (cannot_be_read(rc) && !replay->check_all)
		replay->unreadable = file->number;
	return cannot_be_read(rc) && replay->check_all ? 0 : rc;
}

static int tell_progress(struct replay *replay, uint64_t from, uint64_t to)
{
	return replay->calls->progress && to > from
		? replay->calls->progress(replay->arg, to - from)
		: 0;
}

static int scan_file(struct replay *replay, struct segment_file *file, struct scan *scan)
{
	struct scan_event event;
	uint64_t from = scan->at;
	size_t len = 0;
	int rc = 0;

	while (rc == 0) {
		scan_next(scan, replay->window, from, len, &event);
		if (event.what == SCAN_END)
			return tell_progress(replay, from, scan->size);
		if (event.what != SCAN_MORE) {
			rc = take_event(replay, file->number, &event);
			continue;
		}
		rc = tell_progress(replay, from, event.offset);
		from = event.offset;
		len = scan->size - from < WINDOW_SIZE ? scan->size - from : WINDOW_SIZE;
		if (rc == 0)
			rc = read_window(replay, file, len, from);
	}
	return rc;
}

/* What follows the last commit of a segment that was closed belongs to a group whose commit is
 * damaged: believe what proves itself. */
static int close_segment(struct replay *replay, const struct scan *scan)
{
	struct replay_item *item;
	int rc = 0;

	if (scan->searching) {
		item = add_item(replay, ITEM_LOST, NULL, &rc);
		if (!item)
			return rc;
		item->segment = scan->number;
		item->offset = scan->at;
		item->len = scan->size - scan->at;
	}
	if (replay->item_count == replay->open_first)
		return 0;
	return close_group(replay, replay->item_count, 0, false, &(struct index_position){ 0 });
}

int replay_segment(struct replay *replay, struct segment_file *file,
	const struct index_position *position, uint64_t size, bool last)
{
	struct store *store = replay->store;
	struct scan scan;
	int rc;

	replay->tail = replay->end = size;
	if (!replay->window)
		replay->window = anyio_malloc(WINDOW_SIZE);
	if (!replay->window)
		return -ENOMEM;
	if (position->segment == file->number)
		scan_start_at(&scan, &store->keys, file->number, size, position->end,
			position->sequence, position->ordinal);
	else
		scan_start(&scan, &store->keys, file->number, size);
	rc = segment_file_use(&store->segments, file);
	if (rc < 0)
		return rc;
	rc = scan_file(replay, file, &scan);
	/* A collection has cut it: what lay there is behind, and comes yet. */
	if (rc == ANYIO_INCOMPLETE_READ && file->size < size) {
		replay->unreadable = 0;
		replay->item_count = replay->open_first;
		segment_file_release(file);
		return 0;
	}
	segment_file_release(file);
	if (rc != 0)
		return rc;
	replay->tail = scan.tail;
	if (!last)
		return close_segment(replay, &scan);
	replay->item_count = replay->open_first;
	return 0;
}

int replay_adopted(struct replay *replay, struct segment_file *file)
{
	struct store *store = replay->store;
	struct scan scan;
	int rc;

	replay->adopted = true;
	if (!replay->window)
		replay->window = anyio_malloc(WINDOW_SIZE);
	if (!replay->window)
		return -ENOMEM;
	rc = segment_file_use(&store->segments, file);
	if (rc < 0)
		return rc;
	segment_scan_start(&scan, &store->keys, file, file->size);
	rc = scan_file(replay, file, &scan);
	struct replay_fault fault = {
		.segment = file->number, .from = file->adopted->from, .to = file->adopted->to
	};
	/* Who checks all meets the block that one of them does not name. */
	bool holds = replay->check_all || segment_adopted_has_heads(file->adopted, &scan);
	segment_file_release(file);
	if (rc == 0)
		rc = settle_open(replay);
	return rc != 0 || holds ? rc : replay->calls->fault(replay->arg, &fault);
}

int replay_all(struct replay *replay, const struct index_position *from, bool apart)
{
	struct segment_set *segments = &replay->store->segments;
	size_t count = segments->count;
	/* What is written while this runs is not looked at; what goes meanwhile is not missed. */
	uint32_t last = count > 0 ? segments->files[count - 1]->number : 0;
	uint64_t end = count > 0 ? segments->files[count - 1]->size : 0;
	struct segment_file *file;
	int rc = 0;

	for (uint32_t number = from->segment ? from->segment - 1 : 0; number < last && rc == 0;) {
		file = segment_set_after(segments, number);
		if (!file)
			break;
		number = file->number;
		rc = replay_segment(replay, file, from, number == last ? end : file->size,
			number == last && !apart);
		if (rc == -ENOENT && !segment_set_find(segments, number))
			rc = 0;
	}
	return rc < 0 ? rc : replay_finish(replay);
}

size_t replay_without_void(const struct replay *replay, struct store_range *ranges, size_t count)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++)
		if (!replay_is_void(replay, ranges[i].segment, ranges[i].from, ranges[i].to))
			ranges[left++] = ranges[i];
	return left;
}

int replay_finish(struct replay *replay)
{
	return settle(replay, true);
}
