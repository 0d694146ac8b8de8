#include "session.h"

#include <errno.h>

#include <sodium.h>

#include <anyio/memory.h>

#include "../../buffers.h"

enum {
	WINDOW_MAX = 16 * 1024 * 1024,
	CONTROL_MAX = 64 * P2P_YAMUX_HEADER, /* control frames sent at a time */
	FRAMES_MAX = P2P_FRAMES_AT_ONCE,     /* data frames sent at a time */
	PIECES_MAX = 64,                     /* pieces of the caller's list sent at a time */
	QUICK_MAX = 64,
	MISSED_MAX = 3, /* ticks that one ping may go unanswered although other bytes come */
};

int p2p_yamux_create(struct p2p_channel *channel, const struct p2p_yamux_options *options,
	struct p2p_yamux_session **out)
{
	struct p2p_yamux_session *session = anyio_calloc(1, sizeof *session);

	if (!session) {
		p2p_channel_destroy(channel);
		return -ENOMEM;
	}
	session->options = *options;
	session->channel = channel;
	anyio_lock_init(&session->sending);
	anyio_event_init(&session->left);
	p2p_yamux_init(&session->core, options->client, WINDOW_MAX, &p2p_mux_hooks, session);
	*out = session;
	return 0;
}

void p2p_yamux_free(struct p2p_yamux_session *session)
{
	if (!session)
		return;
	p2p_channel_destroy(session->channel);
	anyio_free(session);
}

int p2p_yamux_enter(struct p2p_yamux_session *session)
{
	if (session->dead)
		return ANYIO_BROKEN;
	session->users++;
	return 0;
}

void p2p_yamux_leave(struct p2p_yamux_session *session)
{
	if (--session->users == 0 && session->dead)
		anyio_event_set(&session->left);
}

void p2p_yamux_break(struct p2p_yamux_session *session)
{
	session->dead = true;
	p2p_channel_close(session->channel);
}

void p2p_yamux_pass(struct p2p_yamux_session *session)
{
	if (++session->quick < QUICK_MAX)
		return;
	session->quick = 0;
	anyio_cancel_shielded_checkpoint();
}

/* ---- sending ---- */

/* The list of what goes out at once: control frames, then data frames of one stream. */
struct batch {
	uint8_t control[CONTROL_MAX];
	uint8_t headers[FRAMES_MAX][P2P_YAMUX_HEADER];
	struct iovec iov[1 + FRAMES_MAX + PIECES_MAX];
	int count;
	size_t size;
};

static void batch_add(struct batch *batch, const void *data, size_t len)
{
	batch->iov[batch->count++] = (struct iovec){ (void *)data, len };
	batch->size += len;
}

static void batch_control(struct batch *batch, struct p2p_yamux *core)
{
	size_t n = p2p_yamux_control(core, batch->control, sizeof batch->control);

	if (n > 0)
		batch_add(batch, batch->control, n);
}

/* Puts the next pieces of the list, at most `want` bytes and as many pieces as there is room for,
 * behind one header. How many bytes, 0 when the window or the room is used up. */
static size_t batch_frame(struct batch *batch, struct p2p_yamux *core,
	struct p2p_yamux_stream *stream, int frame, const struct iovec **iov, int *count,
	size_t *offset)
{
	const int room = (int)(sizeof batch->iov / sizeof *batch->iov) - batch->count - 1;
	uint8_t *header = batch->headers[frame];
	size_t offered = 0, left;

	for (int i = 0; i < *count && i < room && offered < P2P_YAMUX_DATA_MAX; i++)
		offered += (*iov)[i].iov_len - (i == 0 ? *offset : 0);
	left = offered ? p2p_yamux_data(core, stream, offered, header) : 0;
	if (left == 0)
		return 0;
	offered = left;
	batch_add(batch, header, P2P_YAMUX_HEADER);
	while (left > 0) {
		size_t n = (*iov)->iov_len - *offset;

		n = n < left ? n : left;
		if (n > 0)
			batch_add(batch, (const uint8_t *)(*iov)->iov_base + *offset, n);
		left -= n;
		*offset += n;
		if (*offset == (*iov)->iov_len) {
			++*iov;
			--*count;
			*offset = 0;
		}
	}
	return offered;
}

/* With the lock held: what was left behind first, then the batch. */
static int send_batch(struct p2p_yamux_session *session, struct batch *batch)
{
	int rc;

	if (batch->count == 0)
		return 0;
	rc = p2p_channel_put(session->channel, batch->iov, batch->count);
	if (rc < 0) {
		p2p_yamux_break(session);
		return rc;
	}
	session->sent += batch->size;
	return p2p_channel_flush(session->channel);
}

static int settle(struct p2p_yamux_session *session, int rc)
{
	if (rc < 0 && rc != ANYIO_CANCELLED) {
		p2p_yamux_break(session);
		rc = ANYIO_BROKEN;
	}
	anyio_lock_release(&session->sending);
	p2p_yamux_kick(session);
	return rc;
}

static int lock_sending(struct p2p_yamux_session *session)
{
	int rc = anyio_lock_acquire(&session->sending);

	if (rc < 0) {
		p2p_yamux_kick(session); /* the lock may have been handed to us and on to nobody */
		return rc;
	}
	if (session->dead)
		return settle(session, ANYIO_BROKEN);
	rc = p2p_channel_unsent(session->channel) ? p2p_channel_flush(session->channel) : 0;
	return rc < 0 ? settle(session, rc) : 0;
}

