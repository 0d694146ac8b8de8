/*
 * Remote segments: CAR files that lie as objects in a tier (store/tier.h), and hold only raw leaves. What the state of the
 * repo says of them (STORE_SPACE_SEGMENTS) is all there is here:
 *
 *	 0  'r' (SEGMENT_STATE_REMOTE)
 *	 1  flags
 *	 2  where its first section begins, u64
 *	10  where its last one ends, u64
 *	18  size of the object, u64
 *	26  part of its name, u64: random, so that no other repo, nor this one after a crash, makes the same
 *	34  how many blocks, u32
 *	38  BLAKE2b-256 of what follows the last section: the object's own index
 *	70  the name of the tier
 *
 * They are none of the segment_file kind, as no file is opened, scanned or counted for them.
 */
#ifndef STORE_SEGMENT_REMOTE_H
#define STORE_SEGMENT_REMOTE_H

#include <store/tier.h>
#include "segment_set.h"

enum {
	SEGMENT_REMOTE_SUM = 32,
	SEGMENT_REMOTE_HEAD = 38 + SEGMENT_REMOTE_SUM,
	SEGMENT_REMOTE_MAX = SEGMENT_REMOTE_HEAD + STORE_TIER_NAME_MAX,
	SEGMENT_REMOTE_OBJECT_MAX = 40,
};

struct segment_remote {
	uint32_t number, blocks;
	uint64_t from, to; /* bytes of the object that are sections */
	uint64_t size;
	uint64_t random;
	uint8_t sum[SEGMENT_REMOTE_SUM];
	char tier[STORE_TIER_NAME_MAX + 1];
	bool entered;  /* the index that was written has all its blocks */
	bool unwanted; /* nothing is read from it any more, or yet: the object is to go */
	/* Not kept: */
	bool busy;   /* somebody is at it, and changes what is said of it */
	bool doomed; /* the collection that runs has found nothing alive in it */
	bool thin; /* the last one has found less than half of it alive, and nobody has seen to it */
};

bool segment_remote_is_name(const char *tier);
size_t segment_remote_encode(const struct segment_remote *remote, uint8_t out[SEGMENT_REMOTE_MAX]);
/* All but the number. 0 or -EUCLEAN. */
int segment_remote_decode(struct segment_remote *remote, const uint8_t *value, size_t len);
void segment_remote_sum(const void *index, size_t len, uint8_t out[SEGMENT_REMOTE_SUM]);
void segment_remote_object(
	const struct segment_remote *remote, char out[SEGMENT_REMOTE_OBJECT_MAX]);

/* NULL when there is none. It stays where it is until it is forgotten. */
struct segment_remote *segment_set_find_remote(const struct segment_set *set, uint32_t number);
/* The first of a higher number, or NULL. */
struct segment_remote *segment_set_next_remote(const struct segment_set *set, uint32_t number);
/* It becomes one, or what is known of it changes. 0 or -ENOMEM. */
int segment_set_note_remote(struct segment_set *set, const struct segment_remote *remote);
void segment_set_forget_remote(struct segment_set *set, uint32_t number);

#endif
