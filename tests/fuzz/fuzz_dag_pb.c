/* Links and data of a dag-pb block, written again, read as the same links and data. */
#include <stdlib.h>
#include <string.h>

#include <ipld/dag_pb.h>
#include <ipld/doc.h>

static void same_link(const struct dag_pb_link *a, const struct dag_pb_link *b)
{
	if (!mf_cid_equal(&a->cid, &b->cid) || !a->name != !b->name || a->name_len != b->name_len ||
		a->has_tsize != b->has_tsize || a->tsize != b->tsize)
		abort();
	if (a->name_len && memcmp(a->name, b->name, a->name_len) != 0)
		abort();
}

static void write_again(const struct dag_pb_node *node, struct mf_pb_writer *out)
{
	struct dag_pb_links links = dag_pb_links(node);
	struct dag_pb_link link;
	size_t size = 0, count = 0;

	while (dag_pb_next(&links, &link)) {
		dag_pb_put_link(out, &link);
		size += dag_pb_link_size(&link);
		count++;
	}
	if (node->data) {
		dag_pb_put_data(out, node->data, node->data_len);
		size += dag_pb_data_size(node->data_len);
	}
	if (mf_pb_finish(out) != (ssize_t)size || count != node->link_count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct dag_pb_node node, back;
	struct dag_pb_link a, b;
	uint8_t *json;
	size_t len;

	if (dag_pb_decode(&node, data, size) < 0)
		return 0;
	write_again(&node, &out);
	if (dag_pb_decode(&back, out.data, out.len) < 0 || back.link_count != node.link_count ||
		back.data_len != node.data_len)
		abort();
	struct dag_pb_links x = dag_pb_links(&node), y = dag_pb_links(&back);
	while (dag_pb_next(&x, &a)) {
		if (!dag_pb_next(&y, &b))
			abort();
		same_link(&a, &b);
	}
	free(out.data);
	if (ipld_transcode(MF_CODEC_DAG_PB, data, size, MF_CODEC_DAG_JSON, &json, &len) == 0)
		free(json);
	if (ipld_transcode(MF_CODEC_DAG_PB, data, size, MF_CODEC_DAG_PB, &json, &len) == 0)
		free(json);
	return 0;
}
