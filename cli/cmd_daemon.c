/* The daemon: the node online, its RPC, until a signal or `shutdown`. */
#include "cli.h"

#include <errno.h>
#include <serve/serve.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct daemon {
	struct cli *cli;
	struct kit_network network;
	struct serve_rpc rpc;
	struct anyio_event stop;
	char **listen, **api, **origins;
	char *secret;
	char api_path[4200];
	int code; /* when it could not start */
};

static char **split(char *text)
{
	size_t count = 0;
	char **list;

	for (const char *c = text; *c; c++)
		count += *c == ' ';
	list = calloc(count + 2, sizeof(*list));
	if (!list)
		return NULL;
	count = 0;
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		if ((list[count] = strdup(word)))
			count++;
	return list;
}

/* A list from the config; NULL when it has none. */
static char **setting_list(const char *repo, const char *key)
{
	char *text = NULL, **list;

	if (kit_config_get(repo, key, &text) || !*text) {
		free(text);
		return NULL;
	}
	list = split(text);
	free(text);
	return list;
}

static void free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

static int watch_signals(void *arg)
{
	static const int signals[] = { SIGINT, SIGTERM, 0 };
	struct daemon *daemon = arg;
	struct anyio_signal_receiver *receiver;
	int rc = anyio_signal_open(signals, &receiver);

	if (rc)
		return rc;
	anyio_started(NULL);
	rc = anyio_signal_receive(receiver);
	if (rc > 0)
		anyio_event_set(&daemon->stop);
	anyio_signal_close(receiver);
	return rc > 0 ? 0 : rc;
}

static void on_shutdown(void *arg)
{
	anyio_event_set(&((struct daemon *)arg)->stop);
}

static int write_api_file(struct daemon *daemon)
{
	char line[sizeof(daemon->rpc.addresses[0]) + 2];
	int len = snprintf(line, sizeof(line), "%s\n", daemon->rpc.addresses[0]);

	snprintf(daemon->api_path, sizeof(daemon->api_path), "%s/api", daemon->cli->repo);
	return anyio_plain_replace(
		AT_FDCWD, daemon->api_path, 0644, NULL, line, (size_t)len, false);
}

/* Tells a service manager that started this and wants to know (systemd's Type=notify). Nothing is there
 * to be told when it fails. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;

	if (!len || len >= sizeof(to.sun_path) || !strchr("/@", *path))
		return;
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

static void announce_one(
	const struct cli *cli, const char *text, const char *key, const char *address)
{
	if (cli->json)
		cli_put_json(stdout, json_pack("{s:o}", key, cli_json_text(address)));
	else
		printf("%s%s\n", text, address);
}

static void announce(struct daemon *daemon)
{
	const struct cli *cli = daemon->cli;
	char **addresses = NULL;

	if (kit_addresses(cli->node, &addresses) == 0)
		for (char **address = addresses; *address; address++)
			announce_one(cli, "listening on ", "Swarm", *address);
	kit_strings_free(addresses);
	for (size_t i = 0; i < SERVE_LISTEN_MAX && daemon->rpc.addresses[i][0]; i++)
		announce_one(cli, "API server listening on ", "API", daemon->rpc.addresses[i]);
	if (cli->json)
		cli_put_json(stdout, json_pack("{s:b}", "Ready", 1));
	else
		puts("daemon is ready");
	fflush(stdout);
}

static int start(struct daemon *daemon, struct anyio_task_group *group)
{
	struct cli *cli = daemon->cli;
	int rc = anyio_start(group, watch_signals, daemon, "signals", NULL);

	if (rc)
		return rc;
	rc = anyio_start(group, serve_rpc_run, &daemon->rpc, "rpc", NULL);
	/* What is not there is the folder of the API's socket, and nothing that was asked for. */
	if (rc == -ENOENT)
		daemon->code = cli_refuse(cli, CLI_FAILED, "%s; make its folder, or choose another",
			daemon->rpc.error);
	else if (rc)
		daemon->code = cli_fail(cli, rc, "%s",
			*daemon->rpc.error ? daemon->rpc.error : anyio_error_text(rc));
	if (rc)
		return rc;
	rc = write_api_file(daemon);
	if (rc)
		daemon->code = cli_fail(cli, rc, "%s could not be written: %s", daemon->api_path,
			anyio_error_text(rc));
	return rc;
}

/* The API, until it is time to stop; its clients are gone on return. */
static int serve_api(struct daemon *daemon)
{
	ANYIO_TASK_GROUP(group);
	int rc = start(daemon, &group);
	if (!rc) {
		announce(daemon);
		notify("READY=1");
		rc = anyio_event_wait(&daemon->stop);
		notify("STOPPING=1");
	}
	anyio_task_group_cancel(&group, "shutting down");
	return anyio_task_group_exit(&group, rc);
}

/* The network is there before the API and after it: a call never meets a host that is gone. */
static int serve(struct daemon *daemon)
{
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start(&group, kit_network_run, &daemon->network, "network", NULL);
	if (!rc)
		rc = serve_api(daemon);
	else
		daemon->code = cli_fail_node(daemon->cli, rc, NULL);
	anyio_task_group_cancel(&group, "shutting down");
	rc = anyio_task_group_exit(&group, rc);
	if (daemon->api_path[0])
		unlink(daemon->api_path);
	return rc;
}

int cmd_daemon(struct cli *cli)
{
	struct daemon daemon = { .cli = cli };
	int rc;
	const char *api = cli_value(cli, "api");

	if (!cli->node)
		return cli_refuse(cli, CLI_REPO,
			"a daemon already has the repo %s; stop it with 'ipfs-kit shutdown'",
			cli->repo);
	if (cli->offline)
		return cli_refuse(cli, CLI_USAGE,
			"a daemon goes online; leave --offline out, or use it with the commands that talk to the daemon");
	daemon.listen = cli->repeat_count ? NULL : setting_list(cli->repo, "swarm.listen");
	daemon.api = api ? NULL : setting_list(cli->repo, "api.listen");
	daemon.origins = setting_list(cli->repo, "api.origins");
	if (cli->api_auth)
		daemon.secret = strdup(cli->api_auth);
	else
		kit_config_get(cli->repo, "api.secret", &daemon.secret);

	static const char *api_listen[2];
	api_listen[0] = api ? api : "/ip4/127.0.0.1/tcp/5001";
	daemon.network = (struct kit_network){ .node = cli->node,
		.options = { .listen = cli->repeat_count ? cli->repeats
							 : (const char *const *)daemon.listen,
			.perf = cli_flag(cli, "perf", false) } };
	daemon.rpc = (struct serve_rpc){ .node = cli->node,
		.listen = daemon.api ? (const char *const *)daemon.api : api_listen,
		.origins = (const char *const *)daemon.origins,
		.secret = daemon.secret && *daemon.secret ? daemon.secret : NULL,
		.shutdown = on_shutdown,
		.arg = &daemon };
	anyio_event_init(&daemon.stop);
	rc = serve(&daemon);
	free_list(daemon.listen);
	free_list(daemon.api);
	free_list(daemon.origins);
	free(daemon.secret);
	return daemon.code ? daemon.code : cli_exit_code(rc);
}
