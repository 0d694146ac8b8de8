/*
 * The operation log, read again by an opening. Twice: first for what it says of the segments, which must be known
 * before they are looked at, and then, up to the last commit that they have, for all it says.
 */
#include <errno.h>
#include <string.h>
#include "bytes.h"
#include "inner.h"

struct first_look {
	struct store *store;
	struct store_recovery *recovery;
};

/* What the state says of a segment. counts: no crash can take it back. */
static int note_segment(struct store *store, const uint8_t *key, size_t key_len,
	const uint8_t *value, size_t len, bool counts)
{
	struct segment_file *file;

	if (key_len != 4 || len != 1)
		return -EUCLEAN;
	file = segment_set_find(&store->segments, get_u32(key));
	if (file && counts && *value != SEGMENT_STATE_GONE)
		file->swept = true;
	return *value == SEGMENT_STATE_SWEPT
		? 0
		: segment_set_note_gone(&store->segments, get_u32(key));
}

static int look_at_operation(
	void *arg, uint64_t offset, uint64_t sequence, const struct ops_operation *operation)
{
	struct first_look *look = arg;

	if (look->store->recovered < sequence)
		look->store->recovered = sequence;
	if (operation->space != STORE_SPACE_SEGMENTS)
		return 0;
	if (operation->put)
		return note_segment(look->store, operation->key, operation->key_len,
			operation->value, operation->value_len, false);
	if (operation->key_len == 4)
		segment_set_forget_gone(&look->store->segments, get_u32(operation->key));
	return 0;
}

static int tell_damage(void *arg, uint64_t from, uint64_t to)
{
	struct first_look *look = arg;

	look->store->ops.lost = true;
	look->recovery->damaged++;
	store_say(look->recovery, "ops/%08u.log is damaged: bytes %llu to %llu",
		look->store->ops.generation, (unsigned long long)from, (unsigned long long)to);
	return 0;
}

/* Segments that the index knows to be gone. */
static int look_at_index(struct store *store)
{
	uint8_t value[STORE_STATE_VALUE_MAX];
	struct index_key key;
	size_t len;
	int rc;

	index_state_key(&key, STORE_SPACE_SEGMENTS, "", 0);
	while ((rc = index_next_state(&store->index, &key, value, &len)) > 0 &&
		key.bytes[0] == STORE_SPACE_SEGMENTS)
		if ((rc = note_segment(store, key.bytes + 1, key.len - 1, value, len, true)) < 0)
			break;
	return rc < 0 ? rc : 0;
}

int store_fold_segments(struct store *store, struct store_recovery *recovery)
{
	static const struct ops_calls calls = { look_at_operation, tell_damage };
	struct first_look look = { store, recovery };
	const struct ops *ops = &store->ops;
	uint64_t end;
	int rc = look_at_index(store);

	if (rc == 0 && ops->lost) {
		recovery->gaps++;
		store_say(recovery,
			ops->fd < 0 ? "ops/%08u.log is missing"
				    : "ops/%08u.log has lost its end, or is an older copy",
			store->index.written.ops.generation ? store->index.written.ops.generation
							    : 1);
	}
	if (rc == 0)
		rc = ops_read(store, ops_known(store), UINT64_MAX, &calls, &look, &end);
	if (rc < 0)
		store_say(recovery, "ops/%08u.log cannot be read: %s", ops->generation,
			anyio_error_text(rc));
	return rc;
}

static int take_operation(
	void *arg, uint64_t offset, uint64_t sequence, const struct ops_operation *operation)
{
	struct store *store = arg;
	struct index_key key;

	index_state_key(&key, operation->space, operation->key, operation->key_len);
	int rc = operation->space == STORE_SPACE_SEGMENTS && operation->put
		? note_segment(store, operation->key, operation->key_len, operation->value,
			  operation->value_len, true)
		: 0;
	if (rc == 0)
		rc = index_state_put(&store->index, &key, operation->put ? operation->value : NULL,
			operation->value_len, 0);
	if (rc < 0 || index_fresh(&store->index) < store->options.checkpoint_blocks)
		return rc;
	/* A long way: the index knows more then than it says, which it may be told again. */
	index_freeze(&store->index, &store->checkpoint, &store->index.written.ops);
	return index_write(&store->index);
}

int store_fold(struct store *store, uint64_t last)
{
	static const struct ops_calls calls = { .operation = take_operation };
	uint64_t end;
	int rc = ops_read(store, ops_known(store), last, &calls, store, &end);

	return rc < 0 || store->ops.lost ? rc : ops_cut(store, end);
}
