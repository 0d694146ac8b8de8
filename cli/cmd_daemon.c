/* The daemon: the node online, its RPC, until a signal or `shutdown`. */
#include "cli.h"

#include <errno.h>
#include <kit/call.h>
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
	struct anyio_service_group *services;
	anyio_time grace;
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

static void on_shutdown(void *arg)
{
	anyio_service_group_stop(((struct daemon *)arg)->services);
}

static void on_tell(void *arg, const char *sentence)
{
	cli_warn(((struct daemon *)arg)->cli, sentence);
}

static void on_stuck(void *arg, const char *service)
{
	char text[100];

	snprintf(text, sizeof(text), "the %s was told to end at once, and does not", service);
	on_tell(arg, text);
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

/* When the API took all of the grace there is none for the peers. */
static int serve_api(struct anyio_service *service, void *arg)
{
	struct daemon *daemon = arg;
	int rc = serve_rpc_run(service, &daemon->rpc);

	if (rc == ANYIO_CANCELLED)
		anyio_service_group_hurry(daemon->services);
	return rc;
}

static void tell_api_failed(struct daemon *daemon, int rc)
{
	struct cli *cli = daemon->cli;

	/* What is not there is the folder of the API's socket, and nothing that was asked for. */
	if (rc == -ENOENT)
		daemon->code = cli_refuse(cli, CLI_FAILED, "%s; make its folder, or choose another",
			daemon->rpc.error);
	else
		daemon->code = cli_fail(cli, rc, "%s",
			*daemon->rpc.error ? daemon->rpc.error : anyio_error_text(rc));
}

/* The network is there before the API and after it: a call never meets a host that is gone. */
static int start(struct daemon *daemon, struct anyio_service *network, struct anyio_service *api)
{
	static const int signals[] = { SIGINT, SIGTERM, 0 };
	int rc = anyio_service_start(
		daemon->services, network, kit_network_serve, &daemon->network, "network");

	if (rc) {
		daemon->code = cli_fail_node(daemon->cli, rc, NULL);
		return rc;
	}
	rc = anyio_service_start(daemon->services, api, serve_api, daemon, "API");
	if (rc) {
		tell_api_failed(daemon, rc);
		return rc;
	}
	rc = write_api_file(daemon);
	if (rc)
		daemon->code = cli_fail(daemon->cli, rc, "%s could not be written: %s",
			daemon->api_path, anyio_error_text(rc));
	return rc ? rc : anyio_service_group_stop_on(daemon->services, signals);
}

static int serve(struct daemon *daemon)
{
	const struct anyio_service_options options = {
		.grace = daemon->grace, .report = on_stuck, .arg = daemon
	};
	struct anyio_service_group services;
	struct anyio_service network, api;

	anyio_service_group_enter(&services, &options);
	daemon->services = &services;
	int rc = start(daemon, &network, &api);
	if (!rc) {
		announce(daemon);
		notify("READY=1");
		rc = anyio_service_group_wait(&services);
		notify("STOPPING=1");
	}
	/* Nobody is to call who would not be answered any more. */
	if (daemon->api_path[0])
		unlink(daemon->api_path);
	rc = anyio_service_group_exit(&services, rc);
	if (rc && !daemon->code)
		daemon->code = cli_fail(daemon->cli, rc, "%s", anyio_error_text(rc));
	if (daemon->network.cut_off)
		cli_warn(daemon->cli,
			"peers were cut off before they had got what they had asked for");
	return rc;
}

/* -EINVAL: it is no time, which opening the repo has told. */
static int read_grace(struct daemon *daemon)
{
	char *text;
	int rc = kit_config_get(daemon->cli->repo, "daemon.grace", &text);

	if (!rc)
		rc = kit_time_parse(text, &daemon->grace);
	free(text);
	/* To a service group 0 is its own default. */
	if (!rc && !daemon->grace)
		daemon->grace = 1;
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
			.perf = cli_flag(cli, "perf", false),
			.tell = on_tell,
			.arg = &daemon } };
	daemon.rpc = (struct serve_rpc){ .node = cli->node,
		.listen = daemon.api ? (const char *const *)daemon.api : api_listen,
		.origins = (const char *const *)daemon.origins,
		.secret = daemon.secret && *daemon.secret ? daemon.secret : NULL,
		.shutdown = on_shutdown,
		.tell = on_tell,
		.arg = &daemon };
	rc = read_grace(&daemon);
	if (rc)
		daemon.code = cli_fail(cli, rc, "daemon.grace: %s", anyio_error_text(rc));
	else
		rc = serve(&daemon);
	free_list(daemon.listen);
	free_list(daemon.api);
	free_list(daemon.origins);
	free(daemon.secret);
	return daemon.code ? daemon.code : cli_exit_code(rc);
}
