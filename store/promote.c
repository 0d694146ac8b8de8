/*
 * Moving blocks back from tiers: read, verified, and written at the end of the log as a collection writes what lives, so
 * that each is where it was until it is here.
 */
#include <errno.h>
#include "tiering.h"

enum { TOGETHER = 64, TOGETHER_BYTES = 16 << 20 };

struct promoting {
	struct store *store;
	struct mf_cid cids[TOGETHER];
	struct index_place places[TOGETHER];
	struct store_block blocks[TOGETHER];
	int results[TOGETHER];
	size_t count, bytes;
	bool damaged; /* some are */
	store_ticket ticket;
	const struct store_move_options *options;
	struct store_move_result *result;
};

static void count_promoted(struct promoting *promoting)
{
	struct store *store = promoting->store;

	for (size_t i = 0; i < promoting->count; i++) {
		const struct segment_remote *remote =
			segment_set_find_remote(&store->segments, promoting->places[i].segment);
		struct tier *tier = remote ? tier_find(store, remote->tier) : NULL;

		promoting->result->blocks++;
		promoting->result->bytes += promoting->places[i].len;
		if (tier) {
			tier->stat.promoted++;
			tier->stat.promoted_bytes += promoting->places[i].len;
		}
	}
}

/* Leaves out what is damaged. -EREMOTEIO ends it, and whatever else is no matter of one block. */
static int drop_damaged(struct promoting *promoting)
{
	size_t kept = 0;

	for (size_t i = 0; i < promoting->count; i++)
		if (promoting->results[i] < 0 && promoting->results[i] != -EBADMSG)
			return promoting->results[i];
	for (size_t i = 0; i < promoting->count; i++) {
		if (promoting->results[i] < 0) {
			promoting->damaged = true;
			continue;
		}
		promoting->cids[kept] = promoting->cids[i];
		promoting->places[kept] = promoting->places[i];
		promoting->blocks[kept++] = promoting->blocks[i];
	}
	promoting->count = kept;
	return 0;
}

static int move_back(struct promoting *promoting)
{
	struct store *store = promoting->store;
	struct store_moved moved = { 0 };
	uint64_t held = 0;
	int rc = store_get_many(
		store, promoting->cids, promoting->count, promoting->blocks, promoting->results);

	if (rc < 0)
		return rc;
	rc = drop_damaged(promoting);
	if (rc == 0)
		rc = limit_enter_bytes(store, promoting->bytes, &held);
	if (rc == 0)
		rc = store_move_many(store, promoting->blocks, promoting->places, promoting->count,
			&promoting->ticket, &moved);
	if (rc == 0)
		rc = store_checkpoint_if_due(store);
	if (rc == 0)
		count_promoted(promoting);
	limit_leave(store, held);
	for (size_t i = 0; i < promoting->count; i++)
		store_block_release(&promoting->blocks[i]);
	promoting->count = promoting->bytes = 0;
	if (rc == 0 && promoting->options && promoting->options->progress)
		rc = promoting->options->progress(
			promoting->options->arg, promoting->result->bytes);
	return rc;
}

static int promote_all(struct promoting *promoting, const struct mf_cid *cids, size_t count)
{
	struct store *store = promoting->store;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		struct index_place *place = &promoting->places[promoting->count];

		*place = (struct index_place){ .state = INDEX_GONE };
		rc = cids[i].hash == MF_HASH_IDENTITY ? 0 : store_find(store, &cids[i], place);
		if (rc < 0)
			break;
		if (place->state == INDEX_GONE ||
			!segment_set_find_remote(&store->segments, place->segment)) {
			promoting->result->skipped++;
			rc = 0;
			continue;
		}
		promoting->cids[promoting->count++] = cids[i];
		promoting->bytes += place->len;
		rc = promoting->count == TOGETHER || promoting->bytes >= TOGETHER_BYTES
			? move_back(promoting)
			: 0;
	}
	return rc == 0 && promoting->count ? move_back(promoting) : rc;
}

int store_promote(struct store *store, const struct mf_cid *cids, size_t count,
	const struct store_move_options *options, struct store_move_result *result)
{
	struct promoting *promoting = anyio_calloc(1, sizeof(*promoting));

	*result = (struct store_move_result){ 0 };
	if (!promoting)
		return -ENOMEM;
	promoting->store = store;
	promoting->options = options;
	promoting->result = result;
	int rc = store->broken ? store->broken : promote_all(promoting, cids, count);
	int synced = store_sync(store, promoting->ticket);
	rc = rc < 0 ? rc : synced;
	if (rc == 0 && promoting->damaged)
		rc = -EBADMSG;
	anyio_free(promoting);
	return rc;
}
