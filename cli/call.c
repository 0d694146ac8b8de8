/* Where a command runs: in a repo opened here, or in the daemon that has it. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int go_remote(struct cli *cli, const char *address)
{
	int rc = cli_remote_create(address, cli->api_auth, &cli->remote);

	if (rc == -EINVAL)
		return cli_refuse(cli, CLI_USAGE,
			"'%s' is not an API address; it looks like /ip4/127.0.0.1/tcp/5001 or /unix/PATH",
			address);
	snprintf(cli->address, sizeof(cli->address), "%s", address);
	if (!rc)
		cli_remote_set(cli->remote, cli->offline, cli->durability);
	return rc ? cli_fail(cli, rc, "%s", anyio_error_text(rc)) : 0;
}

/* Whoever may read the repo's config may use its daemon. An API that --api names gets no secret of
 * this repo: it may be another's. */
static void take_secret(struct cli *cli)
{
	if (!cli->api_auth && kit_config_get(cli->repo, "api.secret", &cli->own_secret) == 0)
		cli->api_auth = cli->own_secret;
}

static int ignore(void *arg, const char *text, size_t len)
{
	return 0;
}

/* The address where the repo's daemon is to answer; whether it does. */
static bool daemon_answers(const struct cli *cli, char *address, size_t cap)
{
	struct cli_remote_lines lines = { .each = ignore };
	struct cli_remote_request request = { .command = "version" };
	struct cli_remote *remote;

	if (kit_api_address(cli->repo, address, cap) || cli_remote_create(address, NULL, &remote))
		return false;
	request.answer = cli_remote_lines_sink(&lines);
	int rc = cli_remote_lines_end(&lines, cli_remote_call(remote, &request));
	cli_remote_free(remote);
	/* One that wants a secret is there too. */
	return rc == 0 || rc == -EACCES;
}

void cli_ask_daemon(struct cli *cli, const char *command, const char *arg)
{
	const char *args[] = { arg, NULL };
	struct cli_remote_lines lines = { .each = ignore };
	struct cli_remote_request request = { .command = command, .args = args };
	struct cli_remote *remote;
	char address[256];

	take_secret(cli);
	if (kit_api_address(cli->repo, address, sizeof(address)) ||
		cli_remote_create(address, cli->api_auth, &remote))
		return;
	request.answer = cli_remote_lines_sink(&lines);
	cli_remote_lines_end(&lines, cli_remote_call(remote, &request));
	cli_remote_free(remote);
}

bool cli_daemon_runs(struct cli *cli)
{
	char address[256];

	return daemon_answers(cli, address, sizeof(address));
}

/* Another command has the repo for a moment, a daemon that starts tells its address soon, and of one that was
 * killed the kernel may keep the lock a little longer than the process: each is waited for, but not
 * for long. -EBUSY and an address: a daemon has it. */
static int open_repo(struct cli *cli, char *address, size_t address_cap, char *error, size_t cap)
{
	static const anyio_time pause = 5 * ANYIO_MILLISECOND, patience = ANYIO_SECOND;
	static const struct kit_options no_wait = { .no_wait = true };
	anyio_time first = anyio_now();
	int rc;

	do {
		rc = kit_open(cli->repo, &no_wait, &cli->node, error, cap);
		if (rc != -EBUSY || daemon_answers(cli, address, address_cap) ||
			anyio_now() - first >= patience)
			return rc;
	} while (!(rc = anyio_sleep(pause)));
	return rc;
}

int cli_open(struct cli *cli)
{
	char error[512] = "", address[256] = "";
	int rc;

	if (cli->api)
		return go_remote(cli, cli->api);
	rc = open_repo(cli, address, sizeof(address), error, sizeof(error));
	if (!rc) {
		if (*kit_warning(cli->node))
			cli_warn(cli, kit_warning(cli->node));
		/* What is not online asks nobody, and says so in its own words. */
		kit_ask_nobody(cli->node, cli->offline && cli->connect);
		kit_durable_within(cli->node, cli->durable_within);
		return 0;
	}
	if (rc == -EBUSY && *address) {
		take_secret(cli);
		return go_remote(cli, address);
	}
	if (rc == ANYIO_CANCELLED)
		return CLI_INTERRUPTED;
	return cli_fail_repo(cli, rc, *error ? error : anyio_error_text(rc));
}

bool cli_try_open(struct cli *cli)
{
	char error[512] = "", address[256] = "";
	int rc = open_repo(cli, address, sizeof(address), error, sizeof(error));

	if (rc == -EBUSY && *address) {
		take_secret(cli);
		rc = go_remote(cli, address);
	}
	return rc == 0;
}

