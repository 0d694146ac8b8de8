/* Content in and out: add, cat, get, ls, stat, resolve. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- add ---- */

struct adding {
	struct cli *cli;
	struct cli_progress progress;
};

static int print_added(void *arg, const char *path, const struct mf_cid *cid, uint64_t size)
{
	struct adding *adding = arg;
	char text[MF_CID_TEXT_MAX];

	mf_cid_format(cid, text, sizeof(text));
	if (cli_flag(adding->cli, "quieter", false))
		return 0;
	if (adding->cli->json) {
		char number[24];
		snprintf(number, sizeof(number), "%llu", (unsigned long long)size);
		char *name = kit_json_text(path);
		json_t *line = name
			? json_pack("{s:s, s:s, s:s}", "Name", name, "Hash", text, "Size", number)
			: NULL;
		char *dumped = line ? json_dumps(line, JSON_COMPACT) : NULL;
		json_decref(line);
		free(name);
		if (!dumped)
			return -ENOMEM;
		puts(dumped);
		free(dumped);
	} else if (cli_flag(adding->cli, "quiet", false)) {
		puts(text);
	} else {
		if (adding->progress.on && adding->progress.shown)
			fputs("\r\033[K", stderr);
		printf("added %s ", text);
		cli_print_name(path);
		putchar('\n');
	}
	return 0;
}

static void add_progress(void *arg, uint64_t done, uint64_t total)
{
	cli_progress_update(&((struct adding *)arg)->progress, done, total);
}

static int add_options(struct cli *cli, struct adding *adding, struct kit_add_options *options)
{
	const char *version = cli_value(cli, "cid-version"), *raw = cli_value(cli, "raw-leaves");

	*options = (struct kit_add_options)KIT_ADD_DEFAULTS;
	options->profile = cli_value(cli, "profile");
	if (version && strcmp(version, "0") && strcmp(version, "1")) {
		cli_fail(cli, -EINVAL, "--cid-version is 0 or 1, not '%s'", version);
		return CLI_USAGE;
	}
	if (version)
		options->cid_version = version[0] - '0';
	if (raw)
		options->raw_leaves = cli_flag(cli, "raw-leaves", true);
	options->chunker = cli_value(cli, "chunker");
	options->only_hash = cli_flag(cli, "only-hash", false);
	options->no_pin = !cli_flag(cli, "pin", true);
	options->hidden = cli_flag(cli, "hidden", false);
	options->wrap = cli_flag(cli, "wrap-with-directory", false);
	options->recursive = cli_flag(cli, "recursive", false);
	options->dereference = cli_flag(cli, "dereference-args", false);
	options->entry = print_added;
	options->progress = add_progress;
	options->arg = adding;
	return 0;
}

static int add_one(struct cli *cli, const char *path, const struct kit_add_options *options,
	struct mf_cid *root)
{
	if (!strcmp(path, "-"))
		return cli->node ? kit_add_source(cli->node, &cli_stdin, options, root)
				 : remote_add_source(cli->remote, &cli_stdin, options, root);
	return cli->node ? kit_add_path(cli->node, path, options, root)
			 : remote_add_path(cli->remote, path, options, root);
}

int cmd_add(struct cli *cli)
{
	static const char *const standard_input[] = { "-", NULL };
	struct adding adding = { .cli = cli };
	struct kit_add_options options;
	int code = add_options(cli, &adding, &options);

	if (code)
		return code;
	if (!cli->count && isatty(0)) {
		fprintf(stderr, "ipfs-kit add: give a file or a folder, or pipe something in\n");
		return CLI_USAGE;
	}
	for (const char *const *path = cli->count ? cli->args : standard_input; *path; path++) {
		struct mf_cid root;
		cli_progress_start(&adding.progress, cli, "adding");
		int rc = add_one(cli, *path, &options, &root);
		cli_progress_end(&adding.progress);
		if (rc == -EISDIR)
			return cli_fail(cli, rc,
				"'%s' is a directory; use -r to add it with all it holds", *path);
		if (rc)
			return cli_fail_node(cli, rc);
		if (cli_flag(cli, "quieter", false)) {
			char text[MF_CID_TEXT_MAX];
			mf_cid_format(&root, text, sizeof(text));
			puts(text);
		}
	}
	return CLI_OK;
}

/* ---- cat ---- */

static int remote_cat(struct cli *cli, const char *path)
{
	struct remote_query query[] = { { "offset", cli_value(cli, "offset") },
		{ "length", cli_value(cli, "length") }, { 0 } };
	const char *args[] = { path, NULL };
	struct remote_request request = {
		.command = "cat", .args = args, .query = query, .answer = cli_stdout
	};

	return remote_call(cli->remote, &request);
}

static int number(struct cli *cli, const char *name, uint64_t dflt, uint64_t *out)
{
	const char *text = cli_value(cli, name);
	char *end;

	*out = dflt;
	if (!text)
		return 0;
	*out = strtoull(text, &end, 10);
	if (!*text || *end || *text == '-')
		return cli_fail(cli, -EINVAL, "--%s is a number of bytes, not '%s'", name, text);
	return 0;
}

int cmd_cat(struct cli *cli)
{
	uint64_t offset, length;
	int code = number(cli, "offset", 0, &offset);

	if (!code)
		code = number(cli, "length", UINT64_MAX, &length);
	if (code)
		return code;
	for (size_t i = 0; i < cli->count; i++) {
		int rc = cli->node ? kit_cat(cli->node, cli->args[i], offset, length, &cli_stdout)
				   : remote_cat(cli, cli->args[i]);
		if (rc == -EISDIR)
			return cli_fail(cli, rc,
				"'%s' is a directory; 'ipfs-kit get' fetches it, 'ipfs-kit ls' lists it",
				cli->args[i]);
		if (rc == -EPIPE)
			return CLI_FAILED; /* whoever read has had enough */
		if (rc)
			return cli_fail_node(cli, rc);
	}
	return CLI_OK;
}

