/*
 * Identify and identify push as conversations. What a peer says is kept in its record: the agent,
 * the protocols, and the addresses that we could dial.
 */
#include <errno.h>
#include <string.h>

#include <anyio/memory.h>
#include <multiformats/varint.h>

#include "../swarm.h"
#include "../transport/tcp.h"
#include "identify_codec.h"

#define IDENTIFY_PROTOCOL "/ipfs/id/1.0.0"
#define PUSH_PROTOCOL     "/ipfs/id/push/1.0.0"
#define PROTOCOL_VERSION  "ipfs/0.1.0"
#define TIMEOUT           (5 * ANYIO_SECOND)

enum { SERVING_IDENTIFY = 1, SERVING_PUSH = 2, ATTEMPTS_MAX = 3 };

/* ---- what we say ---- */

static struct mf_pb_view view_of(const char *text)
{
	return (struct mf_pb_view){ (const uint8_t *)text, strlen(text) };
}

/* Turns texts to binary addresses inside `block` (one struct each). */
static void put_addresses(
	struct p2p_identify *message, const struct p2p_addresses *texts, struct mf_multiaddr *block)
{
	for (size_t i = 0; i < texts->count && message->address_count < P2P_REMEMBERED_MAX; i++) {
		struct mf_multiaddr *address = &block[message->address_count];

		if (mf_multiaddr_parse(address, texts->text[i], strlen(texts->text[i])) < 0)
			continue;
		message->addresses[message->address_count++] =
			(struct mf_pb_view){ address->bytes, address->len };
	}
}

struct statement {
	struct p2p_identify message;
	struct mf_multiaddr addresses[P2P_REMEMBERED_MAX], observed;
	uint8_t public_key[64], record[P2P_IDENTIFY_SEND_MAX];
};

static void fill_statement(
	struct statement *s, const struct p2p_connection *c, const struct p2p_addresses *texts)
{
	struct p2p_identify *message = &s->message;
	const struct p2p_host *host = c->host;
	ssize_t n = p2p_key_public(&host->key, s->public_key, sizeof s->public_key);

	message->public_key = (struct mf_pb_view){ s->public_key, (size_t)n };
	message->agent_version = view_of(host->agent);
	message->protocol_version = view_of(PROTOCOL_VERSION);
	put_addresses(message, texts, s->addresses);
	for (const struct p2p_handler_entry *at = host->handlers;
		at && message->protocol_count < P2P_PROTOCOLS_PER_PEER; at = at->next)
		message->protocols[message->protocol_count++] = view_of(at->id);
	if (c->address && mf_multiaddr_parse(&s->observed, c->address, strlen(c->address)) == 0)
		message->observed_address =
			(struct mf_pb_view){ s->observed.bytes, s->observed.len };
	n = p2p_peer_record_seal(&host->key, host->record_sequence, message->addresses,
		message->address_count, s->record, sizeof s->record / 4);
	if (n > 0)
		message->signed_record = (struct mf_pb_view){ s->record, (size_t)n };
}

static ssize_t make_statement(const struct p2p_connection *c, uint8_t *out, size_t cap)
{
	struct statement *statement = anyio_calloc(1, sizeof *statement);
	struct p2p_addresses texts;
	ssize_t n = -ENOMEM;

	if (!statement)
		return -ENOMEM;
	if (p2p_host_addresses(c->host, &texts) == 0) {
		fill_statement(statement, c, &texts);
		n = p2p_identify_encode(&statement->message, out, cap);
		p2p_addresses_free(&texts);
	}
	anyio_free(statement);
	return n;
}

static int say(struct anyio_stream *stream, struct p2p_connection *c)
{
	uint8_t out[MF_VARINT_WRITE_MAX + P2P_IDENTIFY_SEND_MAX], prefix[MF_VARINT_WRITE_MAX];
	ssize_t n = make_statement(c, out, P2P_IDENTIFY_SEND_MAX);
	struct iovec iov[2];
	int rc;

	if (n < 0)
		return (int)n;
	c->said = c->host->record_sequence;
	iov[0] = (struct iovec){ prefix, (size_t)mf_varint_encode((uint64_t)n, prefix) };
	iov[1] = (struct iovec){ out, (size_t)n };
	rc = anyio_stream_sendv(stream, iov, 2, NULL);
	return rc < 0 ? rc : anyio_stream_send_eof(stream);
}

