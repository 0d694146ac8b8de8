#include "session.h"

#include <errno.h>
#include <string.h>

#include <anyio/memory.h>

enum { CHUNK_MIN = 4 * 1024 };

static struct p2p_mux_stream *stream_of(struct anyio_stream *base)
{
	return (struct p2p_mux_stream *)base;
}

/* ---- memory ---- */

/* What is charged: the bytes held, or the window beyond the first that was promised, if that is
 * more. */
static int recharge(struct p2p_mux_stream *stream, size_t held, size_t promised)
{
	size_t wanted = held > promised ? held : promised;
	int rc = 0;

	if (wanted > stream->charged && held >= promised)
		rc = p2p_account_charge(&stream->account, wanted - stream->charged);
	else if (wanted > stream->charged) /* nobody loses a stream so that another gets faster */
		rc = p2p_account_charge_spare(&stream->account, wanted - stream->charged);
	else if (wanted < stream->charged)
		p2p_account_release(&stream->account, stream->charged - wanted);
	if (rc == 0)
		stream->charged = wanted;
	return rc;
}

static size_t promised(const struct p2p_mux_stream *stream)
{
	return stream->core.recv_max - P2P_YAMUX_WINDOW;
}

static int chunk_append(struct p2p_mux_stream *stream, const uint8_t *data, size_t len)
{
	struct p2p_mux_chunk *last = stream->last, *chunk;
	size_t n = last ? last->size - last->end : 0, size;
	int rc;

	n = n < len ? n : len;
	if (n > 0) {
		memcpy(last->data + last->end, data, n);
		last->end += (uint32_t)n;
	}
	if (n == len)
		return 0;
	data += n;
	len -= n;
	size = len > CHUNK_MIN / 2 ? len : CHUNK_MIN;
	rc = recharge(stream, stream->held + size, promised(stream));
	if (rc < 0)
		return rc;
	chunk = anyio_malloc(sizeof *chunk + size);
	if (!chunk)
		return -ENOMEM;
	*chunk = (struct p2p_mux_chunk){ .end = (uint32_t)len, .size = (uint32_t)size };
	memcpy(chunk->data, data, len);
	stream->held += size;
	if (last)
		last->next = chunk;
	else
		stream->first = chunk;
	stream->last = chunk;
	return 0;
}

static void chunk_drop(struct p2p_mux_stream *stream)
{
	struct p2p_mux_chunk *chunk = stream->first;

	stream->first = chunk->next;
	if (!stream->first)
		stream->last = NULL;
	stream->held -= chunk->size;
	anyio_free(chunk);
	recharge(stream, stream->held, promised(stream));
}

static size_t chunks_take(struct p2p_mux_stream *stream, uint8_t *out, size_t size)
{
	size_t taken = 0;

	while (stream->first && taken < size) {
		struct p2p_mux_chunk *chunk = stream->first;
		size_t n = chunk->end - chunk->start;

		n = n < size - taken ? n : size - taken;
		memcpy(out + taken, chunk->data + chunk->start, n);
		chunk->start += (uint32_t)n;
		taken += n;
		if (chunk->start == chunk->end)
			chunk_drop(stream);
	}
	return taken;
}

static void chunks_clear(struct p2p_mux_stream *stream)
{
	while (stream->first)
		chunk_drop(stream);
}

/* ---- life ---- */

static const struct anyio_stream_ops mux_ops;

static void uncharge(struct p2p_mux_stream *stream)
{
	if (!stream->counted)
		return;
	stream->counted = false;
	chunks_clear(stream);
	recharge(stream, 0, 0);
	p2p_account_drop_stream(&stream->account, stream->inbound);
}

/* It is reset, and the task that has it ends what it does for it, and frees it. */
static void give_way(struct p2p_account *account)
{
	struct p2p_mux_stream *stream = (struct p2p_mux_stream *)((char *)account -
		offsetof(struct p2p_mux_stream, account));

	uncharge(stream);
	anyio_stream_abort(&stream->base);
	if (stream->serving)
		anyio_cancel_scope_cancel(stream->serving, "its stream gave way");
}

