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
	uint64_t total;  /* bytes that there are; 0: not known */
	char *root_name; /* with -Q: of what came last, the root */
	uint64_t root_size;
};

static int print_added_json(const char *path, const char *cid, uint64_t size)
{
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)size);
	return cli_put_json(stdout,
		json_pack("{s:o, s:s, s:s}", "Name", cli_json_text(path), "Hash", cid, "Size",
			number));
}

static int keep_root(struct adding *adding, const char *path, uint64_t size)
{
	free(adding->root_name);
	adding->root_name = strdup(path);
	adding->root_size = size;
	return adding->root_name ? 0 : -ENOMEM;
}

static int print_added(void *arg, const char *path, const struct mf_cid *cid, uint64_t size)
{
	struct adding *adding = arg;
	char text[MF_CID_TEXT_MAX];

	if (cli_flag(adding->cli, "quieter", false))
		return keep_root(adding, path, size);
	mf_cid_format(cid, text, sizeof(text));
	if (adding->cli->json)
		return print_added_json(path, text, size);
	if (cli_flag(adding->cli, "quiet", false)) {
		puts(text);
	} else {
		cli_progress_clear(&adding->progress);
		printf("added %s ", text);
		cli_print_text(path);
		putchar('\n');
	}
	return 0;
}

static void print_root(const struct adding *adding, const struct mf_cid *root)
{
	char text[MF_CID_TEXT_MAX];

	mf_cid_format(root, text, sizeof(text));
	if (adding->cli->json)
		print_added_json(
			adding->root_name ? adding->root_name : "", text, adding->root_size);
	else
		puts(text);
}

static void add_progress(void *arg, uint64_t done, uint64_t total)
{
	struct adding *adding = arg;

	cli_progress_update(&adding->progress, done, total ? total : adding->total);
}

static void add_options(struct cli *cli, struct adding *adding, struct kit_add_options *options)
{
	const char *version = cli_value(cli, "cid-version"), *raw = cli_value(cli, "raw-leaves");

	*options = (struct kit_add_options)KIT_ADD_DEFAULTS;
	options->profile = cli_value(cli, "profile");
	if (version)
		options->cid_version = version[0] - '0';
	if (raw)
		options->raw_leaves = cli_flag(cli, "raw-leaves", true);
	options->chunker = cli_value(cli, "chunker");
	options->only_hash = cli_flag(cli, "only-hash", false);
	options->no_pin = !cli_flag(cli, "pin", true);
	options->pin_name = cli_value(cli, "pin-name");
	options->hidden = cli_flag(cli, "hidden", false);
	options->wrap = cli_flag(cli, "wrap-with-directory", false);
	options->recursive = cli_flag(cli, "recursive", false);
	options->dereference = cli_flag(cli, "dereference-args", false);
	options->input_name = cli_value(cli, "stdin-name");
	options->entry = print_added;
	options->progress = add_progress;
	options->arg = adding;
}

/* What is told of begins with the name that is added, the last of its path: where in the text that ends,
 * and where in the path it starts. 0: the text is about something else. */
static size_t told_of(const char *text, const char *path, size_t *start)
{
	size_t len;
	const char *name = kit_last_name(path, &len);

	*start = (size_t)(name - path);
	return len && !strncmp(text, name, len) && strchr(":/", text[len]) ? len : 0;
}

/* The whole path is shown, of several the one that it is about. */
static int fail_add(struct cli *cli, int rc, const char *const *paths)
{
	const char *text = cli_node_error(cli);
	size_t start;

	for (const char *const *path = paths; *path; path++) {
		if (!told_of(text, *path, &start) && paths[1])
			continue;
		if (rc == -EISDIR)
			return cli_fail(cli, rc,
				"'%s' is a directory; use -r to add it with all it holds", *path);
		if (told_of(text, *path, &start))
			return cli_fail(cli, rc, "%.*s%s", (int)start, *path, text);
	}
	return cli_fail_node(cli, rc, NULL);
}

