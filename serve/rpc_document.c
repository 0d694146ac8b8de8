/* dag/get and dag/put: documents out and in. */
#include "multipart.h"
#include "rpc.h"

#include <errno.h>
#include <multiformats/multihash.h>
#include <stdio.h>

/* A parameter's codec, dflt when it is absent; 0 after having answered that there is none of that name. */
static uint32_t codec_param(struct rpc_request *request, const char *name, uint32_t dflt, int *sent)
{
	const char *value = http_param(request->http, name, 0);
	uint32_t codec = value && *value ? kit_codec_of(value) : dflt;

	if (!codec)
		*sent = rpc_fail_text(request, -EINVAL, "unknown codec");
	return codec;
}

int rpc_dag_get(struct rpc_request *request)
{
	struct rpc_stream stream = {
		.request = request, .type = "text/plain", .headers = "X-Stream-Output: 1\r\n"
	};
	struct kit_sink sink = { rpc_stream_write, &stream };
	const char *path = rpc_arg(request);
	int sent = 0;

	if (!path)
		return 0;
	uint32_t codec = codec_param(request, "output-codec", MF_CODEC_DAG_JSON, &sent);
	if (!codec)
		return sent;
	return rpc_stream_end(&stream, kit_dag_get(request->node, path, codec, &sink));
}

static int put_part(struct rpc_stream *stream, struct multipart *parts,
	const struct kit_dag_put_options *options, const char **why)
{
	char text[MF_CID_TEXT_MAX], line[MF_CID_TEXT_MAX + 32];
	struct rpc_part part;
	struct mf_cid cid;
	int rc = rpc_part_read(stream->request, parts, &part);

	*why = part.why;
	if (!rc)
		rc = kit_dag_put(stream->request->node, options, part.data, part.len, &cid);
	rpc_part_free(stream->request, &part);
	if (rc)
		return rc;
	mf_cid_format(&cid, text, sizeof(text));
	int n = snprintf(line, sizeof(line), "{\"Cid\":{\"/\":\"%s\"}}\n", text);
	return rpc_stream_write(stream, line, (size_t)n);
}

int rpc_dag_put(struct rpc_request *request)
{
	struct rpc_stream stream = {
		.request = request, .type = "application/json", .headers = "X-Chunked-Output: 1\r\n"
	};
	struct kit_dag_put_options options = { .pin = http_flag(request->http, "pin", false) };
	const char *hash = http_param(request->http, "hash", 0);
	struct multipart parts;
	const char *why = NULL;
	int rc = 0;

	options.input_codec = codec_param(request, "input-codec", MF_CODEC_DAG_JSON, &rc);
	if (!options.input_codec)
		return rc;
	options.store_codec = codec_param(request, "store-codec", MF_CODEC_DAG_CBOR, &rc);
	if (!options.store_codec)
		return rc;
	if (mf_hash_find(hash && *hash ? hash : "sha2-256", &options.hash))
		return rpc_fail_text(request, -EINVAL, "unknown hash function");
	rc = rpc_open_part(request, &parts);
	if (rc)
		return rc < 0 && rc != -EINVAL ? rc : 0;
	do
		rc = put_part(&stream, &parts, &options, &why);
	while (!rc && (rc = multipart_next(&parts)) == 1);
	multipart_close(&parts);
	if (rc && why)
		return rpc_fail_text(request, rc, why);
	return rpc_stream_end(&stream, rc);
}
