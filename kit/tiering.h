/* The tiers of a node: what its parts share. */
#ifndef KIT_TIERING_H
#define KIT_TIERING_H

#include <remote/object.h>

#include "node.h"

enum { TIER_URL = 200 };

/* One word of tier.places: NAME=URL. */
struct tier_place {
	char name[STORE_TIER_NAME_MAX + 1];
	char url[TIER_URL]; /* its beginning, to be told */
	const char *kind;   /* "folder", "S3", "SFTP" */
	char endpoint[300], bucket[256], prefix[256], region[64], user[256], folder[1025];
};
/* Pure. -EINVAL: it is no such word. */
int tier_place_parse(const char *word, size_t len, struct tier_place *out);
/* Of these letters is a name, but for those that mean the repo itself. */
#define TIER_NAME_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789-_"
bool tier_name_is(const char *name, size_t len);
bool tier_name_reserved(const char *name, size_t len);
/* Whether a word before this one has its name. */
bool tier_name_twice(const char *value, const char *word);
/* The whole setting: 0, or -EINVAL for a wrong word or a name that is there twice. */
int tier_places_check(const char *value);
/* For one that is set now: the same, and -EINVAL for commas between places, with a sentence that names the first fault
 * (tier_fault.c). */
int tier_places_explain(const char *value, char *why, size_t cap);

struct tier {
	struct tier_place place;
	struct kit_tiers *tiers;
	struct anyio_lock marking; /* so that of several who write there first one makes the mark */
	bool swept;                /* of what an earlier life has left half written */
	struct remote *remote;     /* NULL: it could not be made, and text says why */
	struct remote_why why;     /* of making it */
	char text[sizeof(struct remote_why) + 4]; /* of the last failure, "" */
	int error; /* of the last call, and text says why; 0: it went well, and text is for who met that failure */
};

/* Of the repo's state: the names of tiers that have a mark, and what it is (tier_mark.c). */
enum { KIT_SPACE_TIERS = STORE_SPACE_ABOVE };
/* Whether what answers is the tier (tier_mark.c): 0; -ENXIO, -EPERM, or a code of remote/object.h, with the reason in why. Where
 * nothing lies yet, `make` makes it so, who is about to write. */
int tier_mark_check(struct tier *tier, bool make, struct remote_why *why);
/* The URL a tier had when it was written to last, "" when that is not known. */
void tier_written_at(const struct kit_core *core, const char *name, char url[TIER_URL]);

/* While kit_tiers_run runs. */
struct kit_tiers {
	struct kit_core *core;
	struct tier *list; /* as the config has them */
	size_t count;
	unsigned calls; /* of remotes, under way */
	struct anyio_event idle;
	struct anyio_event wake; /* there is something to remove, or another interval */
	struct anyio_lock
		tending; /* so that who wants it done before he goes on waits for who is at it */
	uint64_t
		left; /* bytes in the repo that the policy has moved, and no collection has given back */
	struct store_state_cursor cold; /* up to which pins were looked at for what is cold */
	struct tier_rest *rests;        /* roots that the policy has moved lately (tier_policy.c) */
	size_t rest_count;
};

/* Does what is left to do in a tier, before more goes there. The errors of store_tier_tend. */
int tier_tidy(struct kit_node *node, const char *name);

/* As kit_tier_move, but that what is marked stays; skip may be NULL. */
int tier_move(struct kit_node *node, const char *path, const char *tier, struct store_marks *skip,
	struct kit_tier_moved *moved);

/* The body of a task: moves what is cold and what is hot, every tier.interval (tier_policy.c). */
int tiers_tend(void *tiers);

#endif
