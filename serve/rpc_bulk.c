/* Commands that stream bytes out, or take one body in: cat, get, dag, block. */
#include "multipart.h"
#include "rpc.h"

#include <errno.h>
#include <multiformats/multihash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t number(const struct http_connection *http, const char *name, uint64_t dflt)
{
	const char *text = http_param(http, name, 0);
	char *end;
	unsigned long long value = text && *text && *text != '-' ? strtoull(text, &end, 10) : 0;

	return text && *text && *text != '-' && !*end ? value : dflt;
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

int rpc_get(struct rpc_request *request)
{
	struct rpc_stream stream = {
		.request = request, .type = "application/x-tar", .headers = "X-Stream-Output: 1\r\n"
	};
	struct kit_sink sink = { rpc_stream_write, &stream };
	const char *path = rpc_arg(request);

	if (!path)
		return 0;
	return rpc_stream_end(&stream, kit_get_tar(request->node, path, &sink));
}

int rpc_dag_export(struct rpc_request *request)
{
	struct rpc_stream stream = { .request = request,
		.type = "application/vnd.ipld.car",
		.headers = "X-Stream-Output: 1\r\n" };
	struct kit_sink sink = { rpc_stream_write, &stream };
	const char *path = rpc_arg(request);

	if (!path)
		return 0;
	return rpc_stream_end(&stream, kit_dag_export(request->node, path, &sink, NULL, NULL));
}

int rpc_block_get(struct rpc_request *request)
{
	struct rpc_stream stream = { .request = request,
		.type = "application/octet-stream",
		.headers = "X-Stream-Output: 1\r\n" };
	struct kit_sink sink = { rpc_stream_write, &stream };
	const char *cid = rpc_arg(request);

	if (!cid)
		return 0;
	return rpc_stream_end(&stream, kit_block_cat(request->node, cid, &sink));
}

/* ---- Bodies coming in ---- */

ssize_t rpc_read_body(void *arg, void *buffer, size_t size)
{
	return http_body(arg, buffer, size);
}

int rpc_open_part(struct rpc_request *request, struct multipart *parts)
{
	int rc = multipart_open(parts, request->http->content_type, rpc_read_body, request->http);

	if (!rc) {
		rc = multipart_next(parts);
		if (rc == 1)
			return 0;
		multipart_close(parts);
		rc = rc ? rc : -EINVAL;
	}
	/* Whoever ends the request says why. */
	if (rc == ANYIO_CANCELLED)
		return rc;
	int sent = http_reply(request->http, 400, "text/plain",
		"a multipart/form-data body with a file is required\n");
	return sent ? sent : rc;
}

enum { PART_MAX = 2 << 20 };

/* All of it at once: who holds some of the room may not wait for more. Twice, since the block that is
 * made of a document may be as long. */
static int grow_part(struct rpc_request *request, struct rpc_part *part)
{
	int rc = kit_room_hold(request->room, &part->held, 2 * PART_MAX);
	char *bigger = rc ? NULL : anyio_realloc(part->data, PART_MAX + 1);

	if (!bigger)
		return rc ? rc : -ENOMEM;
	part->data = bigger;
	request->http->holds_body = true;
	return 0;
}

int rpc_part_read(struct rpc_request *request, struct multipart *parts, struct rpc_part *part)
{
	size_t size = KIT_ROOM_SMALL;
	ssize_t n;

	*part = (struct rpc_part){ .data = anyio_malloc(size) };
	if (!part->data)
		return -ENOMEM;
	while ((n = multipart_read(parts, part->data + part->len, size - part->len)) > 0) {
		part->len += (size_t)n;
		if (part->len > PART_MAX)
			break;
		if (part->len == size) {
			int rc = grow_part(request, part);
			if (rc)
				return rc;
			size = PART_MAX + 1;
		}
	}
	if (n <= 0)
		return (int)n;
	part->why = "a block or a document is at most 2 MiB";
	return -EMSGSIZE;
}

void rpc_part_free(struct rpc_request *request, struct rpc_part *part)
{
	anyio_free(part->data);
	kit_room_hold(request->room, &part->held, 0);
	request->http->holds_body = false;
}

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
	char text[MF_CID_TEXT_MAX], line[MF_CID_TEXT_MAX + 256];

	mf_cid_format(cid, text, sizeof(text));
	int len = snprintf(line, sizeof(line),
		"{\"Root\":{\"Cid\":{\"/\":\"%s\"},\"PinErrorMsg\":\"%s\"}}\n", text,
		pin_error ? anyio_error_text(pin_error) : "");
	return rpc_stream_write(arg, line, (size_t)len);
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
	do {
		struct kit_source source = { multipart_read, &parts };
		rc = kit_dag_import(request->node, &source, &options, &imported);
		total.blocks += imported.blocks;
		total.bytes += imported.bytes;
	} while (!rc && (rc = multipart_next(&parts)) == 1);
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
