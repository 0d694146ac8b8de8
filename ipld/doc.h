/* The document's insides, shared by decoding and encoding. Private to ipld. */
#ifndef IPLD_DOC_PRIVATE_H
#define IPLD_DOC_PRIVATE_H

#include <ipld/doc.h>

/* How the maps' keys stand. */
enum doc_order { DOC_ORDER_NONE, DOC_ORDER_CBOR, DOC_ORDER_JSON };

/* Puts every map's keys in the given order. Returns 0, or -EBADMSG for repeated keys. */
int doc_sort_maps(struct ipld_doc *doc, enum doc_order order);

/* Compares the bytes of two nodes, as memcmp does; a prefix comes first. */
int doc_compare_bytes(const struct ipld_node *a, const struct ipld_node *b);

/* Whether a map would read as dag-json's link or bytes: it has a "/" key with a string, or with a
 * map whose "bytes" is a string. */
bool doc_is_reserved(const struct ipld_doc *doc, ipld_ref map);

int doc_encode_cbor(const struct ipld_doc *doc, struct mf_pb_writer *out);
int doc_encode_json(const struct ipld_doc *doc, struct mf_pb_writer *out);
int doc_encode_pb(const struct ipld_doc *doc, struct mf_pb_writer *out);

/* A walk over the document in the order of its chains; every codec's writer is a loop over it. */
struct doc_walk {
	const struct ipld_doc *doc;
	ipld_ref at;    /* the node visited, when not closing */
	bool closing;   /* the walk leaves the list or map at */
	bool first;     /* at is the first child of its parent */
	unsigned depth; /* lists and maps around at */
	bool started;
	ipld_ref open[IPLD_DEPTH_MAX];
};

/* Steps: 1 with the next visit, 0 when done. A key is visited, then its value. */
bool doc_walk_next(struct doc_walk *walk);

#endif
