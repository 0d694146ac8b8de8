/* A tier that is a folder beside the repo, and trees of which leaves go there and come back (cold.c). */
#ifndef STORE_TESTS_COLD_H
#define STORE_TESTS_COLD_H

#include "support.h"

enum { LEAVES = 20, LEN = 2000, TREES = 4 };

/* Its verbs can be made to fail, to wait, or to take down what a kill would leave. */
struct cold_place {
	char dir[80];
	int fail_read, fail_write, fail_ready, fail_remove; /* codes */
	bool spoil;                                         /* what is written */
	bool images; /* the repo is copied before each verb */
	int image_count;
	int reads, calls;
	struct anyio_event *hold; /* a read waits for it */
	int (*before)(void);      /* called first by each verb; may be NULL */
};
extern struct cold_place place;

void take_image(void);
/* How many objects are there; the path of the only one. */
int objects(void);
const char *only_object(void);

/* Opens the store, with the tier `cold`; closes it. */
int begin(struct store **store);
int end(struct store *store);
int open_again(struct store **store);
int attach(struct store *store);

/* Trees of leaves number 100 * i.., all pinned. */
int put_trees(struct store *store, struct mf_cid roots[TREES]);
void leaves_of(int tree, struct mf_cid *out);
int demote(struct store *store, int tree, struct store_move_result *result);
int promote(struct store *store, int tree, struct store_move_result *result);
/* How many leaves can be read; how many lie in the tier. */
int there(struct store *store);
int cold_leaves(struct store *store);
int collect(struct store *store, struct store_collect_result *result);

#endif
