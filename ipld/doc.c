/*
 * Documents: one array of nodes in the order of the block, children chained by index. Chains make
 * two things cheap: a map is sorted by relinking (a merge sort without memory), and a walk needs
 * one index for each open list or map.
 */
#include "doc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/dag_cbor.h>
#include <ipld/dag_json.h>
#include <ipld/dag_pb.h>
#include <ipld/utf8.h>

/* Where the next node goes: the open lists and maps, and the last child of each. */
struct builder {
	struct ipld_doc *doc;
	unsigned depth;
	struct {
		ipld_ref parent, last;
	} open[IPLD_DEPTH_MAX];
};

union reader {
	struct ipld_cbor_reader cbor;
	struct ipld_json_reader json;
};

static struct ipld_node *new_node(struct ipld_doc *doc)
{
	if (doc->count == doc->cap) {
		uint32_t cap = doc->cap ? doc->cap * 2 : 16;
		struct ipld_node *grown = realloc(doc->nodes, cap * sizeof(*grown));

		if (!grown)
			return NULL;
		doc->nodes = grown;
		doc->cap = cap;
	}
	return &doc->nodes[doc->count++];
}

/* Chains the newest node to its parent. A map's values are not chained: they follow their key. */
static void chain(struct builder *b, ipld_ref ref, bool is_key)
{
	struct ipld_node *nodes = b->doc->nodes;

	if (!b->depth)
		return;
	ipld_ref parent = b->open[b->depth - 1].parent, last = b->open[b->depth - 1].last;
	if (nodes[parent].kind == IPLD_MAP && !is_key)
		return;
	nodes[parent].len++;
	if (last == IPLD_NONE)
		nodes[parent].first = ref;
	else
		nodes[last].next = ref;
	b->open[b->depth - 1].last = ref;
}

static int add(struct builder *b, const struct ipld_token *token)
{
	struct ipld_doc *doc = b->doc;

	if (token->kind == IPLD_END) {
		b->depth--;
		return 0;
	}
	if (doc->count == IPLD_DOC_NODES_MAX || token->len > UINT32_MAX)
		return -EMSGSIZE;
	struct ipld_node *node = new_node(doc);
	if (!node)
		return -ENOMEM;
	*node = (struct ipld_node){ .kind = token->kind, .next = IPLD_NONE };
	ipld_ref ref = doc->count - 1;
	switch (token->kind) {
	case IPLD_BOOL: node->flag = token->boolean; break;
	case IPLD_INT:
		node->flag = token->negative;
		node->magnitude = token->magnitude;
		break;
	case IPLD_FLOAT: node->real = token->real; break;
	case IPLD_STRING:
	case IPLD_KEY:
	case IPLD_BYTES:
	case IPLD_LINK:
		node->data = token->data;
		node->len = (uint32_t)token->len;
		break;
	default: node->first = IPLD_NONE; break;
	}
	chain(b, ref, token->kind == IPLD_KEY);
	if (token->kind == IPLD_LIST || token->kind == IPLD_MAP) {
		if (b->depth == IPLD_DEPTH_MAX)
			return -EMSGSIZE;
		b->open[b->depth].parent = ref;
		b->open[b->depth++].last = IPLD_NONE;
	}
	return 0;
}

static int decode_cbor(struct builder *b, struct ipld_cbor_reader *r, const void *data, size_t len)
{
	struct ipld_token token = { 0 };
	int rc;

	ipld_cbor_init(r, data, len);
	while ((rc = ipld_cbor_next(r, &token)) > 0) {
		rc = add(b, &token);
		if (rc < 0)
			break;
	}
	b->doc->order = DOC_ORDER_CBOR;
	return rc;
}

static int decode_json(struct builder *b, struct ipld_json_reader *r, const void *data, size_t len)
{
	struct ipld_doc *doc = b->doc;
	struct ipld_token token = { 0 };
	int rc;

	doc->scratch = malloc(len + 1);
	if (!doc->scratch)
		return -ENOMEM;
	ipld_json_init(r, data, len, doc->scratch, len);
	while ((rc = ipld_json_next(r, &token)) > 0) {
		rc = add(b, &token);
		if (rc < 0)
			break;
	}
	if (rc < 0)
		return rc;
	for (ipld_ref i = 0; i < doc->count; i++) {
		if (doc->nodes[i].kind == IPLD_MAP && doc_is_reserved(doc, i))
			return -EBADMSG;
	}
	return doc_sort_maps(doc, DOC_ORDER_JSON);
}