/* ---- what they say ---- */

static int receive_length(struct anyio_stream *stream, size_t *len)
{
	uint8_t bytes[MF_VARINT_READ_MAX];
	uint64_t value;

	for (size_t have = 1; have <= 2; have++) {
		int n, rc = anyio_stream_receive_exactly(stream, bytes + have - 1, 1);

		if (rc < 0)
			return rc;
		n = mf_varint_decode(bytes, have, &value);
		if (n == -EAGAIN)
			continue;
		*len = (size_t)value;
		return n < 0 || value > P2P_IDENTIFY_PART_MAX ? -EMSGSIZE : 0;
	}
	return -EMSGSIZE;
}

struct heard {
	uint8_t *data;
	size_t len;
};

/* All parts up to the end of the stream, one after the other: so protobuf merges them. */
static int hear_parts(struct anyio_stream *stream, struct heard *heard)
{
	for (int i = 0; i < P2P_IDENTIFY_PARTS_MAX; i++) {
		uint8_t *grown;
		size_t len;
		int rc = receive_length(stream, &len);

		if (rc == ANYIO_END_OF_STREAM && i > 0)
			return 0;
		if (rc < 0)
			return rc;
		grown = anyio_realloc(heard->data, heard->len + len + 1);
		if (!grown)
			return -ENOMEM;
		heard->data = grown;
		rc = anyio_stream_receive_exactly(stream, heard->data + heard->len, len);
		if (rc < 0)
			return rc;
		heard->len += len;
	}
	return -EMSGSIZE;
}

static void remember_addresses(struct p2p_connection *c, const struct p2p_identify *message)
{
	char texts[P2P_REMEMBERED_MAX][128];
	const char *list[P2P_REMEMBERED_MAX];
	struct mf_multiaddr address;
	size_t count = 0;

	for (size_t i = 0; i < message->address_count && count < P2P_REMEMBERED_MAX; i++) {
		if (mf_multiaddr_decode(
			    &address, message->addresses[i].data, message->addresses[i].len) < 0 ||
			!p2p_tcp_fits(&address) ||
			mf_multiaddr_format(&address, texts[count], sizeof texts[count]) < 0)
			continue;
		list[count] = texts[count];
		count++;
	}
	p2p_host_remember(c->host, &c->peer->id, list, count);
}

static bool is_own_key(const struct p2p_peer_entry *peer, struct mf_pb_view key)
{
	struct mf_peer_id id;

	mf_peer_id_of_key(&id, key.data, key.len);
	return mf_peer_id_equal(&id, &peer->id);
}

/* A record or key of another peer's is a lie about identity. */
static int check(struct p2p_connection *c, struct p2p_identify *message)
{
	if (message->public_key.data && !is_own_key(c->peer, message->public_key))
		return -EBADMSG;
	if (!message->signed_record.len)
		return 0;
	return p2p_peer_record_open(message->signed_record, &c->peer->id, message);
}

static int keep(struct p2p_connection *c, struct p2p_identify *message)
{
	struct p2p_peer_entry *peer = c->peer;
	int rc = check(c, message);
	char *text;

	if (rc < 0)
		return rc;
	if (message->protocol_count) {
		text = p2p_texts_pack(message->protocols, message->protocol_count);
		if (!text)
			return -ENOMEM;
		anyio_free(peer->protocols);
		peer->protocols = text;
	}
	if (message->agent_version.len) {
		text = p2p_texts_pack(&message->agent_version, 1);
		if (!text)
			return -ENOMEM;
		anyio_free(peer->agent);
		peer->agent = text;
	}
	remember_addresses(c, message);
	return 0;
}

static int understand(struct p2p_connection *c, const struct heard *heard)
{
	struct p2p_identify *message = anyio_malloc(sizeof *message);
	int rc;

	if (!message)
		return -ENOMEM;
	rc = p2p_identify_decode(message, heard->data, heard->len);
	if (rc == 0)
		rc = keep(c, message);
	anyio_free(message);
	if (rc == 0) {
		c->peer->identified = true;
		p2p_tell_identified(c->host, &c->peer->id);
	}
	return rc;
}

