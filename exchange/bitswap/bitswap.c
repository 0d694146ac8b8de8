#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>
#include <malloc.h>

enum {
	SESSION_CACHE = 40 << 20,
	PEER_SECONDS = 10,
	IDENTIFY_SECONDS = 15, /* a peer that said nothing of itself by then is tried */
	REST_SECONDS = 2,
	HELD_UP_SECONDS = 1, /* and what could not be done is tried again */
	SERVING = 16,        /* batches of blocks in memory for peers, */
	SERVING_SLOW = 8,    /* so many of them for slow ones */
};

/* ---- peers come and go ---- */

static bool speaks(const struct bitswap *bitswap, const struct mf_peer_id *id)
{
	for (size_t i = 0; i < BITSWAP_PROTOCOLS; i++)
		if (p2p_host_speaks(bitswap->host, id, bitswap_protocols[i]) == 1)
			return true;
	return false;
}

static void on_identified(void *arg, const struct mf_peer_id *id)
{
	struct bitswap *bitswap = arg;

	if (bitswap->group && speaks(bitswap, id))
		bitswap_peer_get(bitswap, id);
}

static void on_disconnected(void *arg, const struct mf_peer_id *id)
{
	struct bitswap *bitswap = arg;
	struct bitswap_peer *peer;

	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (mf_peer_id_equal(&peer->id, id)) {
			bitswap_peer_lost(peer);
			return;
		}
}

