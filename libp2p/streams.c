/* Opening streams of named protocols. */
#include <errno.h>

#include "eager.h"
#include "protocol/multistream.h"
#include "swarm.h"

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
		rc = p2p_eager_open(selection.stream, protocols[0], stream);
	} else {
		rc = anyio_fail_after(P2P_NEGOTIATION_TIMEOUT, select_task, &selection);
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