int p2p_yamux_send(struct p2p_yamux_session *session, struct p2p_mux_stream *stream,
	const struct iovec *iov, int count, size_t *taken)
{
	struct batch batch;
	size_t n, offset = 0;
	int rc;

	*taken = 0;
	rc = lock_sending(session);
	if (rc < 0)
		return rc;
	batch.count = 0;
	batch.size = 0;
	batch_control(&batch, &session->core);
	/* While we waited for the lock the stream may have ended. */
	for (int i = 0; i < FRAMES_MAX && count > 0; i++) {
		if (stream->closed || !stream->core.attached || stream->core.local_fin)
			break;
		n = batch_frame(&batch, &session->core, &stream->core, i, &iov, &count, &offset);
		if (n == 0)
			break;
		*taken += n;
	}
	return settle(session, send_batch(session, &batch));
}

static int flush_control(struct p2p_yamux_session *session)
{
	struct batch batch;
	int rc = lock_sending(session);

	session->flush_started = false;
	if (rc < 0)
		return rc;
	batch.count = 0;
	batch.size = 0;
	batch_control(&batch, &session->core);
	return settle(session, send_batch(session, &batch));
}

static int flush_task(void *arg)
{
	struct p2p_yamux_session *session = arg;
	int rc = flush_control(session);

	p2p_yamux_leave(session);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static bool has_work(const struct p2p_yamux_session *session)
{
	return !session->dead &&
		(p2p_yamux_has_control(&session->core) || p2p_channel_unsent(session->channel));
}

void p2p_yamux_kick(struct p2p_yamux_session *session)
{
	if (!has_work(session) || session->flush_started || anyio_lock_locked(&session->sending))
		return;
	if (p2p_yamux_enter(session) < 0)
		return;
	session->flush_started = true;
	if (anyio_try_start_soon(session->options.group, flush_task, session, "yamux flush") < 0) {
		session->flush_started = false;
		p2p_yamux_break(session);
		p2p_yamux_leave(session);
	}
}

/* ---- reading ---- */

static int read_frames(struct p2p_yamux_session *session)
{
	uint8_t *data;
	ssize_t n;
	int rc;

	while ((n = p2p_channel_peek(session->channel, &data)) > 0) {
		session->received += (size_t)n;
		session->heard = true;
		rc = p2p_yamux_input(&session->core, data, (size_t)n);
		if (rc < 0)
			return rc;
		p2p_channel_consume(session->channel, (size_t)n);
		p2p_yamux_kick(session);
	}
	return (int)n;
}

/* One attempt that hardly waits: a socket with room takes it, a full one is about to be closed
 * anyway. Kept out of line so that the reading task, which is parked above it, does not carry its
 * frame. */
static __attribute__((noinline)) void say_go_away(
	struct p2p_yamux_session *session, enum p2p_yamux_go_away reason)
{
	struct anyio_cancel_scope scope;
	struct batch batch = { .count = 0 };
	int rc;

	p2p_yamux_go_away(&session->core, reason);
	if (session->dead || anyio_lock_acquire_nowait(&session->sending) < 0)
		return;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_set_timeout(&scope, ANYIO_MILLISECOND);
	anyio_cancel_scope_enter(&scope);
	batch_control(&batch, &session->core);
	rc = p2p_channel_unsent(session->channel) ? p2p_channel_flush(session->channel) : 0;
	if (rc == 0)
		rc = send_batch(session, &batch);
	anyio_cancel_scope_exit(&scope, rc);
	anyio_lock_release(&session->sending);
}

static void wait_until_left(struct p2p_yamux_session *session)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_enter(&scope);
	while (session->users > 0) {
		anyio_event_init(&session->left);
		anyio_event_wait(&session->left);
	}
	anyio_cancel_scope_exit(&scope, 0);
}

int p2p_yamux_run(struct p2p_yamux_session *session)
{
	int rc;

	session->heard = true; /* the first tick may come at once: it is too early to judge */
	session->ping_sent = anyio_now();
	session->ping_value = randombytes_random();
	p2p_yamux_ping(&session->core, session->ping_value);
	p2p_yamux_kick(session);
	rc = read_frames(session);
	say_go_away(session,
		rc == -EPROTO || rc == ANYIO_TOO_MANY ? P2P_YAMUX_PROTOCOL_ERROR
						      : P2P_YAMUX_NORMAL);
	p2p_yamux_break(session);
	p2p_yamux_destroy(&session->core);
	wait_until_left(session);
	return rc == ANYIO_CLOSED ? 0 : rc;
}

void p2p_yamux_tick(struct p2p_yamux_session *session)
{
	struct p2p_yamux_stream *next = p2p_yamux_next(&session->core, NULL);

	if (session->dead)
		return;
	if (session->ping_sent && (!session->heard || ++session->missed == MISSED_MAX)) {
		p2p_yamux_break(session);
		return;
	}
	while (next) {
		struct p2p_mux_stream *stream = p2p_mux_of(next);

		next = p2p_yamux_next(&session->core, next);
		if (stream->closed && stream->swept)
			p2p_yamux_reset(&session->core, &stream->core);
		else
			stream->swept = stream->closed;
	}
	session->heard = false;
	if (session->ping_sent)
		return;
	session->missed = 0;
	session->ping_sent = anyio_now();
	p2p_yamux_ping(&session->core, ++session->ping_value);
	p2p_yamux_kick(session);
}

bool p2p_yamux_alive(const struct p2p_yamux_session *session)
{
	return !session->dead && !session->core.going && !session->core.gone;
}

anyio_time p2p_yamux_rtt(const struct p2p_yamux_session *session)
{
	return session->core.rtt;
}

void p2p_yamux_counts(const struct p2p_yamux_session *session, uint64_t *received, uint64_t *sent,
	size_t *streams)
{
	*received = session->received;
	*sent = session->sent;
	*streams = session->core.stream_count;
}
