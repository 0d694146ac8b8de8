/*
 * Dialling. Whoever wants a peer first makes a dial, a task of the host; everybody else who wants
 * the same peer waits for it too. A dial tries its addresses in turn, each with a head start; the
 * first that ends in a secured connection wins and the rest are cancelled.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <anyio/memory.h>

#include "swarm.h"
#include "transport/tcp.h"

#define HEAD_START   (250 * ANYIO_MILLISECOND)
#define DIAL_TIMEOUT (30 * ANYIO_SECOND)

enum { DIAL_ADDRESSES_MAX = 32 };

struct p2p_dial {
	struct p2p_host *host;
	struct p2p_peer_entry *peer; /* NULL: whoever answers */
	struct anyio_event done;
	unsigned refs;
	int rc;
	struct mf_peer_id found;
	struct anyio_task_group *group; /* of the attempts */
	size_t count, running;
	struct mf_multiaddr addresses[];
};

static void dial_drop(struct p2p_dial *dial)
{
	if (--dial->refs == 0)
		anyio_free(dial);
}

/* ---- the task ---- */

struct attempt {
	struct p2p_dial *dial;
	const struct mf_multiaddr *address;
	struct anyio_event over;
};

/* The peer that must answer: the one asked for, else the one the address names. */
static const struct mf_peer_id *expected_peer(
	const struct p2p_dial *dial, const struct mf_multiaddr *address, struct mf_peer_id *named)
{
	if (dial->peer)
		return &dial->peer->id;
	return mf_multiaddr_peer(address, named) == 0 ? named : NULL;
}

static int connect_once(struct p2p_dial *dial, const struct mf_multiaddr *address)
{
	struct p2p_noise_result secured = { .muxer = -1 };
	struct mf_multiaddr remote;
	struct mf_peer_id named;
	struct anyio_stream *raw;
	int rc = p2p_tcp_dial(address, &raw);

	if (rc < 0)
		return rc;
	p2p_tcp_remote(raw, &remote);
	rc = p2p_upgrade(dial->host, raw, true, expected_peer(dial, address, &named), &secured);
	if (rc == 0 && mf_peer_id_equal(&secured.peer, &dial->host->id)) {
		p2p_channel_destroy(secured.channel);
		rc = -EPERM;
	}
	if (rc == 0 || rc == -EPERM)
		dial->found = secured.peer;
	if (rc < 0)
		return rc;
	return p2p_connection_start(dial->host, &secured, NULL, &remote);
}

/* Two attempts may get through at the same time: the later one is a spare connection. */
static int attempt_task(void *arg)
{
	struct attempt *attempt = arg;
	struct p2p_dial *dial = attempt->dial;
	int rc = connect_once(dial, attempt->address);

	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc == 0) {
		dial->rc = 0;
		anyio_task_group_cancel(dial->group, "another attempt won");
	} else if (dial->rc != 0 && dial->rc != -EPERM) {
		dial->rc = rc;
	}
	anyio_event_set(&attempt->over);
	return 0;
}

static int wait_for_attempt(void *arg)
{
	return anyio_event_wait(arg);
}

static int try_addresses(void *arg)
{
	struct p2p_dial *dial = arg;
	struct attempt attempts[DIAL_ADDRESSES_MAX];
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	dial->group = &group;
	for (size_t i = 0; i < dial->count && rc >= 0 && dial->rc != 0; i++) {
		attempts[i].dial = dial;
		attempts[i].address = &dial->addresses[i];
		anyio_event_init(&attempts[i].over);
		rc = anyio_start_soon(&group, attempt_task, &attempts[i], "dial attempt");
		if (rc == 0 && i + 1 < dial->count)
			rc = anyio_move_on_after(HEAD_START, wait_for_attempt, &attempts[i].over);
	}
	return anyio_task_group_exit(&group, rc);
}

