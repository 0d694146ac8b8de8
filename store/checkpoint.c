/*
 * Writing the index. Puts do it when enough is new; while one does, others go on, up to CHECKPOINT_LATE times as much. While a
 * collection sweeps a repo without a limit, they leave it to that up to then; and it does so less often: its keys are in nearly
 * all leaves of the tree, each of which is written anew for one of them as for many.
 */
#include "collecting.h"

/* Writes what is frozen, which is durable in the log. */
static int write_frozen(struct store *store)
{
	const struct index_generation *frozen = &store->index.frozen;
	struct index_position position = frozen->used ? frozen->position : store->checkpoint;
	int rc = index_write(&store->index);

	if (rc == 0)
		store->checkpoint = position;
	return rc;
}

/* With the lock `checkpointing` held. */
static int checkpoint_now(struct store *store)
{
	struct index *index = &store->index;
	int rc = store->broken ? store->broken : write_frozen(store);

	if (rc < 0)
		return rc;
	if (index_fresh(index) == 0 && store->log.committed.end == store->checkpoint.end &&
		store->log.committed.segment == store->checkpoint.segment)
		return 0;
	rc = log_sync_frozen(store);
	if (rc == 0)
		rc = write_frozen(store);
	if (rc == 0 && ops_is_long(store)) {
		int failed = ops_rewrite(store);

		/* Else the next one tries again. */
		rc = store->broken ? failed : 0;
	}
	log_rest(store);
	return rc;
}

static int checkpoint_body(void *arg)
{
	return checkpoint_now(arg);
}

static int checkpoint_locked(struct store *store)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	int rc = anyio_cancel_scope_run(&scope, checkpoint_body, store);
	store->due_at = rc < 0 ? index_fresh(&store->index) + store->options.checkpoint_blocks
			       : store->options.checkpoint_blocks;
	anyio_lock_release(&store->checkpointing);
	return rc;
}

int store_checkpoint(struct store *store)
{
	int rc = anyio_lock_acquire(&store->checkpointing);

	return rc < 0 ? rc : checkpoint_locked(store);
}

int store_compact_index(struct store *store)
{
	struct index *index = &store->index;
	uint64_t bytes, held;
	int rc = store_checkpoint(store);

	if (rc == 0)
		rc = anyio_lock_acquire(&store->checkpointing);
	if (rc < 0)
		return rc;
	if (!index->frozen.used && index_is_loose(index, store->options.compact_bytes, &bytes) &&
		limit_hold(store, bytes, &held)) {
		rc = index_compact(index, bytes);
		limit_leave(store, held);
	}
	anyio_lock_release(&store->checkpointing);
	return rc;
}

/* A collection that does not sweep yet writes no index; and under a limit the index file counts, and is not to lag behind. */
static bool is_left_to_collection(const struct store *store)
{
	return store->collecting && collecting_is_sweeping(store->collecting) && !store->limit.max;
}

int store_checkpoint_if_due(struct store *store)
{
	size_t fresh = index_fresh(&store->index), due = store->options.checkpoint_blocks;
	bool late = fresh >= CHECKPOINT_LATE * due;

	if (store->broken || fresh < due ||
		(!late && (fresh < store->due_at || is_left_to_collection(store))))
		return 0;
	if (anyio_lock_acquire_nowait(&store->checkpointing) == 0) {
		int rc = checkpoint_locked(store);

		return late ? rc : 0;
	}
	return late ? store_checkpoint(store) : 0;
}
