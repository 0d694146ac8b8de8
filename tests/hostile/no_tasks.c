/*
 * When no task can be had, one request fails with a reason, and nothing beside it. The number of
 * tasks is bounded, and taken up by sleepers but for a few: what asks for one more is refused.
 */
#include "cli/remote.h"
#include <anyio/testing.h>
#include <serve/serve.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TASKS_MAX = 64 };

#define CHECK(truth)                                                                               \
	do {                                                                                       \
		if (!(truth)) {                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth);                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static char dir[] = "/tmp/ipfs-kit-test-XXXXXX";

static int sleeper(void *arg)
{
	return anyio_sleep_forever();
}

/* Leaves so many tasks to be had. */
static void fill(struct anyio_task_group *group, size_t left)
{
	while (anyio_task_count() + left < TASKS_MAX)
		CHECK(anyio_start_soon(group, sleeper, NULL, "sleeper") == 0);
}

static void empty(struct anyio_task_group *group)
{
	anyio_task_group_cancel(group, "enough");
	CHECK(anyio_task_group_exit(group, 0) == 0);
}

static const char *api_multiaddr(const char *name)
{
	static char text[200];

	snprintf(text, sizeof(text), "/unix/%s/%s", dir, name);
	return text;
}

static const char *api_path(const char *name)
{
	return api_multiaddr(name) + strlen("/unix");
}

/* ---- The daemon's side ---- */

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

/* ---- The command line's side ---- */

static ssize_t no_bytes(void *arg, void *buffer, size_t size)
{
	return 0;
}

static void a_call_without_tasks_says_why(void)
{
	static const struct kit_add_options options = KIT_ADD_DEFAULTS;
	static const char *const input[] = { "-", NULL };
	struct kit_source nothing = { no_bytes, NULL };
	struct anyio_listener *listener;
	struct anyio_task_group group;
	struct remote *remote;
	struct mf_cid root;

	/* Nobody accepts: what is sent waits. */
	CHECK(anyio_listen_unix(api_path("deaf"), NULL, &listener) == 0);
	CHECK(remote_create(api_multiaddr("deaf"), NULL, &remote) == 0);
	anyio_task_group_enter(&group);
	fill(&group, 0);
	CHECK(remote_add_paths(remote, input, &nothing, &options, &root) == ANYIO_TOO_MANY);
	CHECK(strstr(remote_error_text(remote), "cannot be sent"));
	empty(&group);
	remote_free(remote);
	anyio_listener_free(listener);
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

	struct anyio_task_group group;
	anyio_task_group_enter(&group);
	CHECK(anyio_start(&group, serve_rpc_run, &rpc, "rpc", NULL) == 0);
	an_add_without_tasks_fails_alone();
	a_call_without_tasks_says_why();
	anyio_task_group_cancel(&group, "done");
	CHECK(anyio_task_group_exit(&group, 0) == 0);
	CHECK(kit_close(rpc.node) == 0);
	free(address);
	return 0;
}

int main(void)
{
	static const struct anyio_options options = { .max_tasks = TASKS_MAX };
	char command[100];

	CHECK(mkdtemp(dir));
	CHECK(anyio_run(body, NULL, &options) == 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) != 0;
}
