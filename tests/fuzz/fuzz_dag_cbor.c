/* Strict dag-cbor has one form: what decodes encodes to the same bytes, also by way of dag-json. */
#include <stdlib.h>
#include <string.h>

#include <ipld/doc.h>
#include <ipld/links.h>

static int count(void *arg, const struct mf_cid *cid)
{
	(*(size_t *)arg)++;
	return 0;
}

static void same(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	if (a_len != b_len || memcmp(a, b, a_len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *out, *json;
	size_t len, json_len, links = 0;
	int linked = ipld_links(MF_CODEC_DAG_CBOR, data, size, count, &links);

	if (ipld_transcode(MF_CODEC_DAG_CBOR, data, size, MF_CODEC_DAG_CBOR, &out, &len) < 0)
		return 0;
	same(data, size, out, len);
	free(out);
	if (linked != 0)
		abort();
	if (ipld_transcode(MF_CODEC_DAG_CBOR, data, size, MF_CODEC_DAG_JSON, &json, &json_len) ==
		0) {
		if (ipld_transcode(
			    MF_CODEC_DAG_JSON, json, json_len, MF_CODEC_DAG_CBOR, &out, &len))
			abort();
		same(data, size, out, len);
		free(out);
		free(json);
	}
	return 0;
}
