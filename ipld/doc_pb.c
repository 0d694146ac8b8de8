/* Documents written as dag-pb: the one form {Links: [{Hash, Name?, Tsize?}], Data?}, the links in
 * order of their names. */
#include <errno.h>

#include <ipld/dag_pb.h>

#include "doc.h"

static bool is_kind(const struct ipld_doc *doc, ipld_ref ref, enum ipld_kind kind)
{
	return ref != IPLD_NONE && doc->nodes[ref].kind == kind;
}

static int put_link(const struct ipld_doc *doc, ipld_ref map, struct ipld_node *last_name,
	struct mf_pb_writer *out)
{
	ipld_ref hash = ipld_doc_find(doc, map, "Hash", 4);
	ipld_ref name = ipld_doc_find(doc, map, "Name", 4);
	ipld_ref tsize = ipld_doc_find(doc, map, "Tsize", 5);
	const struct ipld_node *nodes = doc->nodes;
	struct ipld_node this_name = { .len = 0 };
	struct dag_pb_link link = { .has_tsize = tsize != IPLD_NONE };

	if (!is_kind(doc, map, IPLD_MAP) || !is_kind(doc, hash, IPLD_LINK))
		return -EBADMSG;
	if (nodes[map].len != 1u + (name != IPLD_NONE) + (tsize != IPLD_NONE))
		return -EBADMSG;
	if (mf_cid_decode(&link.cid, nodes[hash].data, nodes[hash].len) < 0)
		return -EBADMSG;
	if (name != IPLD_NONE) {
		if (nodes[name].kind != IPLD_STRING)
			return -EBADMSG;
		this_name = nodes[name];
		link.name = nodes[name].data;
		link.name_len = nodes[name].len;
	}
	if (link.has_tsize) {
		if (nodes[tsize].kind != IPLD_INT || nodes[tsize].flag)
			return -EBADMSG;
		link.tsize = nodes[tsize].magnitude;
	}
	if (doc_compare_bytes(last_name, &this_name) > 0)
		return -EBADMSG;
	*last_name = this_name;
	dag_pb_put_link(out, &link);
	return 0;
}

int doc_encode_pb(const struct ipld_doc *doc, struct mf_pb_writer *out)
{
	const struct ipld_node *nodes = doc->nodes;
	struct ipld_node last_name = { .len = 0 };
	ipld_ref links = ipld_doc_find(doc, 0, "Links", 5);
	ipld_ref data = ipld_doc_find(doc, 0, "Data", 4);

	if (!is_kind(doc, links, IPLD_LIST) || nodes[0].len != 1u + (data != IPLD_NONE))
		return -EBADMSG;
	if (data != IPLD_NONE && nodes[data].kind != IPLD_BYTES)
		return -EBADMSG;
	for (ipld_ref i = nodes[links].first; i != IPLD_NONE; i = nodes[i].next) {
		if (put_link(doc, i, &last_name, out) < 0)
			return -EBADMSG;
	}
	if (data != IPLD_NONE)
		dag_pb_put_data(out, nodes[data].data, nodes[data].len);
	return 0;
}