static int add_text(struct builder *b, enum ipld_kind kind, const void *text, size_t len)
{
	return add(b, &(struct ipld_token){ .kind = kind, .data = text, .len = len });
}

static int add_kind(struct builder *b, enum ipld_kind kind)
{
	return add(b, &(struct ipld_token){ .kind = kind });
}

static int add_pb_link(struct builder *b, const struct dag_pb_link *link)
{
	if (!ipld_utf8_valid(link->name, link->name_len))
		return -EBADMSG;
	int rc = add_kind(b, IPLD_MAP);

	rc = rc < 0 ? rc : add_text(b, IPLD_KEY, "Hash", 4);
	rc = rc < 0 ? rc : add_text(b, IPLD_LINK, link->cid_bytes.data, link->cid_bytes.len);
	if (link->name) {
		rc = rc < 0 ? rc : add_text(b, IPLD_KEY, "Name", 4);
		rc = rc < 0 ? rc : add_text(b, IPLD_STRING, link->name, link->name_len);
	}
	if (link->has_tsize) {
		struct ipld_token tsize = { .kind = IPLD_INT, .magnitude = link->tsize };

		rc = rc < 0 ? rc : add_text(b, IPLD_KEY, "Tsize", 5);
		rc = rc < 0 ? rc : add(b, &tsize);
	}
	return rc < 0 ? rc : add_kind(b, IPLD_END);
}

static int decode_pb(struct builder *b, const void *data, size_t len)
{
	struct dag_pb_node node;
	struct dag_pb_link link;
	int rc = dag_pb_decode(&node, data, len);

	rc = rc < 0 ? rc : add_kind(b, IPLD_MAP);
	if (node.data) {
		rc = rc < 0 ? rc : add_text(b, IPLD_KEY, "Data", 4);
		rc = rc < 0 ? rc : add_text(b, IPLD_BYTES, node.data, node.data_len);
	}
	rc = rc < 0 ? rc : add_text(b, IPLD_KEY, "Links", 5);
	rc = rc < 0 ? rc : add_kind(b, IPLD_LIST);
	struct dag_pb_links links = dag_pb_links(&node);
	while (rc == 0 && dag_pb_next(&links, &link))
		rc = add_pb_link(b, &link);
	rc = rc < 0 ? rc : add_kind(b, IPLD_END);
	b->doc->order = DOC_ORDER_CBOR;
	return rc < 0 ? rc : add_kind(b, IPLD_END);
}

int ipld_doc_decode(struct ipld_doc *doc, uint32_t codec, const void *data, size_t len)
{
	struct builder *b = malloc(sizeof(*b));
	union reader *reader = malloc(sizeof(*reader));
	int rc = -ENOMEM;

	*doc = (struct ipld_doc){ 0 };
	if (b && reader) {
		b->doc = doc;
		b->depth = 0;
		switch (codec) {
		case MF_CODEC_DAG_CBOR: rc = decode_cbor(b, &reader->cbor, data, len); break;
		case MF_CODEC_DAG_JSON: rc = decode_json(b, &reader->json, data, len); break;
		case MF_CODEC_DAG_PB: rc = decode_pb(b, data, len); break;
		case MF_CODEC_RAW: rc = add_text(b, IPLD_BYTES, data, len); break;
		default: rc = -EPROTONOSUPPORT;
		}
	}
	free(b);
	free(reader);
	return rc;
}

void ipld_doc_free(struct ipld_doc *doc)
{
	free(doc->nodes);
	free(doc->scratch);
	*doc = (struct ipld_doc){ 0 };
}

ipld_ref ipld_doc_find(const struct ipld_doc *doc, ipld_ref map, const char *key, size_t len)
{
	const struct ipld_node *nodes = doc->nodes;

	if (map >= doc->count || nodes[map].kind != IPLD_MAP)
		return IPLD_NONE;
	for (ipld_ref i = nodes[map].first; i != IPLD_NONE; i = nodes[i].next) {
		if (nodes[i].len == len && !memcmp(nodes[i].data, key, len))
			return ipld_doc_value(i);
	}
	return IPLD_NONE;
}

