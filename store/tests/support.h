/* What the store's tests share: repos in temporary folders, blocks made of numbers, bodies as
 * tasks. */
#ifndef STORE_TESTS_SUPPORT_H
#define STORE_TESTS_SUPPORT_H

#include <store/store.h>

#include "../../tests/check.h"

/* The repo of the running test, on the real disk, and a folder for an index; both made and removed
 * by run_body. */
extern char test_repo[64];
extern char test_index[64];

/* Runs the body on every backend that works here, each with a fresh folder. */
void run_body(anyio_task_fn body);
/* The test test_NAME of the body NAME. */
#define ON_BACKENDS(name)                                                                          \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		run_body(name);                                                                    \
	}
/* In the simulation the repo is on the simulated disk, the index on the real one: an empty disk and
 * folder, any number of runs on them, and the folder's removal. */
void simulated_start(void);
void simulated_end(void);
int run_simulated(
	anyio_task_fn body, void *arg, uint64_t seed, const struct anyio_sim_options *sim);

/* A life in the simulation, of which one allocation or operation after the other fails; then the disk crashes, and a
 * second one looks at what is left. Both are given `life`, zeroed before each; without a fault its *error stays 0. */
struct faulty {
	struct store_options options;
	anyio_task_fn live, look_after;
	void *life;
	size_t size;
	const int *error;
};
void fail_each(const struct faulty *faulty, enum anyio_fault_kind kind, int error, bool sticky,
	uint64_t step);

/* Block number n of a given length: bytes drawn from n. */
enum { TEST_BLOCK_MAX = 300000, TEST_BULK = STORE_BULK };
void test_block(uint64_t n, size_t len, uint8_t *out, struct mf_cid *cid);

/* Small segments and groups, so that little data has many. */
extern struct store_options test_options;
int test_open(struct store **store, struct store_recovery *recovery);
int test_put(struct store *store, uint64_t n, size_t len, store_ticket *ticket);
/* 0 when the block is there and right. */
int test_get(struct store *store, uint64_t n, size_t len);
/* A node that links to blocks number first..first + count of that length, and these; at most 20. */
int test_put_tree(struct store *store, uint64_t first, int count, size_t len, struct mf_cid *root,
	store_ticket *ticket);
/* Trees that share their leaves: the number of a leaf, its length, and the node that links to them all. */
enum { TEST_SHARED = 6, TEST_SHARED_SIZE = TEST_SHARED * (MF_CID_BYTES_MAX + 4) };
uint64_t test_shared_leaf(int task, int id, int i);
size_t test_shared_length(uint64_t leaf);
size_t test_shared_root(int task, int id, uint8_t *out, struct mf_cid *root);
/* Blocks number from..to, all large or small by their number; sync: and makes them durable. */
int test_put_range(struct store *store, int from, int to, bool sync);
int test_get_range(struct store *store, int from, int to);
/* Closes the store and leaves what a kill -9 would have left: the files as they were. On the real disk. */
int test_crash(struct store *store);
/* Faults found by a verification, printed; negative when it failed. */
long test_verify(struct store *store);
long test_verify_segments(struct store *store); /* pins left out */

/* How many bytes the disk has free, as the store sees it, or that its file system does not tell; NULL: as many as there are. */
#define TEST_ROOM_UNTOLD (UINT64_MAX - 1)
extern uint64_t (*test_room)(void *arg);
extern void *test_room_arg;

/* The path of a segment's file. */
const char *test_segment(unsigned number);
/* Inverts one byte of a file. */
void test_flip(const char *path, long offset);
void test_alter(const char *path, long offset, int bits); /* inverts these of the byte there */
long test_file_size(const char *path);

/* Throws the index away and makes it from the segments, as a store does that opens without one. No other task
 * may be inside the store. */
int rebuild_index(struct store *store, struct store_recovery *recovery);

#endif
