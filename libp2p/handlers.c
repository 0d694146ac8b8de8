/* Handlers: the protocols that are served here, and the inbound streams handed to them. */
#include <errno.h>
#include <string.h>

#include <anyio/memory.h>

#include "protocol/multistream.h"
#include "swarm.h"

/* ---- registered ---- */

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

int p2p_host_protocols(const struct p2p_host *host, const char ***protocols)
{
	const struct p2p_handler_entry *entry;
	size_t count = 0;

	for (entry = host->handlers; entry; entry = entry->next)
		count++;
	*protocols = anyio_calloc(count + 1, sizeof **protocols);
	if (!*protocols)
		return -ENOMEM;
	count = 0;
	for (entry = host->handlers; entry; entry = entry->next)
		(*protocols)[count++] = entry->id;
	return 0;
}

/* ---- inbound ---- */

struct inbound {
	struct p2p_stream_in in; /* first: p2p_stream_connection relies on it */
	struct p2p_mux_stream *mux;
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
	struct anyio_cancel_scope serving;
	int rc;

	anyio_cancel_scope_init(&serving);
	anyio_cancel_scope_enter(&serving);
	p2p_mux_set_serving(inbound->mux, &serving);
	rc = anyio_fail_after(P2P_NEGOTIATION_TIMEOUT, answer_task, inbound);
	if (rc == 0) {
		inbound->in.protocol = inbound->entry->id;
		rc = inbound->entry->handler(&inbound->in, inbound->entry->arg);
	}
	p2p_mux_set_serving(inbound->mux, NULL);
	if (inbound->entry)
		handler_drop(inbound->entry);
	return anyio_cancel_scope_exit(&serving, rc);
}

static int inbound_task(void *arg)
{
	struct inbound *inbound = arg;
	int rc = serve(inbound);

	if (rc < 0)
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
	inbound->mux = stream;
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
