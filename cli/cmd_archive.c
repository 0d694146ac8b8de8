/* Archives: dag export, dag import. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* An archive comes in small pieces; they are written together. */
enum { GATHERED_SIZE = 256 << 10 };

struct gathered {
	struct kit_sink sink;
	size_t used;
	char *buffer;
	int failure; /* of writing, for which the node has no words */
};

static int put(struct gathered *gathered, const void *data, size_t len)
{
	return gathered->failure = gathered->sink.write(gathered->sink.arg, data, len);
}

static int flush(struct gathered *gathered)
{
	size_t used = gathered->used;

	gathered->used = 0;
	return put(gathered, gathered->buffer, used);
}

static int gather(void *arg, const void *data, size_t len)
{
	struct gathered *gathered = arg;
	int rc = gathered->used + len > GATHERED_SIZE ? flush(gathered) : 0;

	if (rc || len > GATHERED_SIZE)
		return rc ? rc : put(gathered, data, len);
	memcpy(gathered->buffer + gathered->used, data, len);
	gathered->used += len;
	return 0;
}

static bool is_indexed(const struct cli *cli)
{
	const char *version = cli_value(cli, "car-version");

	return version && !strcmp(version, "2");
}

static int export(struct cli *cli, struct cli_target *target)
{
	struct gathered gathered = { .sink = target->sink, .buffer = anyio_malloc(GATHERED_SIZE) };
	struct kit_sink sink = { gather, &gathered };
	struct cli_progress progress;
	int rc;

	if (!gathered.buffer)
		return cli_fail(cli, -ENOMEM, "out of memory");
	cli_progress_start(&progress, cli, "exporting");
	if (cli->node) {
		rc = (is_indexed(cli) ? kit_dag_export_indexed : kit_dag_export)(
			cli->node, cli->args[0], &sink, cli_progress_update, &progress);
	} else {
		struct cli_remote_query query[] = { { "car-version", is_indexed(cli) ? "2" : "1" },
			{ 0 } };
		struct cli_remote_request request = {
			.command = "dag/export", .args = cli->args, .query = query, .answer = sink
		};
		rc = cli_remote_call(cli->remote, &request);
	}
	cli_progress_end(&progress);
	if (!rc)
		rc = flush(&gathered);
	target->written = gathered.failure;
	anyio_free(gathered.buffer);
	return rc;
}

int cli_write_target(
	struct cli *cli, const char *of, int (*write)(struct cli *cli, struct cli_target *target))
{
	const char *path = cli_value(cli, "output");
	struct cli_target target = { .sink = cli_stdout };
	int rc;

