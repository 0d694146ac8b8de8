/*
 * Peers, and sending to them.
 *
 * A peer has a sending task only while there is something to send, and one stream that stays open
 * between its lives. A peer may end the stream whenever it is idle, so a message that meets an old
 * stream's end is sent again over a new one; and as nobody knows what the old one took along, the
 * whole wantlist goes with it. While one batch of blocks is being sent the next is read, if there is a
 * place for it. While there is none for the first, what we want and have to answer is sent all the same.
 */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>
#include <multiformats/varint.h>
#include <stdlib.h>
#include <string.h>

enum {
	MESSAGE_BYTES = 256 << 10, /* a message is full of blocks from here on */
	ATTEMPTS = 3,
	DEAF_SECONDS = 1,     /* into a message */
	SEND_SECONDS = 30,    /* a message has this long, */
	SEND_RATE = 16 << 10, /* and a second for so many bytes */
};

const char *const bitswap_protocols[] = { "/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0",
	"/ipfs/bitswap/1.0.0", "/ipfs/bitswap" };

/* ---- life ---- */

static struct bitswap_peer *peer_find(const struct bitswap *bitswap, const struct mf_peer_id *id)
{
	struct bitswap_peer *peer;

	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (mf_peer_id_equal(&peer->id, id))
			break;
	return peer;
}

static void remember(const struct bitswap_peer *peer)
{
	struct bitswap *bitswap = peer->bitswap;

	if (!peer->doubted && !peer->late && !peer->behind)
		return;
	bitswap->records[bitswap->record_next] = (struct bitswap_record){
		.id = peer->id, .doubted = peer->doubted, .late = peer->late, .behind = peer->behind
	};
	bitswap->record_next = (bitswap->record_next + 1) % BITSWAP_RECORDS;
}

static void recall(struct bitswap_peer *peer)
{
	for (size_t i = 0; i < BITSWAP_RECORDS; i++) {
		struct bitswap_record *record = &peer->bitswap->records[i];
		if (!mf_peer_id_equal(&record->id, &peer->id))
			continue;
		peer->doubted = record->doubted;
		peer->late = record->late;
		peer->behind = record->behind;
		*record = (struct bitswap_record){ 0 };
		return;
	}
}

struct bitswap_peer *bitswap_peer_get(struct bitswap *bitswap, const struct mf_peer_id *id)
{
	struct bitswap_peer *peer = peer_find(bitswap, id);

	if (peer || !(peer = anyio_calloc(1, sizeof(*peer))))
		return peer;
	peer->bitswap = bitswap;
	peer->id = *id;
	peer->refs = 1;
	p2p_account_init(&peer->account, &bitswap->account, &bitswap->peer_limit);
	TAILQ_INIT(&peer->unsent);
	TAILQ_INIT(&peer->sent);
	anyio_event_init(&peer->room);
	anyio_event_init(&peer->news);
	recall(peer);
	TAILQ_INSERT_TAIL(&bitswap->peers, peer, link);
	bitswap->statistics.peers++;
	bitswap_want_peer_joined(peer);
	return peer;
}

void bitswap_peer_ref(struct bitswap_peer *peer)
{
	peer->refs++;
}

void bitswap_peer_unref(struct bitswap_peer *peer)
{
	if (--peer->refs > 0)
		return;
	p2p_account_end(&peer->account);
	anyio_stream_free(peer->stream);
	anyio_free(peer->cancels);
	anyio_free(peer);
}

void bitswap_peer_lost(struct bitswap_peer *peer)
{
	if (peer->gone)
		return;
	peer->gone = true;
	remember(peer);
	TAILQ_REMOVE(&peer->bitswap->peers, peer, link);
	peer->bitswap->statistics.peers--;
	bitswap_serve_clear(peer);
	bitswap_want_peer_lost(peer);
	bitswap_peer_unref(peer);
}

