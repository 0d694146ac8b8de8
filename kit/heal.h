/* What a verification found, and a tier, in which it is found from then on, or peers may have whole: fetched from them, and so
 * written anew. */
#ifndef KIT_HEAL_H
#define KIT_HEAL_H

#include "node.h"

struct heal {
	struct kit_node *node;
	anyio_time timeout; /* of each */
	/* Each is told, with why it could not be had, or NULL. */
	void (*told)(void *arg, const struct mf_cid *cid, const char *why);
	void *arg;
	uint64_t healed;
	/* From here on private. */
	struct {
		struct mf_cid cid;
		bool below; /* and what it needs is looked for too, not told one by one */
	} * items;
	size_t count, room;
	size_t taken;                    /* of items, by a task that heals */
	struct bitswap_session *session; /* of all of them; NULL: offline */
};

/* Takes down a block, or what a pin needs of which not everything is known. 0 or -ENOMEM. Never waits. */
int heal_note(struct heal *heal, const struct mf_cid *cid, bool below);
/* Some at a time, each told once, in the order in which it turns out. 0; ANYIO_CANCELLED; or what making it durable
 * gave. */
int heal_all(struct heal *heal);
void heal_free(struct heal *heal);

#endif
