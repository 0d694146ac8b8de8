/*
 * The operation log, read again by an opening. Twice: first for what it says of the segments, which must be known
 * before they are looked at, and then, up to the last commit that they have, for all it says.
 */
#include <errno.h>
#include <string.h>
#include "bytes.h"
#include "inner.h"
#include "replay.h"
#include "segment_adopted.h"
#include "segment_remote.h"

struct first_look {
	struct store *store;
	struct store_recovery *recovery;
	uint32_t *
		claimed; /* numbers that are, or were to be, adopted, by the last that is said of them */
	size_t count;
};

static int note_adopted(struct segment_set *segments, uint32_t number, const uint8_t *value,
	size_t len, bool counts)
{
	struct segment_adopted adopted;

	if (*value == SEGMENT_STATE_ADOPTED && segment_adopted_decode(&adopted, value, len) < 0)
		return -EUCLEAN;
	if (!counts)
		return 0;
	if (*value == SEGMENT_STATE_UNWANTED) {
		segment_set_let_go(segments, segment_set_find_adopted(segments, number));
		return segment_set_note_unwanted(segments, number);
	}
	segment_set_forget_unwanted(segments, number);
	return segment_set_adopt(segments, number, &adopted);
}

static int note_remote(struct segment_set *segments, uint32_t number, const uint8_t *value,
	size_t len, bool counts)
{
	struct segment_remote remote;
	int rc = segment_remote_decode(&remote, value, len);

	remote.number = number;
	return rc < 0 || !counts ? rc : segment_set_note_remote(segments, &remote);
}

/* What the state says of a segment. counts: no crash can take it back. */
static int note_segment(struct store *store, const uint8_t *key, size_t key_len,
	const uint8_t *value, size_t len, bool counts)
{
	static const uint8_t gone = SEGMENT_STATE_GONE;
	struct segment_set *segments = &store->segments;
	struct segment_file *file;

	if (key_len != 4)
		return -EUCLEAN;
	/* As a loss was accepted before there were other states. */
	if (len == 0) {
		value = &gone;
		len = 1;
	}
	uint32_t number = get_u32(key);
	if (*value == SEGMENT_STATE_ADOPTED || (*value == SEGMENT_STATE_UNWANTED && len == 1))
		return note_adopted(segments, number, value, len, counts);
	if (*value == SEGMENT_STATE_REMOTE)
		return note_remote(segments, number, value, len, counts);
	if (*value == SEGMENT_STATE_DROPPED ? len != 1 && len != 9
					    : len != 1 ||
				(*value != SEGMENT_STATE_GONE && *value != SEGMENT_STATE_SWEPT))
		return -EUCLEAN;
	file = segment_set_find(segments, number);
	if (file && counts && *value != SEGMENT_STATE_GONE)
		file->swept = true;
	return *value == SEGMENT_STATE_SWEPT
		? 0
		: segment_set_note_gone(segments, number, len == 9 ? get_u64(value + 1) : 0);
}

static bool says_adopted(uint8_t state)
{
	return state == SEGMENT_STATE_ADOPTED || state == SEGMENT_STATE_UNWANTED;
}

