/* Blocks, documents and archives: block get, put, stat; dag get, put, export, import. */
#include "cli.h"
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <multiformats/multihash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file's bytes as a source. */
struct file_source {
	int fd;
};

static ssize_t read_file(void *arg, void *buffer, size_t size)
{
	return anyio_read(((struct file_source *)arg)->fd, buffer, size);
}

/* Opens an argument, "-" or nothing being standard input. */
static int open_source(
	struct cli *cli, const char *path, struct file_source *file, struct kit_source *source)
{
	file->fd = -1;
	*source = cli_stdin;
	if (!path || !strcmp(path, "-"))
		return 0;
	file->fd = anyio_open(path, O_RDONLY, 0);
	if (file->fd < 0)
		return cli_fail_file(cli, file->fd, path);
	*source = (struct kit_source){ read_file, file };
	return 0;
}

static int fail_source(struct cli *cli, int rc)
{
	bool is_file = cli->count && strcmp(cli->args[0], "-");

	return cli_fail_node(cli, rc, is_file ? cli->args[0] : "standard input");
}

static void close_source(struct file_source *file)
{
	if (file->fd >= 0)
		anyio_close(file->fd);
}

int cmd_block_get(struct cli *cli)
{
	void *data = NULL;
	size_t len = 0;
	int rc;

	if (cli->remote) {
		struct remote_request request = {
			.command = "block/get", .args = cli->args, .answer = cli_stdout
		};
		rc = remote_call(cli->remote, &request);
	} else {
		rc = kit_block_get(cli->node, cli->args[0], &data, &len);
		if (!rc)
			rc = cli_stdout.write(cli_stdout.arg, data, len);
		free(data);
	}
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

static int read_all(const struct kit_source *source, char **out, size_t *len)
{
	size_t size = 0, used = 0;
	char *data = NULL;

	for (;;) {
		if (used == size) {
			size = size ? size * 2 : 64 << 10;
			char *bigger = size <= 4u << 20 ? realloc(data, size) : NULL;
			if (!bigger) {
				free(data);
				return size > 4u << 20 ? -EMSGSIZE : -ENOMEM;
			}
			data = bigger;
		}
		ssize_t n = source->read(source->arg, data + used, size - used);
		if (n < 0) {
			free(data);
			return (int)n;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	*out = data;
	*len = used;
	return 0;
}

static int print_block(struct cli *cli, const char *key, uint64_t size)
{
	if (cli->json)
		return cli_put_json(
			stdout, json_pack("{s:s, s:I}", "Key", key, "Size", (json_int_t)size));
	cli_print_text(key);
	putchar('\n');
	return 0;
}

static int put_body(void *arg, const struct kit_sink *sink)
{
	int rc = remote_put_part(sink, arg);

	return rc ? rc : remote_put_end(sink);
}

static int on_put(void *arg, const char *text, size_t len)
{
	json_t *answer = remote_json(text, len);
	const char *key = json_string_value(json_object_get(answer, "Key"));

	if (key)
		print_block(
			arg, key, (uint64_t)json_integer_value(json_object_get(answer, "Size")));
	json_decref(answer);
	return key ? 0 : -EPROTO;
}

static int remote_block_put(
	struct cli *cli, const struct kit_source *source, const char *codec, const char *hash)
{
	struct remote_query query[] = { { "cid-codec", codec }, { "mhtype", hash },
		{ "pin", cli_flag(cli, "pin", false) ? "true" : "false" }, { 0 } };
	struct remote_lines lines = { .each = on_put, .arg = cli };
	struct remote_request request = { .command = "block/put",
		.query = query,
		.body = put_body,
		.body_arg = (void *)source,
		.content_type = "multipart/form-data; boundary=" REMOTE_BOUNDARY,
		.answer = remote_lines_sink(&lines) };

	return remote_lines_end(&lines, remote_call(cli->remote, &request));
}

static int local_block_put(
	struct cli *cli, const struct kit_source *source, uint32_t codec, uint32_t hash)
{
	char *data = NULL, text[MF_CID_TEXT_MAX];
	struct mf_cid cid;
	size_t len = 0;
	int rc = read_all(source, &data, &len);

	if (!rc)
		rc = kit_block_put(
			cli->node, codec, hash, 1, data, len, cli_flag(cli, "pin", false), &cid);
	free(data);
	if (rc)
		return rc;
	mf_cid_format(&cid, text, sizeof(text));
	return print_block(cli, text, len);
}

static int refuse_hash(struct cli *cli, const char *name)
{
	return cli_refuse(cli, CLI_USAGE,
		"no hash function is called '%s'; give sha2-256 or another of multicodec's names",
		name);
}

int cmd_block_put(struct cli *cli)
{
	const char *codec_name = cli_value(cli, "cid-codec"), *hash_name = cli_value(cli, "mhtype");
	struct file_source file;
	struct kit_source source;
	uint32_t hash, codec;
	int rc;

	codec_name = codec_name ? codec_name : "raw";
	hash_name = hash_name ? hash_name : "sha2-256";
	codec = kit_codec_of(codec_name);
	if (mf_hash_find(hash_name, &hash))
		return refuse_hash(cli, hash_name);
	rc = open_source(cli, cli->args[0], &file, &source);
	if (rc)
		return rc;
	rc = cli->remote ? remote_block_put(cli, &source, codec_name, hash_name)
			 : local_block_put(cli, &source, codec, hash);
	close_source(&file);
	if (rc == -EMSGSIZE)
		return cli_fail(cli, rc, "a block is at most 2 MiB; 'ipfs-kit add' splits files");
	return rc ? fail_source(cli, rc) : CLI_OK;
}

static int print_block_stat(struct cli *cli, json_t *answer)
{
	fputs("Key: ", stdout);
	cli_print_text(json_string_value(json_object_get(answer, "Key")));
	printf("\nSize: %lld\n", (long long)json_integer_value(json_object_get(answer, "Size")));
	return 0;
}

int cmd_block_stat(struct cli *cli)
{
	return cli_call_print(cli, "block/stat", cli->args, NULL, print_block_stat);
}

/* ---- dag get, put ---- */

/* The codec an option names, dflt when it is not given. */
static uint32_t codec_option(struct cli *cli, const char *option, uint32_t dflt)
{
	const char *name = cli_value(cli, option);

	return name ? kit_codec_of(name) : dflt;
}

int cmd_dag_get(struct cli *cli)
{
	uint32_t codec = codec_option(cli, "output-codec", MF_CODEC_DAG_JSON);
	struct remote_query query[] = { { "output-codec", cli_value(cli, "output-codec") }, { 0 } };
	struct remote_request request = {
		.command = "dag/get", .args = cli->args, .query = query, .answer = cli_stdout
	};

	int rc = cli->node ? kit_dag_get(cli->node, cli->args[0], codec, &cli_stdout)
			   : remote_call(cli->remote, &request);
	return rc ? cli_fail_node(cli, rc, cli->args[0]) : CLI_OK;
}

static int print_document(struct cli *cli, const char *cid)
{
	if (cli->json)
		return cli_put_json(stdout, json_pack("{s:{s:s}}", "Cid", "/", cid));
	cli_print_text(cid);
	putchar('\n');
	return 0;
}

static int on_document(void *arg, const char *text, size_t len)
{
	json_t *answer = remote_json(text, len);
	const char *cid = json_string_value(json_object_get(json_object_get(answer, "Cid"), "/"));

	if (cid)
		print_document(arg, cid);
	json_decref(answer);
	return cid ? 0 : -EPROTO;
}

static int remote_document_put(struct cli *cli, const struct kit_source *source)
{
	struct remote_query query[] = { { "input-codec", cli_value(cli, "input-codec") },
		{ "store-codec", cli_value(cli, "store-codec") },
		{ "hash", cli_value(cli, "hash") },
		{ "pin", cli_flag(cli, "pin", false) ? "true" : "false" }, { 0 } };
	struct remote_lines lines = { .each = on_document, .arg = cli };
	struct remote_request request = { .command = "dag/put",
		.query = query,
		.body = put_body,
		.body_arg = (void *)source,
		.content_type = "multipart/form-data; boundary=" REMOTE_BOUNDARY,
		.answer = remote_lines_sink(&lines) };

	return remote_lines_end(&lines, remote_call(cli->remote, &request));
}

static int local_document_put(
	struct cli *cli, const struct kit_source *source, const struct kit_dag_put_options *options)
{
	char *data = NULL, text[MF_CID_TEXT_MAX];
	struct mf_cid cid;
	size_t len = 0;
	int rc = read_all(source, &data, &len);

	if (!rc)
		rc = kit_dag_put(cli->node, options, data, len, &cid);
	free(data);
	if (rc)
		return rc;
	mf_cid_format(&cid, text, sizeof(text));
	return print_document(cli, text);
}

int cmd_dag_put(struct cli *cli)
{
	const char *hash = cli_value(cli, "hash");
	struct kit_dag_put_options options = { .pin = cli_flag(cli, "pin", false),
		.input_codec = codec_option(cli, "input-codec", MF_CODEC_DAG_JSON),
		.store_codec = codec_option(cli, "store-codec", MF_CODEC_DAG_CBOR) };

	if (mf_hash_find(hash ? hash : "sha2-256", &options.hash))
		return refuse_hash(cli, hash);
	for (size_t i = 0; i == 0 || i < cli->count; i++) {
		struct file_source file;
		struct kit_source source;
		int rc = open_source(cli, cli->args[i], &file, &source);
		if (rc)
			return rc;
		rc = cli->remote ? remote_document_put(cli, &source)
				 : local_document_put(cli, &source, &options);
		close_source(&file);
		if (rc == -EMSGSIZE && !*cli_node_error(cli))
			return cli_fail(cli, rc, "%s: a document is at most 2 MiB",
				cli->args[i] ? cli->args[i] : "standard input");
		if (rc)
			return cli_fail_node(cli, rc, cli->args[i]);
	}
	return CLI_OK;
}

/* ---- dag export, import ---- */

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

/* *written: what writing gave. */
static int export(struct cli *cli, const struct kit_sink *to, int *written)
{
	struct gathered gathered = { .sink = *to, .buffer = anyio_malloc(GATHERED_SIZE) };
	struct kit_sink sink = { gather, &gathered };
	struct cli_progress progress;
	int rc;

	if (!gathered.buffer)
		return cli_fail(cli, -ENOMEM, "out of memory");
	cli_progress_start(&progress, cli, "exporting");
	if (cli->node) {
		rc = kit_dag_export(cli->node, cli->args[0], &sink, cli_progress_update, &progress);
	} else {
		struct remote_request request = {
			.command = "dag/export", .args = cli->args, .answer = sink
		};
		rc = remote_call(cli->remote, &request);
	}
	cli_progress_end(&progress);
	if (!rc)
		rc = flush(&gathered);
	*written = gathered.failure;
	anyio_free(gathered.buffer);
	return rc;
}

int cmd_dag_export(struct cli *cli)
{
	const char *path = cli_value(cli, "output");
	struct kit_output *output = NULL;
	struct kit_sink sink = cli_stdout;
	int written = 0, rc;

	if (path) {
		rc = kit_output_open(path, &output);
		if (rc)
			return cli_fail_file(cli, rc, path);
		sink = kit_output_sink(output);
	}
	rc = export(cli, &sink, &written);
	if (output) {
		int closed = kit_output_close(output, rc);
		if (!rc)
			written = rc = closed;
	}
	if (written)
		return cli_fail_file(cli, written, path ? path : "standard output");
	if (!rc && path && cli->json)
		cli_put_json(stdout,
			json_pack("{s:o, s:o}", "Path", cli_json_text(cli->args[0]), "Output",
				cli_json_text(path)));
	return rc ? cli_fail_node(cli, rc, NULL) : CLI_OK;
}

struct importing {
	struct cli *cli;
	struct cli_progress progress;
};

static int print_root(struct cli *cli, const char *cid, const char *error)
{
	if (cli->json)
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
	char text[MF_CID_TEXT_MAX];

	mf_cid_format(cid, text, sizeof(text));
	return print_root(
		((struct importing *)arg)->cli, text, pin_error ? anyio_error_text(pin_error) : "");
}

static void import_progress(void *arg, uint64_t done, uint64_t total)
{
	cli_progress_update(&((struct importing *)arg)->progress, done, total);
}

static int on_imported(void *arg, const char *text, size_t len)
{
	json_t *answer = remote_json(text, len), *root = json_object_get(answer, "Root");
	const char *cid = json_string_value(json_object_get(json_object_get(root, "Cid"), "/"));
	const char *error = json_string_value(json_object_get(root, "PinErrorMsg"));

	if (cid)
		print_root(arg, cid, error ? error : "");
	json_decref(answer);
	return 0;
}

static int remote_import(struct cli *cli, const struct kit_source *source)
{
	struct remote_query query[] = {
		{ "pin-roots", cli_flag(cli, "pin-roots", true) ? "true" : "false" }, { 0 }
	};
	struct remote_lines lines = { .each = on_imported, .arg = cli };
	struct remote_request request = { .command = "dag/import",
		.query = query,
		.body = put_body,
		.body_arg = (void *)source,
		.content_type = "multipart/form-data; boundary=" REMOTE_BOUNDARY,
		.answer = remote_lines_sink(&lines) };

	return remote_lines_end(&lines, remote_call(cli->remote, &request));
}

int cmd_dag_import(struct cli *cli)
{
	struct importing importing = { .cli = cli };
	struct kit_import_options options = { .no_pin = !cli_flag(cli, "pin-roots", true),
		.root = on_root,
		.progress = import_progress,
		.arg = &importing };
	struct file_source file;
	struct kit_source source;
	int rc = open_source(cli, cli->args[0], &file, &source);

	if (rc)
		return rc;
	cli_progress_start(&importing.progress, cli, "importing");
	rc = cli->node ? kit_dag_import(cli->node, &source, &options, NULL)
		       : remote_import(cli, &source);
	cli_progress_end(&importing.progress);
	close_source(&file);
	return rc ? fail_source(cli, rc) : CLI_OK;
}