void p2p_mux_set_serving(struct p2p_mux_stream *stream, struct anyio_cancel_scope *scope)
{
	stream->serving = scope;
}

struct p2p_mux_stream *p2p_mux_create(struct p2p_yamux_session *session, bool inbound)
{
	const struct p2p_yamux_options *options = &session->options;
	struct p2p_mux_stream *stream = anyio_calloc(1, sizeof *stream);

	if (!stream)
		return NULL;
	p2p_account_init(&stream->account, options->account, options->stream_limit);
	if (p2p_account_add_stream(&stream->account, inbound) < 0) {
		p2p_account_end(&stream->account);
		anyio_free(stream);
		return NULL;
	}
	stream->counted = true;
	stream->account.give_way = give_way;
	p2p_account_use(&stream->account, anyio_now());
	stream->inbound = inbound;
	stream->owner = options->owner;
	stream->drop = options->drop;
	options->hold(options->owner);
	stream->base.ops = &mux_ops;
	stream->session = session;
	p2p_yamux_stream_init(&stream->core);
	anyio_event_init(&stream->readable);
	anyio_event_init(&stream->writable);
	return stream;
}

void p2p_mux_release(struct p2p_mux_stream *stream)
{
	uncharge(stream);
	p2p_account_end(&stream->account);
	stream->drop(stream->owner);
	anyio_free(stream);
}

int p2p_mux_open(struct p2p_yamux_session *session, struct p2p_mux_stream **out)
{
	struct p2p_mux_stream *stream;
	int rc;

	if (session->dead)
		return ANYIO_BROKEN;
	stream = p2p_mux_create(session, false);
	if (!stream)
		return ANYIO_TOO_MANY;
	rc = p2p_yamux_open(&session->core, &stream->core);
	if (rc < 0) {
		p2p_mux_release(stream);
		return rc;
	}
	*out = stream;
	return 0;
}

struct anyio_stream *p2p_mux_stream_base(struct p2p_mux_stream *stream)
{
	return &stream->base;
}

/* ---- hooks of the core ---- */

static struct p2p_yamux_stream *on_opened(void *owner, uint32_t id)
{
	struct p2p_yamux_session *session = owner;
	struct p2p_mux_stream *stream = p2p_mux_create(session, true);

	if (!stream)
		return NULL;
	if (session->options.accept(session->options.owner, stream) == 0)
		return &stream->core;
	p2p_mux_release(stream);
	return NULL;
}

static int on_data(void *owner, struct p2p_yamux_stream *core, const uint8_t *data, size_t len)
{
	struct p2p_mux_stream *stream = p2p_mux_of(core);
	size_t n = stream->wait_size - stream->wait_filled;

	if (stream->closed)
		return 0;
	p2p_account_use(&stream->account, anyio_now());
	if (stream->wait_buffer && n > 0 && !stream->first) {
		n = n < len ? n : len;
		memcpy(stream->wait_buffer + stream->wait_filled, data, n);
		stream->wait_filled += n;
		data += n;
		len -= n;
	}
	anyio_event_set(&stream->readable);
	return len ? chunk_append(stream, data, len) : 0;
}

static void on_changed(void *owner, struct p2p_yamux_stream *core)
{
	struct p2p_mux_stream *stream = p2p_mux_of(core);

	anyio_event_set(&stream->readable);
	anyio_event_set(&stream->writable);
}

static void on_detached(void *owner, struct p2p_yamux_stream *core)
{
	struct p2p_mux_stream *stream = p2p_mux_of(core);

	stream->session = NULL;
	on_changed(owner, core);
	if (stream->freed)
		p2p_mux_release(stream);
}

static int on_grow(void *owner, struct p2p_yamux_stream *core, uint32_t by)
{
	struct p2p_mux_stream *stream = p2p_mux_of(core);

	return recharge(stream, stream->held, promised(stream) + by);
}

static void on_pong(void *owner, uint32_t value)
{
	struct p2p_yamux_session *session = owner;
	anyio_time rtt = anyio_now() - session->ping_sent;

	if (!session->ping_sent || value != session->ping_value)
		return;
	session->ping_sent = 0;
	if (rtt < 1)
		rtt = 1;
	session->core.rtt = session->core.rtt ? (session->core.rtt + rtt) / 2 : rtt;
}

