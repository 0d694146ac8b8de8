/* Settings: config, config show; and what is told of a value that is set. */
#include "cli.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A config that cannot be read is the repo's trouble, whatever was asked of it. */
static int check_config(struct cli *cli)
{
	char error[512] = "";
	int rc = kit_config_check(cli->repo, error, sizeof(error));

	if (rc == -ENOENT)
		snprintf(error, sizeof(error), "no repo in %.400s; make one with 'ipfs-kit init'",
			cli->repo);
	return rc ? cli_fail_repo(cli, rc, error) : CLI_OK;
}

static json_t *setting_json(const char *repo, const char *key)
{
	char *value = NULL;
	json_t *text = kit_config_get(repo, key, &value) ? NULL : cli_json_text(value);

	free(value);
	return text;
}

static int print_setting(struct cli *cli, const char *key)
{
	char *value = NULL;
	int rc = kit_config_get(cli->repo, key, &value);

	if (rc == -ENOENT)
		return cli_fail(cli, rc,
			"no setting is called '%s'; 'ipfs-kit config show' prints all", key);
	if (rc)
		return cli_fail(cli, rc, "%s/config: %s", cli->repo, anyio_error_text(rc));
	if (cli->json)
		cli_put_json(
			stdout, json_pack("{s:s, s:o}", "Key", key, "Value", cli_json_text(value)));
	else
		puts(value);
	free(value);
	return CLI_OK;
}

/* An address of the API that others can reach, and no secret to keep them out: the daemon will not. */
static void warn_of_listen(const struct cli *cli)
{
	const char *key = cli->args[0], *at = cli->args[1];
	char *secret = NULL;

	if (strcmp(key, "api.listen") || kit_config_get(cli->repo, "api.secret", &secret))
		return;
	for (; !*secret && *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		bool here = !strncmp(at, "/unix/", 6) || !strncmp(at, "/ip4/127.", 9) ||
			!strncmp(at, "/ip6/::1/", 9);
		if (here)
			continue;
		cli_tell(cli,
			"%.*s is not loopback, and the API rules the node: the daemon will not listen there "
			"before there is a secret; 'ipfs-kit config api.secret SECRET' sets one",
			(int)strcspn(at, " "), at);
		break;
	}
	free(secret);
}

static bool is_limit(const char *key)
{
	return !strcmp(key, "store.max") || !strcmp(key, "storage_max");
}

/* What counts under the limit, at most: by its files, some of which may be links to those of others. */
static uint64_t bytes_taken(const char *repo)
{
	static const char *const parts[] = { "segments", "ops", "index/data.mdb" };
	static const struct kit_add_options all = { .recursive = true };
	char path[4200];
	const char *paths[] = { path, NULL };
	uint64_t bytes = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(path, sizeof(path), "%.4000s/%s", repo, parts[i]);
		bytes += cli_tree_size(paths, &all);
	}
	return bytes;
}

static int take_size(void *arg, json_t *answer)
{
	*(uint64_t *)arg = (uint64_t)json_integer_value(json_object_get(answer, "RepoSize"));
	return 0;
}

/* Such a limit may be meant, and a collection may get below it; or it lacks a unit. The repo is opened only when there
 * is likely something to tell. */
static void warn_of_limit(struct cli *cli)
{
	static const char *const none[] = { NULL };
	uint64_t max = 0, taken = 0;

	if (!is_limit(cli->args[0]) || kit_size_parse(cli->args[1], &max) || max == 0)
		return;
	if (max < KIT_STORE_MAX_LEAST) {
		cli_tell(cli,
			"next to nothing fits into that: a MiB of it is kept free for collections to write into, and the index and the "
			"operation log take some; "
			"'ipfs-kit config %s 4MiB' is the least that is of use",
			cli->args[0]);
		return;
	}
	if (bytes_taken(cli->repo) <= max || !cli_try_open(cli) ||
		cli_call(cli, "repo/stat", none, NULL, take_size, &taken) || taken <= max)
		return;
	cli_tell(cli,
		"the repo takes %s now, more than that: nothing can be added until it is collected below it; "
		"'ipfs-kit repo gc' removes what no pin keeps",
		cli_size(taken));
}

/* The URL that tier.places, as it is written, has for a tier, "" for none; of one that is longer, its beginning. */
static void find_url(const char *places, const char *tier, size_t len, char url[200])
{
	*url = '\0';
	for (; *(places += strspn(places, " ")); places += strcspn(places, " "))
		if (strcspn(places, "=") == len && !strncmp(places, tier, len))
			snprintf(url, 200, "%.*s", (int)(strcspn(places, " ") - len - 1),
				places + len + 1);
}

static json_int_t number(json_t *answer, const char *key)
{
	return json_integer_value(json_object_get(answer, key));
}

