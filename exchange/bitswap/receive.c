/*
 * Reading the messages of peers.
 *
 * A peer's stream is read until the peer ends it. Between messages the reader holds nothing but its
 * stack: a message's length comes into a byte on it, and only then is there a buffer. It is charged
 * and grows as bytes come, for a promised length costs a peer nothing. A message's wants and answers
 * are dealt with here; its blocks go on to arrive.c, and the next message is read meanwhile, up to a
 * number of bytes.
 *
 * The memory for messages is shared by all peers. When it is used up, a message that is still being
 * read gives way (see libp2p/resource.h): of the peer that holds most, the one begun the longest
 * ago, which is its slowest.
 */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>
#include <stddef.h>

enum {
	RECEIVE_SECONDS = 30,    /* a message has this long once begun, */
	RECEIVE_RATE = 16 << 10, /* and a second for so many bytes */
	YIELD_ITEMS = 256,
	LENGTH_MAX = 4,      /* bytes of a length prefix that can be valid */
	SIZE_MIN = 16 << 10, /* of a buffer, where the message is not shorter */
	PIECE = 256 << 10,
};
#define PROGRESS_AHEAD (5 * ANYIO_SECOND)

/* The length of the next message: 1, or 0 at the end of the stream, or a negative code. */
static int read_length(struct anyio_stream *stream, size_t *len)
{
	size_t shift = 0;
	uint8_t byte;
	ssize_t n;

	*len = 0;
	do {
		n = anyio_stream_receive(stream, &byte, 1);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return shift ? ANYIO_INCOMPLETE_READ : 0;
		*len |= (size_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80 && shift < 7 * LENGTH_MAX);
	return byte & 0x80 || *len > BITSWAP_MESSAGE_MAX ? -EMSGSIZE : 1;
}

/* ---- one message ---- */

static void give_way(struct p2p_account *account)
{
	struct bitswap_arrival *arrival = (struct bitswap_arrival *)((char *)account -
		offsetof(struct bitswap_arrival, account));

	p2p_account_release(account, account->used.memory);
	anyio_stream_abort(arrival->stream); /* its reader finds out, and frees the buffer */
}

static struct bitswap_arrival *arrival_new(
	struct bitswap_peer *peer, struct anyio_stream *stream, size_t len)
{
	struct bitswap_arrival *arrival = anyio_calloc(1, sizeof(*arrival));

	if (!arrival)
		return NULL;
	arrival->peer = peer;
	bitswap_peer_ref(peer);
	arrival->stream = stream;
	arrival->len = len;
	p2p_account_init(&arrival->account, &peer->account, &p2p_no_limit);
	arrival->account.give_way = give_way;
	p2p_account_use(&arrival->account, anyio_now());
	return arrival;
}

/* Makes room for as much again as has come. */
static int grow_buffer(struct bitswap_arrival *arrival)
{
	size_t size = arrival->size ? 2 * arrival->size : SIZE_MIN;
	uint8_t *data;
	int rc;

	if (size > arrival->len)
		size = arrival->len;
	rc = p2p_account_charge(&arrival->account, size - arrival->size);
	if (rc < 0)
		return rc;
	data = anyio_realloc(arrival->data, size + 1);
	if (!data)
		return -ENOMEM;
	arrival->data = data;
	arrival->size = size;
	return 0;
}

/* What may be a block that the peer was asked for is coming, however slowly. */
static void note_progress(const struct bitswap_arrival *arrival)
{
	struct bitswap_peer *peer = arrival->peer;

	peer->heard = anyio_now();
	if (peer->block_count > 0)
		p2p_host_used(peer->bitswap->host, &peer->id, PROGRESS_AHEAD);
}

static int read_growing(struct bitswap_arrival *arrival)
{
	size_t have = 0, more;
	int rc = 0;

	while (rc == 0 && have < arrival->len) {
		if (have == arrival->size)
			rc = grow_buffer(arrival);
		more = arrival->size - have < PIECE ? arrival->size - have : PIECE;
		if (rc == 0)
			rc = anyio_stream_receive_exactly(
				arrival->stream, arrival->data + have, more);
		if (rc == 0 && have > 0)
			note_progress(arrival);
		have += more;
	}
	if (rc == 0 && arrival->account.used.memory == 0)
		return ANYIO_CLOSED; /* it gave way with its last bytes */
	return rc == ANYIO_END_OF_STREAM ? ANYIO_INCOMPLETE_READ : rc;
}

static int read_body(struct bitswap_arrival *arrival)
{
	struct anyio_cancel_scope limit;
	int rc;

	anyio_cancel_scope_init(&limit);
	anyio_cancel_scope_set_timeout(&limit,
		(RECEIVE_SECONDS + (anyio_time)(arrival->len / RECEIVE_RATE)) * ANYIO_SECOND);
	anyio_cancel_scope_enter(&limit);
	rc = read_growing(arrival);
	rc = anyio_cancel_scope_exit(&limit, rc);
	arrival->account.give_way = NULL;
	return rc == 0 && anyio_cancel_scope_cancelled_caught(&limit) ? -ETIMEDOUT : rc;
}

/* Waits until so much of the peer's is no longer in memory. */
static int wait_for_room(struct bitswap_peer *peer, size_t len)
{
	int rc = 0;

	while (rc == 0 && peer->inbox > 0 && peer->inbox + len > BITSWAP_INBOX_BYTES) {
		if (anyio_event_is_set(&peer->room))
			anyio_event_init(&peer->room);
		rc = anyio_event_wait(&peer->room);
	}
	return rc;
}

/* Goes through a message; how many blocks it has, or a negative code. What came before an error
 * counts. */
static ssize_t take_items(struct bitswap_peer *peer, const uint8_t *data, size_t len)
{
	struct bitswap_reader reader = bitswap_read(data, len);
	struct bitswap_item item;
	size_t items = 0, blocks = 0;
	int rc;

	if (bitswap_is_full(data, len))
		bitswap_serve_clear(peer);
	while ((rc = bitswap_next(&reader, &item)) > 0 && !peer->gone) {
		if (item.kind == BITSWAP_WANT)
			bitswap_serve_want(peer, &item);
		else if (item.kind == BITSWAP_PRESENCE)
			bitswap_want_presence(peer, &item.cid, item.have);
		else if (item.kind == BITSWAP_BLOCK)
			blocks++;
		if (++items % YIELD_ITEMS == 0 && (rc = anyio_checkpoint()) < 0)
			break;
	}
	return rc < 0 ? rc : (ssize_t)blocks;
}

/* Takes it over. */
static int take_message(struct bitswap_arrival *arrival)
{
	struct bitswap_peer *peer = arrival->peer;
	struct bitswap *bitswap = peer->bitswap;
	ssize_t blocks = take_items(peer, arrival->data, arrival->len);

	if (!peer->gone) {
		bitswap_peer_kick(peer);
		bitswap_session_advance_all(bitswap);
	}
	if (blocks > 0 && peer->asked && bitswap->wants.count > 0) {
		bitswap_arrive(arrival, (size_t)blocks);
		return 0;
	}
	if (blocks > 0)
		bitswap->statistics.unwanted_received += (uint64_t)blocks;
	bitswap_arrival_free(arrival);
	return blocks < 0 ? (int)blocks : 0;
}

static int receive_message(struct bitswap_peer *peer, struct anyio_stream *stream, size_t len)
{
	struct bitswap_arrival *arrival;
	int rc = wait_for_room(peer, len);

	if (rc < 0)
		return rc;
	arrival = arrival_new(peer, stream, len);
	rc = arrival ? read_body(arrival) : -ENOMEM;
	if (rc == 0)
		return take_message(arrival);
	if (arrival)
		bitswap_arrival_free(arrival);
	return rc;
}

/* A peer's record is made by its first message, and anew should it have been given up since. */
static int know_peer(
	struct bitswap *bitswap, const struct p2p_stream_in *in, struct bitswap_peer **peer)
{
	if (!bitswap->group || !p2p_host_connected(in->host, &in->peer))
		return ANYIO_CLOSED;
	if (*peer && !(*peer)->gone)
		return 0;
	if (*peer)
		bitswap_peer_unref(*peer);
	*peer = bitswap_peer_get(bitswap, &in->peer);
	if (!*peer)
		return -ENOMEM;
	bitswap_peer_ref(*peer);
	return 0;
}

static int receive_all(struct bitswap *bitswap, const struct p2p_stream_in *in)
{
	struct bitswap_peer *peer = NULL;
	size_t len;
	int rc;

	while ((rc = read_length(in->stream, &len)) > 0) {
		rc = know_peer(bitswap, in, &peer);
		if (rc == 0 && len > 0)
			rc = receive_message(peer, in->stream, len);
		if (rc < 0)
			break;
	}
	if (peer)
		bitswap_peer_unref(peer);
	return rc;
}

int bitswap_receive(struct p2p_stream_in *in, void *arg)
{
	struct bitswap *bitswap = arg;
	struct bitswap_inbound inbound = { .stream = in->stream };
	int rc;

	if (!bitswap->group)
		return ANYIO_CLOSED;
	LIST_INSERT_HEAD(&bitswap->inbound, &inbound, link);
	rc = receive_all(bitswap, in);
	LIST_REMOVE(&inbound, link);
	if (LIST_EMPTY(&bitswap->inbound))
		anyio_event_set(&bitswap->left);
	return rc;
}

void bitswap_receive_end(struct bitswap *bitswap)
{
	struct anyio_cancel_scope shield;
	struct bitswap_inbound *inbound;
	int rc = 0;

	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_enter(&shield);
	LIST_FOREACH (inbound, &bitswap->inbound, link)
		anyio_stream_abort(inbound->stream);
	anyio_event_init(&bitswap->left);
	while (rc == 0 && !LIST_EMPTY(&bitswap->inbound))
		rc = anyio_event_wait(&bitswap->left);
	anyio_cancel_scope_exit(&shield, rc);
}