ipld_ref ipld_doc_step(const struct ipld_doc *doc, ipld_ref from, const char *name, size_t len)
{
	uint64_t index = 0;

	if (from >= doc->count || doc->nodes[from].kind != IPLD_LIST)
		return ipld_doc_find(doc, from, name, len);
	if (!len || len > 10 || (name[0] == '0' && len > 1))
		return IPLD_NONE;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return IPLD_NONE;
		index = index * 10 + (uint64_t)(name[i] - '0');
	}
	if (index >= doc->nodes[from].len)
		return IPLD_NONE;
	ipld_ref at = doc->nodes[from].first;
	while (index--)
		at = doc->nodes[at].next;
	return at;
}

/* One past a value's last node: its nodes lie together, in the order of the block. */
static ipld_ref end_of(const struct ipld_doc *doc, ipld_ref ref)
{
	for (uint64_t pending = 1; pending; ref++) {
		const struct ipld_node *node = &doc->nodes[ref];
		pending += node->kind == IPLD_LIST ? node->len
			: node->kind == IPLD_MAP   ? 2 * (uint64_t)node->len
						   : 0;
		pending--;
	}
	return ref;
}

void ipld_doc_narrow(struct ipld_doc *doc, ipld_ref ref)
{
	ipld_ref end = end_of(doc, ref);

	doc->nodes[ref].next = IPLD_NONE;
	memmove(doc->nodes, doc->nodes + ref, (end - ref) * sizeof(*doc->nodes));
	doc->count = end - ref;
	for (ipld_ref i = 0; i < doc->count; i++) {
		struct ipld_node *node = &doc->nodes[i];
		if (node->next != IPLD_NONE)
			node->next -= ref;
		if ((node->kind == IPLD_LIST || node->kind == IPLD_MAP) && node->first != IPLD_NONE)
			node->first -= ref;
	}
}

bool doc_is_reserved(const struct ipld_doc *doc, ipld_ref map)
{
	ipld_ref slash = ipld_doc_find(doc, map, "/", 1);

	if (slash == IPLD_NONE)
		return false;
	if (doc->nodes[slash].kind == IPLD_STRING)
		return true;
	ipld_ref bytes = ipld_doc_find(doc, slash, "bytes", 5);
	return bytes != IPLD_NONE && doc->nodes[bytes].kind == IPLD_STRING;
}

int ipld_doc_encode(struct ipld_doc *doc, uint32_t codec, struct mf_pb_writer *out)
{
	int rc;

	switch (codec) {
	case MF_CODEC_DAG_CBOR:
		rc = doc_sort_maps(doc, DOC_ORDER_CBOR);
		return rc < 0 ? rc : doc_encode_cbor(doc, out);
	case MF_CODEC_DAG_JSON:
		rc = doc_sort_maps(doc, DOC_ORDER_JSON);
		return rc < 0 ? rc : doc_encode_json(doc, out);
	case MF_CODEC_DAG_PB: return doc_encode_pb(doc, out);
	case MF_CODEC_RAW:
		if (doc->nodes[0].kind != IPLD_BYTES)
			return -EBADMSG;
		mf_pb_put_raw(out, doc->nodes[0].data, doc->nodes[0].len);
		return 0;
	default: return -EPROTONOSUPPORT;
	}
}

int ipld_transcode(
	uint32_t from, const void *data, size_t len, uint32_t to, uint8_t **out, size_t *out_len)
{
	struct mf_pb_writer writer = mf_pb_write_growing(len + 1); /* never NULL */
	struct ipld_doc doc;
	int rc = ipld_doc_decode(&doc, from, data, len);

	if (rc == 0)
		rc = ipld_doc_encode(&doc, to, &writer);
	if (rc == 0)
		rc = writer.error;
	ipld_doc_free(&doc);
	if (rc < 0) {
		free(writer.data);
		return rc;
	}
	*out = writer.data;
	*out_len = writer.len;
	return 0;
}