bool bitswap_peer_is_deaf(const struct bitswap_peer *peer)
{
	return peer->failures > 0 ||
		(peer->stuck && anyio_now() - peer->stuck >= DEAF_SECONDS * ANYIO_SECOND);
}

/* ---- the stream ---- */

static void drop_stream(struct bitswap_peer *peer)
{
	if (peer->stream)
		anyio_stream_abort(peer->stream);
	anyio_stream_free(peer->stream);
	peer->stream = NULL;
}

/* What identify promised, all four without it. */
static size_t choose_protocols(const struct bitswap_peer *peer, const char *const **protocols)
{
	*protocols = bitswap_protocols;
	for (size_t i = 0; i < BITSWAP_PROTOCOLS; i++)
		if (p2p_host_speaks(peer->bitswap->host, &peer->id, bitswap_protocols[i]) == 1) {
			*protocols = &bitswap_protocols[i];
			return 1;
		}
	return BITSWAP_PROTOCOLS;
}

static int open_stream(struct bitswap_peer *peer)
{
	const char *const *protocols;
	size_t count = choose_protocols(peer, &protocols);
	int rc = p2p_host_open_stream(
		peer->bitswap->host, &peer->id, protocols, count, &peer->stream, &peer->protocol);

	if (rc < 0)
		peer->stream = NULL;
	peer->fresh = true;
	return rc;
}

static int need_stream(struct bitswap_peer *peer)
{
	if (peer->renew)
		drop_stream(peer);
	peer->renew = false;
	return peer->stream ? 0 : open_stream(peer);
}

/* ---- one message ---- */

/* The pieces of a message: bytes made here, and blocks where they lie. */
struct outgoing {
	struct mf_pb_writer head;         /* all that is not blocks */
	size_t cut[BITSWAP_BATCH_BLOCKS]; /* block i follows this many bytes of head */
	const struct store_block *blocks;
	size_t count, bytes;
};

static bool speaks_bare(const struct bitswap_peer *peer)
{
	for (size_t i = BITSWAP_BARE; i < BITSWAP_PROTOCOLS; i++)
		if (peer->protocol == bitswap_protocols[i])
			return true;
	return false;
}

static void add_block(struct outgoing *message, const struct bitswap_peer *peer)
{
	const struct store_block *block = &message->blocks[message->count];
	const struct bitswap_options *options = &peer->bitswap->options;

	if (speaks_bare(peer))
		bitswap_put_bare_head(&message->head, block->len);
	else
		bitswap_put_block_head(&message->head, &block->cid, block->len);
	message->cut[message->count++] = message->head.len;
	message->bytes += block->len;
	if (options->given)
		options->given(options->arg, &block->cid);
}

static ssize_t make_message(
	struct outgoing *message, struct bitswap_peer *peer, const struct bitswap_batch *batch)
{
	*message = (struct outgoing){ .head = mf_pb_write_growing(256),
		.blocks = batch->blocks + batch->next };
	bitswap_wantlist_put(peer, &message->head);
	bitswap_serve_put_presences(peer, &message->head);
	while (batch->next + message->count < batch->count) {
		size_t len = message->blocks[message->count].len;
		if (message->count > 0 && message->bytes + len > MESSAGE_BYTES)
			break;
		add_block(message, peer);
	}
	return mf_pb_finish(&message->head);
}

