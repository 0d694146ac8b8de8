/*
 * Looking over a repo: what is lost. The log tells where it is damaged or ends too early, the index
 * which blocks were there. When the loss is accepted, the index forgets them, VOID records and the
 * state of the repo keep others from complaining, and nothing else changes.
 */
#include <errno.h>
#include "segment_remote.h"
#include "verifying.h"

int verifying_add_gap(void *arg, const struct store_gap *gap)
{
	struct verifying *verifying = arg;
	struct verify_gap *more;

	for (size_t i = 0; i < verifying->gap_count; i++)
		if (verifying->gaps[i].gap.segment == gap->segment)
			return 0;
	more = anyio_realloc(verifying->gaps, (verifying->gap_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	verifying->gaps = more;
	more[verifying->gap_count++] = (struct verify_gap){ .gap = *gap };
	return 0;
}

int verifying_add_damage(struct verifying *verifying, uint32_t segment, uint64_t from, uint64_t to,
	const struct mf_cid *cid)
{
	struct mf_cid *copy = NULL;

	if (anyio_grow(&verifying->damages, &verifying->damage_room, verifying->damage_count + 1,
		    sizeof(*verifying->damages)))
		return -ENOMEM;
	if (cid) {
		copy = anyio_malloc(sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		*copy = *cid;
	}
	verifying->damages[verifying->damage_count++] =
		(struct verify_damage){ .range = { segment, from, to }, .cid = copy };
	return 0;
}

void verifying_free(struct verifying *verifying)
{
	for (size_t i = 0; i < verifying->damage_count; i++)
		anyio_free(verifying->damages[i].cid);
	anyio_free(verifying->damages);
	anyio_free(verifying->gaps);
}

static struct verify_gap *find_gap(struct verifying *verifying, uint32_t segment)
{
	for (size_t i = 0; i < verifying->gap_count; i++)
		if (verifying->gaps[i].gap.segment == segment)
			return &verifying->gaps[i];
	return NULL;
}

static bool overlaps(const struct store_range *range, const struct index_place *place)
{
	uint64_t end = place->offset + place->len;

	return range->segment == place->segment && place->offset <= range->to &&
		end > range->from && (place->len == 0 || place->offset < range->to);
}

/* The damage a block lies in whose own section did not tell. */
static struct verify_damage *find_damage(
	struct verifying *verifying, const struct index_place *place)
{
	for (size_t i = 0; i < verifying->damage_count; i++) {
		struct verify_damage *damage = &verifying->damages[i];

		if (!damage->named && overlaps(&damage->range, place))
			return damage;
	}
	return NULL;
}

/* Its bytes are whole, and the log around them is not: it is written once more, so that it does not
 * hang on the index alone. */
static int move(struct verifying *verifying, const struct store_block *block,
	const struct index_place *place)
{
	struct store *store = verifying->store;
	struct store_moved moved = { 0 };
	store_ticket ticket = 0;
	int rc = store_move_many(store, block, place, 1, &ticket, &moved);

	return rc < 0 ? rc : store_sync(store, ticket);
}

static int look_at_damaged(struct verifying *verifying, struct verify_damage *damage,
	const struct mf_cid *cid, const struct index_place *place, bool counted)
{
	struct store *store = verifying->store;
	bool accept = verifying->options->accept_loss;
	struct store_block block;
	int rc = store_get(store, cid, &block);

	if (rc == 0) {
		verifying->matched += counted;
		rc = accept ? move(verifying, &block, place) : 0;
		store_block_release(&block);
		return rc;
	}
	if (rc != -EBADMSG && rc != -ENOENT && rc != -EIO)
		return rc;
	verifying->matched += counted;
	damage->blocks++;
	verifying_report(verifying,
		&(struct store_fault){ .kind = STORE_FAULT_BLOCK,
			.segment = damage->range.segment,
			.from = damage->range.from,
			.to = damage->range.to,
			.cid = cid,
			.error = -EBADMSG,
			.accepted = accept });
	return accept ? index_drop(&store->index, cid, place) : 0;
}

/* What lies in a tier is verified when it is read, or by verifying_tiers. What was found damaged then, or not there, is read
 * again: the tier may have been out of sight for a while. What cannot be read now is never given up. */
static int look_at_remote(struct verifying *verifying, const struct segment_remote *remote,
	const struct mf_cid *cid, const struct index_place *place)
{
	struct segment_remote copy = *remote;

	if (place->state == INDEX_PRESENT)
		verifying->matched++;
	if (place->state == INDEX_PRESENT || verifying->options->tiers)
		return 0;
	int rc = verifying_read_remote(verifying, &copy, cid, place);
	if (rc == -EREMOTEIO)
		return verifying_report_remote(verifying, &copy, cid, place, rc);
	return rc < 0 ? rc : 0;
}

/* One that the index knows, or knows to be damaged. */
static int look_at(void *arg, const struct mf_cid *cid, const struct index_place *place)
{
	struct verifying *verifying = arg;
	struct store *store = verifying->store;
	bool accept = verifying->options->accept_loss, counted = place->state == INDEX_PRESENT;
	const struct segment_remote *remote =
		segment_set_find_remote(&store->segments, place->segment);
	struct verify_damage *damage;

	if (remote)
		return look_at_remote(verifying, remote, cid, place);
	if (store_reaches(store, place)) {
		damage = find_damage(verifying, place);
		return damage ? look_at_damaged(verifying, damage, cid, place, counted) : 0;
	}
	if (!find_gap(verifying, place->segment)) {
		const struct segment_file *file =
			segment_set_find(&store->segments, place->segment);
		struct store_gap gap = { .segment = place->segment,
			.there = file ? file->size : 0,
			.known = place->offset + place->len,
			.missing = !file };
		int rc = verifying_add_gap(verifying, &gap);
		if (rc < 0)
			return rc;
	}
	find_gap(verifying, place->segment)->blocks++;
	verifying->matched += counted;
	return accept ? index_drop(&store->index, cid, place) : 0;
}

int verifying_each_block(struct verifying *verifying,
	int (*each)(void *arg, const struct mf_cid *cid, const struct index_place *place),
	void *arg)
{
	struct store *store = verifying->store;
	struct index_key key = { 0 };
	struct index_block block;
	/* What was put lately must be seen too; of a log that only is read, the index has all. */
	int rc = store->broken ? 0 : store_checkpoint(store);

	while (rc == 0 && (rc = (int)index_next_blocks(&store->index, &key, &block, 1)) > 0) {
		rc = block.place.state == INDEX_GONE ? 0 : each(arg, &block.cid, &block.place);
		if (rc == 0)
			rc = store_checkpoint_if_due(store);
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	return rc;
}

static void report_all(struct verifying *verifying)
{
	bool accept = verifying->options->accept_loss;

	for (size_t i = 0; i < verifying->gap_count; i++) {
		const struct verify_gap *lost = &verifying->gaps[i];

		verifying_report(verifying,
			&(struct store_fault){ .kind = lost->gap.changed ? STORE_FAULT_CHANGED
									 : STORE_FAULT_SEGMENT,
				.segment = lost->gap.segment,
				.from = lost->gap.there,
				.to = lost->gap.known,
				.blocks = lost->blocks,
				.error = -ENOENT,
				.accepted = accept });
	}
	for (size_t i = 0; i < verifying->damage_count; i++) {
		const struct verify_damage *damage = &verifying->damages[i];
		const struct verify_gap *lost = find_gap(verifying, damage->range.segment);

		/* Where a segment was torn off, it is damaged, which goes without saying. */
		if (damage->named || damage->blocks ||
			(lost && lost->gap.there == damage->range.to))
			continue;
		verifying_report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_DAMAGE,
				.segment = damage->range.segment,
				.from = damage->range.from,
				.to = damage->range.to,
				.error = -EBADMSG,
				.accepted = accept });
	}
}

static int give_up_segment(struct store *store, uint32_t number)
{
	store_ticket ticket = 0;
	/* What left the index before is not to be missed in it then. */
	const struct segment_file *file = segment_set_find(&store->segments, number);
	bool swept = file && !file->adopted && file->swept;
	int rc = store_note_segment(
		store, number, swept ? SEGMENT_STATE_DROPPED : SEGMENT_STATE_GONE, &ticket);

	if (rc == 0)
		rc = store_sync(store, ticket);
	return rc < 0 ? rc : segment_set_note_gone(&store->segments, number, 0);
}

static int give_up_range(struct store *store, const struct store_range *range)
{
	store_ticket ticket = 0;
	int rc = store_write_voids(store, range, 1);

	if (rc < 0 || !segment_set_find_adopted(&store->segments, range->segment))
		return rc;
	rc = store_note_segment(store, range->segment, SEGMENT_STATE_ALTERED, &ticket);
	return rc < 0 ? rc : store_sync(store, ticket);
}

static int give_up(struct verifying *verifying)
{
	struct store *store = verifying->store;
	int rc = 0;

	/* The index first: whatever stops it here, what is left is complained of again. */
	rc = store_checkpoint(store);
	for (size_t i = 0; i < verifying->damage_count && rc == 0; i++)
		rc = give_up_range(store, &verifying->damages[i].range);
	for (size_t i = 0; i < verifying->gap_count && rc == 0; i++)
		rc = give_up_segment(store, verifying->gaps[i].gap.segment);
	return rc;
}

int verifying_lost(struct verifying *verifying)
{
	/* Also when all segments are whole: what was found damaged before may be in one that nobody misses. */
	int rc = verifying_each_block(verifying, look_at, verifying);

	if (rc < 0)
		return rc;
	report_all(verifying);
	if (verifying->matched != verifying->expected &&
		verifying->moves == verifying->store->moves) {
		uint64_t a = verifying->expected, b = verifying->matched;

		verifying_report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_POINTERS,
				.blocks = a > b ? a - b : b - a,
				.error = -EUCLEAN });
	}
	return verifying->options->accept_loss ? give_up(verifying) : 0;
}
