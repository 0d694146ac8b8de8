/* Commands that stream bytes out, or take one body in: cat, get, dag export and import, block, wal export. */
#include "multipart.h"
#include "rpc.h"

#include <errno.h>
#include <jansson.h>
#include <kit/call.h>
#include <multiformats/multihash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t number(const struct http_connection *http, const char *name, uint64_t dflt)
{
	const char *text = http_param(http, name, 0);
	uint64_t value;

	return text && kit_number_parse(text, &value) == 0 ? value : dflt;
}

int rpc_cat(struct rpc_request *request)
{
	struct rpc_stream stream = {
		.request = request, .type = "text/plain", .headers = "X-Stream-Output: 1\r\n"
	};
	struct kit_sink sink = { rpc_stream_write, &stream };
	const char *path = rpc_arg(request);

	if (!path)
		return 0;
	int rc = kit_cat(request->node, path, number(request->http, "offset", 0),
		number(request->http, "length", UINT64_MAX), &sink);
	return rpc_stream_end(&stream, rc);
}

/* Streams what a path leads to. */
static int stream_out(struct rpc_request *request, const char *type,
	int (*read)(struct kit_node *node, const char *path, const struct kit_sink *sink))
{
	struct rpc_stream stream = {
		.request = request, .type = type, .headers = "X-Stream-Output: 1\r\n"
	};
	struct kit_sink sink = { rpc_stream_write, &stream };
	const char *path = rpc_arg(request);

	return path ? rpc_stream_end(&stream, read(request->node, path, &sink)) : 0;
}

int rpc_get(struct rpc_request *request)
{
	return stream_out(request, "application/x-tar", kit_get_tar);
}

static int export_car(struct kit_node *node, const char *path, const struct kit_sink *sink)
{
	return kit_dag_export(node, path, sink, NULL, NULL);
}

static int export_car_v2(struct kit_node *node, const char *path, const struct kit_sink *sink)
{
	return kit_dag_export_indexed(node, path, sink, NULL, NULL);
}

int rpc_dag_export(struct rpc_request *request)
{
	const char *version = http_param(request->http, "car-version", 0);

	if (version && strcmp(version, "1") != 0 && strcmp(version, "2") != 0)
		return rpc_fail_text(request, -EINVAL, "car-version is 1 or 2");
	return stream_out(request, "application/vnd.ipld.car",
		version && *version == '2' ? export_car_v2 : export_car);
}

/* Ours. */
int rpc_wal_export(struct rpc_request *request)
{
	struct rpc_stream stream = { .request = request,
		.type = "application/vnd.ipld.car",
		.headers = "X-Stream-Output: 1\r\n" };
	struct kit_sink sink = { rpc_stream_write, &stream };
	struct kit_wal_export_options options = { .sink = &sink,
		.unverified = http_flag(request->http, "no-verify", false) };
	const char *segment = rpc_arg(request);
	uint64_t number_of;

	if (!segment)
		return 0;
	if (kit_number_parse(segment, &number_of) || number_of > UINT32_MAX)
		return rpc_fail_text(request, -EINVAL, "a segment has a number");
	return rpc_stream_end(
		&stream, kit_wal_export(request->node, (uint32_t)number_of, &options));
}

int rpc_block_get(struct rpc_request *request)
{
	return stream_out(request, "application/octet-stream", kit_block_cat);
}

/* ---- block/put ---- */

int rpc_block_put(struct rpc_request *request)
{
	const char *codec_name = http_param(request->http, "cid-codec", 0);
	const char *format = http_param(request->http, "format", 0);
	const char *hash_name = http_param(request->http, "mhtype", 0);
	uint32_t codec = kit_codec_of(format && *format ? format
				 : codec_name           ? codec_name
							: "raw"),
		 hash;
	int version = format && !strcmp(format, "v0") ? 0 : 1;
	struct multipart parts;
	struct mf_cid cid;
	struct rpc_part part;
	char text[MF_CID_TEXT_MAX], line[MF_CID_TEXT_MAX + 64];

	if (!codec || mf_hash_find(hash_name ? hash_name : "sha2-256", &hash))
		return rpc_fail_text(request, -EINVAL, "unknown codec or hash function");
	int rc = rpc_open_part(request, &parts);
	if (rc)
		return rc < 0 && rc != -EINVAL ? rc : 0;
	rc = rpc_part_read(request, &parts, &part);
	if (!rc)
		rc = kit_block_put(request->node, codec, hash, version, part.data, part.len,
			http_flag(request->http, "pin", false), &cid);
	rpc_part_free(request, &part);
	multipart_close(&parts);
	if (part.why)
		return rpc_fail_text(request, rc, part.why);
	if (rc)
		return rpc_fail(request, rc);
	mf_cid_format(&cid, text, sizeof(text));
	snprintf(line, sizeof(line), "{\"Key\":\"%s\",\"Size\":%zu}\n", text, part.len);
	return http_reply(request->http, 200, "application/json", line);
}

/* ---- dag/import ---- */

static int on_root(void *arg, const struct mf_cid *cid, int pin_error)
{
	struct rpc_stream *stream = arg;
	char text[MF_CID_TEXT_MAX];

	mf_cid_format(cid, text, sizeof(text));
	json_t *answer = json_pack("{s:{s:{s:s}, s:s}}", "Root", "Cid", "/", text, "PinErrorMsg",
		pin_error ? kit_error_text(stream->request->node) : "");
	char *line = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	int rc = line ? rpc_stream_write(stream, line, strlen(line)) : -ENOMEM;
	if (!rc)
		rc = rpc_stream_write(stream, "\n", 1);
	free(line);
	json_decref(answer);
	return rc;
}

int rpc_dag_import(struct rpc_request *request)
{
	struct rpc_stream stream = {
		.request = request, .type = "application/json", .headers = "X-Chunked-Output: 1\r\n"
	};
	struct kit_import_options options = { .no_pin =
						      !http_flag(request->http, "pin-roots", true),
		.root = on_root,
		.arg = &stream };
	struct multipart parts;
	struct kit_imported imported = { 0 }, total = { 0 };
	int rc = rpc_open_part(request, &parts);

	if (rc)
		return rc < 0 && rc != -EINVAL ? rc : 0;
	request->http->holds_body = true;
	do {
		struct kit_source source = { multipart_read, &parts };
		rc = kit_dag_import(request->node, &source, &options, &imported);
		total.blocks += imported.blocks;
		total.bytes += imported.bytes;
	} while (!rc && (rc = multipart_next(&parts)) == 1);
	request->http->holds_body = false;
	multipart_close(&parts);
	if (!rc && http_flag(request->http, "stats", false)) {
		char line[120];
		int len = snprintf(line, sizeof(line),
			"{\"Stats\":{\"BlockCount\":%llu,\"BlockBytesCount\":%llu}}\n",
			(unsigned long long)total.blocks, (unsigned long long)total.bytes);
		rc = rpc_stream_write(&stream, line, (size_t)len);
	}
	return rpc_stream_end(&stream, rc);
}
