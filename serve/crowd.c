/*
 * Who is served at once. Of the descriptors that the process may open clients take three eighths, as
 * peers do (libp2p/resource.h); the rest is for handshakes, the store's files, listeners and the loop.
 * So there are only so many places; when they are all taken, a newcomer gets that of another, the first
 * that there is of these:
 *
 * 1. where the API has a secret, whoever has not shown it yet: who has been here the longest, at once;
 * 2. between two requests, or sending the head of one: whoever has been for the longest, at once. Nothing
 *    is done for it, so that a head begun again and again outlasts nobody who has asked for something;
 * 3. sending a body, or taking an answer: whoever owes the most time (http_standing), when it is more
 *    than GIVE_WAY_AFTER;
 * 4. waiting for an answer, as for content that nobody has: whoever has waited the longest, when it
 *    is more than GIVE_UP_AFTER.
 *
 * Before anyone is judged, what has come by then is read: who was accepted a moment ago, or spoke while this
 * process stood still, is not silent.
 *
 * While places are left nobody is ended for being slow. A newcomer that finds nobody who stands still
 * waits, before it is turned away with a reason.
 *
 * When the service is asked to stop, whoever has asked for nothing is ended at once, and a request that is
 * being answered is the last of its connection. What the grace of the service does not suffice for is cut off
 * by name, here and to the client.
 */
#include "crowd.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

/* All that answers may hold in memory while their clients read. */
enum { ANSWERS_MAX = 128 << 20 };

#define GIVE_WAY_AFTER (2 * ANYIO_SECOND)
#define GIVE_UP_AFTER  (10 * ANYIO_SECOND)
#define LOOK_EVERY     (ANYIO_SECOND / 2)
#define REST_AFTER     (5 * ANYIO_SECOND)
#define NEWCOMER_WAITS (20 * ANYIO_SECOND)
/* An explanation is short: it goes into the socket's buffer at once, or not at all. */
#define EXPLAIN_MAX (ANYIO_SECOND / 10)

/* How much of a body whose answer was given before it is read, and for how long. */
enum { LINGER_BYTES = 64 << 20 };
#define LINGER_TIME (2 * ANYIO_SECOND)

struct client {
	struct crowd *crowd;
	struct client *next, **at;
	struct kit_node *node;
	struct http_connection http;
	struct rpc_request request;
	anyio_time came;
	struct anyio_cancel_scope scope;
	bool leaving;
	const char *why; /* it gives way, for the client */
};

int crowd_open(struct crowd *crowd, struct serve_rpc *rpc, struct anyio_service *service)
{
	*crowd = (struct crowd){
		.rpc = rpc, .service = service, .most = anyio_descriptor_limit() / 8 * 3
	};
	anyio_lock_init(&crowd->turn);
	anyio_event_init(&crowd->freed);
	return kit_room_create(ANSWERS_MAX, &crowd->room);
}

void crowd_close(struct crowd *crowd)
{
	kit_room_free(crowd->room);
}

/* ---- Memory ---- */

/* What answers and clients held is kept by malloc while they come and go, and goes back after. */
static int rest(void *arg)
{
	struct crowd *crowd = arg;
	bool used = false;
	int rc = 0;

	while (!rc && (crowd->count || used || crowd->peak)) {
		rc = anyio_sleep(REST_AFTER);
		bool now = kit_room_was_used(crowd->room), fewer = crowd->count <= crowd->peak / 2;
		if (!rc && ((used && !now) || fewer)) {
			malloc_trim(0);
			crowd->peak = crowd->count;
		}
		used = now;
	}
	crowd->resting = false;
	return rc;
}

/* ---- Clients ---- */

static bool room_is_wanted(void *arg)
{
	return kit_room_is_wanted(((struct crowd *)arg)->room);
}

/* NULL when memory is short; the stream is the client's in any case. */
static struct client *client_new(struct crowd *crowd, struct anyio_stream *stream)
{
	struct client *client = anyio_malloc(sizeof(*client));

	if (!client || kit_share(crowd->rpc->node, &client->node)) {
		anyio_free(client);
		anyio_stream_free(stream);
		return NULL;
	}
	client->crowd = crowd;
	client->leaving = false;
	client->why = NULL;
	kit_limit(client->node, crowd->room);
	anyio_cancel_scope_init(&client->scope);
	http_open(&client->http, stream);
	client->request = (struct rpc_request){
		.rpc = crowd->rpc,
		.service = crowd->service,
		.node = client->node,
		.http = &client->http,
		.room = crowd->room,
	};
	client->came = anyio_now();
	client->http.wanted = room_is_wanted;
	client->http.wanted_arg = crowd;
	return client;
}

static void client_free(struct client *client)
{
	http_close(&client->http);
	anyio_stream_free(client->http.stream);
	kit_unshare(client->node);
	anyio_free(client);
}