/* A number may have been used again after its adoption was over. */
static int claim(struct first_look *look, uint32_t number, bool adopted)
{
	size_t left = 0;

	for (size_t i = 0; i < look->count; i++)
		if (look->claimed[i] != number)
			look->claimed[left++] = look->claimed[i];
	look->count = left;
	if (!adopted)
		return 0;
	uint32_t *more = anyio_realloc(look->claimed, (left + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	look->claimed = more;
	look->claimed[look->count++] = number;
	return 0;
}

static int look_at_operation(
	void *arg, uint64_t offset, uint64_t sequence, const struct ops_operation *operation)
{
	struct first_look *look = arg;

	if (look->store->recovered < sequence)
		look->store->recovered = sequence;
	if (operation->space != STORE_SPACE_SEGMENTS)
		return 0;
	if (operation->key_len != 4)
		return -EUCLEAN;
	int rc = claim(look, get_u32(operation->key),
		operation->put && operation->value_len && says_adopted(*operation->value));
	if (rc < 0)
		return rc;
	if (operation->put)
		return note_segment(look->store, operation->key, operation->key_len,
			operation->value, operation->value_len, false);
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
static int look_at_index(struct first_look *look)
{
	struct store *store = look->store;
	uint8_t value[STORE_STATE_VALUE_MAX];
	struct index_key key;
	size_t len;
	int rc;

	index_state_key(&key, STORE_SPACE_SEGMENTS, "", 0);
	while ((rc = index_next_state(&store->index, &key, value, &len)) > 0 &&
		key.bytes[0] == STORE_SPACE_SEGMENTS) {
		rc = note_segment(store, key.bytes + 1, key.len - 1, value, len, true);
		if (rc == 0)
			rc = claim(look, get_u32(key.bytes + 1), len && says_adopted(*value));
		if (rc < 0)
			break;
	}
	return rc < 0 ? rc : 0;
}

int store_fold_segments(struct store *store, struct store_recovery *recovery)
{
	static const struct ops_calls calls = { look_at_operation, tell_damage };
	struct first_look look = { store, recovery };
	const struct ops *ops = &store->ops;
	uint64_t end;
	int rc = look_at_index(&look);

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
	for (size_t i = 0; i < look.count; i++) {
		struct segment_set *segments = &store->segments;
		struct segment_file *file = segment_set_find(segments, look.claimed[i]);

		/* Whatever is in it, it is none of the log. */
		if (file && !file->adopted)
			segment_set_let_go(segments, file);
	}
	anyio_free(look.claimed);
	return rc;
}

/* As below, of a remote one. */
static int doubt_remote(
	struct store *store, const struct index_key *key, uint8_t *value, size_t size)
{
	uint8_t before[STORE_STATE_VALUE_MAX];
	struct segment_remote remote, known;
	uint64_t ignored;

	if (segment_remote_decode(&remote, value, size) < 0 || !remote.entered)
		return 0;
	ssize_t len = index_state_find(&store->index, key, before, sizeof(before), &ignored);
	if (len < 0 && len != -ENOENT)
		return (int)len;
	remote.entered = len > 0 && segment_remote_decode(&known, before, (size_t)len) == 0 &&
		known.entered && known.random == remote.random;
	segment_remote_encode(&remote, value);
	return 0;
}

/* That the index has all blocks of an adopted segment is true of the index that was written, and of no other. */
static int take_segment(struct store *store, const struct index_key *key,
	const struct ops_operation *operation, uint8_t *value)
{
	uint8_t before[STORE_STATE_VALUE_MAX];
	struct segment_adopted adopted, known;
	uint64_t ignored;

	if (operation->key_len != 4)
		return -EUCLEAN;
	if (!operation->put) {
		uint32_t number = get_u32(operation->key);

		segment_set_forget_unwanted(&store->segments, number);
		segment_set_let_go(
			&store->segments, segment_set_find_adopted(&store->segments, number));
		segment_set_forget_remote(&store->segments, number);
		return 0;
	}
	if (segment_adopted_decode(&adopted, value, operation->value_len) == 0 && adopted.entered) {
		ssize_t len =
			index_state_find(&store->index, key, before, sizeof(before), &ignored);
		if (len < 0 && len != -ENOENT)
			return (int)len;
		adopted.entered = len > 0 &&
			segment_adopted_decode(&known, before, (size_t)len) == 0 && known.entered;
		segment_adopted_encode(&adopted, value);
	}
	int rc = doubt_remote(store, key, value, operation->value_len);
	if (rc < 0)
		return rc;
	return note_segment(
		store, operation->key, operation->key_len, value, operation->value_len, true);
}

static int take_operation(
	void *arg, uint64_t offset, uint64_t sequence, const struct ops_operation *operation)
{
	struct store *store = arg;
	struct index_key key;
	uint8_t value[STORE_STATE_VALUE_MAX];
	int rc = 0;

	index_state_key(&key, operation->space, operation->key, operation->key_len);
	memcpy(value, operation->value, operation->put ? operation->value_len : 0);
	if (operation->space == STORE_SPACE_SEGMENTS)
		rc = take_segment(store, &key, operation, value);
	if (rc == 0)
		rc = index_state_put(&store->index, &key, operation->put ? value : NULL,
			operation->value_len, 0);
	if (rc < 0 || index_fresh(&store->index) < store->options.checkpoint_blocks)
		return rc;
	/* A long way: the index knows more then than it says, which it may be told again. */
	index_freeze(&store->index, &store->checkpoint, &store->index.written.ops);
	return index_write(&store->index);
}

/* Of all batches: the last two, and the last that no torn group and no missing commit takes back. */
struct batches {
	const struct replay *replay;
	uint64_t before, last, whole, there;
};

static int note_batch(void *arg, uint64_t sequence)
{
	struct batches *batches = arg;

	/* Those that no crash takes back have none. */
	if (sequence == 0)
		return 0;
	if (sequence != batches->last) {
		batches->before = batches->last;
		batches->last = sequence;
	}
	if (sequence < batches->replay->torn)
		batches->whole = sequence;
	if (sequence <= batches->replay->sequence)
		batches->there = sequence;
	return 0;
}

int store_last_believed(struct store *store, struct replay *replay, uint64_t from, uint64_t *last)
{
	static const struct ops_calls calls = { .batch = note_batch };
	struct batches batches = { .replay = replay };
	uint64_t end;

	*last = replay->sequence;
	if (store->ops.lost || (!replay->torn && !replay->promised))
		return 0;
	int rc = ops_read(store, from, UINT64_MAX, &calls, &batches, &end);
	if (rc < 0)
		return rc;
	/* A batch is written when the one before is durable: then the group was, and is damaged since. */
	bool torn = replay->torn && batches.before < replay->torn;
	if (torn)
		*last = replay->torn - 1;
	/* A commit that is durable says that there are operations, and there are none. */
	replay->operations_lost = batches.last < replay->operations;
	replay->operations_fewer = (torn ? batches.whole : batches.there) < replay->promised;
	return 0;
}

int store_fold(struct store *store, uint64_t last)
{
	static const struct ops_calls calls = { .operation = take_operation };
	uint64_t end;
	int rc = ops_read(store, ops_known(store), last, &calls, store, &end);

	return rc < 0 || store->ops.lost ? rc : ops_cut(store, end);
}
