#include <errno.h>
#include <string.h>
#include "inner.h"

int store_pin_get(struct store *store, const struct mf_cid *cid)
{
	uint64_t sequence;

	return index_pin_find(&store->index, cid, &sequence);
}

/* With the lock held. */
static int append_pin(
	struct store *store, const struct mf_cid *cid, uint32_t mode, store_ticket *ticket)
{
	struct segment_record record = { .kind = SEGMENT_RECORD_PIN };
	int rc = log_prepare(&store->log);

	if (rc == 0)
		rc = index_reserve_pin(&store->index);
	if (rc == 0 && !log_has_room(&store->log, SEGMENT_RECORD_MAX))
		rc = log_flush(store);
	if (rc < 0)
		return rc;
	record.pin.mode = mode;
	record.pin.cid = *cid;
	log_append_record(store, &record);
	index_pin_put(&store->index, cid, mode, store->log.sequence);
	anyio_event_set(&store->put);
	if (*ticket < store->log.sequence)
		*ticket = store->log.sequence;
	return 0;
}

static int change_pin(
	struct store *store, const struct mf_cid *cid, uint32_t mode, store_ticket *ticket)
{
	uint64_t sequence;
	int now = index_pin_find(&store->index, cid, &sequence);

	if (now < 0)
		return now;
	if (store->broken)
		return store->broken;
	if (mode == STORE_PIN_NONE && now == STORE_PIN_NONE)
		return -ENOENT;
	if (mode == STORE_PIN_DIRECT && now == STORE_PIN_RECURSIVE)
		return -EEXIST;
	if ((uint32_t)now != mode)
		return append_pin(store, cid, mode, ticket);
	if (*ticket < sequence)
		*ticket = sequence;
	return 0;
}

static int change_pin_locked(
	struct store *store, const struct mf_cid *cid, uint32_t mode, store_ticket *ticket)
{
	int rc = anyio_lock_acquire(&store->writing);

	if (rc < 0)
		return rc;
	rc = change_pin(store, cid, mode, ticket);
	anyio_lock_release(&store->writing);
	return rc;
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

int store_pin_next(struct store *store, struct store_cursor *cursor, struct store_pin *pin)
{
	struct index_key key = { .len = cursor->key_len };
	uint32_t written;
	/* Of a log that only is read, the index has all. */
	int rc = cursor->started || store->broken == -EUCLEAN ? 0 : store_checkpoint(store);

	cursor->started = true;
	memcpy(key.bytes, cursor->key, cursor->key_len);
	while (rc >= 0 && (rc = index_next_pin(&store->index, &key, &written)) > 0) {
		memcpy(cursor->key, key.bytes, key.len);
		cursor->key_len = key.len;
		if (mf_cid_decode(&pin->cid, key.bytes, key.len) != key.len) {
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