static void take_place(struct client *client)
{
	struct crowd *crowd = client->crowd;

	client->next = crowd->first;
	client->at = &crowd->first;
	if (client->next)
		client->next->at = &client->next;
	crowd->first = client;
	crowd->count++;
	if (crowd->peak < crowd->count)
		crowd->peak = crowd->count;
}

static void give_place(struct client *client)
{
	struct crowd *crowd = client->crowd;

	*client->at = client->next;
	if (client->next)
		client->next->at = client->at;
	crowd->count--;
	crowd->leaving -= client->leaving;
	anyio_event_set(&crowd->freed);
}

/* What is left of a body is read, up to a bound, so that the connection can be used again. */
static int drain(struct http_connection *http)
{
	char skipped[4096];
	size_t total = 0;
	ssize_t n = 0;

	if (!http->keep_alive)
		return -1;
	while (total < 1 << 20 && (n = http_body(http, skipped, sizeof(skipped))) > 0)
		total += (size_t)n;
	return n == 0 ? 0 : -1;
}

/* Closing on bytes that were not read would reset the connection, and take the answer with it. */
static int linger(void *arg)
{
	struct http_connection *http = arg;
	char skipped[4096];
	size_t total = 0;
	ssize_t n = anyio_stream_send_eof(http->stream) ? 0 : 1;

	while (n > 0 && total < LINGER_BYTES)
		if ((n = http_body(http, skipped, sizeof(skipped))) > 0)
			total += (size_t)n;
	return n == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int read_next(void *http)
{
	return http_next(http);
}

static int next_request(struct client *client)
{
	struct anyio_service *service = client->crowd->service;
	struct http_connection *http = &client->http;
	int rc;

	if (anyio_service_stopping(service))
		return ANYIO_STOPPED;
	rc = anyio_service_until_stop(service, read_next, http);
	if (anyio_service_stopping(service))
		http->keep_alive = false;
	return rc || http->head_done ? rc : ANYIO_STOPPED;
}

static int converse(void *arg)
{
	struct client *client = arg;
	struct http_connection *http = &client->http;
	int rc;

	while ((rc = next_request(client)) == 0)
		if (rpc_while_there(&client->request, rpc_answer) || drain(http))
			break;
	if (!rc && http->ended && !http->message_done && !http->lost)
		rc = anyio_move_on_after(LINGER_TIME, linger, http);
	return rc;
}

static int explain(void *arg)
{
	struct client *client = arg;
	struct http_connection *http = &client->http;
	char text[300];

	if (client->why)
		snprintf(text, sizeof(text),
			"503 - %s; %zu clients are served at once, three for every eight files the node may open (ulimit -n)\n",
			client->why, client->crowd->most);
	else
		snprintf(text, sizeof(text),
			"503 - the node was shut down before this request was done\n");
	return http->answered ? http_end(http, text, 0) : http_reply(http, 503, "text/plain", text);
}

/* Also when the service is cancelled. */
static void explain_soon(struct client *client)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, EXPLAIN_MAX);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_run(&scope, explain, client);
}

/* A request that is being answered. */
static bool is_served(const struct client *client)
{
	return client->http.head_done && !client->http.ended;
}

static void tell(const struct crowd *crowd, const char *sentence)
{
	if (crowd->rpc->tell)
		crowd->rpc->tell(crowd->rpc->arg, sentence);
}

static void cut_off(struct client *client)
{
	const char *arg = http_param(&client->http, "arg", 0);
	char text[300];

	snprintf(text, sizeof(text), "%.60s%s%.200s was cut off before it was done",
		rpc_command(&client->http), arg ? " " : "", arg ? arg : "");
	tell(client->crowd, text);
	explain_soon(client);
}

static int serve_client(void *arg)
{
	struct client *client = arg;
	int rc;

	anyio_cancel_scope_run(&client->scope, converse, client);
	rc = anyio_checkpoint_if_cancelled();
	if (rc && is_served(client))
		cut_off(client);
	else if (client->why && !client->http.idle && !client->http.ended)
		explain_soon(client);
	give_place(client);
	client_free(client);
	/* A client's trouble is its own: it must not end the daemon. */
	return rc;
}

/* ---- Places ---- */

/* Who gives way: the highest first. */
enum rank { STAYS, WAITS_FOR_US, STANDS_STILL, ASKS_NOTHING, STRANGER };

struct claim {
	enum rank rank;
	anyio_time time;
};

static struct claim claim_on(const struct client *client)
{
	const struct http_connection *http = &client->http;
	anyio_time standing = http_standing(http), busy = anyio_now() - http->busy;