/* Bad manners end the connection: what identifies the peer is wrong or meant to hurt. */
static int hear(struct anyio_stream *stream, struct p2p_connection *c)
{
	struct heard heard = { 0 };
	int rc = hear_parts(stream, &heard);

	if (rc == 0)
		rc = understand(c, &heard);
	anyio_free(heard.data);
	if (rc == -EBADMSG || rc == -E2BIG || rc == -EMSGSIZE || rc == -EINVAL)
		p2p_connection_cancel(c, "bad identify message");
	return rc;
}

/* ---- pushing ---- */

static int push(void *arg)
{
	static const char *const protocols[] = { PUSH_PROTOCOL };
	struct p2p_connection *c = arg;
	struct anyio_stream *stream;
	int rc = p2p_connection_open_stream(c, protocols, 1, &stream, NULL);

	if (rc < 0)
		return rc;
	rc = say(stream, c);
	anyio_stream_free(stream);
	return rc;
}

static int push_task(void *arg)
{
	return anyio_fail_after(TIMEOUT, push, arg) == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* Tells a peer that was told something else before; one that was told nothing has yet to ask. */
static void push_if_stale(struct p2p_connection *c)
{
	if (c->group && c->said && c->said != c->host->record_sequence &&
		p2p_peer_speaks(c->peer, PUSH_PROTOCOL))
		anyio_try_start_soon(c->group, push_task, c, "identify push");
}

static int push_all_task(void *arg)
{
	struct p2p_host *host = arg;
	struct p2p_peer_entry *peer;
	int rc = anyio_checkpoint(); /* several changes at once make one push */

	host->push_started = false;
	if (rc < 0)
		return rc;
	for (peer = p2p_peer_next(host, NULL); peer; peer = p2p_peer_next(host, peer))
		if (peer->connections)
			push_if_stale(peer->connections);
	return 0;
}

void p2p_identify_changed(struct p2p_host *host)
{
	host->record_sequence++;
	if (!host->group || host->closing || host->push_started)
		return;
	host->push_started = true;
	if (anyio_try_start_soon(host->group, push_all_task, host, "identify push") < 0)
		host->push_started = false;
}

/* ---- asking ---- */

static int ask(void *arg)
{
	static const char *const protocols[] = { IDENTIFY_PROTOCOL };
	struct p2p_connection *c = arg;
	struct anyio_stream *stream;
	int rc = p2p_connection_open_stream(c, protocols, 1, &stream, NULL);

	if (rc < 0)
		return rc;
	anyio_stream_send_eof(stream);
	rc = hear(stream, c);
	anyio_stream_free(stream);
	return rc;
}

/* A busy peer may take longer once; one that does not speak the protocol is not asked again. */
int p2p_identify_task(void *arg)
{
	struct p2p_connection *c = arg;
	int rc = -ETIMEDOUT;

	for (int i = 0; i < ATTEMPTS_MAX && rc == -ETIMEDOUT; i++)
		rc = anyio_fail_after(TIMEOUT, ask, c);
	anyio_event_set(&c->identified);
	push_if_stale(c);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

/* ---- serving ---- */

static int serve_identify(struct p2p_stream_in *in, void *arg)
{
	struct p2p_connection *c = p2p_stream_connection(in);
	int rc;

	if (c->serving[SERVING_IDENTIFY] == P2P_STREAMS_PER_PROTOCOL_MAX)
		return ANYIO_TOO_MANY;
	c->serving[SERVING_IDENTIFY]++;
	rc = say(in->stream, c);
	c->serving[SERVING_IDENTIFY]--;
	return rc;
}

struct pushed {
	struct anyio_stream *stream;
	struct p2p_connection *connection;
};

static int hear_push(void *arg)
{
	struct pushed *pushed = arg;

	return hear(pushed->stream, pushed->connection);
}

/* One at a time: a flood of pushes is reset. */
static int serve_push(struct p2p_stream_in *in, void *arg)
{
	struct p2p_connection *c = p2p_stream_connection(in);
	struct pushed pushed = { in->stream, c };
	int rc;

	if (c->serving[SERVING_PUSH])
		return ANYIO_TOO_MANY;
	c->serving[SERVING_PUSH]++;
	rc = anyio_fail_after(TIMEOUT, hear_push, &pushed);
	c->serving[SERVING_PUSH]--;
	return rc;
}

int p2p_identify_register(struct p2p_host *host)
{
	int rc = p2p_host_handle(host, IDENTIFY_PROTOCOL, serve_identify, NULL);

	return rc < 0 ? rc : p2p_host_handle(host, PUSH_PROTOCOL, serve_push, NULL);
}
