/*
 * What a store does by itself: the syncs it was asked to make within a time, a checkpoint when it is idle, a
 * collection when there is little room left under its limit. All sleep without waking as long as nothing is put.
 */
#include "inner.h"

#define IDLE  (30 * ANYIO_SECOND)
#define AGAIN (1 * ANYIO_SECOND)

/* Waits until the log has not grown for a while. */
static int wait_idle(struct store *store)
{
	const struct log *log = &store->log;
	const struct segment_file *active;
	uint64_t end;
	int rc;

	do {
		active = log->active;
		end = log->end;
		rc = anyio_sleep(IDLE);
	} while (rc == 0 && (active != log->active || end != log->end));
	return rc;
}

static int tend_index(void *arg)
{
	struct store *store = arg;
	int rc = index_fetch(&store->index);

	if (rc == ANYIO_CANCELLED)
		return rc;
	while ((rc = anyio_event_wait(&store->put)) == 0 && (rc = wait_idle(store)) == 0) {
		anyio_event_init(&store->put);
		if (store_checkpoint(store) == ANYIO_CANCELLED)
			return ANYIO_CANCELLED;
	}
	return rc;
}

static int wait_asked(void *arg)
{
	return anyio_event_wait(&((struct store *)arg)->asked);
}

/* One that fails in the sync stops the store's writing, and so is told to all who put, sync or ask from then on. One that did
 * not come so far, as the disk is full, say, is tried again, and told to who asks next. */
static int tend_syncs(void *arg)
{
	struct store *store = arg;
	int rc;

	while ((rc = anyio_move_on_at(store->due, wait_asked, store)) == 0) {
		anyio_event_init(&store->asked);
		if (anyio_now() < store->due)
			continue;
		store->due = ANYIO_FOREVER;
		rc = log_sync(store, store->due_ticket);
		if (rc == ANYIO_CANCELLED)
			return rc;
		store->due_failed = rc;
		if (rc < 0 && !store->broken)
			store->due = anyio_now() + AGAIN;
	}
	return rc;
}

/* One that fails is tried again when more was put. */
static int tend_limit(void *arg)
{
	struct store *store = arg;
	int rc;

	while ((rc = anyio_event_wait(&store->limit.over)) == 0) {
		anyio_event_init(&store->limit.over);
		if (limit_settle(store) == ANYIO_CANCELLED)
			return ANYIO_CANCELLED;
	}
	return rc;
}

int store_tend(void *arg)
{
	struct store *store = arg;

	ANYIO_TASK_GROUP(group);
	store->tended = true;
	anyio_start_soon(&group, tend_syncs, store, "syncs");
	anyio_start_soon(&group, tend_limit, store, "limit");
	int rc = tend_index(store);
	store->tended = false;
	return anyio_task_group_exit(&group, rc);
}

int store_sync_within(struct store *store, store_ticket ticket, anyio_time within)
{
	if (ticket <= store->log.durable)
		return 0;
	if (store->broken)
		return store->broken;
	if (within <= 0 || !store->tended || store->due_failed) {
		int rc = log_sync(store, ticket);
		if (rc != ANYIO_CANCELLED)
			store->due_failed = rc;
		return rc;
	}
	anyio_time now = anyio_now(),
		   due = within < ANYIO_FOREVER - now ? now + within : ANYIO_FOREVER;

	if (store->due_ticket < ticket)
		store->due_ticket = ticket;
	if (due < store->due) {
		store->due = due;
		anyio_event_set(&store->asked);
	}
	return 0;
}
