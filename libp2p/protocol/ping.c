#include <errno.h>

#include <sodium.h>

#include <libp2p/ping.h>

#include "../swarm.h"

#define TIMEOUT (10 * ANYIO_SECOND)

enum { PING_SIZE = 32, SERVING_PING = 0 };

struct ping {
	struct anyio_stream *stream;
	anyio_time rtt;
};

static int ping_once(void *arg)
{
	struct ping *ping = arg;
	uint8_t sent[PING_SIZE], back[PING_SIZE];
	anyio_time start;
	int rc;

	randombytes_buf(sent, sizeof sent);
	start = anyio_now();
	rc = anyio_stream_send(ping->stream, sent, sizeof sent);
	if (rc == 0)
		rc = anyio_stream_receive_exactly(ping->stream, back, sizeof back);
	ping->rtt = anyio_now() - start;
	if (rc == 0 && sodium_memcmp(sent, back, sizeof sent) != 0)
		rc = -EBADMSG;
	return rc;
}

int p2p_ping(struct p2p_host *host, const struct mf_peer_id *peer, anyio_time *rtt)
{
	static const char *const protocols[] = { P2P_PING_PROTOCOL };
	struct ping ping;
	int rc = p2p_host_open_stream(host, peer, protocols, 1, &ping.stream, NULL);

	if (rc < 0)
		return rc;
	rc = anyio_fail_after(TIMEOUT, ping_once, &ping);
	if (rc == 0 && rtt)
		*rtt = ping.rtt;
	if (rc < 0)
		anyio_stream_abort(ping.stream);
	anyio_stream_free(ping.stream);
	return rc;
}

static int echo(struct anyio_stream *stream)
{
	uint8_t bytes[PING_SIZE];
	int rc;

	while ((rc = anyio_stream_receive_exactly(stream, bytes, sizeof bytes)) == 0) {
		rc = anyio_stream_send(stream, bytes, sizeof bytes);
		if (rc < 0)
			return rc;
	}
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

static int serve_ping(struct p2p_stream_in *in, void *arg)
{
	struct p2p_connection *c = p2p_stream_connection(in);
	int rc;

	if (c->serving[SERVING_PING] == P2P_STREAMS_PER_PROTOCOL_MAX)
		return ANYIO_TOO_MANY;
	c->serving[SERVING_PING]++;
	rc = echo(in->stream);
	c->serving[SERVING_PING]--;
	return rc;
}

int p2p_ping_register(struct p2p_host *host)
{
	return p2p_host_handle(host, P2P_PING_PROTOCOL, serve_ping, NULL);
}