const struct p2p_yamux_hooks p2p_mux_hooks = {
	.opened = on_opened,
	.data = on_data,
	.changed = on_changed,
	.detached = on_detached,
	.grow = on_grow,
	.pong = on_pong,
};

/* ---- receiving ---- */

/* What a reader gets when there are no bytes: 1 to wait, 0 at the end, or an error. */
static int receive_state(const struct p2p_mux_stream *stream)
{
	if (stream->closed)
		return ANYIO_CLOSED;
	if (stream->core.remote_fin)
		return 0;
	if (stream->core.reset)
		return -ECONNRESET;
	return stream->session ? 1 : ANYIO_BROKEN;
}

static ssize_t took(struct p2p_mux_stream *stream, size_t n)
{
	struct p2p_yamux_session *session = stream->session;

	if (!session) {
		stream->core.buffered -= n;
		return (ssize_t)n;
	}
	p2p_yamux_taken(&session->core, &stream->core, n, anyio_now());
	p2p_yamux_kick(session);
	return (ssize_t)n;
}

/* Lets the other side know of the stream, which it may have to before it says anything. */
static void announce(struct p2p_mux_stream *stream)
{
	if (!stream->session || !stream->core.say)
		return;
	p2p_yamux_announce(&stream->session->core, &stream->core);
	p2p_yamux_kick(stream->session);
}

static int wait_readable(struct p2p_mux_stream *stream, void *buffer, size_t size)
{
	int rc;

	announce(stream);
	stream->wait_buffer = buffer;
	stream->wait_size = size;
	stream->wait_filled = 0;
	anyio_event_init(&stream->readable);
	rc = anyio_event_wait(&stream->readable);
	stream->wait_buffer = NULL;
	stream->wait_size = 0;
	return rc;
}

static ssize_t receive_now(struct p2p_mux_stream *stream, void *buffer, size_t size)
{
	if (stream->session)
		p2p_yamux_pass(stream->session);
	if (!stream->first)
		return 0;
	return took(stream, chunks_take(stream, buffer, size));
}

static ssize_t receive_waiting(struct p2p_mux_stream *stream, void *buffer, size_t size)
{
	for (;;) {
		int rc = receive_state(stream);

		if (rc <= 0)
			return rc;
		rc = wait_readable(stream, buffer, size);
		if (stream->wait_filled > 0)
			return took(stream, stream->wait_filled);
		if (rc < 0)
			return rc;
		if (stream->first)
			return took(stream, chunks_take(stream, buffer, size));
	}
}

static ssize_t mux_receive(struct anyio_stream *base, void *buffer, size_t size)
{
	struct p2p_mux_stream *stream = stream_of(base);
	ssize_t n = anyio_checkpoint_if_cancelled();

	if (n < 0)
		return n;
	if (stream->receiving)
		return ANYIO_BUSY;
	stream->receiving = true;
	n = stream->first && !stream->closed ? receive_now(stream, buffer, size) : 0;
	if (n == 0)
		n = receive_waiting(stream, buffer, size);
	stream->receiving = false;
	return n;
}

static ssize_t mux_receive_lazy(struct anyio_stream *base, anyio_borrow_fn borrow, void *arg)
{
	struct p2p_mux_stream *stream = stream_of(base);
	void *buffer;
	size_t size;
	int rc = stream->receiving ? ANYIO_BUSY : anyio_checkpoint_if_cancelled();

	while (rc == 0 && !stream->first) {
		rc = receive_state(stream);
		if (rc <= 0)
			return rc;
		stream->receiving = true;
		rc = wait_readable(stream, NULL, 0);
		stream->receiving = false;
	}
	if (rc < 0)
		return rc;
	buffer = borrow(arg, &size);
	return buffer ? mux_receive(base, buffer, size) : -ENOMEM;
}

/* ---- sending ---- */

static int send_state(const struct p2p_mux_stream *stream)
{
	if (stream->closed || stream->core.local_fin)
		return ANYIO_CLOSED;
	if (stream->core.reset)
		return -ECONNRESET;
	return stream->session ? 0 : ANYIO_BROKEN;
}

