/*
 * Marking: what pins name, and what recursive ones need. Only nodes are read; of a raw leaf the index tells all.
 */
#include <errno.h>
#include <string.h>
#include <ipld/links.h>
#include "cid_stack.h"
#include "collecting.h"

enum { STEPS_A_TURN = 16 };

struct marking {
	struct collecting *collecting;
	struct live walked;  /* nodes whose links are marked, or on their way to it */
	struct table others; /* the same of those that were put with another codec: whole CIDs */
	struct cid_stack todo;
	uint64_t steps;
};

static bool has_links(uint32_t codec)
{
	return codec == MF_CODEC_DAG_PB || codec == MF_CODEC_DAG_CBOR || codec == MF_CODEC_DAG_JSON;
}

/* Whether the links of a node are still to be marked: 1, 0, or -ENOMEM. */
static int is_unwalked(
	struct marking *marking, const struct mf_cid *cid, const struct index_place *place)
{
	uint8_t bytes[MF_CID_BYTES_MAX];

	if (place->codec == cid->codec)
		return live_add(&marking->walked, place->segment, place->ordinal, 0);
	size_t len = mf_cid_encode(cid, bytes, sizeof(bytes));
	if (table_find(&marking->others, bytes, len))
		return 0;
	if (table_reserve(&marking->others, 1, len) < 0)
		return -ENOMEM;
	*(uint64_t *)table_put(&marking->others, bytes, len) = 1;
	return 1;
}

static int lacks(struct marking *marking, const struct mf_cid *cid)
{
	marking->collecting->result->missing = *cid;
	return -ENOENT;
}

static int mark_one(struct marking *marking, const struct mf_cid *cid, bool links)
{
	struct collecting *collecting = marking->collecting;
	struct index_place place;

	if (cid->hash == MF_HASH_IDENTITY)
		return links && has_links(cid->codec) ? cid_stack_push(&marking->todo, cid) : 0;
	int rc = store_find(collecting->store, cid, &place);
	if (rc == 0 && links && has_links(cid->codec))
		return lacks(marking, cid);
	/* One that is damaged keeps its segment: somebody may mend it. */
	if (rc == 0 && place.state != INDEX_DAMAGED)
		return 0;
	if (rc >= 0)
		rc = live_add(&collecting->live, place.segment, place.ordinal, place.len);
	if (rc < 0 || !links || !has_links(cid->codec))
		return rc < 0 ? rc : 0;
	rc = is_unwalked(marking, cid, &place);
	return rc > 0 ? cid_stack_push(&marking->todo, cid) : rc;
}

static int mark_link(void *arg, const struct mf_cid *cid)
{
	struct marking *marking = arg;
	int rc = mark_one(marking, cid, true);

	return rc == 0 && ++marking->steps % STEPS_A_TURN == 0 ? anyio_checkpoint() : rc;
}

static int walk_node(struct marking *marking, const struct mf_cid *cid)
{
	struct store_block block;
	int rc = store_get(marking->collecting->store, cid, &block);

	/* What the disk does not give back is not there either, as a verification sees it. */
	if (rc == -ENOENT || rc == -EBADMSG || rc == -EIO)
		return lacks(marking, cid);
	if (rc < 0)
		return rc;
	rc = ipld_links(cid->codec, block.data, block.len, mark_link, marking);
	store_block_release(&block);
	/* What its codec cannot read has no more links than that. */
	return rc == -EBADMSG || rc == -EMSGSIZE ? 0 : rc;
}

static int report(struct marking *marking)
{
	const struct store_collect_options *options = marking->collecting->options;

	return options->progress ? options->progress(options->arg, false, marking->steps, 0) : 0;
}

static int mark_pin(struct marking *marking, const struct store_pin *pin)
{
	int rc = mark_one(marking, &pin->cid, pin->mode == STORE_PIN_RECURSIVE);
	struct mf_cid cid;

	while (rc == 0 && cid_stack_pop(&marking->todo, &cid)) {
		rc = walk_node(marking, &cid);
		if (rc == 0)
			rc = report(marking);
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	if (rc == -ENOENT)
		marking->collecting->result->pin = pin->cid;
	return rc;
}

int collecting_mark(struct collecting *collecting)
{
	struct marking marking = { .collecting = collecting };
	struct store_state_cursor cursor = { 0 };
	struct store_pin pin;
	int rc = leases_mark(collecting->store, &collecting->live);

	table_init(&marking.others, sizeof(uint64_t));
	while (rc == 0 && (rc = store_pin_next(collecting->store, &cursor, &pin)) > 0)
		rc = mark_pin(&marking, &pin);
	for (size_t i = 0; i < collecting->live.count; i++)
		collecting->result->live += collecting->live.segments[i].count;
	table_free(&marking.others);
	live_free(&marking.walked);
	anyio_free(marking.todo.bytes);
	return rc;
}
