/* When no task can be had, one request fails with a reason, and nothing beside it. */
#include <serve/serve.h>

#include "../../tests/no_tasks.h"

static const char id[] = "POST /api/v0/id HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
static const char add[] = "POST /api/v0/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: 82\r\n"
			  "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
			  "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\""
			  "\r\n\r\ncontent\r\n--b--\r\n";

struct talk {
	struct anyio_stream *stream;
	const char *request;
	char answer[4096];
};

/* Until the answer's JSON has come whole. */
static int talk(void *arg)
{
	struct talk *talk = arg;
	size_t used = 0;
	int rc = anyio_stream_send(talk->stream, talk->request, strlen(talk->request));

	while (!rc && !strstr(talk->answer, "}\n") && !strstr(talk->answer, "}\r\n") &&
		!strstr(talk->answer, "\"Type\":\"error\"")) {
		ssize_t n = anyio_stream_receive(
			talk->stream, talk->answer + used, sizeof(talk->answer) - 1 - used);
		if (n <= 0)
			return n ? (int)n : ANYIO_END_OF_STREAM;
		used += (size_t)n;
		talk->answer[used] = 0;
	}
	return rc;
}

static int say(struct talk *on, const char *request)
{
	on->request = request;
	memset(on->answer, 0, sizeof(on->answer));
	return anyio_fail_after(60 * ANYIO_SECOND, talk, on);
}

/* An add that finds so many tasks left. True when it could be done. */
static bool add_with(size_t left)
{
	struct talk on = { 0 };

	CHECK(anyio_connect_unix(api_path("api"), &on.stream) == 0);
	CHECK(say(&on, id) == 0 && strstr(on.answer, "HTTP/1.1 200 "));

	struct anyio_task_group group;
	anyio_task_group_enter(&group);
	CHECK(anyio_wait_all_tasks_blocked() == 0);
	fill(&group, left);
	CHECK(say(&on, add) == 0);
	bool done = strstr(on.answer, "HTTP/1.1 200 ") != NULL;
	if (!done) {
		CHECK(strstr(on.answer, "HTTP/1.1 500 "));
		CHECK(strstr(on.answer, "a limit on their number was reached"));
	}
	empty(&group);
	anyio_stream_free(on.stream);
	return done;
}

static void an_add_without_tasks_fails_alone(void)
{
	struct talk beside = { 0 };
	size_t left = 0, before = anyio_task_count();

	CHECK(anyio_connect_unix(api_path("api"), &beside.stream) == 0);
	for (bool done = false; !done; left++) {
		done = add_with(left);
		CHECK(say(&beside, id) == 0 && strstr(beside.answer, "HTTP/1.1 200 "));
		CHECK(left < TASKS_MAX / 2);
	}
	/* The watch over its caller, the sender of its lines, and what the kit takes. */
	CHECK(left > 3);
	anyio_stream_free(beside.stream);
	/* Its task would be one more that can be had. */
	for (int i = 0; anyio_task_count() > before; i++)
		CHECK(i < 60000 && anyio_sleep(ANYIO_MILLISECOND) == 0);
}

static int body(void *arg)
{
	char repo[100], error[256];
	const char *listen[] = { NULL, NULL };
	struct serve_rpc rpc = { .listen = listen };

	snprintf(repo, sizeof(repo), "%s/repo", dir);
	CHECK(kit_init(repo, NULL) == 0);
	CHECK(kit_open(repo, NULL, &rpc.node, error, sizeof(error)) == 0);
	char *address = strdup(api_multiaddr("api"));
	listen[0] = address;

	struct anyio_service_group services;
	struct anyio_service api;
	anyio_service_group_enter(&services, NULL);
	CHECK(anyio_service_start(&services, &api, serve_rpc_run, &rpc, "API") == 0);
	an_add_without_tasks_fails_alone();
	CHECK(anyio_service_group_exit(&services, 0) == 0);
	CHECK(anyio_service_state(&api) == ANYIO_SERVICE_FINISHED);
	CHECK(kit_close(rpc.node) == 0);
	free(address);
	return 0;
}

int main(void)
{
	return run_with_few_tasks(body);
}
