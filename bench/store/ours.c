/* Our store; "cached" is the same with a cache that holds all of it. */
#include "engines.h"

#include <anyio/anyio.h>
#include <store/store.h>
#include <stdio.h>
#include <stdlib.h>

static struct store *store;
static struct store_block got;

static void fail_if(int rc, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "ours: %s: %d\n", what, rc);
		exit(1);
	}
}

static int run(int (*body)(void *arg), void *arg)
{
	return anyio_run(body, arg, NULL);
}

static void open_store(const struct work *work)
{
	struct store_options options = { .create = true };

	fail_if(store_open(work->dir, &options, &store, NULL), "open");
}

static void open_cached(const struct work *work)
{
	open_store(work);
	/* All of it twice over, and no block too large for it. */
	store_set_cache(store, (2 * work->count + 16) * (work->size + 256));
}

static struct mf_cid cid_of(const struct work *work, size_t number)
{
	struct mf_cid cid;

	mf_cid_of_sha256(&cid, 1, MF_CODEC_RAW, work->keys[number] + 2);
	return cid;
}

static void put(const struct work *work, size_t first, size_t n)
{
	struct store_block blocks[GROUP];
	store_ticket ticket = 0;

	for (size_t i = 0; i < n; i++)
		blocks[i] = (struct store_block){ .cid = cid_of(work, first + i),
			.data = work->data + i * work->size,
			.len = work->size };
	fail_if(store_put_many(store, blocks, n, STORE_VERIFIED, &ticket), "put");
	fail_if(store_sync(store, ticket), "sync");
}

static const uint8_t *get(const struct work *work, size_t number)
{
	struct mf_cid cid = cid_of(work, number);

	store_block_release(&got);
	fail_if(store_get(store, &cid, &got), "get");
	return got.data;
}

static void close_store(const struct work *work)
{
	store_block_release(&got);
	fail_if(store_close(store), "close");
}

const struct engine engine_ours = { "ours", open_store, put, get, close_store, run, true };
const struct engine engine_cached = { "cached", open_cached, put, get, close_store, run, true };
