/* Blocks and archives: block get, put, stat; dag export, import. */
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
static int open_source(struct cli *cli, struct file_source *file, struct kit_source *source)
{
	file->fd = -1;
	*source = cli_stdin;
	if (!cli->count || !strcmp(cli->args[0], "-"))
		return 0;
	file->fd = anyio_open(cli->args[0], O_RDONLY, 0);
	if (file->fd < 0)
		return cli_fail(cli, file->fd, "%s: %s", cli->args[0], anyio_error_text(file->fd));
	*source = (struct kit_source){ read_file, file };
	return 0;
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
			rc = anyio_write_all(1, data, len);
		free(data);
	}
	return rc ? cli_fail_node(cli, rc) : CLI_OK;
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

static uint32_t codec_of(const char *name)
{
	static const struct {
		const char *name;
		uint32_t codec;
	} codecs[] = { { "raw", MF_CODEC_RAW }, { "dag-pb", MF_CODEC_DAG_PB },
		{ "dag-cbor", MF_CODEC_DAG_CBOR }, { "dag-json", MF_CODEC_DAG_JSON },
		{ "cbor", MF_CODEC_CBOR }, { "json", MF_CODEC_JSON } };

	for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
		if (!strcmp(codecs[i].name, name))
			return codecs[i].codec;
	return 0;
}

static int print_block(struct cli *cli, const char *key, uint64_t size)
{
	if (cli->json)
		printf("{\"Key\":\"%s\",\"Size\":%llu}\n", key, (unsigned long long)size);
	else
		puts(key);
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

int cmd_block_put(struct cli *cli)
{
	const char *codec_name = cli_value(cli, "cid-codec"), *hash_name = cli_value(cli, "mhtype");
	struct file_source file;
	struct kit_source source;
	uint32_t hash, codec;
	int rc;

	codec_name = codec_name ? codec_name : "raw";
	hash_name = hash_name ? hash_name : "sha2-256";
	if (!(codec = codec_of(codec_name)))
		return cli_fail(cli, -EINVAL,
			"no codec '%s'; there are raw, dag-pb, dag-cbor, dag-json, cbor, json",
			codec_name);
	if (mf_hash_find(hash_name, &hash))
		return cli_fail(cli, -EINVAL, "no hash function '%s'", hash_name);
	rc = open_source(cli, &file, &source);
	if (rc)
		return rc;
	rc = cli->remote ? remote_block_put(cli, &source, codec_name, hash_name)
			 : local_block_put(cli, &source, codec, hash);
	close_source(&file);
	if (rc == -EMSGSIZE)
		return cli_fail(cli, rc, "a block is at most 2 MiB; 'ipfs-kit add' splits files");
	return rc ? cli_fail_node(cli, rc) : CLI_OK;
}

static int print_block_stat(struct cli *cli, json_t *answer)
{
	printf("Key: %s\nSize: %lld\n", json_string_value(json_object_get(answer, "Key")),
		(long long)json_integer_value(json_object_get(answer, "Size")));
	return 0;
}

int cmd_block_stat(struct cli *cli)
{
	return cli_call_print(cli, "block/stat", cli->args, NULL, print_block_stat);
}

/* ---- dag ---- */

/* An archive comes in small pieces; they are written together. */
enum { OUTPUT_SIZE = 256 << 10 };

struct output {
	int fd;
	size_t used;
	char *buffer;
};

static int flush_output(struct output *output)
{
	int rc = anyio_write_all(output->fd, output->buffer, output->used);

	output->used = 0;
	return rc;
}

static int write_output(void *arg, const void *data, size_t len)
{
	struct output *output = arg;
	int rc = output->used + len > OUTPUT_SIZE ? flush_output(output) : 0;

	if (rc || len > OUTPUT_SIZE)
		return rc ? rc : anyio_write_all(output->fd, data, len);
	memcpy(output->buffer + output->used, data, len);
	output->used += len;
	return 0;
}

int cmd_dag_export(struct cli *cli)
{
	const char *path = cli_value(cli, "output");
	struct output file = { .fd = 1, .buffer = anyio_malloc(OUTPUT_SIZE) };
	struct kit_sink sink = { write_output, &file };
	struct cli_progress progress;
	int rc;

	if (!file.buffer)
		return cli_fail(cli, -ENOMEM, "out of memory");
	if (path && (file.fd = anyio_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666)) < 0) {
		anyio_free(file.buffer);
		return cli_fail(cli, file.fd, "%s: %s", path, anyio_error_text(file.fd));
	}
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
	int written = rc ? 0 : flush_output(&file);
	anyio_free(file.buffer);
	if (written)
		return cli_fail(cli, written, "%s: %s", path ? path : "standard output",
			anyio_error_text(written));
	if (path) {
		int sync = rc ? 0 : anyio_fsync(file.fd);
		anyio_close(file.fd);
		if (sync && sync != -EINVAL)
			return cli_fail(cli, sync, "%s: %s", path, anyio_error_text(sync));
	}
	return rc ? cli_fail_node(cli, rc) : CLI_OK;
}

struct importing {
	struct cli *cli;
	struct cli_progress progress;
};

static int print_root(struct cli *cli, const char *cid, const char *error)
{
	if (cli->json)
		printf("{\"Root\":{\"Cid\":{\"/\":\"%s\"},\"PinErrorMsg\":\"%s\"}}\n", cid, error);
	else if (*error)
		fprintf(stderr, "not pinned %s: %s\n", cid, error);
	else
		printf("imported %s\n", cid);
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
	int rc = open_source(cli, &file, &source);

	if (rc)
		return rc;
	cli_progress_start(&importing.progress, cli, "importing");
	rc = cli->node ? kit_dag_import(cli->node, &source, &options, NULL)
		       : remote_import(cli, &source);
	cli_progress_end(&importing.progress);
	close_source(&file);
	return rc ? cli_fail_node(cli, rc) : CLI_OK;
}
