/*
 * The bytes of the log. Pure functions: bytes in, bytes out.
 *
 * A segment is a CARv1 file with the root bafkqaaa: a header, then sections
 *
 *	varint(length of CID and data) CID data
 *
 * Most sections are blocks. Some are records, the log's own: raw sha2-256 blocks like any other to
 * a CAR reader, whose data is
 *
 *	 0  magic, 8 bytes
 *	 8  kind, u32
 *	12  number of the segment, u32
 *	16  offset of the record's section in the segment, u64
 *	24  sequence, u64
 *	32  what the kind says
 *	-32 a keyed BLAKE2b-256 of all that comes before it
 *
 * (little endian). The key is the repo's own, and place is part of what it seals: so no block that
 * somebody made us fetch can pass for a record, not even a copy of one of our records.
 *
 *	SEGMENT  the first section of a segment: which segment came before, its length when it was
 *	         closed; everything up to sequence `synced` was durable then
 *	COMMIT   ends a group: where the group starts, how many sections it has, a keyed BLAKE2b-256
 *	         of their heads (varint and CID), and which sequence was known durable when it was
 *	         written
 *	FILL     zeros, so that what follows begins where a disk can take it as it is
 *	VOID     these bytes were never acknowledged and had not reached the disk whole, or are damaged and
 *	         given up: nobody is to believe them, or to complain about them
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sodium.h>
#include <ipld/block.h>
#include <multiformats/cid.h>
#include <store/block.h>

enum {
	SEGMENT_ALIGN = STORE_BULK_ALIGN, /* to a multiple of this, in memory and in the file */
	SEGMENT_SECRET_SIZE = 32,
	SEGMENT_SEAL_SIZE = 32,
	SEGMENT_HEADER_SIZE = 26,
	SEGMENT_HEAD_MAX = 4 + MF_CID_BYTES_MAX, /* varint and CID of the longest section */
	SEGMENT_MAGIC_SIZE = 8,
	SEGMENT_RECORD_MAX = 32 + 56 + SEGMENT_SEAL_SIZE, /* data of a record */
	SEGMENT_RECORD_SECTION_MAX = 2 + 36 + SEGMENT_RECORD_MAX,
	/* The same for FILL, which is as long as need be. */
	SEGMENT_FILL_MAX = SEGMENT_ALIGN + SEGMENT_RECORD_MAX,
	SEGMENT_FILL_SECTION_MAX = 2 + 36 + SEGMENT_FILL_MAX,
};

extern const uint8_t segment_header[SEGMENT_HEADER_SIZE];
extern const uint8_t segment_magic[SEGMENT_MAGIC_SIZE];

/* What the repo's secret becomes. */
struct segment_keys {
	uint8_t record[32]; /* seals records */
	uint8_t heads[32];  /* sums up section heads */
	uint8_t ops[32];    /* seals the operation log */
	uint8_t repo[16];   /* names the repo, tells nothing of the secret */
};
void segment_keys_derive(struct segment_keys *keys, const uint8_t secret[SEGMENT_SECRET_SIZE]);

struct segment_section {
	struct mf_cid cid;
	uint32_t head; /* bytes of varint and CID */
	uint32_t len;  /* bytes of data */
};

/* Reads the head of a section. Returns its length; -EAGAIN when data ends inside it; -EINVAL when
 * this is not the head of a section a store wrote. */
ssize_t segment_section_decode(struct segment_section *section, const uint8_t *data, size_t len);

/* Writes the head of a section. Returns its length. */
size_t segment_section_encode(const struct mf_cid *cid, size_t len, uint8_t out[SEGMENT_HEAD_MAX]);

enum segment_kind {
	SEGMENT_RECORD_SEGMENT = 1,
	SEGMENT_RECORD_COMMIT = 2,
	SEGMENT_RECORD_VOID = 4,
	SEGMENT_RECORD_FILL = 5,
};

struct segment_record {
	enum segment_kind kind;
	uint32_t segment;
	uint64_t offset;
	uint64_t sequence;
	union {
		struct {
			uint32_t number; /* 0: none */
			uint64_t len;
			uint64_t synced;
		} previous;
		struct {
			uint64_t start;
			uint64_t synced;
			uint32_t count;
			bool operations; /* a batch of them goes with it (ops.h) */
			uint8_t heads[SEGMENT_SEAL_SIZE];
		} commit;
		struct {
			uint32_t segment;
			uint64_t from, to;
		} nothing;
		struct {
			size_t zeros; /* of segment_fill_zeros */
		} fill;
	};
};

/* Writes the whole section of a record, of at most SEGMENT_RECORD_SECTION_MAX bytes, or, of a FILL,
 * SEGMENT_FILL_SECTION_MAX. Returns its length. */
size_t segment_record_encode(
	const struct segment_keys *keys, const struct segment_record *record, uint8_t *out);

/* How many zeros make the section of a FILL exactly that long; 0 when none do: it is too short, or
 * just where the varint grows. */
size_t segment_fill_zeros(size_t section);

/* Whether a section is a record that was written at this place of this segment; fills *record. data
 * is the section's data, whole. */
bool segment_record_decode(const struct segment_keys *keys, const struct segment_section *section,
	const uint8_t *data, uint32_t number, uint64_t offset, struct segment_record *record);

/* The running sum over the heads of a group. */
struct segment_sum {
	crypto_generichash_state state;
	uint32_t count;
};
void segment_sum_start(struct segment_sum *sum, const struct segment_keys *keys);
void segment_sum_add(struct segment_sum *sum, const uint8_t *head, size_t len);
/* Leaves sum as it is. */
void segment_sum_get(const struct segment_sum *sum, uint8_t out[SEGMENT_SEAL_SIZE]);

#endif
