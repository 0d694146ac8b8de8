#include <errno.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include <anyio/memory.h>

#include "swarm.h"

#define KEEP_ALIVE (30 * ANYIO_SECOND)

static const char *const muxers[] = { P2P_YAMUX_PROTOCOL };

/* ---- life ---- */

/* Peers keep the record with the highest number, also over our restarts. */
static uint64_t wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int host_init(struct p2p_host *host, const struct p2p_host_options *options)
{
	int rc;

	host->options = *options;
	host->key = *options->key;
	host->options.key = NULL;
	host->record_sequence = wall_clock();
	if (!host->options.keep_alive)
		host->options.keep_alive = KEEP_ALIVE;
	p2p_key_peer_id(&host->key, &host->id);
	p2p_limits_default(&host->options.limits);
	host->system_limit = host->options.limits.system;
	host->system_limit.connections_in = UINT32_MAX;
	p2p_account_init(&host->system, NULL, &host->system_limit);
	p2p_account_init(&host->transient, NULL, &host->options.limits.transient);
	p2p_account_init(&host->inbound, NULL, &host->options.limits.system);
	host->agent = anyio_strdup(options->agent_version ? options->agent_version : "");
	if (!host->agent)
		return -ENOMEM;
	rc = p2p_noise_init(&host->noise, &host->key, muxers, 1);
	if (rc == 0)
		rc = p2p_identify_register(host);
	if (rc == 0)
		rc = p2p_ping_register(host);
	if (rc == 0 && options->perf)
		rc = p2p_perf_register(host);
	return rc;
}

int p2p_host_create(const struct p2p_host_options *options, struct p2p_host **out)
{
	struct p2p_host *host;
	int rc;

	if (!options->key)
		return -EINVAL;
	if (sodium_init() < 0)
		return -EIO;
	host = anyio_calloc(1, sizeof *host);
	if (!host)
		return -ENOMEM;
	rc = host_init(host, options);
	if (rc < 0) {
		p2p_host_free(host);
		return rc;
	}
	*out = host;
	return 0;
}

void p2p_host_free(struct p2p_host *host)
{
	if (!host)
		return;
	while (host->handlers)
		p2p_host_unhandle(host, host->handlers->id);
	p2p_peers_destroy(host);
	p2p_noise_destroy(&host->noise);
	anyio_free(host->agent);
	p2p_key_wipe(&host->key);
	anyio_free(host);
}

static void tick(struct p2p_host *host)
{
	struct p2p_peer_entry *peer = p2p_peer_next(host, NULL);

	for (; peer; peer = p2p_peer_next(host, peer))
		for (struct p2p_connection *c = peer->connections; c; c = c->next)
			p2p_yamux_tick(c->session);
	p2p_peers_expire(host);
	p2p_buffers_trim(&host->noise.buffers);
}

/* One task pings for all connections, so that an idle one needs none of its own. */
static int keep_alive_task(void *arg)
{
	struct p2p_host *host = arg;
	int rc;

	while ((rc = anyio_sleep(host->options.keep_alive)) == 0)
		tick(host);
	return rc;
}

static void free_listeners(struct p2p_host *host)
{
	struct p2p_listener *listener;

	while ((listener = host->listeners) != NULL) {
		host->listeners = listener->next;
		anyio_listener_free(listener->listener);
		anyio_free(listener);
	}
}

int p2p_host_run(void *arg)
{
	struct p2p_host *host = arg;
	int rc;

	ANYIO_TASK_GROUP(group);
	host->group = &group;
	if (host->closing)
		anyio_task_group_cancel(&group, "host closed");
	anyio_start_soon(&group, keep_alive_task, host, "keep-alive");
	anyio_started(NULL);
	rc = anyio_task_group_exit(&group, 0);
	host->closing = true;
	host->group = NULL;
	free_listeners(host);
	return rc;
}

void p2p_host_close(struct p2p_host *host)
{
	host->closing = true;
	if (host->group)
		anyio_task_group_cancel(host->group, "host closed");
}

/* ---- looking in ---- */

const struct mf_peer_id *p2p_host_id(const struct p2p_host *host)
{
	return &host->id;
}

bool p2p_host_connected(const struct p2p_host *host, const struct mf_peer_id *id)
{
	return p2p_connection_of(host, id) != NULL;
}

