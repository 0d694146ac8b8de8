/* The simulated disk's tree: shared by tree.c (names, and what a crash leaves of them) and
 * disk.c (the calls). */
#ifndef ANYIO_SIM_TREE_H
#define ANYIO_SIM_TREE_H

#include "sim.h"

struct sim_entry {
	char *name;
	struct sim_inode *inode;
};

struct sim_entries {
	struct sim_entry *items;
	size_t count, room;
};

struct sim_inode {
	struct anyio_list all;
	unsigned refs; /* entries, changes and open files */
	uint64_t number;
	mode_t mode;                         /* type and permissions */
	int64_t changed;                     /* seconds of simulated time */
	struct sim_content content;          /* files; links: the target */
	struct sim_entries entries, durable; /* directories */
	struct sim_inode *parent;            /* NULL: the root, or removed */
	unsigned shared;                     /* locks */
	bool exclusive;
};

enum { SIM_NAME_MAX = 255 };

/* Where a path leads. */
struct sim_place {
	struct sim_inode *dir;   /* NULL when the path names the directory it began at */
	struct sim_inode *found; /* NULL: no such name in dir */
	char name[SIM_NAME_MAX + 1];
};

uint64_t sim_tree_generation(void);
struct sim_inode *sim_tree_root(void);
struct sim_inode *sim_inode_new(mode_t mode);
void sim_inode_ref(struct sim_inode *inode);
void sim_inode_unref(struct sim_inode *inode);
int sim_tree_walk(struct sim_inode *from, const char *path, bool follow, struct sim_place *place);
/* Sets name in dir to inode, NULL: to nothing; and at the same instant the other name. */
void sim_tree_set(struct sim_inode *dir, const char *name, struct sim_inode *inode);
void sim_tree_move(struct sim_inode *from, const char *from_name, struct sim_inode *to,
	const char *to_name, struct sim_inode *inode);
/* What happened in dir so far is durable. */
void sim_tree_sync(struct sim_inode *dir);

#endif
