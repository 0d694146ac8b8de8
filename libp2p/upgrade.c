/* From a raw stream to a secured channel with yamux agreed on. */
#include <errno.h>
#include <string.h>

#include "protocol/multistream.h"
#include "swarm.h"

#define HANDSHAKE_TIMEOUT (15 * ANYIO_SECOND)

static const char *const security[] = { P2P_NOISE_PROTOCOL };
static const char *const muxers[] = { P2P_YAMUX_PROTOCOL };

static const void *find_in(const char *const *known, const char *id)
{
	return strcmp(*known, id) == 0 ? *known : NULL;
}

static const void *find_security(void *arg, const char *id)
{
	return find_in(security, id);
}

static const void *find_muxer(void *arg, const char *id)
{
	return find_in(muxers, id);
}

static int negotiate(struct anyio_stream *stream, bool initiator, const char *const *ours,
	const void *(*find)(void *arg, const char *id))
{
	const void *found;

	if (initiator)
		return p2p_multistream_select(stream, ours, 1);
	return p2p_multistream_answer(stream, find, NULL, &found);
}

struct upgrade {
	struct p2p_host *host;
	struct anyio_stream *raw;
	bool initiator;
	const struct mf_peer_id *expected;
	struct p2p_noise_result *result;
};

static int secure_and_mux(void *arg)
{
	struct upgrade *u = arg;
	struct p2p_channel_stream view;
	int rc = negotiate(u->raw, u->initiator, security, find_security);

	if (rc < 0)
		return rc;
	rc = p2p_noise_secure(&u->host->noise, u->raw, u->initiator, u->expected, u->result);
	if (rc < 0 || u->result->muxer >= 0)
		return rc;
	p2p_channel_stream_init(&view, u->result->channel);
	return negotiate(&view.stream, u->initiator, muxers, find_muxer);
}

int p2p_upgrade(struct p2p_host *host, struct anyio_stream *raw, bool initiator,
	const struct mf_peer_id *expected, struct p2p_noise_result *result)
{
	struct upgrade upgrade = { host, raw, initiator, expected, result };
	int rc;

	result->channel = NULL;
	rc = anyio_fail_after(HANDSHAKE_TIMEOUT, secure_and_mux, &upgrade);
	if (rc >= 0 && result->channel)
		return 0;
	if (result->channel)
		p2p_channel_destroy(result->channel);
	else
		anyio_stream_free(raw);
	result->channel = NULL;
	return rc < 0 ? rc : -EPROTO;
}
