/* Looking over a repo: what the pins need. */
#include <errno.h>
#include <string.h>
#include <ipld/links.h>
#include "cid_stack.h"
#include "segment_remote.h"
#include "verifying.h"

enum { STEPS_A_TURN = 1024 };

/* The walk of what a pin needs: CIDs still to look at, and multihashes seen. */
struct walk {
	struct verifying *verifying;
	struct table seen;
	struct cid_stack todo;
	uint32_t steps;
	bool unread; /* there are objects in tiers whose blocks the index does not know yet */
	bool doubt;  /* and leaves are missing that may be there */
	/* Of the pin at hand. */
	struct mf_cid first; /* that is missing */
	uint64_t missing;
	bool untold;  /* one of them is no known damage */
	bool unnamed; /* one of them was told by number only, with the segment that it was in */
};

/* Whatever goes over many links lets others have a turn now and then. */
static int step(struct walk *walk)
{
	return ++walk->steps % STEPS_A_TURN ? 0 : anyio_checkpoint();
}

static int walk_push(void *arg, const struct mf_cid *cid)
{
	struct walk *walk = arg;
	struct index_key key;
	int rc = step(walk);

	if (rc < 0)
		return rc;
	/* By the whole CID: the same bytes may be read in two ways. An identity CID carries its block,
	 * and may name others in it. */
	key.len = mf_cid_encode(cid, key.bytes, sizeof(key.bytes));
	if ((cid->hash == MF_HASH_IDENTITY && cid->codec == MF_CODEC_RAW) ||
		table_find(&walk->seen, key.bytes, key.len))
		return 0;
	if (table_reserve(&walk->seen, 1, key.len) < 0)
		return -ENOMEM;
	table_put(&walk->seen, key.bytes, key.len);
	return cid_stack_push(&walk->todo, cid);
}

/* Known damage was told with the segment that has it. */
static void note_missing(struct walk *walk, const struct mf_cid *cid)
{
	struct index_place place;

	if (walk->missing++ == 0)
		walk->first = *cid;
	bool damaged = store_find(walk->verifying->store, cid, &place) == 0 &&
		place.state == INDEX_DAMAGED;
	if (!damaged && walk->unread && cid->codec == MF_CODEC_RAW)
		walk->doubt = walk->unnamed = true;
	else if (!damaged)
		walk->untold = true;
	else if (!store_reaches(walk->verifying->store, &place))
		walk->unnamed = true;
}

static void report_pin(struct walk *walk, const struct mf_cid *pin)
{
	if (walk->missing == 0 ||
		(walk->missing == 1 && !walk->untold && !walk->unnamed &&
			mf_cid_equal(&walk->first, pin)))
		return;
	verifying_report(walk->verifying,
		&(struct store_fault){ .kind = STORE_FAULT_PIN,
			.cid = &walk->first,
			.pin = pin,
			.blocks = walk->missing,
			.error = -ENOENT,
			.follows = !walk->untold });
}

/* Every block was read already; only those that may have links are read again. */
static int walk_block(struct walk *walk, const struct mf_cid *cid, bool links)
{
	struct store *store = walk->verifying->store;
	struct store_block block;
	int rc;

	if (!links || cid->codec == MF_CODEC_RAW) {
		rc = store_has(store, cid);
		if (rc == 0)
			note_missing(walk, cid);
		return rc < 0 ? rc : 0;
	}
	rc = store_get(store, cid, &block);
	if (rc == 0) {
		rc = ipld_links(cid->codec, block.data, block.len, walk_push, walk);
		store_block_release(&block);
	}
	if (rc == -ENOENT || rc == -EBADMSG || rc == -EMSGSIZE || rc == -EIO) {
		note_missing(walk, cid);
		return 0;
	}
	return rc;
}

static int walk_pin(struct walk *walk, const struct store_pin *pin)
{
	int rc = walk_push(walk, &pin->cid);
	struct mf_cid cid;

	while (rc == 0 && cid_stack_pop(&walk->todo, &cid)) {
		rc = walk_block(walk, &cid, true);
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	return rc;
}

/* The next object behind a number whose blocks are not known yet, or NULL. */
static const struct segment_remote *next_unread(const struct store *store, uint32_t number)
{
	const struct segment_remote *remote;

	for (; (remote = segment_set_next_remote(&store->segments, number));
		number = remote->number)
		if (!remote->entered && !remote->unwanted)
			return remote;
	return NULL;
}

static void report_unread(struct verifying *verifying)
{
	const struct segment_remote *remote;
	char object[SEGMENT_REMOTE_OBJECT_MAX];

	for (uint32_t number = 0; (remote = next_unread(verifying->store, number));
		number = remote->number) {
		segment_remote_object(remote, object);
		verifying_report(verifying,
			&(struct store_fault){ .kind = STORE_FAULT_UNREAD,
				.segment = remote->number,
				.blocks = remote->blocks,
				.tier = remote->tier,
				.object = object,
				.error = -ENOENT });
	}
}

int verifying_pins(struct verifying *verifying)
{
	struct walk walk = { .verifying = verifying,
		.unread = next_unread(verifying->store, 0) != NULL };
	struct store_state_cursor cursor = { 0 };
	struct store_pin pin;
	int rc;

	table_init(&walk.seen, 0);
	while ((rc = store_pin_next(verifying->store, &cursor, &pin)) > 0) {
		verifying->result->pins++;
		walk.missing = 0;
		walk.untold = walk.unnamed = false;
		rc = pin.mode == STORE_PIN_RECURSIVE ? walk_pin(&walk, &pin)
						     : walk_block(&walk, &pin.cid, false);
		report_pin(&walk, &pin.cid);
		if (rc < 0)
			break;
	}
	if (walk.doubt)
		report_unread(verifying);
	table_free(&walk.seen);
	anyio_free(walk.todo.bytes);
	return rc;
}
