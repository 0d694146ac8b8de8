/*
 * Moving leaves to a tier. In this order, so that it may be stopped anywhere: the tier is ready; the state says that the object of
 * that name is to go; it is written, read back, and compared with what is here; the state says that it is a segment; the
 * index gets its blocks, and is written; the state says that, too. Only then does a collection find the old bytes dead.
 * An object that the state would have gone, store_tier_tend removes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <ipld/car.h>
#include <multiformats/multihash.h>
#include <sodium.h>
#include "segment_adopted.h"
#include "tiering.h"

enum { BATCH = 256, WINDOW_SIZE = 1 << 20, LEAVES_A_TURN = 1024 };

struct leaf {
	struct mf_cid cid;
	struct index_place from;
	uint64_t at; /* where its section begins, of the object */
	uint32_t head;
};

struct demoting {
	struct store *store;
	struct tier *tier;
	struct leaf *leaves; /* by place */
	size_t count;
	uint32_t from; /* the remote segment that they come from; 0: they are here */
	uint8_t begin[CAR_V2_SIZE + SEGMENT_HEADER_SIZE];
	uint8_t *index;
	size_t index_len, index_room;
	struct segment_remote remote;
	struct store_block held; /* the one that was read last, of the leaf held_leaf */
	size_t held_leaf;
	int unreadable; /* why its bytes could not be given */
	const struct store_move_options *options;
	uint64_t bytes; /* of the blocks */
	uint64_t written,
		checked; /* up to where the tier has asked for it, and where it is read back */
	struct store_move_result *result;
};

/* ---- what it is to be ---- */

static int by_place(const void *a, const void *b)
{
	const struct index_place *x = &((const struct leaf *)a)->from;
	const struct index_place *y = &((const struct leaf *)b)->from;

	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* 1: it is to be moved; 0: not; or a negative code. */
static int is_movable(
	const struct demoting *demoting, const struct mf_cid *cid, struct index_place *place)
{
	struct store *store = demoting->store;

	if (cid->hash == MF_HASH_IDENTITY || cid->codec != MF_CODEC_RAW)
		return 0;
	int rc = store_find(store, cid, place);
	if (rc <= 0)
		return rc;
	if (demoting->from)
		return place->segment == demoting->from;
	return place->codec == MF_CODEC_RAW && segment_set_find(&store->segments, place->segment);
}

static int find_leaves(struct demoting *demoting, const struct mf_cid *cids, size_t count)
{
	store_ticket ticket = 0;
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		struct leaf *leaf = &demoting->leaves[found];
		int rc = (i + 1) % LEAVES_A_TURN == 0 ? anyio_checkpoint() : 0;

		if (rc == 0)
			rc = is_movable(demoting, &cids[i], &leaf->from);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		leaf->cid = cids[i];
		leaf->cid.version = 1;
		leaf->cid.codec = MF_CODEC_RAW;
		if (ticket < leaf->from.sequence)
			ticket = leaf->from.sequence;
		found++;
	}
	qsort(demoting->leaves, found, sizeof(*demoting->leaves), by_place);
	for (size_t i = 0; i < found; i++)
		if (i == 0 || by_place(&demoting->leaves[i], &demoting->leaves[i - 1]) != 0)
			demoting->leaves[demoting->count++] = demoting->leaves[i];
	demoting->result->skipped = count - demoting->count;
	return store_sync(demoting->store, ticket);
}

static int add_index(void *arg, const void *data, size_t len)
{
	struct demoting *demoting = arg;

	if (anyio_grow(&demoting->index, &demoting->index_room, demoting->index_len + len, 1))
		return -ENOMEM;
	memcpy(demoting->index + demoting->index_len, data, len);
	demoting->index_len += len;
	return 0;
}

static int make_index(struct demoting *demoting)
{
	struct car_index_entry *entries = anyio_calloc(demoting->count, sizeof(*entries));
	struct car_index_out out = { add_index, demoting };

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < demoting->count; i++) {
		const struct leaf *leaf = &demoting->leaves[i];

		entries[i] = (struct car_index_entry){ .at = leaf->at - CAR_V2_SIZE,
			.hash = leaf->cid.hash,
			.digest = leaf->cid.digest,
			.digest_len = leaf->cid.digest_len };
	}
	car_index_sort(entries, demoting->count);
	int rc = car_index_write(&out, entries, demoting->count);
	anyio_free(entries);
	return rc;
}