/* Adds paths as one tree. */
static int add_paths(struct cli *cli, struct adding *adding, const char *const *paths,
	const struct kit_add_options *options)
{
	struct mf_cid root;

	cli_progress_start(&adding->progress, cli, "adding");
	adding->total = adding->progress.on ? cli_tree_size(paths, options) : 0;
	int rc = cli->node ? kit_add_paths(cli->node, paths, &cli_stdin, options, &root)
			   : cli_remote_add_paths(cli->remote, paths, &cli_stdin, options, &root);
	cli_progress_end(&adding->progress);
	if (rc)
		return fail_add(cli, rc, paths);
	if (cli_flag(cli, "quieter", false))
		print_root(adding, &root);
	return CLI_OK;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A directory holds a name once: folders of one name are not merged, as Kubo does not. */
static int refuse_twins(struct cli *cli, const char *input_name)
{
	char(*names)[256] = anyio_calloc(cli->count + 1, sizeof(*names));
	char **sorted = anyio_calloc(cli->count + 1, sizeof(*sorted));
	int code = names && sorted ? CLI_OK : cli_fail(cli, -ENOMEM, "out of memory");

	for (size_t i = 0; code == CLI_OK && i < cli->count; i++) {
		sorted[i] = names[i];
		/* What has no name, or is not there, is told when its turn comes. */
		if (!strcmp(cli->args[i], "-"))
			snprintf(names[i], sizeof(*names), "%s", input_name ? input_name : "");
		else if (kit_name_of(cli->args[i], names[i], sizeof(*names)))
			names[i][0] = 0;
	}
	if (code == CLI_OK && cli->count)
		qsort(sorted, cli->count, sizeof(*sorted), by_name);
	for (size_t i = 1; code == CLI_OK && i < cli->count; i++)
		if (*sorted[i] && !strcmp(sorted[i], sorted[i - 1]))
			code = cli_refuse(cli, CLI_USAGE,
				"two of these are called '%s', and -w puts them into one "
				"directory; add them without -w, or under other names",
				sorted[i]);
	anyio_free(names);
	anyio_free(sorted);
	return code;
}

/* One directory is put around all of them; without it each is by itself, and done before the next. */
static int add_all(struct cli *cli, struct adding *adding, const struct kit_add_options *options)
{
	static const char *const standard_input[] = { "-", NULL };
	const char *const *paths = cli->count ? cli->args : standard_input;
	int code = CLI_OK;

	if (options->wrap && (code = refuse_twins(cli, options->input_name)))
		return code;
	if (options->wrap)
		return add_paths(cli, adding, paths, options);
	for (; code == CLI_OK && *paths; paths++)
		code = add_paths(cli, adding, (const char *const[]){ *paths, NULL }, options);
	return code;
}

static bool is_plain_name(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

int cmd_add(struct cli *cli)
{
	struct adding adding = { .cli = cli };
	struct kit_add_options options;
	int code;

	add_options(cli, &adding, &options);
	if (options.input_name && !is_plain_name(options.input_name))
		return cli_refuse(cli, CLI_USAGE,
			"--stdin-name cannot be '%s'; give a name without / that is not . or ..",
			options.input_name);
	if (!cli->count && isatty(0))
		return cli_refuse(cli, CLI_USAGE,
			"nothing to add; give a file or a folder, or pipe something in");
	code = add_all(cli, &adding, &options);
	free(adding.root_name);
	return code;
}

/* ---- cat ---- */

/* Standard output, and how much went there. */
struct counting {
	struct cli_progress progress;
	uint64_t done;
};

static int write_counted(void *arg, const void *data, size_t len)
{
	struct counting *counting = arg;
	int rc = cli_stdout.write(cli_stdout.arg, data, len);

	counting->done += len;
	cli_progress_update(&counting->progress, counting->done, 0);
	return rc;
}

static int cli_remote_cat(struct cli *cli, const char *path, const struct kit_sink *sink)
{
	struct cli_remote_query query[] = { { "offset", cli_value(cli, "offset") },
		{ "length", cli_value(cli, "length") }, { 0 } };
	const char *args[] = { path, NULL };
	struct cli_remote_request request = {
		.command = "cat", .args = args, .query = query, .answer = *sink
	};

	return cli_remote_call(cli->remote, &request);
}

static int number(struct cli *cli, const char *name, uint64_t dflt, uint64_t *out)
{
	const char *text = cli_value(cli, name);

	*out = dflt;
	if (text && kit_number_parse(text, out))
		return cli_refuse(
			cli, CLI_USAGE, "--%s cannot be '%s'; give a number of bytes", name, text);
	return 0;
}

int cmd_cat(struct cli *cli)
{
	struct counting counting = { .done = 0 };
	struct kit_sink sink = { write_counted, &counting };
	uint64_t offset, length;
	int code = number(cli, "offset", 0, &offset);

	if (!code)
		code = number(cli, "length", UINT64_MAX, &length);
	if (code)
		return code;
	cli_progress_start(&counting.progress, cli, "printing");
	counting.progress.on = false; /* what is printed is to be seen, not a bar */
	for (size_t i = 0; i < cli->count; i++) {
		int rc = cli->node ? kit_cat(cli->node, cli->args[i], offset, length, &sink)
				   : cli_remote_cat(cli, cli->args[i], &sink);
		if (rc == -EISDIR)
			return cli_fail(cli, rc,
				"'%s' is a directory; 'ipfs-kit get' fetches it, 'ipfs-kit ls' lists it",
				cli->args[i]);
		if (rc)
			return cli_fail_node(cli, rc, NULL);
	}
	return CLI_OK;
}

/* ---- get ---- */

struct untar {
	struct cli *cli;
	const char *path, *output;
	const struct kit_get_options *options;
	struct anyio_stream *ends[2];
	int rc; /* of the unpacking alone */
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

	return untar->rc = kit_untar(&source, untar->output, untar->options);
}

/* The daemon sends an archive; it is unpacked while it comes in. *lied: it was none that answers a get. */
static int cli_remote_get(struct cli *cli, const char *path, const char *output,
	const struct kit_get_options *options, bool *lied)
{
	struct untar untar = { cli, path, output, options, { NULL, NULL }, 0 };
	const char *args[] = { path, NULL };
	struct cli_remote_request request = {
		.command = "get", .args = args, .answer = { untar_write, &untar }
	};
	int rc = anyio_stream_pair(1 << 20, untar.ends);

	if (rc)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, untar_body, &untar, "unpack");
	rc = cli_remote_call(cli->remote, &request);
	if (rc == 0)
		anyio_stream_send_eof(untar.ends[0]);
	rc = anyio_task_group_exit(&group, rc);
	anyio_stream_free(untar.ends[0]);
	anyio_stream_free(untar.ends[1]);
	*lied = rc && untar.rc == -EBADMSG;
	return rc;
}

/* Where it goes when -o does not say: the last name of the path, as Kubo does. */
static void default_output(const char *path, char *out, size_t cap)
{
	size_t len;
	const char *name = kit_last_name(path, &len);

	snprintf(out, cap, "%.*s", (int)len, name);
}

/* The disk's troubles are told by the name below the output, or, by the unpacking here, by a code. */
static int fail_get(struct cli *cli, int rc, const char *output)
{
	const char *text = cli_node_error(cli);
	size_t len = strlen(output);
	bool of_output = text[0] == '\'' && !strncmp(text + 1, output, len) &&
		!strncmp(text + 1 + len, "': ", 3);

	return !*text || of_output || !strncmp(text, "writing ", 8) ? cli_fail_file(cli, rc, output)
								    : cli_fail_node(cli, rc, NULL);
}

int cmd_get(struct cli *cli)
{
	char name[512];
	const char *output = cli_value(cli, "output");
	struct cli_progress progress;
	struct kit_get_options options = { .overwrite = cli_flag(cli, "force", false),
		.progress = cli_progress_update,
		.arg = &progress };

	default_output(cli->args[0], name, sizeof(name));
	/* Only a folder that was named takes a file into it. */
	if (output)
		options.into = name;
	else
		output = name;
	cli_progress_start(&progress, cli, "getting"); /* from the repo, from peers, or both */
	bool lied = false;
	int rc = cli->node ? kit_get(cli->node, cli->args[0], output, &options)
			   : cli_remote_get(cli, cli->args[0], output, &options, &lied);
	cli_progress_end(&progress);
	if (lied)
		return cli_refuse(cli, CLI_FAILED,
			"the daemon's answer is not to be trusted: it is no archive of one file or folder; "
			"'%s' may hold what came before that was seen",
			output);
	if (rc == -EEXIST)
		return cli_fail(cli, rc,
			"'%s' exists and is something else; name another place with -o, or use --force",
			output);
	if (rc)
		return fail_get(cli, rc, output);
	if (cli->json)
		cli_put_json(stdout,
			json_pack("{s:o, s:o}", "Path", cli_json_text(cli->args[0]), "Output",
				cli_json_text(output)));
	else
		cli_note("saved to %s", output);
	return CLI_OK;
}

/* ---- ls, stat, resolve ---- */

/* Of several folders, each has its name above. */
static void print_heading(const char *name)
{
	static bool again;

	if (again)
		putchar('\n');
	again = true;
	cli_print_text(name);
	puts(":");
}

static int print_ls(struct cli *cli, json_t *answer)
{
	json_t *objects = json_object_get(answer, "Objects"), *object, *link;
	bool sized = cli_flag(cli, "size", true);
	size_t i, j;

	json_array_foreach (objects, i, object) {
		if (cli->count > 1)
			print_heading(json_string_value(json_object_get(object, "Hash")));
		if (cli_flag(cli, "headers", false))
			puts(sized ? "Hash Size Name" : "Hash Name");
		json_array_foreach (json_object_get(object, "Links"), j, link) {
			bool dir = json_integer_value(json_object_get(link, "Type")) == 1;
			char size[24] = "-";
			if (!sized)
				*size = 0;
			else if (!dir)
				snprintf(size, sizeof(size), "%llu",
					(unsigned long long)json_integer_value(
						json_object_get(link, "Size")));
			cli_print_text(json_string_value(json_object_get(link, "Hash")));
			printf(sized ? " %s " : "%s ", size);
			cli_print_text(json_string_value(json_object_get(link, "Name")));
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
	cli_print_text(json_string_value(json_object_get(answer, "Hash")));
	printf("\nSize: %lld\nCumulativeSize: %lld\nChildBlocks: %lld\nType: ",
		(long long)json_integer_value(json_object_get(answer, "Size")),
		(long long)json_integer_value(json_object_get(answer, "CumulativeSize")),
		(long long)json_integer_value(json_object_get(answer, "Blocks")));
	cli_print_text(json_string_value(json_object_get(answer, "Type")));
	putchar('\n');
	if (json_object_get(answer, "Target")) {
		fputs("Target: ", stdout);
		cli_print_text(json_string_value(json_object_get(answer, "Target")));
		putchar('\n');
	}
	return 0;
}

int cmd_stat(struct cli *cli)
{
	return cli_call_print(cli, "stat", cli->args, NULL, print_stat);
}

static int print_path(struct cli *cli, json_t *answer)
{
	cli_print_text(json_string_value(json_object_get(answer, "Path")));
	putchar('\n');
	return 0;
}

int cmd_resolve(struct cli *cli)
{
	if (!cli_flag(cli, "recursive", true))
		return cli_refuse(cli, CLI_USAGE,
			"a path is resolved to its end here; leave --recursive=false out");
	return cli_call_print(cli, "resolve", cli->args, NULL, print_path);
}