void cli_close(struct cli *cli, bool quietly)
{
	int rc = cli->node ? kit_close(cli->node) : 0;

	if (rc && !quietly)
		cli_note("ipfs-kit: closing the repo %s: %s", cli->repo, anyio_error_text(rc));
	cli->node = NULL;
	cli_remote_free(cli->remote);
	cli->remote = NULL;
	free(cli->own_secret);
	cli->own_secret = NULL;
}

int cli_open_aside(const struct cli *cli, struct cli *aside)
{
	*aside = *cli;
	return cli->remote ? cli_remote_create(cli->address, cli->api_auth, &aside->remote)
			   : kit_share(cli->node, &aside->node);
}

void cli_close_aside(struct cli *aside)
{
	if (aside->node)
		kit_unshare(aside->node);
	cli_remote_free(aside->remote);
}

struct each {
	int (*each)(void *arg, json_t *answer);
	void *arg;
};

static int parse_answer(void *arg, const char *text, size_t len)
{
	struct each *each = arg;
	json_t *answer = cli_remote_json(text, len);

	if (!answer)
		return -EPROTO;
	int rc = each->each(each->arg, answer);
	json_decref(answer);
	return rc;
}

int cli_call(struct cli *cli, const char *command, const char *const *args,
	const struct kit_call_option *options, int (*each)(void *arg, json_t *answer), void *arg)
{
	struct each parse = { each, arg };

	if (cli->node) {
		struct kit_call call = { .command = command,
			.args = args,
			.options = options,
			.answer = parse_answer,
			.arg = &parse };
		return kit_call_run(cli->node, &call);
	}

	struct cli_remote_query query[17] = { { 0 } };
	struct cli_remote_lines lines = { .each = parse_answer, .arg = &parse };
	for (size_t i = 0; options && options[i].name && i < 16; i++)
		query[i] = (struct cli_remote_query){ options[i].name, options[i].value };
	struct cli_remote_request request = { .command = command,
		.args = args,
		.query = query,
		/* What takes any number takes one after the other. */
		.in_lots = cli->command->max_args < 0,
		.answer = cli_remote_lines_sink(&lines) };
	int rc = cli_remote_call(cli->remote, &request);
	return cli_remote_lines_end(&lines, rc);
}

struct print {
	struct cli *cli;
	int (*print)(struct cli *cli, json_t *answer);
	bool damage; /* some answer tells of it */
	bool watched;
	struct cli_progress progress;
};

/* Whether it only tells how far it is. Behind the last that does, all is done, also where others made it less. */
static bool is_progress(struct print *print, json_t *answer)
{
	struct cli_progress *progress = &print->progress;
	json_t *done = json_object_get(answer, "Progress");

	if (print->watched && done) {
		cli_progress_update(progress, (uint64_t)json_integer_value(done),
			(uint64_t)json_integer_value(json_object_get(answer, "Total")));
		return true;
	}
	if (print->watched) {
		progress->done = progress->total;
		cli_progress_end(progress);
	}
	return false;
}

static int print_answer(void *arg, json_t *answer)
{
	struct print *print = arg;

	if (is_progress(print, answer))
		return 0;
	const char *type = json_string_value(json_object_get(answer, "Type"));

	print->damage |= type && !strcmp(type, "damage");
	int rc = print->cli->json ? cli_put_json(stdout, json_incref(answer))
				  : print->print(print->cli, answer);

	/* Nobody reads on, or there is no room: no need for the rest. */
	return rc == 0 && ferror(stdout) ? -EPIPE : rc;
}

static int call_print(struct print *state, const char *command, const char *const *args,
	const struct kit_call_option *options)
{
	struct cli *cli = state->cli;
	int rc = cli_call(cli, command, args, options, print_answer, state);

	if (state->watched)
		cli_progress_end(&state->progress);
	if (rc == -EPIPE && ferror(stdout))
		return CLI_OK; /* whoever flushes it at the end tells */
	/* A daemon's failure comes behind the answers, where there is no room for a code. */
	if (rc == -EREMOTEIO && state->damage)
		rc = -EUCLEAN;
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

int cli_call_print(struct cli *cli, const char *command, const char *const *args,
	const struct kit_call_option *options, int (*print)(struct cli *cli, json_t *answer))
{
	struct print state = { .cli = cli, .print = print };

	return call_print(&state, command, args, options);
}

int cli_call_watch(struct cli *cli, const char *what, const char *command, const char *const *args,
	const struct kit_call_option *options, int (*print)(struct cli *cli, json_t *answer))
{
	struct print state = { .cli = cli, .print = print, .watched = true };

	cli_progress_start(&state.progress, cli, what);
	return call_print(&state, command, args, options);
}