static int send_pieces(struct bitswap_peer *peer, const struct outgoing *message)
{
	struct iovec iov[2 * BITSWAP_BATCH_BLOCKS + 2];
	uint8_t prefix[MF_VARINT_WRITE_MAX];
	size_t done = 0;
	int n = 0, rc;
	struct anyio_cancel_scope limit;

	iov[n++] = (struct iovec){ prefix,
		(size_t)mf_varint_encode(message->head.len + message->bytes, prefix) };
	for (size_t i = 0; i < message->count; i++) {
		iov[n++] = (struct iovec){ message->head.data + done, message->cut[i] - done };
		iov[n++] =
			(struct iovec){ (void *)message->blocks[i].data, message->blocks[i].len };
		done = message->cut[i];
	}
	if (done < message->head.len)
		iov[n++] = (struct iovec){ message->head.data + done, message->head.len - done };
	anyio_cancel_scope_init(&limit);
	anyio_cancel_scope_set_timeout(
		&limit, (SEND_SECONDS + (anyio_time)(message->bytes / SEND_RATE)) * ANYIO_SECOND);
	anyio_cancel_scope_enter(&limit);
	if (message->bytes > 0) /* and when it has been sent, which may take long */
		p2p_host_used(peer->bitswap->host, &peer->id, 0);
	peer->stuck = anyio_now();
	rc = anyio_stream_sendv(peer->stream, iov, n, NULL);
	peer->stuck = 0;
	rc = anyio_cancel_scope_exit(&limit, rc);
	return rc == 0 && anyio_cancel_scope_cancelled_caught(&limit) ? -ETIMEDOUT : rc;
}

/* Whether it was the old stream's end, and not the peer's sloth or our own doing. */
static bool is_stream_gone(int rc)
{
	return rc < 0 && rc != ANYIO_CANCELLED && rc != ANYIO_CLOSED && rc != -ETIMEDOUT &&
		rc != -ENOMEM;
}

/* A message that an old stream did not take is sent over a new one. */
static int send_message(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	struct outgoing message;
	bool retry = !peer->fresh;
	int rc;

	bitswap_serve_drop_cancelled(batch);
	peer->telling = anyio_now();
	rc = (int)make_message(&message, peer, batch);
	if (rc >= 0)
		rc = send_pieces(peer, &message);
	if (is_stream_gone(rc) && retry) {
		drop_stream(peer);
		peer->full = true;
		rc = open_stream(peer);
		if (rc == 0)
			rc = send_pieces(peer, &message);
	}
	free(message.head.data);
	bitswap_wantlist_sent(peer);
	if (rc < 0)
		return rc;
	peer->fresh = false;
	batch->next += message.count;
	if (message.count > 0)
		p2p_host_used(peer->bitswap->host, &peer->id, 0);
	peer->bitswap->statistics.blocks_sent += message.count;
	peer->bitswap->statistics.bytes_sent += message.bytes;
	return 0;
}

/* ---- the task ---- */

struct sending {
	struct bitswap_peer *peer;
	struct bitswap_batch batches[BITSWAP_BATCHES], *now, *next;
	bool loading; /* now, and that may take long */
};

static bool has_output(const struct bitswap_peer *peer)
{
	return bitswap_wantlist_has_output(peer) || bitswap_serve_has_output(peer);
}

static int load_next(void *arg)
{
	struct sending *sending = arg;

	return bitswap_serve_load_early(sending->peer, sending->next);
}

static int load_now(void *arg)
{
	struct sending *sending = arg;
	int rc = bitswap_serve_load(sending->peer, sending->now);

	sending->loading = false;
	anyio_event_set(&sending->peer->news);
	return rc;
}

/* Others may be served first for long, and what we want of this peer does not wait for that: it goes with
 * the next batch, which is empty. */
static int load_and_tell(struct sending *sending)
{
	struct bitswap_peer *peer = sending->peer;
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	sending->loading = true;
	if (anyio_try_start_soon(&group, load_now, sending, "bitswap load") < 0)
		rc = load_now(sending);
	while (rc == 0 && sending->loading) {
		anyio_event_init(&peer->news);
		if (!bitswap_wantlist_has_output(peer) && !peer->by_state[SERVED_PRESENCE].root) {
			rc = anyio_event_wait(&peer->news);
			continue;
		}
		rc = need_stream(peer);
		if (rc == 0)
			rc = send_message(peer, sending->next);
	}
	return anyio_task_group_exit(&group, rc);
}