int p2p_host_disconnect(struct p2p_host *host, const struct mf_peer_id *id)
{
	struct p2p_peer_entry *peer = p2p_peer_find(host, id);

	if (!p2p_connection_of(host, id))
		return -ENOTCONN;
	for (struct p2p_connection *c = peer->connections; c; c = c->next)
		p2p_connection_cancel(c, "disconnected");
	return 0;
}

static void copy_text(char *out, size_t cap, const char *text)
{
	size_t len = text ? strnlen(text, cap - 1) : 0;

	if (len)
		memcpy(out, text, len);
	out[len] = 0;
}

static void describe(const struct p2p_connection *c, struct p2p_peer *out)
{
	*out = (struct p2p_peer){
		.id = c->peer->id,
		.inbound = c->prefix,
		.identified = c->peer->identified,
		.latency = p2p_yamux_rtt(c->session),
		.since = c->since,
		.memory = c->account.used.memory,
	};
	p2p_yamux_counts(c->session, &out->received, &out->sent, &out->streams);
	copy_text(out->address, sizeof out->address, c->address);
	copy_text(out->agent, sizeof out->agent, c->peer->agent);
}

int p2p_host_peers(const struct p2p_host *host, struct p2p_peer **peers, size_t *count)
{
	struct p2p_peer_entry *peer = p2p_peer_next(host, NULL);

	*count = 0;
	*peers = anyio_calloc(host->connection_count + 1, sizeof **peers);
	if (!*peers)
		return -ENOMEM;
	for (; peer; peer = p2p_peer_next(host, peer))
		for (struct p2p_connection *c = peer->connections; c; c = c->next)
			describe(c, &(*peers)[(*count)++]);
	return 0;
}

void p2p_host_stat(const struct p2p_host *host, struct p2p_host_statistics *out)
{
	const struct p2p_limit *used = &host->system.used;

	*out = (struct p2p_host_statistics){ .connections = used->connections,
		.connections_in = used->connections_in,
		.streams = used->streams,
		.streams_in = used->streams_in,
		.memory = used->memory };
}

int p2p_host_speaks(const struct p2p_host *host, const struct mf_peer_id *id, const char *protocol)
{
	const struct p2p_peer_entry *peer = p2p_peer_find(host, id);

	if (!peer || !peer->connections)
		return -ENOTCONN;
	if (!peer->identified)
		return -EAGAIN;
	return p2p_peer_speaks(peer, protocol);
}

int p2p_host_wait_identified(struct p2p_host *host, const struct mf_peer_id *id)
{
	struct p2p_connection *connection = p2p_connection_of(host, id);
	int rc;

	if (!connection)
		return -ENOTCONN;
	if (connection->peer->identified)
		return anyio_checkpoint();
	p2p_connection_hold(connection);
	rc = anyio_event_wait(&connection->identified);
	if (rc == 0 && (!connection->session || !connection->peer->identified))
		rc = -ENOTCONN;
	p2p_connection_drop(connection);
	return rc;
}

int p2p_host_remember(struct p2p_host *host, const struct mf_peer_id *id,
	const char *const *addresses, size_t count)
{
	struct mf_pb_view views[P2P_REMEMBERED_MAX];
	struct p2p_peer_entry *peer;
	size_t kept = 0;
	char *packed;

	for (size_t i = 0; i < count && kept < P2P_REMEMBERED_MAX; i++)
		if (strlen(addresses[i]) < P2P_ADDRESS_MAX)
			views[kept++] = (struct mf_pb_view){ (const uint8_t *)addresses[i],
				strlen(addresses[i]) };
	peer = kept ? p2p_peer_make(host, id) : NULL;
	if (!peer)
		return kept ? -ENOMEM : 0;
	packed = p2p_texts_pack(views, kept);
	if (!packed) {
		p2p_peer_settle(peer);
		return -ENOMEM;
	}
	anyio_free(peer->addresses);
	peer->addresses = packed;
	peer->remembered = anyio_now();
	p2p_peers_expire(host);
	return 0;
}

void p2p_host_watch(struct p2p_host *host, struct p2p_watch *watch)
{
	watch->next = host->watches;
	host->watches = watch;
}

void p2p_host_unwatch(struct p2p_host *host, struct p2p_watch *watch)
{
	struct p2p_watch **at = &host->watches;

	while (*at && *at != watch)
		at = &(*at)->next;
	if (*at)
		*at = watch->next;
}
