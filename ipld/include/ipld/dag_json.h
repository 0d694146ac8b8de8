/*
 * dag-json (https://ipld.io/specs/codecs/dag-json/spec).
 *
 * Text from people is welcome: white space and any order of keys are read; what is written is
 * canonical. Pure, any thread.
 */
#ifndef IPLD_DAG_JSON_H
#define IPLD_DAG_JSON_H

#include <ipld/token.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ipld_json_reader {
	const uint8_t *at, *end;
	uint8_t *scratch; /* the rest of the caller's scratch */
	size_t scratch_left;
	unsigned depth;
	uint8_t expect;                   /* what may come next, private */
	uint8_t maps[IPLD_DEPTH_MAX / 8]; /* bit set: the list or map at that depth is a map */
};

/* Starts a reader over one text of len bytes. scratch takes what cannot be pointed at in the text
 * (strings with escapes, bytes, CIDs); len bytes always suffice, fewer give -EMSGSIZE. Both are
 * borrowed until the last token was used. */
void ipld_json_init(struct ipld_json_reader *reader, const void *data, size_t len, void *scratch,
	size_t scratch_cap);

/* Reads the next token; {"/": "cid"} and {"/": {"bytes": "base64"}} come as IPLD_LINK and
 * IPLD_BYTES. Returns 1; 0 at the end of the text; -EBADMSG for text that is not JSON, not UTF-8,
 * has lone surrogates, integers outside -2^64..2^64-1, floats too large, a malformed CID or base64;
 * -EMSGSIZE when nested deeper than IPLD_DEPTH_MAX. Repeated keys are found by ipld_doc_decode, not
 * here. */
int ipld_json_next(struct ipld_json_reader *reader, struct ipld_token *token);

#ifdef __cplusplus
}
#endif
#endif