	if (path) {
		rc = kit_output_open(path, &target.output);
		if (rc)
			return cli_fail_file(cli, rc, path);
		target.sink = kit_output_sink(target.output);
	}
	rc = write(cli, &target);
	if (target.output) {
		int closed = kit_output_close(target.output, rc);
		if (!rc)
			target.written = rc = closed;
	}
	if (target.written)
		return cli_fail_file(cli, target.written, path ? path : "standard output");
	if (!rc && path && cli->json)
		cli_put_json(stdout,
			json_pack("{s:o, s:o}", of, cli_json_text(cli->args[0]), "Output",
				cli_json_text(path)));
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

int cmd_dag_export(struct cli *cli)
{
	return cli_write_target(cli, "Path", export);
}

struct importing {
	struct cli *cli;
	struct cli_progress progress;
	struct kit_imported all; /* of every archive */
	size_t roots;            /* of this one that were told of */
	size_t all_roots, unpinned;
};

static int print_root(struct importing *importing, const char *cid, const char *error)
{
	importing->roots++;
	importing->all_roots++;
	importing->unpinned += !!*error;
	cli_progress_clear(&importing->progress);
	if (importing->cli->json)
		return cli_put_json(stdout,
			json_pack("{s:{s:{s:s}, s:o}}", "Root", "Cid", "/", cid, "PinErrorMsg",
				cli_json_text(error)));
	if (*error) {
		cli_note("not pinned %s: %s", cid, error);
	} else {
		fputs("imported ", stdout);
		cli_print_text(cid);
		putchar('\n');
	}
	return 0;
}

static int on_root(void *arg, const struct mf_cid *cid, int pin_error)
{
	struct importing *importing = arg;
	char text[MF_CID_TEXT_MAX];

	mf_cid_format(cid, text, sizeof(text));
	return print_root(importing, text, pin_error ? kit_error_text(importing->cli->node) : "");
}

static void import_progress(void *arg, uint64_t done, uint64_t total)
{
	cli_progress_update(&((struct importing *)arg)->progress, done, total);
}

static int on_imported(void *arg, const char *text, size_t len)
{
	struct importing *importing = arg;
	json_t *answer = cli_remote_json(text, len), *root = json_object_get(answer, "Root"),
	       *stats = json_object_get(answer, "Stats");
	const char *cid = json_string_value(json_object_get(json_object_get(root, "Cid"), "/"));
	const char *error = json_string_value(json_object_get(root, "PinErrorMsg"));

	if (cid)
		print_root(importing, cid, error ? error : "");
	importing->all.blocks += (uint64_t)json_integer_value(json_object_get(stats, "BlockCount"));
	importing->all.bytes +=
		(uint64_t)json_integer_value(json_object_get(stats, "BlockBytesCount"));
	json_decref(answer);
	return 0;
}

static int cli_remote_import(struct importing *importing, const struct kit_source *source)
{
	struct cli *cli = importing->cli;
	struct cli_remote_query query[] = {
		{ "pin-roots", cli_flag(cli, "pin-roots", true) ? "true" : "false" },
		{ "stats", "true" }, { 0 }
	};

	return cli_remote_upload(cli->remote, "dag/import", query, source, on_imported, importing);
}

/* "link", or a truth. */
static bool is_adopting(const struct cli *cli, bool *link)
{
	const char *how = cli_value(cli, "adopt");

	*link = how && !strcmp(how, "link");
	return *link || cli_flag(cli, "adopt", false);
}

/* What can be adopted, and where. An exit code. */
static int check_adopting(struct cli *cli)
{
	bool link;

	if (!is_adopting(cli, &link))
		return cli_flag(cli, "allow-big-block", false)
			? cli_refuse(cli, CLI_USAGE,
				  "--allow-big-block needs --adopt: only an adopted file may hold such blocks")
			: CLI_OK;
	for (size_t i = 0; i == 0 || i < cli->count; i++)
		if (!cli->args[i] || !strcmp(cli->args[i], "-"))
			return cli_refuse(cli, CLI_USAGE,
				"standard input cannot be adopted; give the name of a file");
	return cli->node
		? CLI_OK
		: cli_refuse(cli, CLI_FAILED,
			  "the daemon that has the repo does not adopt files; stop it, or import without --adopt");
}

static int take_file(struct importing *importing, struct cli_input *input,
	const struct kit_import_options *options, struct kit_imported *imported)
{
	struct cli *cli = importing->cli;
	struct kit_adopt_options adopt = { .big_blocks = cli_flag(cli, "allow-big-block", false),
		.import = *options };

	if (!is_adopting(cli, &adopt.link))
		return cli->node ? kit_dag_import(cli->node, &input->source, options, imported)
				 : cli_remote_import(importing, &input->source);
	return kit_dag_adopt(cli->node, input->fd, &adopt, imported);
}

/* Who did not ask for it would learn from a collection that nothing was pinned. */
static void warn_of_no_roots(const struct importing *importing, const char *name)
{
	char text[600];

	snprintf(text, sizeof(text),
		"%.300s names no root to pin, and 'ipfs-kit repo gc' would take all of it; 'ipfs-kit pin add CID' keeps what is to stay",
		name);
	if (!importing->roots && cli_flag(importing->cli, "pin-roots", true))
		cli_warn(importing->cli, text);
}

static int import_one(struct importing *importing, const char *path)
{
	struct cli *cli = importing->cli;
	struct kit_import_options options = { .no_pin = !cli_flag(cli, "pin-roots", true),
		.root = on_root,
		.progress = import_progress,
		.arg = importing };
	struct kit_imported imported = { 0 };
	struct cli_input input;
	int rc = cli_input_open(cli, path, &input);

	if (rc)
		return rc;
	importing->roots = 0;
	cli_progress_start(&importing->progress, cli, "importing");
	rc = take_file(importing, &input, &options, &imported);
	cli_progress_end(&importing->progress);
	cli_input_close(&input);
	importing->all.blocks += imported.blocks;
	importing->all.bytes += imported.bytes;
	if (!rc)
		warn_of_no_roots(importing, input.name);
	return rc ? cli_fail_node(cli, rc, input.name) : CLI_OK;
}

static void print_stats(struct cli *cli, const struct kit_imported *all)
{
	if (cli->json)
		cli_put_json(stdout,
			json_pack("{s:{s:I, s:I}}", "Stats", "BlockCount", (json_int_t)all->blocks,
				"BlockBytesCount", (json_int_t)all->bytes));
	else
		printf("Imported %llu blocks (%llu bytes)\n", (unsigned long long)all->blocks,
			(unsigned long long)all->bytes);
}

/* Who removes an archive once it is imported is to be told by the exit code that not all of it stays. Kubo's is the
 * same. */
static int refuse_unpinned(const struct importing *importing)
{
	return cli_refuse(importing->cli, CLI_FAILED,
		"%zu of %zu roots could not be pinned, and 'ipfs-kit repo gc' would take what was imported below; keep the "
		"archive, import what is missing or fetch it through a daemon, and pin with 'ipfs-kit pin add CID'",
		importing->unpinned, importing->all_roots);
}

int cmd_dag_import(struct cli *cli)
{
	struct importing importing = { .cli = cli };
	int code = check_adopting(cli);

	for (size_t i = 0; code == CLI_OK && (i == 0 || i < cli->count); i++)
		code = import_one(&importing, cli->args[i]);
	if (code == CLI_OK && cli_flag(cli, "stats", false))
		print_stats(cli, &importing.all);
	return code == CLI_OK && importing.unpinned ? refuse_unpinned(&importing) : code;
}