static int lay_out(struct demoting *demoting)
{
	struct segment_remote *remote = &demoting->remote;
	struct car_v2 v2 = { .data_at = CAR_V2_SIZE, .fully_indexed = true };
	uint64_t at = sizeof(demoting->begin);

	remote->from = at;
	for (size_t i = 0; i < demoting->count; i++) {
		struct leaf *leaf = &demoting->leaves[i];
		uint8_t prefix[CAR_PREFIX_MAX];
		ssize_t n = car_section_prefix(&leaf->cid, leaf->from.len, prefix, sizeof(prefix));

		if (n < 0)
			return (int)n;
		leaf->at = at;
		leaf->head = (uint32_t)n;
		at += leaf->head + leaf->from.len;
		demoting->bytes += leaf->from.len;
	}
	remote->to = at;
	v2.data_size = at - CAR_V2_SIZE;
	v2.index_at = at;
	car_v2_encode(&v2, demoting->begin);
	memcpy(demoting->begin + CAR_V2_SIZE, segment_header, SEGMENT_HEADER_SIZE);
	int rc = anyio_checkpoint();
	if (rc == 0)
		rc = make_index(demoting);
	remote->size = at + demoting->index_len;
	remote->blocks = (uint32_t)demoting->count;
	segment_remote_sum(demoting->index, demoting->index_len, remote->sum);
	return rc;
}

/* ---- its bytes ---- */

static ssize_t copy_part(const void *from, size_t len, uint64_t at, void *out, size_t size)
{
	size_t n = len - at < size ? (size_t)(len - at) : size;

	memcpy(out, (const uint8_t *)from + at, n);
	return (ssize_t)n;
}

