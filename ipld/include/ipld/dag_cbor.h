/*
 * dag-cbor (https://ipld.io/specs/codecs/dag-cbor/spec): the strict subset of CBOR.
 *
 * Pure, any thread, nothing allocated; tokens point into the input.
 */
#ifndef IPLD_DAG_CBOR_H
#define IPLD_DAG_CBOR_H

#include <ipld/token.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open list or map. */
struct ipld_cbor_frame {
	uint32_t left;   /* items still to come; a map's keys and values count one each */
	uint32_t key_at; /* where the last key's text starts; 0 before the first */
	uint32_t key_len : 31;
	uint32_t is_map : 1;
};

/* About 6 KiB: on a small stack, make one at a time. */
struct ipld_cbor_reader {
	const uint8_t *data;
	size_t len, at;
	bool any_order; /* set after init to take map keys in any order, repeated or not */
	bool started;
	unsigned depth;
	struct ipld_cbor_frame frames[IPLD_DEPTH_MAX];
};

/* Starts a reader over one block. data is borrowed until the last token was used. */
void ipld_cbor_init(struct ipld_cbor_reader *reader, const void *data, size_t len);

/* Reads the next token. Returns 1; 0 when the block ended where its one value ended; -EBADMSG for
 * anything that is not strict dag-cbor: integers and lengths not in the shortest form, indefinite
 * lengths, tags other than 42, floats that are not 64 bits or not finite, keys that are not strings
 * or not in order (length, then bytes) or repeated, text that is not UTF-8, collections that claim
 * more items than bytes are left, truncation, trailing bytes; -EMSGSIZE when nested deeper than
 * IPLD_DEPTH_MAX or longer than 4 GiB. */
int ipld_cbor_next(struct ipld_cbor_reader *reader, struct ipld_token *token);

#ifdef __cplusplus
}
#endif
#endif
