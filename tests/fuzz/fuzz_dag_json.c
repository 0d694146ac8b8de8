/* dag-json becomes canonical in one step, and stays so by way of dag-cbor. */
#include <stdlib.h>
#include <string.h>

#include <ipld/doc.h>
#include <ipld/links.h>

static int ignore(void *arg, const struct mf_cid *cid)
{
	return 0;
}

static void same_as(
	const uint8_t *canonical, size_t len, uint32_t codec, const uint8_t *data, size_t size)
{
	uint8_t *out;
	size_t out_len;

	if (ipld_transcode(codec, data, size, MF_CODEC_DAG_JSON, &out, &out_len) < 0)
		abort();
	if (out_len != len || memcmp(out, canonical, len) != 0)
		abort();
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *json, *cbor;
	size_t json_len, cbor_len;

	ipld_links(MF_CODEC_DAG_JSON, data, size, ignore, NULL);
	if (ipld_transcode(MF_CODEC_DAG_JSON, data, size, MF_CODEC_DAG_JSON, &json, &json_len) < 0)
		return 0;
	same_as(json, json_len, MF_CODEC_DAG_JSON, json, json_len);
	if (ipld_transcode(MF_CODEC_DAG_JSON, data, size, MF_CODEC_DAG_CBOR, &cbor, &cbor_len) < 0)
		abort();
	same_as(json, json_len, MF_CODEC_DAG_CBOR, cbor, cbor_len);
	free(cbor);
	free(json);
	return 0;
}
