/* When no task can be had, a call of the daemon says why. */
#include "../remote.h"

#include "../../tests/no_tasks.h"

static ssize_t no_bytes(void *arg, void *buffer, size_t size)
{
	return 0;
}

static int a_call(void *arg)
{
	static const char *const input[] = { "-", NULL };
	static const struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct kit_source nothing = { no_bytes, NULL };
	struct anyio_listener *listener;
	struct anyio_task_group group;
	struct cli_remote *remote;
	struct mf_cid root;

	/* Nobody accepts: what is sent waits. */
	CHECK(anyio_listen_unix(api_path("deaf"), NULL, &listener) == 0);
	CHECK(cli_remote_create(api_multiaddr("deaf"), NULL, &remote) == 0);
	anyio_task_group_enter(&group);
	fill(&group, 0);
	CHECK(cli_remote_add_paths(remote, input, &nothing, &options, &root) == ANYIO_TOO_MANY);
	CHECK(strstr(cli_remote_error_text(remote), "cannot be sent"));
	empty(&group);
	cli_remote_free(remote);
	anyio_listener_free(listener);
	return 0;
}

int main(void)
{
	return run_with_few_tasks(a_call);
}
