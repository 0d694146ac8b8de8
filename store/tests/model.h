/* The model that test_model.c holds a store to: what was done to it (model_work.c), and what was promised. */
#ifndef STORE_TESTS_MODEL_H
#define STORE_TESTS_MODEL_H

#include "support.h"

enum { TASKS = 3, IDS = 60, PINS = 8, ROUNDS = 6 };
/* Of the model that collects: trees of leaves that they share. */
enum { TREES = 8, LEAVES = TEST_SHARED, LIMIT = 4 << 20, STOPPED = 77 };

struct model {
	struct store *store;
	uint64_t random;
	bool crashed;
	bool faulty;    /* operations may fail */
	bool collects;  /* blocks are pinned as they are put, and what is not pinned goes */
	uint64_t limit; /* that it stays below; 0: it was above it already, or there is none */
	uint64_t base;  /* of this task's blocks */
	int archives;   /* written to be adopted */
	struct {
		bool tried, known, acknowledged;
	} blocks[TASKS][IDS];
	struct {
		int mode;      /* as last asked for */
		unsigned mask; /* what it may be after a crash */
	} pins[TASKS][PINS];
	struct {
		bool pinned, acknowledged;
	} trees[TASKS][TREES];
};

struct worker {
	struct model *model;
	int id;
};

/* What all seeds together must have met, or they showed nothing. */
extern uint64_t met_histories, met_cuts, met_unfinished, met_acknowledged, met_faults, met_dropped,
	met_full, met_stopped, met_adopted, met_short;

uint64_t draw(struct model *model, uint64_t below);
size_t length_of(int task, int id);
uint64_t number_of(int task, int id);
void block_name(int task, int id, struct mf_cid *cid);
struct mf_cid pin_name(int task, int id);
int look_at_tree(struct model *model, int task, int id);
/* A task of a model that works on it until the model crashes: a worker is its argument. */
int work(void *arg);
/* Some work, with collections and moves beside it; then a crash in the midst of it, or all stop. */
int live_on(struct model *model, bool crash);
/* After a crash: everything acknowledged is there, and pins are among what they may be; then what is there is known. */
int compare(struct model *model);

#endif
