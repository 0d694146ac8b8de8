/*
 * The store by itself, and the same work by bare calls: operations a second.
 *
 *	store puts|bare-puts DIR COUNT SIZE    appends, an fdatasync every 64
 *	store gets|bare-gets DIR COUNT SIZE    reads in a scattered order, each hashed; DIR as puts
 *	                                       left it
 *	store finds DIR COUNT SIZE             looks up in a scattered order what is there; DIR likewise
 */
#include <anyio/anyio.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <store/store.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

enum { GROUP = 64, UNCACHED_FROM = 1 << 20 };

struct work {
	const char *what, *dir;
	size_t count, size;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_rate(const struct work *work, double began)
{
	printf("%.1f\n", (double)work->count / (now() - began));
}

/* Block number `number` of a run: its first bytes make it unlike the others. */
static void make_block(uint8_t *data, size_t number)
{
	memcpy(data, &number, sizeof(number));
}

/* 7919 is prime, so that every block has its turn unless count is a multiple of it. */
static size_t scattered(const struct work *work, size_t i)
{
	return i * 7919 % work->count;
}

static int puts_timed(
	struct store *store, const struct work *work, uint8_t *data, struct mf_cid *cids)
{
	struct store_block blocks[GROUP];
	store_ticket ticket = 0;
	int rc = 0;
	double began = now();

	for (size_t i = 0; rc == 0 && i < work->count; i += GROUP) {
		size_t n = work->count - i < GROUP ? work->count - i : GROUP;
		for (size_t j = 0; j < n; j++) {
			make_block(data + j * work->size, i + j);
			blocks[j] = (struct store_block){
				.cid = cids[i + j], .data = data + j * work->size, .len = work->size
			};
		}
		rc = store_put_many(store, blocks, n, STORE_VERIFIED, &ticket);
		if (rc == 0)
			rc = store_sync(store, ticket);
	}
	print_rate(work, began);
	return rc;
}

/* Reads all of it once before, so that what is timed finds it where a second reader would. */
static int gets_timed(struct store *store, const struct work *work, const struct mf_cid *cids)
{
	struct store_block block;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < work->count; i++)
		if ((rc = store_get(store, &cids[i], &block)) == 0)
			store_block_release(&block);
	double began = now();

	for (size_t i = 0; rc == 0 && i < work->count; i++)
		if ((rc = store_get(store, &cids[scattered(work, i)], &block)) == 0)
			store_block_release(&block);
	print_rate(work, began);
	return rc;
}

static int finds_timed(struct store *store, const struct work *work, const struct mf_cid *cids)
{
	int rc = 1;
	double began = now();

	for (size_t i = 0; rc == 1 && i < work->count; i++)
		rc = store_has(store, &cids[scattered(work, i)]);
	print_rate(work, began);
	return rc == 1 ? 0 : -1;
}

static int ours(void *arg)
{
	const struct work *work = arg;
	struct store_options options = { .create = true };
	struct store *store;
	uint8_t *data = calloc(GROUP, work->size);
	struct mf_cid *cids = calloc(work->count, sizeof(*cids));
	int rc = data && cids ? store_open(work->dir, &options, &store, NULL) : -1;

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < work->count; i++) {
		make_block(data, i);
		mf_cid_of(&cids[i], 1, MF_CODEC_RAW, data, work->size);
	}
	rc = strcmp(work->what, "puts") == 0      ? puts_timed(store, work, data, cids)
		: strcmp(work->what, "gets") == 0 ? gets_timed(store, work, cids)
						  : finds_timed(store, work, cids);
	free(data);
	free(cids);
	int closed = store_close(store);
	return rc < 0 ? rc : closed;
}

/* Large groups go around the page cache, as they do in the store. */
static int bare_puts(int fd, const struct work *work, uint8_t *data)
{
	int flags = GROUP * work->size >= UNCACHED_FROM ? RWF_DONTCACHE : 0;
	double began = now();

	for (size_t i = 0; i < work->count; i += GROUP) {
		size_t n = work->count - i < GROUP ? work->count - i : GROUP;
		for (size_t j = 0; j < n; j++)
			make_block(data + j * work->size, i + j);
		struct iovec group = { data, n * work->size };
		ssize_t wrote = pwritev2(fd, &group, 1, -1, flags);
		if (wrote < 0 && errno == EOPNOTSUPP)
			wrote = pwritev2(fd, &group, 1, -1, flags = 0);
		if (wrote != (ssize_t)group.iov_len || fdatasync(fd))
			return -1;
	}
	print_rate(work, began);
	return 0;
}

static int bare_gets(int fd, const struct work *work, uint8_t *data)
{
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t digest[32];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < work->count; i++)
		if (pread(fd, data, work->size, (off_t)(i * work->size)) != (ssize_t)work->size)
			rc = -1;
	double began = now();
	for (size_t i = 0; rc == 0 && i < work->count; i++) {
		off_t at = (off_t)(scattered(work, i) * work->size);
		if (pread(fd, data, work->size, at) != (ssize_t)work->size)
			rc = -1;
		EVP_DigestInit_ex2(context, sha256, NULL);
		EVP_DigestUpdate(context, data, work->size);
		EVP_DigestFinal_ex(context, digest, NULL);
	}
	print_rate(work, began);
	EVP_MD_CTX_free(context);
	EVP_MD_free(sha256);
	return rc;
}

static int bare(const struct work *work)
{
	char path[4096];
	uint8_t *data = calloc(GROUP, work->size);

	snprintf(path, sizeof(path), "%s/log", work->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int rc = fd < 0 || !data                       ? -1
		: strcmp(work->what, "bare-puts") == 0 ? bare_puts(fd, work, data)
						       : bare_gets(fd, work, data);
	free(data);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr,
			"usage: store puts|gets|finds|bare-puts|bare-gets DIR COUNT SIZE\n");
		return 2;
	}
	struct work work = { argv[1], argv[2], strtoull(argv[3], NULL, 0),
		strtoull(argv[4], NULL, 0) };
	int rc = strncmp(work.what, "bare", 4) == 0 ? bare(&work) : anyio_run(ours, &work, NULL);

	if (rc < 0)
		fprintf(stderr, "%s: failed: %d\n", work.what, rc);
	return rc < 0;
}