/* The batch to be sent now, if there is anything to put into it. */
static int load_first(struct sending *sending)
{
	struct bitswap_peer *peer = sending->peer;
	int rc = 0;

	if (sending->now->count == 0)
		rc = bitswap_serve_load_early(peer, sending->now);
	if (rc == 0 && sending->now->count == 0 && peer->by_state[SERVED_READY].root)
		rc = load_and_tell(sending);
	return rc;
}

/* All of one batch, or as much as goes in a turn; and at least one message. */
static int send_batch(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	int rc;

	batch->since = anyio_now();
	do {
		rc = send_message(peer, batch);
	} while (rc == 0 && !peer->gone && batch->next < batch->count &&
		!bitswap_serve_turn_over(peer, batch));
	return rc;
}

static int send_round(struct sending *sending)
{
	struct bitswap_peer *peer = sending->peer;
	struct bitswap_batch *sent = sending->now;
	bool over;
	int rc = need_stream(peer);

	if (rc == 0)
		rc = load_first(sending);
	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	if (peer->by_state[SERVED_READY].root)
		anyio_try_start_soon(&group, load_next, sending, "bitswap load");
	rc = send_batch(peer, sent);
	over = bitswap_serve_turn_over(peer, sent);
	if (rc == 0)
		bitswap_serve_put_back(peer, sent);
	else
		bitswap_serve_unload(peer, sent);
	rc = anyio_task_group_exit(&group, rc);
	if (rc == 0 && over)
		bitswap_serve_put_back(peer, sending->next);
	sending->now = sending->next;
	sending->next = sent;
	return rc;
}

/* What could not be sent is lost; the wantlist will be said again. */
static int recover(struct bitswap_peer *peer, int rc)
{
	drop_stream(peer);
	peer->full = true;
	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc == -EPROTONOSUPPORT || rc == -ENOTCONN || ++peer->failures >= ATTEMPTS) {
		bitswap_peer_lost(peer);
		return rc;
	}
	return anyio_sleep(peer->failures * ANYIO_SECOND);
}

static void unload(struct sending *sending)
{
	for (int i = 0; i < BITSWAP_BATCHES; i++)
		bitswap_serve_unload(sending->peer, &sending->batches[i]);
}

static int send_all(struct bitswap_peer *peer)
{
	struct sending *sending = anyio_calloc(1, sizeof(*sending));
	int rc = sending ? 0 : -ENOMEM;

	if (!sending) {
		bitswap_held_up(peer->bitswap);
	} else {
		*sending = (struct sending){
			.peer = peer, .now = &sending->batches[0], .next = &sending->batches[1]
		};
		peer->batches = sending->batches;
	}
	while (rc == 0 && !peer->gone && (sending->now->count > 0 || has_output(peer))) {
		rc = send_round(sending);
		if (rc == 0) {
			peer->failures = 0;
		} else {
			unload(sending);
			rc = recover(peer, rc);
		}
	}
	if (sending)
		unload(sending);
	peer->batches = NULL;
	anyio_free(sending);
	peer->failures = 0;
	bitswap_moved(peer->bitswap);
	return rc;
}

/* A peer's trouble is no error of ours. */
static int send_task(void *arg)
{
	struct bitswap_peer *peer = arg;
	int rc = send_all(peer);

	peer->sending = false;
	anyio_event_set(&peer->bitswap->sent);
	bitswap_peer_unref(peer);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

void bitswap_peer_kick(struct bitswap_peer *peer)
{
	struct bitswap *bitswap = peer->bitswap;

	if (peer->sending)
		anyio_event_set(&peer->news);
	if (peer->sending || peer->gone || !bitswap->group || !has_output(peer))
		return;
	bitswap_peer_ref(peer);
	peer->sending = true;
	if (bitswap_start(bitswap, send_task, peer, "bitswap send") == 0)
		return;
	peer->sending = false;
	bitswap_peer_unref(peer);
}
