/*
 * Blocks that come from peers: the network's way through the gate.
 *
 * A message tells a block's hash function but not its digest, so a block is hashed to learn which it
 * is; what nobody here asked for ends there. What was asked for is put into the store and then
 * handed over. Workers, at most two at a time, take blocks from the queue of messages, so many
 * at once: while the CPU pool hashes for one, the other writes, and the loop goes on reading.
 *
 * A message that is mostly one block becomes that block's memory. Otherwise blocks are copied.
 */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>
#include <store/gate.h>
#include <string.h>

enum {
	WORK_BLOCKS = 64,
	WORK_BYTES = 4 << 20,
	WORKERS = 2,
	PAIR_BYTES = 128 << 10,
};

#define PAIR_WAIT (2 * ANYIO_MILLISECOND)
#define GAVE_AHEAD                                                                                 \
	(60 * ANYIO_SECOND) /* who gave a block that was wanted counts as used for so long */

STAILQ_HEAD(arrivals, bitswap_arrival);

struct piece {
	struct bitswap_item item;
	struct bitswap_arrival *from;
	int rc;
};

/* What one worker has in hand. */
struct work {
	struct bitswap *bitswap;
	struct bitswap_arrival *open; /* not all of its blocks were taken yet */
	struct arrivals ended;        /* all were, and pieces point into it */
	struct piece pieces[WORK_BLOCKS];
	struct store_block puts[WORK_BLOCKS];
	struct piece *put_from[WORK_BLOCKS];
	size_t count, bytes, put_count;
	store_ticket ticket;
};

void bitswap_arrival_free(struct bitswap_arrival *arrival)
{
	struct bitswap_peer *peer = arrival->peer;

	if (arrival->blocks > 0) {
		peer->inbox -= arrival->len;
		anyio_event_set(&peer->room);
	}
	p2p_account_release(&arrival->account, arrival->account.used.memory);
	p2p_account_end(&arrival->account);
	bitswap_peer_unref(peer);
	anyio_free(arrival->data);
	anyio_free(arrival);
}

/* ---- taking from the queue ---- */

/* The message to take the next block from; NULL when there is none. */
static struct bitswap_arrival *open_arrival(struct work *work)
{
	struct bitswap *bitswap = work->bitswap;

	if (work->open)
		return work->open;
	work->open = STAILQ_FIRST(&bitswap->arrivals);
	if (work->open) {
		STAILQ_REMOVE_HEAD(&bitswap->arrivals, link);
		bitswap->arriving -= work->open->len;
	}
	return work->open;
}

static void take_more(struct work *work)
{
	struct bitswap_arrival *arrival;
	struct bitswap_item item;

	while (work->count < WORK_BLOCKS && work->bytes < WORK_BYTES &&
		(arrival = open_arrival(work))) {
		int rc = bitswap_next(&arrival->reader, &item);
		if (rc <= 0) {
			STAILQ_INSERT_TAIL(&work->ended, arrival, link);
			work->open = NULL;
		} else if (item.kind == BITSWAP_BLOCK) {
			work->pieces[work->count++] =
				(struct piece){ .item = item, .from = arrival };
			work->bytes += item.data.len;
		}
	}
}

/* A large block waits a moment for another, if one is to come: two are hashed in little more time
 * than one. */
static int take_batch(struct work *work)
{
	int rc = 0;

	work->count = work->bytes = work->put_count = 0;
	take_more(work);
	if (work->count == 1 && work->bytes >= PAIR_BYTES && work->bitswap->wants.count > 1) {
		rc = anyio_sleep(PAIR_WAIT);
		take_more(work);
	}
	return rc;
}

static void free_ended(struct work *work)
{
	struct bitswap_arrival *arrival;

	while ((arrival = STAILQ_FIRST(&work->ended))) {
		STAILQ_REMOVE_HEAD(&work->ended, link);
		bitswap_arrival_free(arrival);
	}
}

/* ---- hashing ---- */

/* Hashes them, to learn the CIDs. In puts, which pick_wanted() then fills with those that are wanted. */
static int name_blocks(struct work *work)
{
	int results[WORK_BLOCKS];

	for (size_t i = 0; i < work->count; i++) {
		const struct bitswap_item *item = &work->pieces[i].item;

		work->puts[i] = (struct store_block){
			.cid = item->cid, .data = item->data.data, .len = item->data.len
		};
	}
	int rc = store_gate_name(work->puts, work->count, results);
	for (size_t i = 0; i < work->count && rc == 0; i++) {
		work->pieces[i].item.cid = work->puts[i].cid;
		work->pieces[i].rc = results[i];
	}
	return rc;
}

/* ---- what was wanted ---- */

static void count_other(struct bitswap *bitswap, const struct piece *piece, bool known)
{
	if (piece->rc < 0)
		bitswap->statistics.invalid_received++;
	else if (known || store_has(bitswap->store, &piece->item.cid) == 1)
		bitswap->statistics.duplicates_received++;
	else
		bitswap->statistics.unwanted_received++;
}

