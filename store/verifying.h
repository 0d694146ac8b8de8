/* A verification: what its parts share. */
#ifndef STORE_VERIFYING_H
#define STORE_VERIFYING_H

#include "inner.h"

/* Bytes of a segment that are damaged. */
struct verify_damage {
	struct store_range range;
	uint64_t blocks;    /* that were there, and have been told */
	struct mf_cid *cid; /* of the block that it was, by what the log says; or NULL */
	bool named;         /* and that is true */
};

struct verify_gap {
	struct store_gap gap;
	uint64_t blocks;
};

struct verifying {
	struct store *store;
	const struct store_verify_options *options;
	struct store_verify_result *result;
	uint64_t done, total;       /* bytes */
	uint64_t expected, matched; /* entries of the index; those met in the log */
	uint64_t
		moves; /* that the store had made by then: after more of them those two tell nothing */
	struct verify_damage *damages;
	size_t damage_count, damage_room;
	struct verify_gap *gaps;
	size_t gap_count;
	bool operations_damaged;
};

void verifying_report(struct verifying *verifying, const struct store_fault *fault);
/* What was lost, by the index: reports it, or gives it up (verify_lost.c). 0 or a negative code. */
int verifying_lost(struct verifying *verifying);
/* Each block that the index knows, damaged or not, until one is answered by anything but 0: that. */
int verifying_each_block(struct verifying *verifying,
	int (*each)(void *arg, const struct mf_cid *cid, const struct index_place *place),
	void *arg);
/* A gap met: each for store_each_gap; and a range, whose cid may be NULL. 0 or -ENOMEM. */
int verifying_add_gap(void *verifying, const struct store_gap *gap);
int verifying_add_damage(struct verifying *verifying, uint32_t segment, uint64_t from, uint64_t to,
	const struct mf_cid *cid);
void verifying_free(struct verifying *verifying);
/* What the pins need (verify_pins.c). */
int verifying_pins(struct verifying *verifying);
/* So many bytes more were read. Non-zero ends it. */
int verifying_progress(void *verifying, uint64_t bytes);

struct segment_remote;
/* What lies in tiers (verify_tiers.c); and how many bytes that is. Without the lock `arranging`. */
int verifying_tiers(struct verifying *verifying);
uint64_t verifying_tiers_size(const struct store *store);
/* Reads a block that was in a tier by itself, of a copy of remote: 1: it is whole; 0: it is not there any more, or was
 * reported, and counts as damaged; -EREMOTEIO, not reported, or another negative code. */
int verifying_read_remote(struct verifying *verifying, const struct segment_remote *remote,
	const struct mf_cid *cid, const struct index_place *place);
/* Reports it, and gives it up if that is asked for. 0 or -ENOMEM. */
int verifying_report_remote(struct verifying *verifying, const struct segment_remote *remote,
	const struct mf_cid *cid, const struct index_place *place, int error);

#endif