/* ---- get ---- */

struct untar {
	struct cli *cli;
	const char *path, *output;
	const struct kit_get_options *options;
	struct anyio_stream *ends[2];
};

static int untar_write(void *arg, const void *data, size_t len)
{
	return anyio_stream_send(((struct untar *)arg)->ends[0], data, len);
}

static ssize_t untar_read(void *arg, void *buffer, size_t size)
{
	return anyio_stream_receive(((struct untar *)arg)->ends[1], buffer, size);
}

static int untar_body(void *arg)
{
	struct untar *untar = arg;
	struct kit_source source = { untar_read, untar };

	return kit_untar(&source, untar->output, untar->options);
}

/* The daemon sends an archive; it is unpacked while it comes in. */
static int remote_get(struct cli *cli, const char *path, const char *output,
	const struct kit_get_options *options)
{
	struct untar untar = { cli, path, output, options, { NULL, NULL } };
	const char *args[] = { path, NULL };
	struct remote_request request = {
		.command = "get", .args = args, .answer = { untar_write, &untar }
	};
	int rc = anyio_stream_pair(1 << 20, untar.ends);

	if (rc)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, untar_body, &untar, "unpack");
	rc = remote_call(cli->remote, &request);
	if (rc == 0)
		anyio_stream_send_eof(untar.ends[0]);
	rc = anyio_task_group_exit(&group, rc);
	anyio_stream_free(untar.ends[0]);
	anyio_stream_free(untar.ends[1]);
	return rc;
}

/* Where it goes when -o does not say: the last name of the path, as Kubo does. */
static const char *default_output(const char *path, char *out, size_t cap)
{
	size_t len = strlen(path);

	while (len && path[len - 1] == '/')
		len--;
	size_t start = len;
	while (start && path[start - 1] != '/')
		start--;
	snprintf(out, cap, "%.*s", (int)(len - start), path + start);
	return out;
}

int cmd_get(struct cli *cli)
{
	char name[512];
	const char *output = cli_value(cli, "output");
	struct cli_progress progress;
	struct kit_get_options options = { .overwrite = cli_flag(cli, "force", false),
		.progress = cli_progress_update,
		.arg = &progress };

	if (!output)
		output = default_output(cli->args[0], name, sizeof(name));
	cli_progress_start(&progress, cli, "fetching");
	int rc = cli->node ? kit_get(cli->node, cli->args[0], output, &options)
			   : remote_get(cli, cli->args[0], output, &options);
	cli_progress_end(&progress);
	if (rc == -EEXIST)
		return cli_fail(cli, rc,
			"'%s' exists and is something else; name another place with -o, or use --force",
			output);
	if (rc)
		return cli_fail_node(cli, rc);
	if (cli->json) {
		char *from = kit_json_text(cli->args[0]), *to = kit_json_text(output);
		json_t *line =
			from && to ? json_pack("{s:s, s:s}", "Path", from, "Output", to) : NULL;
		char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
		json_decref(line);
		free(from);
		free(to);
		puts(text ? text : "{}");
		free(text);
	} else {
		fprintf(stderr, "saved to %s\n", output);
	}
	return CLI_OK;
}

/* ---- ls, stat, resolve ---- */

static int print_ls(struct cli *cli, json_t *answer)
{
	json_t *objects = json_object_get(answer, "Objects"), *object, *link;
	size_t i, j;

	json_array_foreach (objects, i, object) {
		if (cli->count > 1)
			printf("%s%s:\n", i ? "\n" : "",
				json_string_value(json_object_get(object, "Hash")));
		json_array_foreach (json_object_get(object, "Links"), j, link) {
			bool dir = json_integer_value(json_object_get(link, "Type")) == 1;
			char size[24] = "-";
			if (!dir)
				snprintf(size, sizeof(size), "%llu",
					(unsigned long long)json_integer_value(
						json_object_get(link, "Size")));
			const char *name = json_string_value(json_object_get(link, "Name"));
			printf("%s %s ", json_string_value(json_object_get(link, "Hash")), size);
			cli_print_name(name ? name : "");
			puts(dir ? "/" : "");
		}
	}
	return 0;
}

int cmd_ls(struct cli *cli)
{
	return cli_call_print(cli, "ls", cli->args, NULL, print_ls);
}

static int print_stat(struct cli *cli, json_t *answer)
{
	printf("%s\nSize: %lld\nCumulativeSize: %lld\nChildBlocks: %lld\nType: %s\n",
		json_string_value(json_object_get(answer, "Hash")),
		(long long)json_integer_value(json_object_get(answer, "Size")),
		(long long)json_integer_value(json_object_get(answer, "CumulativeSize")),
		(long long)json_integer_value(json_object_get(answer, "Blocks")),
		json_string_value(json_object_get(answer, "Type")));
	return 0;
}

int cmd_stat(struct cli *cli)
{
	return cli_call_print(cli, "stat", cli->args, NULL, print_stat);
}

static int print_path(struct cli *cli, json_t *answer)
{
	puts(json_string_value(json_object_get(answer, "Path")));
	return 0;
}

int cmd_resolve(struct cli *cli)
{
	return cli_call_print(cli, "resolve", cli->args, NULL, print_path);
}
