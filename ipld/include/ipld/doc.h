/*
 * A block as a document of the IPLD data model: decode with one codec, look, encode with another.
 *
 * Nodes lie in one array in the order of the text; an open map costs nothing on the stack. Strings
 * and bytes point into the caller's block (or, for dag-json, into the document's own scratch), so
 * the block must outlive the document. Any thread, one document at a time.
 */
#ifndef IPLD_DOC_H
#define IPLD_DOC_H

#include <ipld/token.h>
#include <multiformats/pb.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Values in one document (24 bytes each); more are refused with -EMSGSIZE. */
enum { IPLD_DOC_NODES_MAX = 1 << 20 };

/* Index of a node; the root is 0. */
typedef uint32_t ipld_ref;
#define IPLD_NONE UINT32_MAX

struct ipld_node {
	uint8_t kind;  /* enum ipld_kind; a map's children are IPLD_KEY nodes */
	bool flag;     /* IPLD_BOOL: its value; IPLD_INT: negative */
	uint32_t len;  /* bytes at data, or the count of a list or map */
	ipld_ref next; /* the next child of the same parent, or IPLD_NONE */
	union {
		const uint8_t *data;
		uint64_t magnitude;
		double real;
		ipld_ref first; /* a list's first value or a map's first key, or IPLD_NONE */
	};
};

struct ipld_doc {
	struct ipld_node *nodes;
	uint32_t count, cap;
	uint8_t order; /* how maps are ordered now, private */
	void *scratch;
};

/* Decodes a block of codec dag-cbor, dag-json, dag-pb or raw (MF_CODEC_*) into an empty document;
 * release it with ipld_doc_free whatever comes back. Returns 0; -EBADMSG for a malformed block (see
 * dag_cbor.h, dag_json.h, dag_pb.h), repeated keys and, in dag-json, other uses of the reserved "/"
 * key; -EMSGSIZE over IPLD_DOC_NODES_MAX or IPLD_DEPTH_MAX; -EPROTONOSUPPORT for another codec;
 * -ENOMEM. */
int ipld_doc_decode(struct ipld_doc *doc, uint32_t codec, const void *data, size_t len);

void ipld_doc_free(struct ipld_doc *doc);

/* Makes one of its values the whole document; references from before mean nothing any more. */
void ipld_doc_narrow(struct ipld_doc *doc, ipld_ref ref);

/* Encodes the document canonically; maps are put in the codec's order, hence not const. Appends to
 * out, whose error must be looked at too (mf_pb_finish). Returns 0; -EBADMSG when the codec cannot
 * hold the document (dag-pb takes only its own form with links in order of names, raw only bytes,
 * dag-json no map that reads as a link or bytes); -EPROTONOSUPPORT. */
int ipld_doc_encode(struct ipld_doc *doc, uint32_t codec, struct mf_pb_writer *out);

/* The value under a map's key, or IPLD_NONE. map may be any node; only maps have children. */
ipld_ref ipld_doc_find(const struct ipld_doc *doc, ipld_ref map, const char *key, size_t len);

/* One step of a path: the value under a map's key, or the value at a list's index in decimal.
 * IPLD_NONE when there is none. */
ipld_ref ipld_doc_step(const struct ipld_doc *doc, ipld_ref from, const char *name, size_t len);

/* The value that belongs to a map's key. */
static inline ipld_ref ipld_doc_value(ipld_ref key)
{
	return key + 1;
}

/* Decode and encode in one call. *out is allocated, *out_len bytes, freed with free(). Errors of
 * both. */
int ipld_transcode(
	uint32_t from, const void *data, size_t len, uint32_t to, uint8_t **out, size_t *out_len);

#ifdef __cplusplus
}
#endif
#endif