static int dial_task(void *arg)
{
	struct p2p_dial *dial = arg;
	int rc;

	dial->rc = -ECONNREFUSED;
	rc = anyio_fail_after(DIAL_TIMEOUT, try_addresses, dial);
	if (rc < 0 && dial->rc != 0)
		dial->rc = rc == ANYIO_CANCELLED ? ANYIO_CLOSED : rc;
	if (dial->peer) {
		dial->peer->dial = NULL;
		p2p_peer_settle(dial->peer);
	}
	anyio_event_set(&dial->done);
	dial_drop(dial);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

/* ---- asking for one ---- */

/* Adds an address if it can be dialled and does not name another peer. */
static void dial_add(struct p2p_dial *dial, const char *text, int *why)
{
	struct mf_multiaddr *address = &dial->addresses[dial->count];
	struct mf_peer_id named;

	if (dial->count == DIAL_ADDRESSES_MAX)
		return;
	if (mf_multiaddr_parse(address, text, strlen(text)) < 0 || !p2p_tcp_fits(address))
		return;
	if (dial->peer && mf_multiaddr_peer(address, &named) == 0 &&
		!mf_peer_id_equal(&named, &dial->peer->id)) {
		*why = -EPERM;
		return;
	}
	dial->count++;
}

static int dial_make(struct p2p_host *host, struct p2p_peer_entry *peer,
	const char *const *addresses, size_t count, struct p2p_dial **out)
{
	const char *remembered = peer ? peer->addresses : NULL;
	struct p2p_dial *dial =
		anyio_calloc(1, sizeof *dial + DIAL_ADDRESSES_MAX * sizeof dial->addresses[0]);
	int why = count || remembered ? -EINVAL : -ENOENT;

	if (!dial)
		return -ENOMEM;
	dial->host = host;
	dial->peer = peer;
	dial->refs = 2; /* the task's and the caller's */
	anyio_event_init(&dial->done);
	for (size_t i = 0; i < count; i++)
		dial_add(dial, addresses[i], &why);
	for (; count == 0 && remembered && *remembered; remembered += strlen(remembered) + 1)
		dial_add(dial, remembered, &why);
	if (dial->count == 0) {
		anyio_free(dial);
		return why;
	}
	*out = dial;
	return 0;
}

static int dial_start(struct p2p_host *host, struct p2p_peer_entry *peer,
	const char *const *addresses, size_t count, struct p2p_dial **out)
{
	int rc = dial_make(host, peer, addresses, count, out);

	if (rc < 0)
		return rc;
	rc = anyio_try_start_soon(host->group, dial_task, *out, "dial");
	if (rc < 0)
		anyio_free(*out);
	else if (peer)
		peer->dial = *out;
	return rc;
}

static int dial_wait(struct p2p_dial *dial, struct mf_peer_id *found)
{
	int rc = anyio_event_wait(&dial->done);

	if (rc == 0)
		rc = dial->rc;
	if ((rc == 0 || rc == -EPERM) && found)
		*found = dial->found;
	dial_drop(dial);
	return rc;
}

/* The peer that all addresses name, if they do. */
static const struct mf_peer_id *named_by_all(
	const char *const *addresses, size_t count, struct mf_peer_id *named)
{
	struct mf_multiaddr address;
	struct mf_peer_id other;

	for (size_t i = 0; i < count; i++) {
		if (mf_multiaddr_parse(&address, addresses[i], strlen(addresses[i])) < 0 ||
			mf_multiaddr_peer(&address, i ? &other : named) < 0)
			return NULL;
		if (i && !mf_peer_id_equal(named, &other))
			return NULL;
	}
	return count ? named : NULL;
}

int p2p_host_connect(struct p2p_host *host, const struct mf_peer_id *id,
	const char *const *addresses, size_t count, struct mf_peer_id *found)
{
	struct p2p_peer_entry *peer = NULL;
	struct mf_peer_id named;
	struct p2p_dial *dial = NULL;
	int rc;

	if (host->closing || !host->group)
		return ANYIO_CLOSED;
	if (!id)
		id = named_by_all(addresses, count, &named);
	if (id && mf_peer_id_equal(id, &host->id))
		return -EINVAL;
	if (id && p2p_connection_of(host, id)) {
		if (found)
			*found = *id;
		return anyio_checkpoint();
	}
	if (id && !(peer = p2p_peer_make(host, id)))
		return -ENOMEM;
	if (peer && peer->dial) {
		dial = peer->dial;
		dial->refs++;
	} else {
		rc = dial_start(host, peer, addresses, count, &dial);
		if (rc < 0) {
			if (peer)
				p2p_peer_settle(peer);
			return rc;
		}
	}
	return dial_wait(dial, found);
}