static void advance(const struct iovec **iov, int *count, struct iovec *head, size_t n)
{
	while (*count > 0 && n >= head->iov_len) {
		n -= head->iov_len;
		if (--*count > 0)
			*head = *++*iov;
	}
	if (*count > 0) {
		head->iov_base = (uint8_t *)head->iov_base + n;
		head->iov_len -= n;
	}
}

static int send_some(
	struct p2p_mux_stream *stream, const struct iovec *iov, int count, size_t *taken)
{
	struct p2p_yamux_session *session = stream->session;
	int rc;

	*taken = 0;
	if (stream->core.send_window == 0) {
		announce(stream);
		anyio_event_init(&stream->writable);
		return anyio_event_wait(&stream->writable);
	}
	rc = p2p_yamux_enter(session);
	if (rc < 0)
		return rc;
	rc = p2p_yamux_send(session, stream, iov, count, taken);
	if (*taken > 0)
		p2p_account_use(&stream->account, anyio_now());
	p2p_yamux_pass(session);
	p2p_yamux_leave(session);
	return rc;
}

/* The first piece may be used in part: it is sent by itself, from a copy of its place. */
static int send_all(struct p2p_mux_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	struct iovec head = count > 0 ? *iov : (struct iovec){ 0 };
	size_t n = 0;
	int rc = 0;

	advance(&iov, &count, &head, 0);
	while (count > 0 && rc == 0) {
		bool whole = head.iov_base == iov->iov_base;

		rc = send_state(stream);
		if (rc < 0)
			break;
		rc = whole ? send_some(stream, iov, count, &n) : send_some(stream, &head, 1, &n);
		*sent += n;
		advance(&iov, &count, &head, n);
	}
	return count > 0 ? rc : 0;
}

static int mux_sendv(struct anyio_stream *base, const struct iovec *iov, int count, size_t *sent)
{
	struct p2p_mux_stream *stream = stream_of(base);
	int rc = anyio_checkpoint_if_cancelled();

	*sent = 0;
	if (rc == 0)
		rc = send_state(stream);
	if (rc < 0)
		return rc;
	if (stream->sending)
		return ANYIO_BUSY;
	stream->sending = true;
	rc = send_all(stream, iov, count, sent);
	stream->sending = false;
	return rc;
}

static int mux_send_eof(struct anyio_stream *base)
{
	struct p2p_mux_stream *stream = stream_of(base);
	int rc = send_state(stream);

	if (rc < 0)
		return stream->core.local_fin && !stream->closed ? 0 : rc;
	if (stream->sending)
		return ANYIO_BUSY;
	p2p_yamux_finish(&stream->session->core, &stream->core);
	p2p_yamux_kick(stream->session);
	return 0;
}

/* ---- closing ---- */

static void mux_close(struct anyio_stream *base)
{
	struct p2p_mux_stream *stream = stream_of(base);
	struct p2p_yamux_session *session = stream->session;

	if (stream->closed)
		return;
	stream->closed = true;
	chunks_clear(stream);
	on_changed(session, &stream->core);
	if (!session)
		return;
	p2p_yamux_finish(&session->core, &stream->core);
	p2p_yamux_kick(session);
}

static void mux_abort(struct anyio_stream *base)
{
	struct p2p_mux_stream *stream = stream_of(base);
	struct p2p_yamux_session *session = stream->session;

	stream->closed = true;
	chunks_clear(stream);
	on_changed(session, &stream->core);
	if (!session)
		return;
	p2p_yamux_reset(&session->core, &stream->core);
	p2p_yamux_kick(session);
}

static void mux_destroy(struct anyio_stream *base)
{
	struct p2p_mux_stream *stream = stream_of(base);

	if (stream->session)
		stream->freed = true;
	else
		p2p_mux_release(stream);
}

static const struct anyio_stream_ops mux_ops = {
	.receive = mux_receive,
	.receive_lazy = mux_receive_lazy,
	.sendv = mux_sendv,
	.send_eof = mux_send_eof,
	.close = mux_close,
	.abort = mux_abort,
	.destroy = mux_destroy,
};
