/*
 * Pins are state: the key is the CID, the value its mode.
 */
#include <errno.h>
#include <string.h>
#include "inner.h"

enum { PIN_SIZE = 1 };

/* The mode of a pin, or a negative code. */
static int mode_of(struct store *store, const uint8_t *key, size_t len, store_ticket *ticket)
{
	uint8_t value[PIN_SIZE];
	ssize_t there =
		store_state_get(store, STORE_SPACE_PINS, key, len, value, sizeof(value), ticket);

	if (there == -ENOENT)
		return STORE_PIN_NONE;
	if (there < 0)
		return there;
	if (there == PIN_SIZE && (*value == STORE_PIN_DIRECT || *value == STORE_PIN_RECURSIVE))
		return *value;
	store->index.doubtful = true;
	return -EUCLEAN;
}

int store_pin_get(struct store *store, const struct mf_cid *cid)
{
	uint8_t key[MF_CID_BYTES_MAX];

	return mode_of(store, key, mf_cid_encode(cid, key, sizeof(key)), NULL);
}

/* With the lock held. */
static int change_pin(
	struct store *store, const struct mf_cid *cid, uint32_t mode, store_ticket *ticket)
{
	uint8_t key[MF_CID_BYTES_MAX], value[PIN_SIZE] = { mode };
	size_t len = mf_cid_encode(cid, key, sizeof(key));
	store_ticket since = 0;
	int now = mode_of(store, key, len, &since);

	if (now < 0)
		return now;
	if (store->broken)
		return store->broken;
	if (mode == STORE_PIN_NONE && now == STORE_PIN_NONE)
		return -ENOENT;
	if (mode == STORE_PIN_DIRECT && now == STORE_PIN_RECURSIVE)
		return -EEXIST;
	if (mode == STORE_PIN_NONE)
		store->limit.stuck = 0;
	if ((uint32_t)now != mode)
		return store_state_put_locked(
			store, STORE_SPACE_PINS, key, len, mode ? value : NULL, PIN_SIZE, ticket);
	if (*ticket < since)
		*ticket = since;
	return 0;
}

static int change_pin_locked(
	struct store *store, const struct mf_cid *cid, uint32_t mode, store_ticket *ticket)
{
	int rc;

	do {
		rc = anyio_lock_acquire(&store->writing);
		if (rc < 0)
			return rc;
		rc = change_pin(store, cid, mode, ticket);
		uint64_t sequence = store->log.sequence;
		anyio_lock_release(&store->writing);
		if (rc == -EAGAIN && (rc = store_sync(store, sequence)) == 0)
			rc = -EAGAIN;
	} while (rc == -EAGAIN);
	return rc < 0 ? rc : store_checkpoint_if_due(store);
}

int store_pin_add(struct store *store, const struct mf_cid *cid, enum store_pin_mode mode,
	store_ticket *ticket)
{
	if (mode != STORE_PIN_DIRECT && mode != STORE_PIN_RECURSIVE)
		return -EINVAL;
	return change_pin_locked(store, cid, mode, ticket);
}

int store_pin_remove(struct store *store, const struct mf_cid *cid, store_ticket *ticket)
{
	return change_pin_locked(store, cid, STORE_PIN_NONE, ticket);
}

int store_pin_next(struct store *store, struct store_state_cursor *cursor, struct store_pin *pin)
{
	int rc;

	while ((rc = store_state_next(store, STORE_SPACE_PINS, cursor)) > 0) {
		if (mf_cid_decode(&pin->cid, cursor->key, cursor->key_len) != cursor->key_len) {
			store->index.doubtful = true;
			return -EUCLEAN;
		}
		int mode = store_pin_get(store, &pin->cid);
		if (mode < 0)
			return mode;
		pin->mode = mode;
		if (mode != STORE_PIN_NONE)
			return 1;
	}
	return rc;
}
