/* The repo: init, stat, verify, migration, pins. */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <kit/problem.h>
#include <stdio.h>
#include <string.h>

static int print_made(void *arg, json_t *answer)
{
	struct cli *cli = arg;
	const char *id = json_string_value(json_object_get(answer, "ID"));

	id = id ? id : "";
	if (cli->json)
		return cli_put_json(stdout,
			json_pack("{s:o, s:s}", "Repo", cli_json_text(cli->repo), "ID", id));
	printf("made a repo in %s\npeer identity: ", cli->repo);
	cli_print_text(id);
	putchar('\n');
	return 0;
}

int cmd_init(struct cli *cli)
{
	static const char *const none[] = { NULL };
	struct kit_init_options options = { .profile = cli_value(cli, "profile"),
		.test = cli_flag(cli, "test", false) };
	int rc = kit_init(cli->repo, &options), code;

	if (rc == -EEXIST && (code = cli_refuse_kubo_repo(cli)))
		return code;
	if (rc == -EEXIST)
		return cli_refuse(cli, CLI_REPO,
			"there is a repo in %s already, and nothing was changed; use it, or name another place with --repo",
			cli->repo);
	if (rc == -EINVAL && options.profile && !strcmp(options.profile, "test"))
		return cli_fail(cli, rc,
			"'test' is no profile here; for a repo on loopback and free ports: 'ipfs-kit init --test'");
	if (rc == -EINVAL)
		return cli_fail(cli, rc,
			"no profile '%s'; there are unixfs-v1-2025, unixfs-v0-2015 and kubo-cid-v1",
			options.profile ? options.profile : "");
	if (rc)
		return cli_fail(cli, rc, "no repo could be made in %s: %s", cli->repo,
			anyio_error_text(rc));
	/* Another command may have it by now, or a daemon. */
	cli->api = NULL;
	code = cli_open(cli);
	if (code)
		return code;
	rc = cli_call(cli, "id", none, NULL, print_made, cli);
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

static json_int_t number(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_bytes(const char *name, json_int_t bytes, bool human)
{
	if (human)
		printf("%s: %s\n", name, cli_size((uint64_t)bytes));
	else
		printf("%s: %lld\n", name, (long long)bytes);
}

static int print_repo_stat(struct cli *cli, json_t *answer)
{
	bool human = cli_flag(cli, "human", false);

	printf("NumObjects: %lld\n", (long long)number(answer, "NumObjects"));
	print_bytes("RepoSize", number(answer, "RepoSize"), human);
	print_bytes("StorageMax", number(answer, "StorageMax"), human);
	fputs("RepoPath: ", stdout);
	cli_print_text(json_string_value(json_object_get(answer, "RepoPath")));
	fputs("\nVersion: ", stdout);
	cli_print_text(json_string_value(json_object_get(answer, "Version")));
	putchar('\n');
	if (number(answer, "AdoptedFiles") > 0)
		printf("AdoptedFiles: %lld, %lld of them links\n",
			(long long)number(answer, "AdoptedFiles"),
			(long long)number(answer, "LinkedFiles"));
	return 0;
}

int cmd_repo_stat(struct cli *cli)
{
	return cli_call_print(cli, "repo/stat", cli->args, NULL, print_repo_stat);
}

struct verify {
	struct cli *cli;
	struct cli_progress progress;
	unsigned problems;
};

static void verify_progress(void *arg, uint64_t done, uint64_t total)
{
	cli_progress_update(&((struct verify *)arg)->progress, done, total);
}

/* As repo/verify answers through a daemon. */
static int print_verified(const char *message)
{
	return cli_put_json(
		stdout, json_pack("{s:o, s:i}", "Msg", cli_json_text(message), "Progress", 0));
}

static int verify_problem(void *arg, const struct kit_problem *problem)
{
	struct verify *verify = arg;
	char name[MF_CID_TEXT_MAX] = "";

	verify->problems++;
	if (verify->cli->json)
		return cli_put_json(stdout, kit_problem_json(problem));
	if (problem->cid)
		mf_cid_format(problem->cid, name, sizeof(name));
	cli_note("%s%s%s", name, *name ? ": " : "", problem->text);
	return 0;
}

static int verify_here(struct cli *cli)
{
	struct verify verify = { .cli = cli };
	struct kit_verify_options options = { .progress = verify_progress,
		.problem = verify_problem,
		.arg = &verify,
		.accept_loss = cli_flag(cli, "accept-loss", false),
		.heal = cli_flag(cli, "heal", false),
		.tiers = cli_flag(cli, "tiers", false) };

	cli_progress_start(&verify.progress, cli, "verifying");
	int rc = kit_repo_verify(cli->node, &options);
	cli_progress_end(&verify.progress);
	if (rc)
		return cli_fail_node(cli, rc, NULL);
	const char *message = options.accept_loss && verify.problems
		? "verify complete, all that is left is whole; 'ipfs-kit pin ls' tells what a collection will keep."
		: kit_repo_verified(cli->node, options.tiers);
	if (cli->json)
		print_verified(message);
	else
		puts(message);
	return CLI_OK;
}

static int take_verified(void *arg, json_t *answer)
{
	struct verify *verify = arg;
	const char *message = json_string_value(json_object_get(answer, "Msg"));
	bool problem = message && strncmp(message, "verify complete, ", 17) != 0 && *message;

	verify->problems += problem;
	if (verify->cli->json)
		return cli_put_json(stdout, json_incref(answer));
	if (problem) {
		cli_note("%s", message);
	} else if (message && *message) {
		cli_print_text(message);
		putchar('\n');
	}
	return 0;
}

/* The failure comes behind the answers, where there is no room for a code. */
static int verify_there(struct cli *cli)
{
	struct verify verify = { .cli = cli };
	const char *timeout = cli_value(cli, "heal-timeout");

	if (cli_flag(cli, "accept-loss", false))
		return cli_refuse(cli, CLI_REPO,
			"the daemon has the repo; stop it first with 'ipfs-kit shutdown'");
	struct kit_call_option options[] = {
		{ "heal", cli_flag(cli, "heal", false) ? "true" : "false" },
		{ "heal-timeout", timeout ? timeout : "30s" },
		{ "tiers", cli_flag(cli, "tiers", false) ? "true" : "false" }, { 0 }
	};
	int rc = cli_call(cli, "repo/verify", cli->args, options, take_verified, &verify);
	if (rc == -EREMOTEIO && verify.problems)
		rc = -EUCLEAN;
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

int cmd_repo_verify(struct cli *cli)
{
	const char *timeout = cli_value(cli, "heal-timeout");
	anyio_time time;

	if (timeout && (kit_time_parse(timeout, &time) || time == 0))
		return cli_refuse(cli, CLI_USAGE,
			"--heal-timeout cannot be '%s'; give a time above zero, like 30s or 5m",
			timeout);
	return cli->remote ? verify_there(cli) : verify_here(cli);
}

struct gc {
	struct cli *cli;
	struct cli_progress progress;
	json_t *summary;
};

static int take_removed(void *arg, json_t *answer)
{
	struct gc *gc = arg;
	const char *cid = json_string_value(json_object_get(json_object_get(answer, "Key"), "/"));

	if (json_object_get(answer, "Progress")) {
		cli_progress_update(&gc->progress, (uint64_t)number(answer, "Progress"),
			(uint64_t)number(answer, "Total"));
		return 0;
	}
	if (gc->cli->json)
		return cli_put_json(stdout, json_incref(answer));
	if (!cid) {
		json_decref(gc->summary);
		gc->summary = json_incref(answer);
		return 0;
	}
	cli_progress_clear(&gc->progress);
	if (!cli_flag(gc->cli, "quiet", false))
		fputs("removed ", stdout);
	cli_print_text(cid);
	putchar('\n');
	return 0;
}

static void print_collected(const struct cli *cli, json_t *summary)
{
	json_int_t damaged = number(summary, "DamagedSegments");

	cli_tell(cli, "%lld block%s of %s removed, %s given back on the disk; %lld block%s kept",
		(long long)number(summary, "Removed"), number(summary, "Removed") == 1 ? "" : "s",
		cli_size((uint64_t)number(summary, "RemovedBytes")),
		cli_size((uint64_t)number(summary, "FreedBytes")),
		(long long)number(summary, "Kept"), number(summary, "Kept") == 1 ? "" : "s");
	if (damaged)
		cli_note(
			"%lld segment%s kept for a damaged block that a pin needs; 'ipfs-kit repo verify' tells which",
			(long long)damaged, damaged == 1 ? " is" : "s are");
}

int cmd_repo_gc(struct cli *cli)
{
	struct kit_call_option options[] = {
		{ "silent", cli_flag(cli, "silent", false) ? "true" : "false" },
		{ "summary", "true" }, { "progress", cli->progress ? "true" : "false" }, { 0 }
	};
	struct gc gc = { .cli = cli };

	cli_progress_start(&gc.progress, cli, "collecting");
	int rc = cli_call(cli, "repo/gc", cli->args, options, take_removed, &gc);
	if (gc.summary) /* of the last there may be no word */
		gc.progress.done = gc.progress.total;
	cli_progress_end(&gc.progress);
	if (!rc && gc.summary)
		print_collected(cli, gc.summary);
	json_decref(gc.summary);
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

static int print_pinned(struct cli *cli, json_t *answer)
{
	json_t *pins = json_object_get(answer, "Pins"), *pin;
	size_t i;

	json_array_foreach (pins, i, pin) {
		fputs(!strcmp(cli->command->name, "pin rm") ? "unpinned " : "pinned ", stdout);
		cli_print_text(json_string_value(pin));
		putchar('\n');
	}
	return 0;
}

/* All of them, before any: a daemon gets many in several requests, and sees those of one. */
static int check_paths(struct cli *cli)
{
	char error[300];
	int rc = 0;

	for (size_t i = 0; !rc && i < cli->count; i++)
		rc = kit_path_check(cli->args[i], error, sizeof(error));
	return !rc ? CLI_OK
		: cli->count == 1
		? cli_fail(cli, rc, "%s", error)
		: cli_fail(cli, rc, "%s none of %zu: %s",
			  strcmp(cli->command->name, "pin rm") ? "pinned" : "unpinned", cli->count,
			  error);
}

int cmd_pin_add(struct cli *cli)
{
	const char *name = cli_value(cli, "name"), *meta = cli_value(cli, "meta");
	struct kit_call_option options[4] = { { "recursive",
		cli_flag(cli, "recursive", true) ? "true" : "false" } };
	size_t n = 1;

	if (name)
		options[n++] = (struct kit_call_option){ "name", name };
	if (meta)
		options[n++] = (struct kit_call_option){ "meta", meta };
	int code = check_paths(cli);
	return code ? code : cli_call_print(cli, "pin/add", cli->args, options, print_pinned);
}

int cmd_pin_rm(struct cli *cli)
{
	if (!cli_flag(cli, "recursive", true))
		return cli_refuse(cli, CLI_USAGE,
			"a pin of either kind is taken away here; leave --recursive=false out");
	int code = check_paths(cli);
	return code ? code : cli_call_print(cli, "pin/rm", cli->args, NULL, print_pinned);
}

static int print_updated(struct cli *cli, json_t *answer)
{
	json_t *pins = json_object_get(answer, "Pins");

	fputs("updated ", stdout);
	cli_print_text(json_string_value(json_array_get(pins, 0)));
	fputs(" to ", stdout);
	cli_print_text(json_string_value(json_array_get(pins, 1)));
	putchar('\n');
	return 0;
}

int cmd_pin_update(struct cli *cli)
{
	struct kit_call_option options[] = {
		{ "unpin", cli_flag(cli, "unpin", true) ? "true" : "false" }, { 0 }
	};

	return cli_call_print(cli, "pin/update", cli->args, options, print_updated);
}

static int print_pins(struct cli *cli, json_t *answer)
{
	json_t *keys = json_object_get(answer, "Keys"), *pin;
	const char *cid;

	json_object_foreach (keys, cid, pin) {
		cli_print_text(cid);
		if (!cli_flag(cli, "quiet", false)) {
			putchar(' ');
			cli_print_text(json_string_value(json_object_get(pin, "Type")));
			const char *name = json_string_value(json_object_get(pin, "Name"));
			if (name && *name) {
				putchar(' ');
				cli_print_text(name);
			}
		}
		putchar('\n');
	}
	return 0;
}

int cmd_pin_ls(struct cli *cli)
{
	const char *type = cli_value(cli, "type");
	const char *name = cli_value(cli, "name");
	struct kit_call_option options[4] = { { "type", type ? type : "all" },
		{ "names", name || cli_flag(cli, "names", false) ? "true" : "false" } };

	if (name)
		options[2] = (struct kit_call_option){ "name", name };

	return cli_call_print(cli, "pin/ls", cli->args, options, print_pins);
}

static void migrate_problem(void *arg, const char *name, const char *text)
{
	cli_note("%s: %s", name, text);
}

int cmd_migrate(struct cli *cli)
{
	struct cli_progress progress;
	struct kit_migrate_options options = {
		.progress = cli_progress_update, .problem = migrate_problem, .arg = &progress
	};
	struct kit_migrated done;

	if (!cli->node)
		return cli_refuse(cli, CLI_REPO,
			"the daemon has the repo %s; stop it first with 'ipfs-kit shutdown'",
			cli->repo);
	cli_progress_start(&progress, cli, "migrating");
	int rc = kit_migrate_kubo(cli->node, cli->args[0], &options, &done);
	cli_progress_end(&progress);
	if (rc)
		return cli_fail_node(cli, rc, NULL);
	printf(cli->json ? "{\"Blocks\":%llu,\"Present\":%llu,\"Pins\":%llu}\n"
			 : "took %llu blocks (%llu were here already) and %llu pins\n",
		(unsigned long long)done.blocks, (unsigned long long)done.present,
		(unsigned long long)done.pins);
	return CLI_OK;
}
