/* The repo: init, stat, verify, config, migration, pins. */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_init(struct cli *cli)
{
	struct kit_init_options options = { .profile = cli_value(cli, "profile"),
		.test = cli_flag(cli, "test", false) };
	char error[256] = "";
	struct kit_node *node;
	int rc = kit_init(cli->repo, &options);

	if (rc == -EEXIST)
		return cli_fail(cli, rc, "there is a repo in %s already; nothing was changed",
			       cli->repo)
			? CLI_REPO
			: 0;
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
	rc = kit_open(cli->repo, NULL, &node, error, sizeof(error));
	if (rc)
		return cli_fail(cli, rc, "%s", *error ? error : anyio_error_text(rc));
	cli->node = node;
	if (cli->json)
		printf("{\"Repo\":\"%s\",\"ID\":\"%s\"}\n", cli->repo, kit_peer_id(node));
	else
		printf("made a repo in %s\npeer identity: %s\n", cli->repo, kit_peer_id(node));
	return CLI_OK;
}

static json_int_t number(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static int print_repo_stat(struct cli *cli, json_t *answer)
{
	bool human = cli_flag(cli, "human", false);

	printf("NumObjects: %lld\n", (long long)number(answer, "NumObjects"));
	if (human)
		printf("RepoSize: %s\n", cli_size((uint64_t)number(answer, "RepoSize")));
	else
		printf("RepoSize: %lld\n", (long long)number(answer, "RepoSize"));
	printf("StorageMax: %lld\nRepoPath: %s\nVersion: %s\n",
		(long long)number(answer, "StorageMax"),
		json_string_value(json_object_get(answer, "RepoPath")),
		json_string_value(json_object_get(answer, "Version")));
	return 0;
}

int cmd_repo_stat(struct cli *cli)
{
	return cli_call_print(cli, "repo/stat", cli->args, NULL, print_repo_stat);
}

static int print_verify(struct cli *cli, json_t *answer)
{
	const char *message = json_string_value(json_object_get(answer, "Msg"));

	if (message && *message)
		puts(message);
	return 0;
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

static int verify_problem(void *arg, const struct mf_cid *cid, int error, const char *text)
{
	struct verify *verify = arg;
	char name[MF_CID_TEXT_MAX] = "";

	if (cid)
		mf_cid_format(cid, name, sizeof(name));
	fprintf(stderr, "%s%s%s\n", name, *name ? ": " : "", text);
	verify->problems++;
	return 0;
}

int cmd_repo_verify(struct cli *cli)
{
	struct verify verify = { .cli = cli };
	struct kit_verify_options options = {
		.progress = verify_progress, .problem = verify_problem, .arg = &verify
	};

	if (cli->remote)
		return cli_call_print(cli, "repo/verify", cli->args, NULL, print_verify);
	cli_progress_start(&verify.progress, cli, "verifying");
	int rc = kit_repo_verify(cli->node, &options);
	cli_progress_end(&verify.progress);
	if (rc == -EBADMSG)
		return cli_fail(
			cli, rc, "%u problems found; every other block is whole", verify.problems);
	if (rc)
		return cli_fail_node(cli, rc);
	puts(cli->json ? "{\"Msg\":\"verify complete, all blocks validated.\",\"Progress\":0}"
		       : "verify complete, all blocks validated.");
	return CLI_OK;
}

int cmd_config(struct cli *cli)
{
	char error[256] = "", *value = NULL;
	int rc;

	if (cli->count == 1) {
		rc = kit_config_get(cli->repo, cli->args[0], &value);
		if (rc)
			return cli_fail(cli, rc,
				"no setting '%s' in %s/config; 'ipfs-kit config show' prints all",
				cli->args[0], cli->repo);
		puts(value);
		free(value);
		return CLI_OK;
	}
	rc = kit_config_set(cli->repo, cli->args[0], cli->args[1], error, sizeof(error));
	return rc ? cli_fail(cli, rc, "%s", *error ? error : anyio_error_text(rc)) : CLI_OK;
}

int cmd_config_show(struct cli *cli)
{
	char *text = NULL;
	int rc = kit_config_show(cli->repo, &text);

	if (rc)
		return cli_fail(cli, rc, "no config in %s: %s; 'ipfs-kit init' makes a repo",
			cli->repo, anyio_error_text(rc));
	fputs(text, stdout);
	free(text);
	return CLI_OK;
}

static int print_pinned(struct cli *cli, json_t *answer)
{
	json_t *pins = json_object_get(answer, "Pins"), *pin;
	size_t i;

	json_array_foreach (pins, i, pin)
		printf("%s %s\n", !strcmp(cli->command->name, "pin rm") ? "unpinned" : "pinned",
			json_string_value(pin));
	return 0;
}

int cmd_pin_add(struct cli *cli)
{
	struct kit_call_option options[] = {
		{ "recursive", cli_flag(cli, "recursive", true) ? "true" : "false" }, { 0 }
	};

	return cli_call_print(cli, "pin/add", cli->args, options, print_pinned);
}

int cmd_pin_rm(struct cli *cli)
{
	return cli_call_print(cli, "pin/rm", cli->args, NULL, print_pinned);
}

static int print_pins(struct cli *cli, json_t *answer)
{
	json_t *keys = json_object_get(answer, "Keys"), *pin;
	const char *cid;

	json_object_foreach (keys, cid, pin) {
		if (cli_flag(cli, "quiet", false))
			puts(cid);
		else
			printf("%s %s\n", cid, json_string_value(json_object_get(pin, "Type")));
	}
	return 0;
}

int cmd_pin_ls(struct cli *cli)
{
	const char *type = cli_value(cli, "type");
	struct kit_call_option options[] = { { "type", type ? type : "all" }, { 0 } };

	return cli_call_print(cli, "pin/ls", cli->args, options, print_pins);
}

static void migrate_problem(void *arg, const char *name, const char *text)
{
	fprintf(stderr, "%s: %s\n", name, text);
}

int cmd_migrate(struct cli *cli)
{
	struct cli_progress progress;
	struct kit_migrate_options options = {
		.progress = cli_progress_update, .problem = migrate_problem, .arg = &progress
	};
	struct kit_migrated done;

	if (!cli->node) {
		cli_say(cli, "the daemon has the repo; stop it first ('ipfs-kit shutdown')");
		return CLI_REPO;
	}
	cli_progress_start(&progress, cli, "migrating");
	int rc = kit_migrate_kubo(cli->node, cli->args[0], &options, &done);
	cli_progress_end(&progress);
	if (rc)
		return cli_fail_node(cli, rc);
	printf(cli->json ? "{\"Blocks\":%llu,\"Present\":%llu,\"Pins\":%llu}\n"
			 : "took %llu blocks (%llu were here already) and %llu pins\n",
		(unsigned long long)done.blocks, (unsigned long long)done.present,
		(unsigned long long)done.pins);
	return CLI_OK;
}
