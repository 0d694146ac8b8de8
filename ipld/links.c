#include <ipld/links.h>

#include <errno.h>
#include <stdlib.h>

#include <ipld/dag_cbor.h>
#include <ipld/dag_json.h>
#include <ipld/dag_pb.h>

static int pb_links(const void *data, size_t len, ipld_link_fn *fn, void *arg)
{
	struct dag_pb_node node;
	struct dag_pb_link link;
	int rc = dag_pb_decode(&node, data, len);
	struct dag_pb_links links = dag_pb_links(&node);

	while (rc == 0 && dag_pb_next(&links, &link))
		rc = fn(arg, &link.cid);
	return rc;
}

static int report(const struct ipld_token *token, ipld_link_fn *fn, void *arg)
{
	struct mf_cid cid;

	if (token->kind != IPLD_LINK)
		return 0;
	if (mf_cid_decode(&cid, token->data, token->len) < 0)
		return -EBADMSG;
	return fn(arg, &cid);
}

static int cbor_links(const void *data, size_t len, ipld_link_fn *fn, void *arg)
{
	struct ipld_cbor_reader reader;
	struct ipld_token token;
	int rc, stop = 0;

	ipld_cbor_init(&reader, data, len);
	reader.any_order = true;
	while (!stop && (rc = ipld_cbor_next(&reader, &token)) > 0)
		stop = report(&token, fn, arg);
	return stop ? stop : rc;
}

static int json_links(const void *data, size_t len, ipld_link_fn *fn, void *arg)
{
	struct ipld_json_reader reader;
	struct ipld_token token;
	void *scratch = malloc(len + 1);
	int rc = 0, stop = 0;

	if (!scratch)
		return -ENOMEM;
	ipld_json_init(&reader, data, len, scratch, len);
	while (!stop && (rc = ipld_json_next(&reader, &token)) > 0)
		stop = report(&token, fn, arg);
	free(scratch);
	return stop ? stop : rc;
}

int ipld_links(uint32_t codec, const void *data, size_t len, ipld_link_fn *fn, void *arg)
{
	switch (codec) {
	case MF_CODEC_DAG_PB: return pb_links(data, len, fn, arg);
	case MF_CODEC_DAG_CBOR: return cbor_links(data, len, fn, arg);
	case MF_CODEC_DAG_JSON: return json_links(data, len, fn, arg);
	default: return 0;
	}
}
