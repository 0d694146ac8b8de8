/*
 * Bitswap messages on the wire (IPFS specs, bitswap-protocol.md, 1.2.0 and the 1.0.0 it grew from):
 * a pure codec. Reading copies nothing: blocks are views into the message's bytes. Any thread.
 */
#ifndef EXCHANGE_BITSWAP_MESSAGE_H
#define EXCHANGE_BITSWAP_MESSAGE_H

#include <multiformats/cid.h>
#include <multiformats/pb.h>

enum {
	BITSWAP_MESSAGE_MAX = 4 << 20, /* bytes of one message, its length prefix left out */
	BITSWAP_BLOCK_MAX = 2 << 20,   /* bytes of one block */
	BITSWAP_CID_MAX = 168,    /* bytes of a binary CID; longer ones are dropped, as boxo does */
	BITSWAP_WANTS_MAX = 1024, /* wants kept for a peer */
};

enum bitswap_want_type { BITSWAP_WANT_BLOCK = 0, BITSWAP_WANT_HAVE = 1 };

enum bitswap_item_kind {
	BITSWAP_WANT,  /* cid, priority, cancel, want, send_dont_have */
	BITSWAP_BLOCK, /* cid without its digest (codec, hash, version), digest_len asked, data */
	BITSWAP_PRESENCE, /* cid, have */
};

struct bitswap_item {
	enum bitswap_item_kind kind;
	struct mf_cid cid;
	int32_t priority;
	bool cancel;
	bool send_dont_have;
	bool have;
	enum bitswap_want_type want;
	struct mf_pb_view data;
};

struct bitswap_reader {
	struct mf_pb_reader message, wantlist;
	bool in_wantlist;
};

/* A reader over one message without its length prefix. */
struct bitswap_reader bitswap_read(const void *data, size_t len);

/* The next item: 1, 0 at the end, -EINVAL for bytes that are not a bitswap message. Entries whose
 * CID cannot be read or is over BITSWAP_CID_MAX are skipped, as are blocks over BITSWAP_BLOCK_MAX:
 * one bad entry does not lose the others. */
int bitswap_next(struct bitswap_reader *reader, struct bitswap_item *item);

/* Whether the wantlist replaces what the peer asked for before, instead of adding to it. */
bool bitswap_is_full(const void *data, size_t len);

/* Writing: open a wantlist (always, empty if need be: older peers insist), then the rest. The
 * writer's errors stick, see multiformats/pb.h. */
void bitswap_put_wantlist(
	struct mf_pb_writer *out, const struct bitswap_item *wants, size_t count, bool full);
/* The head of a block of len bytes; the block's bytes follow it on the wire. */
void bitswap_put_block_head(struct mf_pb_writer *out, const struct mf_cid *cid, size_t len);
/* The same for peers that speak 1.0.0, whose blocks are CIDv0 all. */
void bitswap_put_bare_head(struct mf_pb_writer *out, size_t len);
void bitswap_put_presence(struct mf_pb_writer *out, const struct mf_cid *cid, bool have);

#endif
