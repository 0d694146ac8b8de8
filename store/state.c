/*
 * State: a map whose every change is an operation of the log (ops.h); the index holds the map.
 */
#include <errno.h>
#include <string.h>
#include "bytes.h"
#include "inner.h"
#include "segment_adopted.h"
#include "segment_remote.h"

static bool in_bounds(unsigned space, size_t key_len, size_t len)
{
	return space > 0 && space <= UINT8_MAX && key_len > 0 && key_len <= STORE_STATE_KEY_MAX &&
		len <= STORE_STATE_VALUE_MAX;
}

int store_state_put_locked(struct store *store, unsigned space, const void *key, size_t key_len,
	const void *value, size_t len, store_ticket *ticket)
{
	struct ops_operation operation = { .space = space,
		.put = value != NULL,
		.key = key,
		.key_len = key_len,
		.value = value,
		.value_len = value ? len : 0 };
	struct index_key index_key;
	int rc = store->broken ? store->broken : ops_reserve(&store->ops);

	if (rc < 0)
		return rc;
	index_state_key(&index_key, space, key, key_len);
	rc = index_state_put(&store->index, &index_key, value, len, store->log.sequence);
	if (rc < 0)
		return rc;
	ops_append(&store->ops, &operation);
	anyio_event_set(&store->put);
	if (*ticket < store->log.sequence)
		*ticket = store->log.sequence;
	return 0;
}

static int note(
	struct store *store, uint32_t number, const void *value, size_t len, store_ticket *ticket)
{
	uint8_t key[4];

	put_u32(key, number);
	return store_state_put(store, STORE_SPACE_SEGMENTS, key, sizeof(key), value, len, ticket);
}

/* With the lock held, so that of two that say something of it neither is lost. */
static int note_more_locked(
	struct store *store, uint32_t number, enum segment_state state, store_ticket *ticket)
{
	struct segment_file *file = segment_set_find_adopted(&store->segments, number);
	uint8_t key[4], value[SEGMENT_ADOPTED_SIZE];

	if (!file)
		return 0;
	struct segment_adopted adopted = *file->adopted;
	adopted.entered |= state == SEGMENT_STATE_ENTERED;
	adopted.swept |= file->swept || state == SEGMENT_STATE_SWEPT;
	adopted.given_up |= state == SEGMENT_STATE_GONE;
	adopted.summed &= state != SEGMENT_STATE_ALTERED;
	size_t len = segment_adopted_encode(&adopted, value);
	put_u32(key, number);
	int rc = store_state_put_locked(
		store, STORE_SPACE_SEGMENTS, key, sizeof(key), value, len, ticket);
	if (rc == 0) {
		*file->adopted = adopted;
		file->swept = adopted.swept;
	}
	return rc;
}

static int note_more(
	struct store *store, uint32_t number, enum segment_state state, store_ticket *ticket)
{
	int rc;

	do {
		rc = anyio_lock_acquire(&store->writing);
		if (rc < 0)
			return rc;
		rc = note_more_locked(store, number, state, ticket);
		uint64_t sequence = store->log.sequence;
		anyio_lock_release(&store->writing);
		if (rc == -EAGAIN && (rc = store_sync(store, sequence)) == 0)
			rc = -EAGAIN;
	} while (rc == -EAGAIN);
	return rc;
}

int store_note_segment(
	struct store *store, uint32_t number, enum segment_state state, store_ticket *ticket)
{
	bool adopted = segment_set_find_adopted(&store->segments, number) != NULL;
	uint8_t value = state;

	if (adopted && state != SEGMENT_STATE_DROPPED)
		return note_more(store, number, state, ticket);
	if (adopted)
		value = SEGMENT_STATE_UNWANTED;
	return note(store, number, &value, 1, ticket);
}

int store_note_cut(struct store *store, uint32_t number, uint64_t end, store_ticket *ticket)
{
	uint8_t value[9] = { SEGMENT_STATE_DROPPED };

	put_u64(value + 1, end);
	return note(store, number, value, sizeof(value), ticket);
}

/* So that nobody misses in the index what has left it. */
int store_begin_sweeping(struct store *store, struct segment_file *file)
{
	store_ticket ticket = 0;
	int rc = 0;

	if (file->swept)
		return 0;
	/* Of one that had lost its end nobody is to miss it from now on, either. */
	bool short_already = segment_set_gone_from(&store->segments, file->number) < UINT64_MAX;
	rc = store_note_segment(store, file->number,
		short_already ? SEGMENT_STATE_DROPPED : SEGMENT_STATE_SWEPT, &ticket);
	if (rc == 0)
		rc = store_sync(store, ticket);
	file->swept = rc == 0;
	return rc;
}

int store_note_adopted(struct store *store, uint32_t number, const struct segment_adopted *adopted,
	store_ticket *ticket)
{
	uint8_t value[SEGMENT_ADOPTED_SIZE];

	return note(store, number, value, segment_adopted_encode(adopted, value), ticket);
}

int store_note_remote(
	struct store *store, const struct segment_remote *remote, store_ticket *ticket)
{
	uint8_t value[SEGMENT_REMOTE_MAX];

	return note(store, remote->number, value, segment_remote_encode(remote, value), ticket);
}

int store_note_nothing(struct store *store, uint32_t number, store_ticket *ticket)
{
	return note(store, number, NULL, 0, ticket);
}

int store_state_put(struct store *store, unsigned space, const void *key, size_t key_len,
	const void *value, size_t len, store_ticket *ticket)
{
	int rc;

	if (!in_bounds(space, key_len, value ? len : 0))
		return -EINVAL;
	do {
		rc = anyio_lock_acquire(&store->writing);
		if (rc < 0)
			return rc;
		rc = store_state_put_locked(store, space, key, key_len, value, len, ticket);
		uint64_t sequence = store->log.sequence;
		anyio_lock_release(&store->writing);
		if (rc == -EAGAIN && (rc = store_sync(store, sequence)) == 0)
			rc = -EAGAIN;
	} while (rc == -EAGAIN);
	return rc < 0 ? rc : store_checkpoint_if_due(store);
}

ssize_t store_state_get(struct store *store, unsigned space, const void *key, size_t key_len,
	void *value, size_t size, store_ticket *ticket)
{
	struct index_key index_key;
	uint64_t sequence;

	if (!in_bounds(space, key_len, 0))
		return -EINVAL;
	index_state_key(&index_key, space, key, key_len);
	ssize_t len = index_state_find(&store->index, &index_key, value, size, &sequence);
	if (ticket && *ticket < sequence)
		*ticket = sequence;
	return len;
}

int store_state_next(struct store *store, unsigned space, struct store_state_cursor *cursor)
{
	uint8_t value[STORE_STATE_VALUE_MAX];
	struct index_key key;
	size_t len;
	/* Of a log that only is read, the index has all. */
	int rc = cursor->started || store_only_reads(store) ? 0 : store_checkpoint(store);

	cursor->started = true;
	index_state_key(&key, space, cursor->key, cursor->key_len);
	while (rc >= 0 && (rc = index_next_state(&store->index, &key, value, &len)) > 0) {
		uint64_t ignored;

		if (key.bytes[0] != space)
			return 0;
		cursor->key_len = key.len - 1;
		memcpy(cursor->key, key.bytes + 1, cursor->key_len);
		ssize_t there =
			index_state_find(&store->index, &key, value, sizeof(value), &ignored);
		if (there >= 0)
			return 1;
		rc = there == -ENOENT ? 0 : (int)there;
	}
	return rc;
}
