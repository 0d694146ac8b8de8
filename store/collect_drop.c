/*
 * Segments that have been swept go, together, as they take one writing of the index: while it is written, and all is
 * synced, the next ones are swept, where there is room for what lives in them. First what was moved is durable and the
 * index says so, then the state says that they are gone, then their files go.
 */
#include "collecting.h"

/* What no segment asks for any more need not be known to be gone. */
static int forget_gone(struct store *store)
{
	struct segment_set *segments = &store->segments;
	store_ticket ticket = 0;
	int rc = 0;

	for (size_t i = segments->gone_count; i-- > 0 && rc == 0;) {
		uint32_t number = segments->gone[i].number;

		if (!segment_set_is_forgettable(segments, number))
			continue;
		rc = store_note_nothing(store, number, &ticket);
		if (rc == 0)
			segment_set_forget_gone(segments, number);
	}
	return rc;
}

/* The last first, so that those not yet dropped stay. */
static int drop_files(struct collecting *collecting)
{
	struct store *store = collecting->store;
	struct swept_segments *going = &collecting->going;

	while (going->count > 0) {
		uint32_t number = going->numbers[going->count - 1];
		uint64_t size = segment_set_find(&store->segments, number)->size;
		int rc = segment_set_drop(&store->segments, number);

		if (rc < 0)
			return rc;
		going->count--;
		collecting->result->segments++;
		collecting->freed += size;
	}
	/* What comes back after a crash must still be known; of a sync that failed the next one tells nothing. */
	if (collecting->unsynced == 0)
		collecting->unsynced = anyio_fsync(store->segments.dir_fd);
	return collecting->unsynced;
}

static int drop(struct collecting *collecting)
{
	struct store *store = collecting->store;
	const struct swept_segments *going = &collecting->going;
	store_ticket ticket = 0;
	int rc = store_checkpoint(store);

	if (rc < 0 || going->count == 0)
		return rc;
	for (size_t i = 0; i < going->count && rc == 0; i++)
		rc = store_note_segment(store, going->numbers[i], SEGMENT_STATE_DROPPED, &ticket);
	/* With them, what was moved before they were written. */
	if (rc == 0)
		rc = store_sync(store, ticket);
	if (rc == 0)
		rc = drop_files(collecting);
	return rc < 0 ? rc : forget_gone(store);
}

static bool is_dropping(const struct collecting *collecting)
{
	return collecting->dropping &&
		anyio_task_handle_status(&collecting->dropper) <= ANYIO_STATUS_CANCELLING;
}

/* A failure stops the sweeping, not what is being written: it is for whoever waits. */
static int drop_beside(void *arg)
{
	struct collecting *collecting = arg;

	collecting->drop_failed = drop(collecting);
	return 0;
}

static int wait_for_dropper(struct collecting *collecting)
{
	int rc = collecting->dropping ? anyio_task_handle_wait(&collecting->dropper) : 0;

	if (rc < 0)
		return rc == ANYIO_TASK_CANCELLED ? ANYIO_CANCELLED : rc;
	collecting->dropping = false;
	return 0;
}

/* Those that are ready are those that go, as the ones before them are gone. */
static void take_ready(struct collecting *collecting)
{
	collecting->going = collecting->ready;
	collecting->ready = (struct swept_segments){ 0 };
	collecting->ready_from = collecting->written;
	collecting->moved_from = collecting->result->moved;
}

/* Whether the sweeping ends as soon as there is room, or there is a limit, whose room counts: then each is to be gone before the
 * next one is looked at. */
static bool is_for_room(const struct collecting *collecting)
{
	return collecting->options->enough || collecting->store->limit.max;
}

static int drop_ready(struct collecting *collecting)
{
	struct anyio_task_options options = {
		.name = "collect", .handle = &collecting->dropper, .may_fail = true
	};
	int rc = wait_for_dropper(collecting);

	if (rc == 0)
		rc = collecting->drop_failed;
	if (rc < 0)
		return rc;
	take_ready(collecting);
	if (is_for_room(collecting))
		return drop(collecting);
	rc = anyio_start_soon_with(collecting->droppers, drop_beside, collecting, &options);
	collecting->dropping = rc == 0;
	return rc < 0 ? drop(collecting) : 0;
}

bool collecting_is_sweeping(const struct collecting *collecting)
{
	return collecting->droppers != NULL;
}

/* While they wait, what lives in them is there twice. */
int collecting_drop_if_time(struct collecting *collecting)
{
	return collecting->ready.count == READY_MAX || is_for_room(collecting) ||
			collecting->written - collecting->ready_from >=
				collecting->store->options.segment_bytes
		? drop_ready(collecting)
		: 0;
}

/* Times as much as there should be: of changes in memory, as many as puts wait for at the latest (checkpoint.c); or of blocks
 * that were moved, which an opening would read again. */
static bool is_late(const struct collecting *collecting, size_t times)
{
	size_t due = collecting->store->options.checkpoint_blocks * times;

	return index_fresh(&collecting->store->index) >= CHECKPOINT_LATE * due ||
		collecting->result->moved - collecting->moved_from >= due;
}

/* What one that has just begun to drop some has not yet taken is no reason to wait for it; nor is what came since, but twice as
 * much. */
int collecting_write_if_late(struct collecting *collecting)
{
	bool goes_on = is_dropping(collecting) && !collecting->store->index.frozen.used;

	return is_late(collecting, goes_on ? 2 : 1) ? drop_ready(collecting) : 0;
}

/* Also those that could not go before, when the disk was full: else it would be every time. */
int collecting_drop_rest(struct collecting *collecting)
{
	int rc = wait_for_dropper(collecting), failed = collecting->drop_failed;

	if (rc == 0 && collecting->going.count > 0)
		rc = failed = drop(collecting);
	if (rc < 0)
		return rc;
	take_ready(collecting);
	rc = drop(collecting);
	return rc < 0 ? rc : failed < 0 ? failed : collecting->unsynced;
}