static const char *text_of(json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text ? text : "";
}

struct places {
	struct cli *cli;
	const char *before;
};

/* What lies in a tier is told of when its name goes, or leads to another place. */
static int take_tier(void *arg, json_t *answer)
{
	const struct places *places = arg;
	struct cli *cli = places->cli;
	const char *name = text_of(answer, "Name"), *at = text_of(answer, "WrittenAt");
	const char *size = cli_size((uint64_t)number(answer, "Bytes"));
	char text[800], before[200], now[200];

	if (!strcmp(name, "fast") || !number(answer, "Bytes"))
		return 0;
	find_url(places->before, name, strlen(name), before);
	find_url(cli->args[1], name, strlen(name), now);
	if (!strcmp(before, now))
		return 0;
	/* What it was just before may have been another wrong one. */
	snprintf(before, sizeof(before), "%s", *at ? at : "where they are");
	if (!*now)
		snprintf(text, sizeof(text),
			"%s of content lie in the tier %.40s, which is not named any more, and cannot be had without it; "
			"name it again, and 'ipfs-kit tier move CID fast' takes back what is to stay",
			size, name);
	else if (!strcmp(before, now))
		return 0;
	else
		snprintf(text, sizeof(text),
			"%" JSON_INTEGER_FORMAT
			" block%s (%s) lie in the tier %.40s where it was, and cannot be had from its new place unless all "
			"that lies there, the file ipfs-kit-tier too, is brought along; set it back to %s, or, to change it, "
			"first move them out: 'ipfs-kit tier move CID fast', then 'ipfs-kit repo gc'",
			number(answer, "Blocks"), number(answer, "Blocks") == 1 ? "" : "s", size,
			name, before);
	cli_warn(cli, text);
	return 0;
}

/* The repo is opened only when a name has gone, or what it leads to has changed. */
static void warn_of_places(struct cli *cli, const char *before)
{
	static const char *const none[] = { NULL };
	struct places places = { cli, before };
	bool changed = false;
	char then[200], now[200];

	for (; *(before += strspn(before, " ")); before += strcspn(before, " ")) {
		size_t len = strcspn(before, "=");

		find_url(before, before, len, then);
		find_url(cli->args[1], before, len, now);
		changed |= strcmp(then, now) != 0;
	}
	if (changed && cli_try_open(cli))
		cli_call(cli, "tier/stat", none, NULL, take_tier, &places);
}

/* What a daemon that runs has read already; but some it takes at once, when it is asked for one. */
static void tell_of_daemon(struct cli *cli)
{
	static const char *const asked[] = { "store.max", "storage_max", "tier.cold", "tier.hot",
		"tier.interval" };
	const char *key = cli->args[0];

	if (!strcmp(key, "add.profile"))
		return;
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
		if (!strcmp(key, asked[i])) {
			cli_ask_daemon(cli, "config", key);
			return;
		}
	if (!cli->json && cli_daemon_runs(cli))
		cli_tell(cli, "the daemon that runs takes %s when it starts again", key);
}

static int set(struct cli *cli)
{
	char error[512] = "", *before = NULL;
	bool places = !strcmp(cli->args[0], "tier.places");
	int rc = places ? kit_config_get(cli->repo, cli->args[0], &before) : 0;

	if (!rc)
		rc = kit_config_set(cli->repo, cli->args[0], cli->args[1], error, sizeof(error));
	if (rc) {
		free(before);
		return cli_fail(cli, rc, "%s", *error ? error : anyio_error_text(rc));
	}
	if (!cli->json)
		warn_of_listen(cli);
	tell_of_daemon(cli);
	if (!cli->json)
		warn_of_limit(cli);
	if (places)
		warn_of_places(cli, before);
	free(before);
	return CLI_OK;
}

int cmd_config(struct cli *cli)
{
	int code = check_config(cli);

	if (code == CLI_OK && cli->count == 2)
		code = set(cli);
	if (code)
		return code;
	return cli->count == 1 || cli->json ? print_setting(cli, cli->args[0]) : CLI_OK;
}

int cmd_config_show(struct cli *cli)
{
	char *text = NULL;
	const char *key;
	int code = check_config(cli), rc;

	if (code)
		return code;
	if (cli->json) {
		json_t *all = json_object();
		for (size_t i = 0; (key = kit_config_key(i)); i++)
			json_object_set_new(all, key, setting_json(cli->repo, key));
		return cli_put_json(stdout, all) ? CLI_FAILED : CLI_OK;
	}
	rc = kit_config_show(cli->repo, &text);
	if (rc)
		return cli_fail(cli, rc, "%s/config: %s", cli->repo, anyio_error_text(rc));
	fputs(text, stdout);
	free(text);
	return CLI_OK;
}
