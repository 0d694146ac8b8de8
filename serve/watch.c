/*
 * A caller that is gone is owed nothing: what is done for it ends, and what it waits for is no
 * longer looked for.
 *
 * A connection that is broken says so at once. One that says only that no more will be sent may be
 * a client that closed its sending side and waits for the answer, or one that is gone: TCP tells
 * them apart when something is sent to it. So such a client is served as long as bytes move, and is
 * taken to have gone when none did for HALF_CLOSED_MAX.
 *
 * One that stands still with half a body in memory, when others wait for memory, is told so and ended.
 */
#include "rpc.h"

#include <string.h>

#define LOOK_EVERY      (1 * ANYIO_SECOND)
#define HALF_CLOSED_MAX (10 * ANYIO_SECOND)

struct watch {
	struct rpc_request *request;
	int (*answer)(struct rpc_request *request);
	int rc; /* of the answer */
	const struct http_connection *http;
	struct anyio_task_group *group;
	bool gone, slow;
};

static uint64_t moved(const struct http_connection *http)
{
	return http->moved + http->sending;
}

/* Until the answer is given. */
static void look_on(struct watch *watch)
{
	anyio_time since = anyio_now();
	uint64_t before = moved(watch->http);

	while (!anyio_sleep(LOOK_EVERY)) {
		int state = anyio_stream_peer_state(watch->http->stream);
		if (state != ANYIO_END_OF_STREAM || moved(watch->http) != before) {
			since = anyio_now();
			before = moved(watch->http);
		}
		watch->gone = state == ANYIO_BROKEN || anyio_now() - since >= HALF_CLOSED_MAX;
		watch->slow =
			watch->http->holds_body && watch->http->waits && http_must_go(watch->http);
		if (watch->gone || watch->slow) {
			anyio_task_group_cancel(watch->group,
				watch->gone ? "the caller is gone" : "it stands still");
			break;
		}
	}
}

static int give_answer(void *arg)
{
	struct watch *watch = arg;

	watch->rc = watch->answer(watch->request);
	anyio_task_group_cancel(watch->group, "answered");
	return 0;
}

/* A stranger's text, of which a name is made. */
static const char *task_name(const struct http_connection *http)
{
	const char *command = rpc_command(http);

	return command[strspn(command, "abcdefghijklmnopqrstuvwxyz/-")] ? "a request" : command;
}

int rpc_while_there(struct rpc_request *request, int (*answer)(struct rpc_request *request))
{
	struct watch watch = { .request = request, .answer = answer, .http = request->http };

	ANYIO_TASK_GROUP(group);
	watch.group = &group;
	int rc = anyio_try_start_soon(&group, give_answer, &watch, task_name(request->http));
	if (rc)
		watch.rc = rpc_fail_text(request, rc, anyio_error_text(rc));
	else
		look_on(&watch);
	rc = anyio_task_group_exit(&group, 0);
	/* What was cancelled here, and not from outside, is told below. */
	if (!rc && watch.rc != ANYIO_CANCELLED)
		rc = watch.rc;
	if (watch.gone)
		return ANYIO_BROKEN;
	if (!watch.slow || rc == ANYIO_CANCELLED || request->http->ended)
		return rc;
	return request->http->answered
		? ANYIO_BROKEN
		: http_reply(request->http, 503, "text/plain",
			  "503 - this request's body stood still when others needed its memory\n");
}
