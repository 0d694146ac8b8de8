/*
 * What a repo holds that is not a block: pins, which segments are gone, and whatever layers above keep (names,
 * buckets, file systems). It is a map from keys to values, each in a space of its own, and every change of it is
 * a record of the operation log (DIR/ops); the map is the fold of that log.
 *
 * A change is durable no later than any block put before it, and never without them: both are acknowledged by
 * the same store_sync.
 */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include <store/block.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	STORE_STATE_KEY_MAX = 191, /* bytes, at least 1; any CID is one */
	STORE_STATE_VALUE_MAX = 1024,
};

enum store_space {
	STORE_SPACE_PINS = 1, /* store/pin.h: a CID; its mode */
	STORE_SPACE_SEGMENTS =
		2,            /* the store's own: what is to be known of a segment, by its number */
	STORE_SPACE_HEAT = 3, /* store/heat.h */
	STORE_SPACE_ABOVE = 16, /* from here to 255: those of the layers above */
};

/* Gives a key a value (value NULL: takes it away, also when there is none); *ticket is raised: sync it. -EINVAL: a
 * length out of bounds. Else the errors of store_put. May wait for a sync, when very much was changed since the
 * last one. */
int store_state_put(struct store *store, unsigned space, const void *key, size_t key_len,
	const void *value, size_t len, store_ticket *ticket);

/* The value of a key: its length, copied to value up to size bytes; -ENOENT; or another negative code. Does not
 * wait. *ticket, which may be NULL, is raised to that of the change that made it so. */
ssize_t store_state_get(struct store *store, unsigned space, const void *key, size_t key_len,
	void *value, size_t size, store_ticket *ticket);

/*
 * All keys of a space, in the order of their bytes. What was there at the start and still is comes exactly once;
 * what is added meanwhile may or may not come. Holds nothing: just stop. Begins with all zero.
 */
struct store_state_cursor {
	bool started;
	uint16_t key_len;
	uint8_t key[STORE_STATE_KEY_MAX];
};
/* 1, and the cursor's key; 0 at the end; or a negative code. The first call writes a checkpoint. The value is got
 * by store_state_get; -ENOENT there: it was taken away just now. */
int store_state_next(struct store *store, unsigned space, struct store_state_cursor *cursor);

#ifdef __cplusplus
}
#endif
#endif
