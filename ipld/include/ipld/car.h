/*
 * CAR files (https://ipld.io/specs/transport/car/): versions 1 and 2, read and written.
 *
 * Pure: bytes in, sections out. Nothing is allocated on the word of a length; a reader's memory
 * grows only as bytes arrive, up to CAR_SECTION_MAX. Blocks are not verified here: pass each to
 * ipld_block_verify.
 */
#ifndef IPLD_CAR_H
#define IPLD_CAR_H

#include <stdbool.h>

#include <ipld/block.h>
#include <multiformats/pb.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	CAR_HEADER_MAX = 1 << 20,                            /* bytes of a header's dag-cbor */
	CAR_SECTION_MAX = IPLD_BLOCK_MAX + MF_CID_BYTES_MAX, /* bytes of a CID and its block */
	CAR_PREFIX_MAX = 10 + MF_CID_BYTES_MAX,              /* bytes before a section's block */
};

/* A CAR version 1 header. */
struct car_header {
	size_t root_count;
	struct mf_pb_view cbor; /* the whole header, for car_header_roots */
};

/* Reads a header's dag-cbor (without its length). Returns 0, or -EBADMSG: not strict dag-cbor, a
 * version other than 1, roots missing or not a list of links, other keys. */
int car_header_decode(struct car_header *header, const void *cbor, size_t len);

/* Copies the first roots of a decoded header, at most max; returns how many. Read them in one call:
 * a header can claim a hundred thousand. */
size_t car_header_roots(const struct car_header *header, struct mf_cid *roots, size_t max);

/* Appends a whole version 1 header, its length first. No roots is allowed; the custom for an
 * unknown root is the empty identity CID bafkqaaa. */
void car_put_header(struct mf_pb_writer *out, const struct mf_cid *roots, size_t count);

/* Writes what goes before a block: the section's length and the CID. Returns its length, at most
 * CAR_PREFIX_MAX, or -ENOSPC. */
ssize_t car_section_prefix(const struct mf_cid *cid, size_t block_len, uint8_t *out, size_t cap);

/* A section's outline. */
struct car_section {
	struct mf_cid cid;
	size_t data_at;  /* where its block starts, from the section's first byte */
	size_t data_len; /* bytes of its block */
};

/* Reads the section that starts at data; the block itself need not be there. Returns 0; -EAGAIN
 * when len is too short to know (CAR_PREFIX_MAX bytes always suffice); -EBADMSG for a malformed
 * length or CID, or a section of length 0; -EMSGSIZE over CAR_SECTION_MAX. */
int car_section_decode(struct car_section *section, const uint8_t *data, size_t len);

/*
 * Version 2: a fixed beginning, the archive of version 1, and an index of it.
 */
enum { CAR_V2_SIZE = 51 }; /* bytes of the beginning */

struct car_v2 {
	uint64_t data_at, data_size; /* the archive: bytes of the file */
	uint64_t index_at;           /* 0: there is none */
	bool fully_indexed;          /* the index has all of its sections */
};
/* Whether a file that begins so (11 bytes tell) is of version 2. */
bool car_is_v2(const uint8_t *bytes, size_t len);
/* 0; or -EBADMSG: not version 2, the archive would overlap the beginning, or no file is so long. */
int car_v2_decode(struct car_v2 *v2, const uint8_t bytes[CAR_V2_SIZE]);
void car_v2_encode(const struct car_v2 *v2, uint8_t out[CAR_V2_SIZE]);

/* A MultihashIndexSorted: where the section of each block begins, found by its multihash. */
struct car_index_entry {
	uint64_t at; /* from the first byte of the archive in it */
	uint64_t hash;
	const uint8_t *digest;
	uint8_t digest_len; /* at most MF_DIGEST_MAX */
};
/* Puts them in the order of the index. */
void car_index_sort(struct car_index_entry *entries, size_t count);
struct car_index_out {
	int (*write)(void *arg, const void *data, size_t len); /* 0, or a code that ends it */
	void *arg;
};
/* Writes the index of sorted entries: 0, or what write returned. */
int car_index_write(
	const struct car_index_out *out, const struct car_index_entry *entries, size_t count);
/* Reads a whole index back: calls each for every entry, in its order; digests lie in data. 0, what each returned when that
 * is other than 0, or -EBADMSG: no MultihashIndexSorted, cut short, or followed by something. */
int car_index_read(const uint8_t *data, size_t len,
	int (*each)(void *arg, const struct car_index_entry *entry), void *arg);

/*
 * Reading a stream of any size in pieces.
 */
enum car_event_kind {
	CAR_HEADER, /* once, first */
	CAR_BLOCK,
	CAR_MORE, /* of the last block, when they come in pieces */
};

struct car_event {
	enum car_event_kind kind;
	struct car_header header; /* CAR_HEADER */
	struct mf_cid cid;        /* CAR_BLOCK */
	const uint8_t *data; /* the block's bytes, or some; like header's, gone at the next call */
	size_t have;         /* so many: len, but when blocks come in pieces */
	size_t len;          /* CAR_BLOCK: of all of it */
	uint64_t section_at; /* CAR_BLOCK: offsets from the first byte of the stream */
	uint64_t data_at;
};

struct car_reader;

/* Makes a reader; zeros_end says that a section of length 0 ends the file (some writers pad with
 * zeros) instead of being an error. Returns 0 or -ENOMEM. */
int car_reader_new(struct car_reader **out, bool zeros_end);
void car_reader_free(struct car_reader *reader); /* NULL is fine */
/* A block that does not lie whole in the bytes given comes in pieces, and is gathered by the caller: CAR_BLOCK
 * with its first bytes, perhaps none, then CAR_MORE until they are len. These lie where they were given: they may
 * be read from the stream to where they belong. To be called first. */
void car_reader_in_pieces(struct car_reader *reader);

/* Takes bytes from *data, advancing *data and *len, up to the next event. Returns 1 with an event;
 * 0 when it needs more bytes (*len is then 0); -EBADMSG for anything malformed, in version 2 also a
 * payload that overlaps its header or an inner header that is not version 1; -EMSGSIZE for a header
 * over CAR_HEADER_MAX or a section over CAR_SECTION_MAX; -ENOMEM. After an error it can only be
 * freed. Bytes after the payload (the index of version 2) are skipped unread. */
int car_reader_next(
	struct car_reader *reader, const uint8_t **data, size_t *len, struct car_event *event);

/* Call at the end of the stream. Returns 0, or -EBADMSG when it ended inside something. */
int car_reader_finish(const struct car_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
