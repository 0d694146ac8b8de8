/*
 * One connection: a task that reads its session, in a group of which its streams' tasks and
 * identify are children. When it is idle nothing is left of it but that task, parked, and a few
 * small records.
 */
#include <errno.h>
#include <stddef.h>

#include <anyio/memory.h>

#include "swarm.h"

enum { STACK_SIZE = 32 * 1024 };

void p2p_connection_hold(struct p2p_connection *connection)
{
	connection->refs++;
}

void p2p_connection_drop(struct p2p_connection *connection)
{
	struct p2p_peer_entry *peer = connection->peer;

	if (--connection->refs > 0)
		return;
	peer->refs--;
	if (connection->prefix) {
		p2p_account_end(&connection->place);
		p2p_prefix_drop(connection->prefix);
	}
	p2p_account_end(&connection->account);
	anyio_free(connection->address);
	anyio_free(connection);
	p2p_peer_settle(peer);
}

static void hold(void *connection)
{
	p2p_connection_hold(connection);
}

static void drop(void *connection)
{
	p2p_connection_drop(connection);
}

static bool usable(const struct p2p_connection *c)
{
	return !c->ending && p2p_yamux_alive(c->session);
}

struct p2p_connection *p2p_connection_of(const struct p2p_host *host, const struct mf_peer_id *id)
{
	const struct p2p_peer_entry *peer = p2p_peer_find(host, id);
	struct p2p_connection *c = peer ? peer->connections : NULL;

	while (c && !usable(c))
		c = c->next;
	return c;
}

void p2p_connection_cancel(struct p2p_connection *connection, const char *reason)
{
	connection->ending = true;
	if (connection->group)
		anyio_task_group_cancel(connection->group, reason);
}

/* ---- its charges ---- */

static void uncharge(struct p2p_connection *c)
{
	if (!c->charged)
		return;
	c->charged = false;
	p2p_account_release(&c->account, P2P_CONNECTION_COST);
	p2p_account_drop_connection(&c->account, c->prefix);
	if (c->prefix)
		p2p_account_drop_connection(&c->place, true);
}

/* The place comes last: nobody gives way to a peer that has too many connections of its own. */
static int charge(struct p2p_connection *c)
{
	int rc = p2p_account_add_connection(&c->account, c->prefix);

	if (rc < 0)
		return rc;
	rc = p2p_account_charge(&c->account, P2P_CONNECTION_COST);
	if (rc == 0 && c->prefix) {
		rc = p2p_account_add_connection(&c->place, true);
		if (rc < 0)
			p2p_account_release(&c->account, P2P_CONNECTION_COST);
	}
	if (rc < 0)
		p2p_account_drop_connection(&c->account, c->prefix);
	c->charged = rc == 0;
	return rc;
}

/* Says go away and is unwound by its task, which may not have begun. */
static void give_way(struct p2p_account *place)
{
	struct p2p_connection *c =
		(struct p2p_connection *)((char *)place - offsetof(struct p2p_connection, place));

	uncharge(c);
	p2p_connection_cancel(c, "its place is wanted");
}

void p2p_host_used(struct p2p_host *host, const struct mf_peer_id *id, anyio_time ahead)
{
	const struct p2p_peer_entry *peer = p2p_peer_find(host, id);
	anyio_time until = anyio_now() + ahead;

	for (struct p2p_connection *c = peer ? peer->connections : NULL; c; c = c->next)
		if (c->prefix)
			p2p_account_use(&c->place, until);
}

/* ---- who is told ---- */

static void tell(struct p2p_host *host, const struct mf_peer_id *id, size_t which)
{
	struct p2p_watch *next;

	for (struct p2p_watch *watch = host->watches; watch; watch = next) {
		void (*fn)(void *, const struct mf_peer_id *) = which == 0 ? watch->connected
			: which == 1                                       ? watch->disconnected
									   : watch->identified;

		next = watch->next;
		if (fn)
			fn(watch->arg, id);
	}
}

void p2p_tell_identified(struct p2p_host *host, const struct mf_peer_id *id)
{
	tell(host, id, 2);
}

static void link_to_peer(struct p2p_connection *c)
{
	c->next = c->peer->connections;
	c->peer->connections = c;
	c->host->connection_count++;
}

static void unlink_from_peer(struct p2p_connection *c)
{
	struct p2p_connection **at = &c->peer->connections;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->host->connection_count--;
	if (!c->peer->connections)
		tell(c->host, &c->peer->id, 1);
}

