/*
 * Adopting a file. In this order, so that it may be stopped anywhere: the state of the repo says that what has the
 * number is to go; the file gets its name, and is durable; it is verified; the state says that it is adopted, and
 * from then on all its blocks are here; the index gets them, and the state says that, too. An opening takes away what
 * the first would have gone, and does what is left of the last (adopt_enter.c).
 */
#include <errno.h>
#include <sys/stat.h>
#include <anyio/anyio.h>
#include "adopting.h"
#include "numbered.h"

/* A number that no file has, ours or not. */
static int take_number(struct adopting *adopting)
{
	struct segment_set *segments = &adopting->store->segments;
	char name[NUMBERED_MAX];
	struct stat st;
	int rc = 0;

	while (rc == 0) {
		adopting->number = segment_set_take_number(segments);
		if (adopting->number == 0)
			return -EOVERFLOW;
		numbered_name(adopting->number, "car", name);
		rc = anyio_fstatat(segments->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW);
	}
	return rc == -ENOENT ? 0 : rc;
}

static int announce(struct adopting *adopting)
{
	struct store *store = adopting->store;
	store_ticket ticket = 0;
	int rc = take_number(adopting);

	if (rc == 0)
		rc = store_note_segment(store, adopting->number, SEGMENT_STATE_UNWANTED, &ticket);
	return rc < 0 ? rc : store_sync(store, ticket);
}

/* The file goes when it is sure that nobody will look for it, and its name before what is said of it does. */
static int give_up(void *arg)
{
	struct adopting *adopting = arg;
	struct store *store = adopting->store;
	char name[NUMBERED_MAX];
	store_ticket ticket = 0;
	int rc = 0;

	segment_set_let_go(
		&store->segments, segment_set_find_adopted(&store->segments, adopting->number));
	if (adopting->fd >= 0)
		anyio_close(adopting->fd);
	adopting->fd = -1;
	adopting->result->how = STORE_ADOPT_NOTHING;
	if (adopting->said)
		rc = store_note_segment(store, adopting->number, SEGMENT_STATE_UNWANTED, &ticket);
	if (rc == 0)
		rc = store_sync(store, ticket);
	if (rc < 0)
		return rc;
	numbered_name(adopting->number, "car", name);
	rc = adopting->named ? anyio_unlinkat(store->segments.dir_fd, name, 0) : -ENOENT;
	if (rc == 0)
		rc = anyio_fsync(store->segments.dir_fd);
	return rc == 0 || rc == -ENOENT ? store_note_nothing(store, adopting->number, &ticket) : rc;
}

static int on_entered(void *arg, const struct mf_cid *cid, uint32_t len)
{
	struct adopting *adopting = arg;

	if (adopting->options->entered)
		adopting->options->entered(adopting->options->arg, cid, len);
	return 0;
}

static int on_progress(void *arg, uint64_t bytes)
{
	return store_checkpoint_if_due(((struct adopting *)arg)->store);
}

/* It has been verified: its blocks are here when the state says so. */
static int enter(void *arg)
{
	struct adopting *adopting = arg;
	struct store *store = adopting->store;
	struct adopt_entering entering = {
		.store = store, .entered = on_entered, .progress = on_progress, .arg = adopting
	};
	store_ticket ticket = adopting->ticket;
	int rc = segment_set_adopt(&store->segments, adopting->number, &adopting->adopted);

	if (rc < 0)
		return rc;
	rc = store_note_adopted(store, adopting->number, &adopting->adopted, &ticket);
	adopting->said = rc == 0;
	if (rc == 0)
		rc = store_sync(store, ticket);
	if (rc < 0)
		return rc;
	adopting->result->segment = adopting->number;
	rc = store_enter_blocks(
		&entering, segment_set_find_adopted(&store->segments, adopting->number));
	adopting->result->fresh = entering.fresh;
	return rc < 0 ? rc
		      : store_note_segment(store, adopting->number, SEGMENT_STATE_ENTERED, &ticket);
}

static int shielded(anyio_task_fn body, struct adopting *adopting)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	return anyio_cancel_scope_run(&scope, body, adopting);
}

static int adopt(struct adopting *adopting)
{
	const struct store_adopt_options *options = adopting->options;
	int rc = adopt_place(adopting);

	if (rc == 0)
		rc = adopt_check(adopting);
	if (rc == 0 && options->roots)
		rc = options->roots(options->arg, adopting->roots, adopting->root_count);
	if (rc == 0 && adopting->absent > 0)
		rc = shielded(enter, adopting);
	/* Once the state has said that it is adopted, the next opening finishes it. */
	if (rc < 0 && adopting->result->segment)
		return rc;
	if (rc < 0 || adopting->absent == 0) {
		int failed = shielded(give_up, adopting);
		rc = rc < 0 ? rc : failed;
	}
	return rc;
}

/* The index must be able to say where its blocks lie. Somebody else's bytes are not the repo's. */
static int enter_limit(const struct adopting *adopting, uint64_t *held)
{
	struct stat st;
	int rc = anyio_fstat(adopting->source, &st);

	*held = 0;
	if (rc == 0 && (uint64_t)st.st_size >> INDEX_OFFSET_BITS)
		rc = -EFBIG;
	return rc < 0 || adopting->options->link
		? rc
		: limit_enter_bytes(adopting->store, (uint64_t)st.st_size, held);
}

int store_adopt(struct store *store, int fd, const struct store_adopt_options *options,
	struct store_adopt_result *result)
{
	static const struct store_adopt_options defaults;
	struct adopting adopting = { .store = store,
		.options = options ? options : &defaults,
		.result = result,
		.source = fd,
		.fd = -1 };
	uint64_t held = 0;
	int rc = store->broken;

	*result = (struct store_adopt_result){ 0 };
	if (rc == 0)
		rc = enter_limit(&adopting, &held);
	if (rc == 0)
		rc = announce(&adopting);
	if (rc == 0)
		rc = adopt(&adopting);
	if (adopting.fd >= 0)
		anyio_close(adopting.fd);
	anyio_free(adopting.roots);
	limit_leave(store, held);
	return rc < 0 ? rc : store_sync(store, adopting.ticket);
}
