/*
 * Pins: the CIDs a repo keeps, a space of its state (store/state.h): durable by the same sync as the blocks they
 * name. One CID has one pin: a recursive one takes the place of a direct one.
 * Whether the blocks are there is the caller's business (and store_verify's).
 */
#ifndef STORE_PIN_H
#define STORE_PIN_H

#include <store/state.h>

#ifdef __cplusplus
extern "C" {
#endif

enum store_pin_mode {
	STORE_PIN_NONE = 0,
	STORE_PIN_DIRECT = 1,    /* this block */
	STORE_PIN_RECURSIVE = 2, /* and all it links to */
};

/* Pins cid; *ticket is raised: sync it. Pinned so already: 0, and the ticket waits for that.
 * -EEXIST: a direct pin where a recursive one is. Else the errors of store_put. */
int store_pin_add(struct store *store, const struct mf_cid *cid, enum store_pin_mode mode,
	store_ticket *ticket);

/* What people call a pin, and what they keep with it: text of neither of which the store understands anything. */
enum { STORE_PIN_NAME_MAX = 255, STORE_PIN_META_MAX = 700 }; /* bytes */
struct store_pin_label {
	const char *name, *meta; /* "": none; NULL: as the pin has it */
};
/* The same, and gives the pin what there is of this label in place of what it has; NULL: it keeps all of that. -EMSGSIZE:
 * too long. */
int store_pin_add_labelled(struct store *store, const struct mf_cid *cid, enum store_pin_mode mode,
	const struct store_pin_label *label, store_ticket *ticket);

/* Takes the pin away; *ticket is raised. -ENOENT: not pinned. Else the errors of store_put. */
int store_pin_remove(struct store *store, const struct mf_cid *cid, store_ticket *ticket);

/* The pin of exactly this CID: a store_pin_mode or a negative code. Does not wait. */
int store_pin_get(struct store *store, const struct mf_cid *cid);

struct store_pin {
	struct mf_cid cid;
	enum store_pin_mode mode;
	char name[STORE_PIN_NAME_MAX + 1], meta[STORE_PIN_META_MAX + 1];
};

/* The pin of exactly this CID: 0, -ENOENT, or another negative code. Does not wait. */
int store_pin_read(struct store *store, const struct mf_cid *cid, struct store_pin *pin);

/*
 * All pins, in the order of their CIDs. What was there at the start and still is comes exactly once;
 * what is pinned meanwhile may or may not come. Holds nothing: just stop.
 *
 *	struct store_state_cursor cursor = { 0 };
 *	while ((rc = store_pin_next(store, &cursor, &pin)) > 0)
 *		...
 */
/* 1 and a pin; 0 at the end; or a negative code. The first call writes a checkpoint. */
int store_pin_next(struct store *store, struct store_state_cursor *cursor, struct store_pin *pin);

#ifdef __cplusplus
}
#endif
#endif