/* ---- the task ---- */

static int open_session(struct p2p_connection *c)
{
	const struct p2p_yamux_options options = {
		.client = !c->prefix,
		.account = &c->account,
		.stream_limit = &c->host->options.limits.stream,
		.group = c->group,
		.accept = p2p_stream_accept,
		.hold = hold,
		.drop = drop,
		.owner = c,
	};
	struct p2p_channel *channel = c->channel;

	c->channel = NULL;
	return p2p_yamux_create(channel, &options, &c->session);
}

static void run_session(struct p2p_connection *c)
{
	struct p2p_yamux_session *session = c->session;

	link_to_peer(c);
	anyio_started(NULL);
	anyio_start_soon(c->group, p2p_identify_task, c, "identify");
	p2p_yamux_run(session);
	c->session = NULL;
	anyio_event_set(&c->identified);
	unlink_from_peer(c);
	anyio_task_group_cancel(c->group, "connection over");
}

static void abandon(struct p2p_connection *c)
{
	p2p_channel_destroy(c->channel);
	uncharge(c);
	p2p_connection_drop(c);
}

/* The end of one connection is no error of the host's. One without a session is its starter's. */
static int connection_task(void *arg)
{
	struct p2p_connection *c = arg;
	struct p2p_yamux_session *session;
	int rc;

	ANYIO_TASK_GROUP(group);
	c->group = &group;
	if (c->ending)
		p2p_connection_cancel(c, "its place is wanted");
	rc = open_session(c);
	session = c->session;
	if (rc == 0)
		run_session(c);
	anyio_task_group_exit(&group, 0);
	c->group = NULL;
	p2p_yamux_free(session);
	if (rc == 0)
		abandon(c);
	return rc;
}

static struct p2p_connection *make(struct p2p_host *host, const struct p2p_noise_result *secured,
	struct p2p_prefix *prefix, const struct mf_multiaddr *remote)
{
	char text[P2P_ADDRESS_MAX];
	struct p2p_connection *c;
	struct p2p_peer_entry *peer = p2p_peer_make(host, &secured->peer);

	if (!peer)
		return NULL;
	c = anyio_calloc(1, sizeof *c);
	if (!c) {
		p2p_peer_settle(peer);
		return NULL;
	}
	if (mf_multiaddr_format(remote, text, sizeof text) > 0)
		c->address = anyio_strdup(text);
	c->host = host;
	c->peer = peer;
	peer->refs++;
	c->refs = 1;
	c->channel = secured->channel;
	c->since = anyio_now();
	anyio_event_init(&c->identified);
	p2p_account_init(&c->account, &peer->account, &host->options.limits.connection);
	if (prefix) {
		c->prefix = p2p_prefix_hold(prefix);
		p2p_account_init(&c->place, &prefix->connections, &p2p_no_limit);
		c->place.give_way = give_way;
		p2p_account_use(&c->place, c->since);
	}
	return c;
}

/* A stack of a size that no other task of ours has: stacks are pooled by size, and one that was
 * deep in some handshake before would keep its pages for as long as this connection lasts. */
static int spawn(struct p2p_connection *c)
{
	const struct anyio_task_options options = {
		.name = c->address ? c->address : "connection",
		.stack_size = STACK_SIZE,
	};
	struct anyio_cancel_scope scope;
	int rc;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(
		&scope, true); /* it will not be long: the task opens its session */
	anyio_cancel_scope_enter(&scope);
	rc = anyio_start_with(c->host->group, connection_task, c, &options, NULL);
	rc = anyio_cancel_scope_exit(&scope, rc);
	if (rc < 0)
		abandon(c);
	return rc;
}

int p2p_connection_start(struct p2p_host *host, const struct p2p_noise_result *secured,
	struct p2p_prefix *prefix, const struct mf_multiaddr *remote)
{
	struct p2p_connection *c = NULL;
	int rc;

	if (host->closing || !host->group)
		rc = ANYIO_CLOSED;
	else
		rc = (c = make(host, secured, prefix, remote)) ? charge(c) : -ENOMEM;
	if (rc < 0) {
		p2p_channel_destroy(secured->channel);
		if (c)
			p2p_connection_drop(c);
		return rc;
	}
	p2p_connection_hold(c);
	rc = spawn(c);
	if (c->session && c->peer->connections == c && !c->next)
		tell(host, &c->peer->id, 0);
	p2p_connection_drop(c);
	return rc;
}
