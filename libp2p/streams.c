/* Streams of named protocols: opened, accepted, handed to handlers. */
#include <errno.h>
#include <string.h>

#include <anyio/memory.h>

#include "protocol/multistream.h"
#include "swarm.h"

#define NEGOTIATION_TIMEOUT (10 * ANYIO_SECOND)

/* ---- opened without waiting for the answer ---- */

/*
 * The peer has promised by identify that it speaks the protocol, so header and proposal go out and
 * the stream is used at once. The answer, which can only be one text, is compared as it comes in
 * before the first byte that is the protocol's own.
 */
struct eager_stream {
	struct anyio_stream base;
	struct anyio_stream *inner;
	uint16_t have, size; /* of the answer */
	uint8_t answer[];
};

static struct eager_stream *eager_of(struct anyio_stream *base)
{
	return (struct eager_stream *)base;
}

static int eager_confirm(struct eager_stream *stream)
{
	uint8_t bytes[64];

	while (stream->have < stream->size) {
		size_t left = (size_t)(stream->size - stream->have);
		ssize_t n = anyio_stream_receive(
			stream->inner, bytes, left < sizeof bytes ? left : sizeof bytes);

		if (n <= 0)
			return n < 0 ? (int)n : ANYIO_INCOMPLETE_READ;
		if (memcmp(bytes, stream->answer + stream->have, (size_t)n) != 0) {
			anyio_stream_abort(stream->inner);
			return -EPROTONOSUPPORT;
		}
		stream->have += (uint16_t)n;
	}
	return 0;
}

static ssize_t eager_receive(struct anyio_stream *base, void *buffer, size_t size)
{
	int rc = eager_confirm(eager_of(base));

	return rc < 0 ? rc : anyio_stream_receive(eager_of(base)->inner, buffer, size);
}

static ssize_t eager_receive_lazy(struct anyio_stream *base, anyio_borrow_fn borrow, void *arg)
{
	int rc = eager_confirm(eager_of(base));

	return rc < 0 ? rc : anyio_stream_receive_lazy(eager_of(base)->inner, borrow, arg);
}

static int eager_sendv(struct anyio_stream *base, const struct iovec *iov, int count, size_t *sent)
{
	return anyio_stream_sendv(eager_of(base)->inner, iov, count, sent);
}

static int eager_send_eof(struct anyio_stream *base)
{
	return anyio_stream_send_eof(eager_of(base)->inner);
}

static void eager_close(struct anyio_stream *base)
{
	anyio_stream_close(eager_of(base)->inner);
}

static void eager_abort(struct anyio_stream *base)
{
	anyio_stream_abort(eager_of(base)->inner);
}

static void eager_destroy(struct anyio_stream *base)
{
	anyio_stream_free(eager_of(base)->inner);
	anyio_free(base);
}

static const struct anyio_stream_ops eager_ops = {
	.receive = eager_receive,
	.receive_lazy = eager_receive_lazy,
	.sendv = eager_sendv,
	.send_eof = eager_send_eof,
	.close = eager_close,
	.abort = eager_abort,
	.destroy = eager_destroy,
};

static int eager_open(
	struct anyio_stream *inner, const char *protocol, struct anyio_stream **stream)
{
	uint8_t answer[2 * P2P_MULTISTREAM_MESSAGE_MAX];
	struct eager_stream *eager;
	ssize_t n = p2p_multistream_encode(P2P_MULTISTREAM_HEADER, answer, sizeof answer);
	ssize_t m = p2p_multistream_encode(protocol, answer + n, sizeof answer - (size_t)n);
	int rc;

	if (m < 0)
		return (int)m;
	eager = anyio_calloc(1, sizeof *eager + (size_t)(n + m));
	if (!eager)
		return -ENOMEM;
	eager->base.ops = &eager_ops;
	eager->inner = inner;
	eager->size = (uint16_t)(n + m);
	memcpy(eager->answer, answer, eager->size); /* it repeats what was proposed */
	rc = anyio_stream_send(inner, answer, eager->size);
	if (rc < 0)
		anyio_free(eager);
	else
		*stream = &eager->base;
	return rc;
}

/* ---- opening ---- */

struct selection {
	struct anyio_stream *stream;
	const char *const *protocols;
	size_t count;
	int chosen;
};

static int select_task(void *arg)
{
	struct selection *selection = arg;
	int rc = p2p_multistream_select(selection->stream, selection->protocols, selection->count);

	if (rc < 0)
		return rc;
	selection->chosen = rc;
	return 0;
}