static void pick_wanted(struct work *work)
{
	struct bitswap *bitswap = work->bitswap;

	for (size_t i = 0; i < work->count; i++) {
		struct piece *piece = &work->pieces[i];
		struct bitswap_peer *peer = piece->from->peer;
		struct bitswap_want *want =
			piece->rc == 0 ? bitswap_want_find(bitswap, &piece->item.cid) : NULL;
		if (!want || want->arrived) {
			count_other(bitswap, piece, want);
			continue;
		}
		bitswap->statistics.blocks_received++;
		bitswap->statistics.bytes_received += piece->item.data.len;
		peer->gave = anyio_now();
		peer->given += piece->item.data.len;
		if (peer->late > 0)
			peer->late--;
		peer->doubted = bitswap_peer_is_late_often(peer);
		p2p_host_used(bitswap->host, &peer->id, GAVE_AHEAD);
		bitswap_want_arrived(want, peer);
		work->put_from[work->put_count] = piece;
		work->puts[work->put_count++] = (struct store_block){
			.cid = want->cid, .data = piece->item.data.data, .len = piece->item.data.len
		};
	}
}

/* ---- handing over ---- */

/* Memory for a need: the message itself where that wastes little, else a copy. */
static int give_block(struct bitswap_need *need, struct piece *piece)
{
	struct bitswap_arrival *from = piece->from;
	size_t len = piece->item.data.len;
	const uint8_t *data = piece->item.data.data;
	void *memory = NULL;

	if (from->blocks == 1 && from->data && len >= from->len / 2) {
		memory = from->data;
		from->data = NULL;
	} else {
		uint8_t *copy = memory = anyio_malloc(len + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, data, len);
		data = copy;
	}
	bitswap_need_give(need, data, len, memory);
	return 0;
}

/* Ends the want, with the block, now in the store, or with an error. */
static void hand_over(struct work *work, size_t i, int rc)
{
	struct bitswap_want *want = bitswap_want_find(work->bitswap, &work->puts[i].cid);
	struct bitswap_need *need, *next = want && want->arrived ? TAILQ_FIRST(&want->needs) : NULL;

	while ((need = next)) {
		int given = rc;
		next = TAILQ_NEXT(need, of_want);
		if (need->session->ticket < work->ticket)
			need->session->ticket = work->ticket;
		if (given == 0)
			given = give_block(need, work->put_from[i]);
		if (given < 0)
			bitswap_need_fail(need, given);
	}
}

static int store_batch(struct work *work)
{
	struct bitswap *bitswap = work->bitswap;
	int rc = name_blocks(work);

	if (rc < 0)
		return rc;
	pick_wanted(work);
	if (work->put_count > 0)
		rc = store_put_many(
			bitswap->store, work->puts, work->put_count, STORE_VERIFIED, &work->ticket);
	for (size_t i = 0; i < work->put_count; i++) {
		hand_over(work, i, rc == ANYIO_CANCELLED ? ANYIO_CLOSED : rc);
		if (rc == 0)
			bitswap_have(bitswap, &work->puts[i].cid);
	}
	bitswap_session_advance_all(bitswap);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static int store_all(struct work *work)
{
	int rc = take_batch(work);

	while (rc == 0 && work->count > 0) {
		rc = store_batch(work);
		free_ended(work);
		if (rc == 0)
			rc = take_batch(work);
	}
	free_ended(work);
	if (work->open)
		bitswap_arrival_free(work->open);
	return rc;
}

/* What a lack of memory leaves in the queue is looked at again; what was in hand is asked for again. */
static int worker(void *arg)
{
	struct bitswap *bitswap = arg;
	struct work *work = anyio_malloc(sizeof(*work));
	int rc = -ENOMEM;

	if (work) {
		work->bitswap = bitswap;
		work->open = NULL;
		work->ticket = 0;
		STAILQ_INIT(&work->ended);
		rc = store_all(work);
	}
	anyio_free(work);
	bitswap->workers--;
	bitswap_moved(bitswap);
	if (rc < 0)
		bitswap_held_up(bitswap);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

void bitswap_arrive_kick(struct bitswap *bitswap)
{
	bool needed = bitswap->workers == 0
		? !STAILQ_EMPTY(&bitswap->arrivals)
		: bitswap->workers < WORKERS && bitswap->arriving >= WORK_BYTES / 2;

	if (needed && bitswap_start(bitswap, worker, bitswap, "bitswap blocks") == 0)
		bitswap->workers++;
}

void bitswap_arrive(struct bitswap_arrival *arrival, size_t blocks)
{
	struct bitswap *bitswap = arrival->peer->bitswap;

	if (!bitswap->group) {
		bitswap_arrival_free(arrival);
		return;
	}
	arrival->reader = bitswap_read(arrival->data, arrival->len);
	arrival->blocks = blocks;
	arrival->peer->inbox += arrival->len;
	bitswap->arriving += arrival->len;
	STAILQ_INSERT_TAIL(&bitswap->arrivals, arrival, link);
	bitswap_arrive_kick(bitswap);
}
