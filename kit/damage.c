/*
 * Telling people of blocks that are found damaged. Each is told as it is found, for it may be healed a moment later; but a
 * disk that rots, whoever reads it, does not fill a log.
 */
#include "node.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINES = 10 };
#define LINES_WITHIN (60 * ANYIO_SECOND)

struct watch {
	const struct kit_network *network;
	anyio_time until;        /* LINES_WITHIN after the first line */
	unsigned told;           /* lines since then */
	uint64_t more;           /* blocks that had none */
	struct anyio_event full; /* there are such blocks */
};

static void tell(const struct watch *watch, const char *sentence)
{
	watch->network->options.tell(watch->network->options.arg, sentence);
}

static void tell_block(const struct watch *watch, const struct mf_cid *cid)
{
	const struct kit_core *core = watch->network->node->core;
	char text[MF_CID_TEXT_MAX], why[320], line[MF_CID_TEXT_MAX + 480];

	mf_cid_format(cid, text, sizeof(text));
	store_explain(core->store, cid, why, sizeof(why));
	snprintf(line, sizeof(line), "block %s %s; %s", text, why,
		core->read_only
			? "'ipfs-kit repo verify' tells what else is"
			: "'ipfs-kit repo verify --heal' looks for more, and asks peers for what is damaged");
	tell(watch, line);
}

static void tell_more(struct watch *watch)
{
	char line[160];

	snprintf(line, sizeof(line),
		"%" PRIu64
		" more block%s found damaged within a minute; 'ipfs-kit repo verify' names each",
		watch->more, watch->more == 1 ? " was" : "s were");
	watch->more = 0;
	anyio_event_init(&watch->full);
	tell(watch, line);
}

static void found(void *arg, const struct mf_cid *cid)
{
	struct watch *watch = arg;
	anyio_time now = anyio_now();

	if (now >= watch->until) {
		watch->until = now + LINES_WITHIN;
		watch->told = 0;
	}
	if (watch->told == LINES) {
		watch->more++;
		anyio_event_set(&watch->full);
		return;
	}
	watch->told++;
	tell_block(watch, cid);
}

int kit_tell_damage(void *network)
{
	struct watch watch = { .network = network };
	struct store *store = watch.network->node->core->store;
	int rc;

	anyio_event_init(&watch.full);
	store_on_damage(store, found, &watch);
	anyio_started(NULL);
	do {
		rc = anyio_event_wait(&watch.full);
		if (!rc)
			rc = anyio_sleep_until(watch.until);
		/* When this ends early, too: nothing goes untold. */
		if (watch.more)
			tell_more(&watch);
	} while (!rc);
	store_on_damage(store, NULL, NULL);
	return rc;
}
