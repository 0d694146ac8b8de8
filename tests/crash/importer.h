/* What the parts of the importer share: repos of small segments, what is held to what was promised, and a tier. */
#ifndef CRASH_IMPORTER_H
#define CRASH_IMPORTER_H

#include <anyio/anyio.h>
#include <store/store.h>

extern const struct store_options small;

/* ---- check.c: what was promised ---- */

/* A root that was named, and what became of it. */
struct promise {
	struct mf_cid root;
	bool acknowledged, tried_unpin, unpinned, found;
};

struct check {
	struct store *store;
	struct promise *promises;
	size_t count;
	bool collected; /* what was unpinned may be gone */
	int bad;
};

/* The lines of a model. 0, or a negative code. */
int check_read_model(struct check *check, const char *path);
/* Opens the repo; says "rebuilt" when its index was. */
int check_open(struct check *check, const char *repo);
/* Pins as promised, every acknowledged tree readable, and of every other what the index says is here. */
int check_promises(struct check *check);
/* Says what is wrong. */
void check_complain(struct check *check, const char *what, const struct mf_cid *cid);
/* The body of a task: argv is that of "importer check". */
int check_all(void *argv);

/* ---- moves.c: to a folder, as the tier "cold", and back ---- */

struct moves;
/* Gives the store that tier, when what an earlier life has left half written there is swept. */
int moves_open(struct store *store, const char *folder, struct moves **out);
/* Before the store is closed. */
void moves_close(struct moves *moves);
/* Moves some leaves, there or back, or tidies up; how is anything. Those that went meanwhile stay out of it. */
int moves_some(struct moves *moves, const struct mf_cid *cids, size_t count, unsigned how);
/* The bodies of tasks: argv is that of "importer move" and "importer settle". */
int moves_there_and_back(void *argv);
int moves_settle(void *argv);

#endif