static size_t find_leaf(const struct demoting *demoting, uint64_t offset)
{
	size_t low = 0, high = demoting->count;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (demoting->leaves[middle].at <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Keeps the block of a leaf at hand. Another task may have put its own there meanwhile: that one goes. */
static int hold(struct demoting *demoting, size_t i)
{
	const struct leaf *leaf = &demoting->leaves[i];
	struct store_block block;

	if (demoting->held.data && demoting->held_leaf == i)
		return 0;
	int rc = store_get_aside(demoting->store, &leaf->cid, &block);
	if (rc < 0)
		return rc;
	if (block.len != leaf->from.len) {
		store_block_release(&block);
		return -EBADMSG;
	}
	store_block_release(&demoting->held);
	demoting->held = block;
	demoting->held_leaf = i;
	return 0;
}

/* Up to the end of the head, or of the block, or whatever lies at offset. */
static ssize_t read_piece(struct demoting *demoting, uint8_t *buffer, size_t size, uint64_t offset)
{
	const struct segment_remote *remote = &demoting->remote;
	uint8_t prefix[CAR_PREFIX_MAX];

	if (offset < remote->from)
		return copy_part(demoting->begin, sizeof(demoting->begin), offset, buffer, size);
	if (offset >= remote->size)
		return 0;
	if (offset >= remote->to)
		return copy_part(
			demoting->index, demoting->index_len, offset - remote->to, buffer, size);
	size_t i = find_leaf(demoting, offset);
	const struct leaf *leaf = &demoting->leaves[i];
	uint64_t at = offset - leaf->at;
	if (at < leaf->head) {
		car_section_prefix(&leaf->cid, leaf->from.len, prefix, sizeof(prefix));
		return copy_part(prefix, leaf->head, at, buffer, size);
	}
	int rc = hold(demoting, i);
	/* The tier may have asked within a time of its own: that is its affair. */
	if (rc < 0 && rc != ANYIO_CANCELLED)
		demoting->unreadable = rc;
	return rc < 0
		? rc
		: copy_part(demoting->held.data, leaf->from.len, at - leaf->head, buffer, size);
}

/* What is read a second time, to be sent once more or to be compared, was told. */
static int tell_progress(struct demoting *demoting, uint64_t *far, uint64_t to)
{
	uint64_t bytes = demoting->bytes;

	if (to <= *far || !demoting->options || !demoting->options->progress)
		return 0;
	*far = to;
	uint64_t written = demoting->written < bytes ? demoting->written : bytes;
	uint64_t checked = demoting->checked < bytes ? demoting->checked : bytes;
	return demoting->options->progress(demoting->options->arg, (written + checked) / 2);
}

/* As much as was asked for, so that small blocks are not written one by one. */
static ssize_t read_source(void *arg, void *buffer, size_t size, uint64_t offset)
{
	struct demoting *demoting = arg;
	size_t done = 0;

	while (done < size) {
		ssize_t n =
			read_piece(demoting, (uint8_t *)buffer + done, size - done, offset + done);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	int rc = tell_progress(demoting, &demoting->written, offset + done);
	if (rc < 0)
		demoting->unreadable = rc;
	return rc < 0 ? rc : (ssize_t)done;
}

static int write_object(struct demoting *demoting)
{
	struct store_tier_source source = { read_source, demoting, demoting->remote.size };
	char object[SEGMENT_REMOTE_OBJECT_MAX];
	struct store_tier verbs;
	int rc = tier_ask(demoting->tier, &verbs);

	segment_remote_object(&demoting->remote, object);
	if (rc == 0)
		rc = verbs.write(verbs.arg, object, &source);
	return rc < 0 && demoting->unreadable ? demoting->unreadable
					      : tier_judge(demoting->tier, rc);
}

static int compare(
	struct demoting *demoting, const uint8_t *there, uint8_t *here, uint64_t from, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read_source(demoting, here, len - done, from + done);

		if (n < 0)
			return (int)n;
		if (memcmp(there + done, here, (size_t)n) != 0)
			return tier_judge(demoting->tier, -EBADMSG);
		done += (size_t)n;
	}
	return 0;
}

/* All of it, as anybody would read it. */
static int read_back(struct demoting *demoting)
{
	const struct segment_remote *remote = &demoting->remote;
	uint8_t *window = anyio_malloc(2 * WINDOW_SIZE);
	int rc = window ? 0 : -ENOMEM;

	for (uint64_t at = 0; at < remote->size && rc == 0; at += WINDOW_SIZE) {
		size_t len =
			remote->size - at < WINDOW_SIZE ? (size_t)(remote->size - at) : WINDOW_SIZE;

		rc = tier_read(demoting->store, remote, at, window, len);
		if (rc == 0)
			rc = compare(demoting, window, window + WINDOW_SIZE, at, len);
		if (rc == 0)
			rc = tell_progress(demoting, &demoting->checked, at + len);
	}
	anyio_free(window);
	return rc;
}

/* ---- it becomes theirs ---- */

/* With the lock `writing` held, and room reserved. Whether it was moved here meanwhile is all the same; but what is dead,
 * or in another tier by now, is left out. */
static int enter_leaf(struct demoting *demoting, size_t i)
{
	struct store *store = demoting->store;
	const struct leaf *leaf = &demoting->leaves[i];
	struct index_place now,
		place = { .offset = leaf->at + leaf->head,
			.segment = demoting->remote.number,
			.len = leaf->from.len,
			.codec = MF_CODEC_RAW,
			.ordinal = (uint32_t)i,
			.version = 1 };
	int rc = is_movable(demoting, &leaf->cid, &now);

	if (rc == 0)
		demoting->result->skipped++;
	/* So that nobody misses it where it was: it may have come there just now. */
	struct segment_file *file = rc > 0 ? segment_set_find(&store->segments, now.segment) : NULL;
	if (file && !file->swept)
		return -EAGAIN;
	if (rc > 0)
		rc = store_touch(store, &place) < 0 ? -ENOMEM : 1;
	if (rc <= 0)
		return rc;
	index_put(&store->index, &leaf->cid, &place);
	store->moves++;
	demoting->result->blocks++;
	demoting->result->bytes += place.len;
	return 0;
}

static int enter_batch(struct demoting *demoting, size_t *next)
{
	struct store *store = demoting->store;
	size_t end = *next + BATCH < demoting->count ? *next + BATCH : demoting->count;
	int rc = anyio_lock_acquire(&store->writing);

	if (rc < 0)
		return rc;
	rc = store->broken ? store->broken : index_reserve(&store->index, BATCH);
	while (*next < end && rc == 0 && (rc = enter_leaf(demoting, *next)) == 0)
		++*next;
	anyio_lock_release(&store->writing);
	return rc;
}

/* The segment of the next one is said to have lost some. */
static int sweep_under(struct demoting *demoting, size_t next)
{
	struct store *store = demoting->store;
	struct index_place now;
	int rc = is_movable(demoting, &demoting->leaves[next].cid, &now);
	struct segment_file *file = rc > 0 ? segment_set_find(&store->segments, now.segment) : NULL;

	return file ? store_begin_sweeping(store, file) : rc < 0 ? rc : 0;
}

static int enter_leaves(struct demoting *demoting)
{
	int rc = 0;

	for (size_t next = 0; next < demoting->count && rc == 0;) {
		rc = enter_batch(demoting, &next);
		if (rc == -EAGAIN)
			rc = sweep_under(demoting, next);
		if (rc == 0)
			rc = store_checkpoint_if_due(demoting->store);
	}
	return rc;
}

static int note(struct demoting *demoting, bool unwanted, bool entered)
{
	struct store *store = demoting->store;
	struct segment_remote *remote = &demoting->remote;
	store_ticket ticket = 0;

	remote->unwanted = unwanted;
	remote->entered = entered;
	remote->busy = true;
	int rc = segment_set_note_remote(&store->segments, remote);
	if (rc == 0)
		rc = store_note_remote(store, remote, &ticket);
	return rc < 0 ? rc : store_sync(store, ticket);
}

static int enter(void *arg)
{
	struct demoting *demoting = arg;
	int rc = note(demoting, false, false);

	if (rc == 0)
		rc = enter_leaves(demoting);
	if (rc == 0)
		rc = store_checkpoint(demoting->store);
	if (rc == 0)
		rc = note(demoting, false, true);
	if (rc == 0 && !demoting->from) {
		demoting->tier->stat.demoted += demoting->result->blocks;
		demoting->tier->stat.demoted_bytes += demoting->result->bytes;
	}
	return rc;
}

static int shielded(anyio_task_fn body, struct demoting *demoting)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	return anyio_cancel_scope_run(&scope, body, demoting);
}

static int announce(struct demoting *demoting)
{
	struct segment_remote *remote = &demoting->remote;

	memcpy(remote->tier, demoting->tier->stat.name, sizeof(remote->tier));
	randombytes_buf(&remote->random, sizeof(remote->random));
	remote->number = segment_set_take_number(&demoting->store->segments);
	return remote->number ? note(demoting, true, false) : -EOVERFLOW;
}

static int ask_first(struct demoting *demoting)
{
	struct store_tier verbs;
	int rc = tier_ask(demoting->tier, &verbs);

	return tier_judge(demoting->tier, rc == 0 && verbs.ready ? verbs.ready(verbs.arg) : rc);
}

static int demote(struct demoting *demoting)
{
	int rc = lay_out(demoting);

	if (rc == 0)
		rc = ask_first(demoting);
	if (rc == 0)
		rc = announce(demoting);
	if (rc < 0)
		return rc;
	rc = write_object(demoting);
	if (rc >= 0)
		rc = read_back(demoting);
	return rc < 0 ? rc : shielded(enter, demoting);
}

static int demote_all(struct demoting *demoting, const struct mf_cid *cids, size_t count)
{
	struct store *store = demoting->store;

	if (store->broken)
		return store->broken;
	if (count > UINT32_MAX / 2)
		return -EMSGSIZE;
	demoting->leaves = anyio_calloc(count + 1, sizeof(*demoting->leaves));
	int rc = demoting->leaves ? find_leaves(demoting, cids, count) : -ENOMEM;
	if (rc == 0 && demoting->count)
		rc = demote(demoting);
	struct segment_remote *remote =
		segment_set_find_remote(&store->segments, demoting->remote.number);
	if (remote)
		remote->busy = false;
	store_block_release(&demoting->held);
	anyio_free(demoting->leaves);
	anyio_free(demoting->index);
	return rc;
}

int store_demote(struct store *store, const char *tier, const struct mf_cid *cids, size_t count,
	const struct store_move_options *options, struct store_move_result *result)
{
	struct demoting demoting = {
		.store = store, .tier = tier_find(store, tier), .options = options, .result = result
	};

	*result = (struct store_move_result){ 0 };
	if (!demoting.tier || !demoting.tier->stat.attached)
		return -ENODEV;
	return demote_all(&demoting, cids, count);
}

int tier_rewrite(struct store *store, struct tier *tier, uint32_t from, const struct mf_cid *cids,
	size_t count)
{
	struct store_move_result result = { 0 };
	struct demoting demoting = {
		.store = store, .tier = tier, .from = from, .result = &result
	};

	return demote_all(&demoting, cids, count);
}
