/* Pieces of dag-cbor, for the writers. Private to ipld. */
#ifndef IPLD_CBOR_WRITE_H
#define IPLD_CBOR_WRITE_H

#include <multiformats/pb.h>

enum cbor_major {
	CBOR_UNSIGNED,
	CBOR_NEGATIVE,
	CBOR_BYTES,
	CBOR_TEXT,
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_TAG,
	CBOR_SIMPLE,
};

/* An item's head in its shortest form. */
void cbor_put_head(struct mf_pb_writer *out, enum cbor_major major, uint64_t arg);

void cbor_put_text(struct mf_pb_writer *out, const void *text, size_t len);

/* A link: tag 42 around the binary CID. */
void cbor_put_link(struct mf_pb_writer *out, const void *cid, size_t len);

#endif