void bitswap_peers_join(struct bitswap *bitswap)
{
	struct p2p_peer *peers;
	size_t count;

	if (p2p_host_peers(bitswap->host, &peers, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		bool silent = !peers[i].identified &&
			anyio_now() - peers[i].since > IDENTIFY_SECONDS * ANYIO_SECOND;
		if (bitswap->group && (silent || speaks(bitswap, &peers[i].id)))
			bitswap_peer_get(bitswap, &peers[i].id);
	}
	anyio_free(peers);
}

/* ---- rest ---- */

/* The memory that blocks went through is kept by malloc while they move, and goes back after. */
static int rest(void *arg)
{
	struct bitswap *bitswap = arg;
	int rc = 0;

	while (rc == 0 && bitswap->moved) {
		bitswap->moved = false;
		rc = anyio_sleep(REST_SECONDS * ANYIO_SECOND);
	}
	bitswap->resting = false;
	if (rc == 0)
		malloc_trim(0);
	return rc;
}

void bitswap_moved(struct bitswap *bitswap)
{
	bitswap->moved = true;
	if (!bitswap->resting && bitswap->group)
		bitswap->resting = bitswap_start(bitswap, rest, bitswap, "bitswap rest") == 0;
}

/* ---- running ---- */

static void end_arrivals(struct bitswap *bitswap)
{
	struct bitswap_arrival *arrival;

	while ((arrival = STAILQ_FIRST(&bitswap->arrivals))) {
		STAILQ_REMOVE_HEAD(&bitswap->arrivals, link);
		bitswap_arrival_free(arrival);
	}
	bitswap->arriving = 0;
}

int bitswap_start(struct bitswap *bitswap, anyio_task_fn fn, void *arg, const char *name)
{
	int rc = anyio_try_start_soon(bitswap->group, fn, arg, name);

	if (rc < 0)
		bitswap_held_up(bitswap);
	return rc;
}

void bitswap_held_up(struct bitswap *bitswap)
{
	anyio_event_set(&bitswap->held_up);
}

/* Starts whatever there is to do and nobody does. */
static void resume(struct bitswap *bitswap)
{
	struct bitswap_peer *peer;

	bitswap_peers_join(bitswap);
	bitswap_want_keep(bitswap);
	bitswap_session_advance_all(bitswap);
	TAILQ_FOREACH (peer, &bitswap->peers, link)
		bitswap_peer_kick(peer);
	bitswap_arrive_kick(bitswap);
	bitswap_serve_hurry(bitswap);
	if (bitswap->moved)
		bitswap_moved(bitswap);
}

int bitswap_run(void *arg)
{
	struct bitswap *bitswap = arg;
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	bitswap->group = &group;
	while (rc == 0) {
		anyio_event_init(&bitswap->held_up);
		resume(bitswap);
		rc = anyio_event_wait(&bitswap->held_up);
		if (rc == 0)
			rc = anyio_sleep(HELD_UP_SECONDS * ANYIO_SECOND);
	}
	bitswap->group = NULL;
	rc = anyio_task_group_exit(&group, rc);
	end_arrivals(bitswap);
	while (!LIST_EMPTY(&bitswap->sessions))
		bitswap_session_end(LIST_FIRST(&bitswap->sessions));
	bitswap_receive_end(bitswap);
	return rc;
}

/* ---- ending well ---- */

static bool is_sending(const struct bitswap *bitswap)
{
	const struct bitswap_peer *peer;

	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (peer->sending)
			return true;
	return false;
}

int bitswap_drain(struct bitswap *bitswap)
{
	int rc = 0;

	bitswap->draining = true;
	while (rc == 0 && is_sending(bitswap)) {
		anyio_event_init(&bitswap->sent);
		rc = anyio_event_wait(&bitswap->sent);
	}
	return rc;
}

/* ---- life ---- */

static void use_defaults(struct bitswap_options *options)
{
	if (options->session_cache == 0)
		options->session_cache = SESSION_CACHE;
	if (options->peer_timeout == 0)
		options->peer_timeout = PEER_SECONDS * ANYIO_SECOND;
}

static int register_all(struct bitswap *bitswap)
{
	int rc = 0;

	for (size_t i = 0; i < BITSWAP_PROTOCOLS && rc == 0; i++)
		rc = p2p_host_handle(bitswap->host, bitswap_protocols[i], bitswap_receive, bitswap);
	return rc;
}

int bitswap_create(struct p2p_host *host, struct store *store,
	const struct bitswap_options *options, struct bitswap **out)
{
	struct bitswap *bitswap = anyio_calloc(1, sizeof(*bitswap));
	int rc;

	if (!bitswap)
		return -ENOMEM;
	bitswap->host = host;
	bitswap->store = store;
	if (options)
		bitswap->options = *options;
	use_defaults(&bitswap->options);
	bitswap->limit.memory = BITSWAP_MEMORY;
	bitswap->peer_limit.memory = BITSWAP_PEER_MEMORY;
	p2p_account_init(&bitswap->account, NULL, &bitswap->limit);
	TAILQ_INIT(&bitswap->peers);
	TAILQ_INIT(&bitswap->want_list);
	STAILQ_INIT(&bitswap->arrivals);
	anyio_event_init(&bitswap->left);
	anyio_event_init(&bitswap->held_up);
	anyio_event_init(&bitswap->sent);
	anyio_semaphore_init(&bitswap->serving.free, SERVING, SERVING);
	anyio_semaphore_init(&bitswap->serving_slow.free, SERVING_SLOW, SERVING_SLOW);
	bitswap->watch = (struct p2p_watch){
		.disconnected = on_disconnected, .identified = on_identified, .arg = bitswap
	};
	p2p_host_watch(host, &bitswap->watch);
	rc = register_all(bitswap);
	if (rc < 0) {
		bitswap_free(bitswap);
		return rc;
	}
	*out = bitswap;
	return 0;
}

void bitswap_free(struct bitswap *bitswap)
{
	if (!bitswap)
		return;
	p2p_host_unwatch(bitswap->host, &bitswap->watch);
	for (size_t i = 0; i < BITSWAP_PROTOCOLS; i++)
		p2p_host_unhandle(bitswap->host, bitswap_protocols[i]);
	while (!LIST_EMPTY(&bitswap->sessions))
		bitswap_session_end(LIST_FIRST(&bitswap->sessions));
	while (!TAILQ_EMPTY(&bitswap->peers))
		bitswap_peer_lost(TAILQ_FIRST(&bitswap->peers));
	anyio_free(bitswap);
}

void bitswap_stat(const struct bitswap *bitswap, struct bitswap_statistics *out)
{
	*out = bitswap->statistics;
	out->wants = bitswap->wants.count;
}