	if (client->leaving)
		return (struct claim){ STAYS, 0 };
	if (client->crowd->rpc->secret && !client->request.trusted)
		return (struct claim){ STRANGER, anyio_now() - client->came };
	if (http->idle || !http->head_done)
		return (struct claim){ ASKS_NOTHING, anyio_now() - http->began };
	if (http->waits)
		return (struct claim){ standing >= GIVE_WAY_AFTER ? STANDS_STILL : STAYS,
			standing };
	return (struct claim){ busy >= GIVE_UP_AFTER ? WAITS_FOR_US : STAYS, busy };
}

static void make_way(struct crowd *crowd)
{
	static const char *const why[] = {
		[WAITS_FOR_US] =
			"this request was still waiting for its answer when others needed its place",
		[STANDS_STILL] = "this request stood still when others needed its place",
		[ASKS_NOTHING] = "this request's head had not come when others needed its place",
		[STRANGER] = "the API's secret had not come when others needed this place",
	};
	struct claim most = { STAYS, 0 };
	struct client *found = NULL;

	for (struct client *client = crowd->first; client; client = client->next) {
		struct claim claim = claim_on(client);
		if (claim.rank > most.rank ||
			(claim.rank == most.rank && claim.rank && claim.time > most.time)) {
			most = claim;
			found = client;
		}
	}
	if (!found)
		return;
	found->leaving = true;
	found->why = why[most.rank];
	crowd->leaving++;
	anyio_cancel_scope_cancel(&found->scope, "others need its place");
}

static int wait_set(void *event)
{
	return anyio_event_wait(event);
}

static void on_looked(void *looked)
{
	anyio_event_set(looked);
}

/* Until the loop has asked the kernel for news once more, and those it came for have had their turn. A call
 * comes after the news, and it always comes: the wait for it is not cut off. Without memory for one they
 * are judged as they are. */
static void hear_them(void)
{
	struct anyio_token *token = anyio_current_token();
	struct anyio_cancel_scope scope;
	struct anyio_event looked;

	anyio_event_init(&looked);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	if (token && anyio_call_soon(token, on_looked, &looked) == 0)
		anyio_cancel_scope_run(&scope, wait_set, &looked);
	anyio_token_unref(token);
}

/* -ETIMEDOUT: all who are served are busy. */
static int wait_for_place(struct crowd *crowd)
{
	anyio_time until = anyio_now() + NEWCOMER_WAITS;
	int rc = anyio_lock_acquire(&crowd->turn);

	if (rc)
		return rc;
	while (crowd->count >= crowd->most && (!rc || rc == -ETIMEDOUT)) {
		hear_them();
		if (crowd->count < crowd->most || anyio_now() >= until)
			break;
		/* One goes for one who comes; another when it takes long to go. */
		if (!crowd->leaving || rc)
			make_way(crowd);
		anyio_event_init(&crowd->freed);
		rc = anyio_fail_after(LOOK_EVERY, wait_set, &crowd->freed);
	}
	anyio_lock_release(&crowd->turn);
	if (rc && rc != -ETIMEDOUT)
		return rc;
	return crowd->count < crowd->most ? 0 : -ETIMEDOUT;
}

static bool full(const struct crowd *crowd)
{
	return crowd->count >= crowd->most || anyio_lock_locked(&crowd->turn);
}

int crowd_accept(
	struct crowd *crowd, struct anyio_listener *listener, struct anyio_task_group *accepting)
{
	struct anyio_stream *stream;
	int rc;

	while ((rc = anyio_accept(listener, &stream)) == 0) {
		struct client *client = client_new(crowd, stream);
		if (!client)
			continue;
		rc = full(crowd) ? wait_for_place(crowd) : 0;
		if (rc == -ETIMEDOUT) {
			client->why = "all who are served are busy";
			anyio_move_on_after(EXPLAIN_MAX, explain, client);
		}
		if (!rc)
			take_place(client);
		if (!rc && !crowd->resting)
			crowd->resting =
				!anyio_try_start_soon(accepting, rest, crowd, "API memory");
		/* When not even a task can be had, this client is turned away and the rest go on. */
		if (!rc &&
			anyio_try_start_soon(crowd->clients, serve_client, client, "API client")) {
			give_place(client);
			rc = -ENOMEM;
		}
		if (rc)
			client_free(client);
		if (rc == ANYIO_CANCELLED)
			return rc;
	}
	return rc;
}

void crowd_stop(struct crowd *crowd)
{
	size_t served = 0;
	char text[120];

	for (struct client *client = crowd->first; client; client = client->next) {
		client->http.keep_alive = false;
		served += is_served(client);
	}
	if (!served)
		return;
	snprintf(text, sizeof(text), "%zu request%s still run%s; another signal cuts %s off",
		served, served == 1 ? "" : "s", served == 1 ? "s" : "",
		served == 1 ? "it" : "them");
	tell(crowd, text);
}