int p2p_connection_open_stream(struct p2p_connection *connection, const char *const *protocols,
	size_t count, struct anyio_stream **stream, const char **chosen)
{
	struct selection selection = { .protocols = protocols, .count = count };
	struct p2p_mux_stream *mux;
	int rc;

	if (!connection->session)
		return -ENOTCONN;
	rc = p2p_mux_open(connection->session, &mux);
	if (rc < 0)
		return rc;
	selection.stream = p2p_mux_stream_base(mux);
	if (count == 1 && p2p_peer_speaks(connection->peer, protocols[0])) {
		rc = eager_open(selection.stream, protocols[0], stream);
	} else {
		rc = anyio_fail_after(NEGOTIATION_TIMEOUT, select_task, &selection);
		*stream = selection.stream;
	}
	if (rc < 0) {
		anyio_stream_abort(selection.stream);
		anyio_stream_free(selection.stream);
		return rc;
	}
	if (chosen)
		*chosen = protocols[selection.chosen];
	return 0;
}

int p2p_host_open_stream(struct p2p_host *host, const struct mf_peer_id *id,
	const char *const *protocols, size_t count, struct anyio_stream **stream,
	const char **chosen)
{
	struct p2p_connection *connection = p2p_connection_of(host, id);

	if (!connection)
		return -ENOTCONN;
	if (count == 0)
		return -EINVAL;
	return p2p_connection_open_stream(connection, protocols, count, stream, chosen);
}

/* ---- handlers ---- */

struct p2p_handler_entry *p2p_handler_find(const struct p2p_host *host, const char *id)
{
	struct p2p_handler_entry *entry = host->handlers;

	while (entry && strcmp(entry->id, id) != 0)
		entry = entry->next;
	return entry;
}

static void handler_drop(struct p2p_handler_entry *entry)
{
	if (--entry->refs == 0)
		anyio_free(entry);
}

int p2p_host_handle(struct p2p_host *host, const char *protocol, p2p_handler handler, void *arg)
{
	size_t len = strlen(protocol);
	struct p2p_handler_entry *entry, **at = &host->handlers;

	if (len == 0 || len >= P2P_PROTOCOL_MAX || strchr(protocol, '\n'))
		return -EINVAL;
	if (p2p_handler_find(host, protocol))
		return -EEXIST;
	entry = anyio_calloc(1, sizeof *entry + len + 1);
	if (!entry)
		return -ENOMEM;
	memcpy(entry->id, protocol, len + 1);
	entry->handler = handler;
	entry->arg = arg;
	entry->refs = 1;
	while (*at)
		at = &(*at)->next;
	*at = entry;
	p2p_identify_changed(host);
	return 0;
}

int p2p_host_unhandle(struct p2p_host *host, const char *protocol)
{
	struct p2p_handler_entry **at = &host->handlers, *entry;

	while (*at && strcmp((*at)->id, protocol) != 0)
		at = &(*at)->next;
	entry = *at;
	if (!entry)
		return -ENOENT;
	*at = entry->next;
	handler_drop(entry);
	p2p_identify_changed(host);
	return 0;
}

/* ---- inbound ---- */

struct inbound {
	struct p2p_stream_in in; /* first: p2p_stream_connection relies on it */
	struct p2p_connection *connection;
	struct p2p_handler_entry *entry;
};

struct p2p_connection *p2p_stream_connection(const struct p2p_stream_in *in)
{
	return ((const struct inbound *)in)->connection;
}

/* Held from here on: saying yes may have to wait, and the registration may go meanwhile. */
static const void *find_handler(void *arg, const char *id)
{
	struct inbound *inbound = arg;

	inbound->entry = p2p_handler_find(inbound->in.host, id);
	if (inbound->entry)
		inbound->entry->refs++;
	return inbound->entry;
}

static int answer_task(void *arg)
{
	struct inbound *inbound = arg;
	const void *found;

	return p2p_multistream_answer(inbound->in.stream, find_handler, inbound, &found);
}

static int serve(struct inbound *inbound)
{
	int rc = anyio_fail_after(NEGOTIATION_TIMEOUT, answer_task, inbound);

	if (rc == 0) {
		inbound->in.protocol = inbound->entry->id;
		rc = inbound->entry->handler(&inbound->in, inbound->entry->arg);
	}
	if (inbound->entry)
		handler_drop(inbound->entry);
	return rc;
}

static int inbound_task(void *arg)
{
	struct inbound *inbound = arg;
	int rc = serve(inbound);

	if (inbound->in.stream && rc < 0)
		anyio_stream_abort(inbound->in.stream);
	anyio_stream_free(inbound->in.stream);
	p2p_connection_drop(inbound->connection);
	anyio_free(inbound);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

int p2p_stream_accept(void *owner, struct p2p_mux_stream *stream)
{
	struct p2p_connection *connection = owner;
	struct inbound *inbound = anyio_calloc(1, sizeof *inbound);

	if (!inbound)
		return -ENOMEM;
	inbound->connection = connection;
	inbound->in.host = connection->host;
	inbound->in.stream = p2p_mux_stream_base(stream);
	inbound->in.peer = connection->peer->id;
	if (anyio_try_start_soon(connection->group, inbound_task, inbound, "stream") < 0) {
		anyio_free(inbound);
		return -ENOMEM;
	}
	p2p_connection_hold(connection);
	return 0;
}
