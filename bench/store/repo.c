/*
 * A repo of many blocks of 1 KiB, and CAR files.
 *
 *	repo fill DIR COUNT GROUP    puts COUNT blocks, a sync every GROUP, closes; blocks a second
 *	repo grow DIR FIRST COUNT    opens, reads the first block and the last one before FIRST, and prints
 *	                             the seconds, and how many blocks the index did not have yet; writes
 *	                             the index; puts blocks from FIRST on, a sync every 64, prints how many
 *	                             there are once COUNT more are durable, and goes on until it is killed
 *	repo car FILE COUNT SIZE     writes a CAR file of COUNT raw blocks
 */
#include "work.h"

#include <anyio/anyio.h>
#include <inttypes.h>
#include <ipld/car.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/store.h>
#include <string.h>

enum { BLOCK = 1024 };

struct job {
	const char *what, *path;
	size_t first, count, group;
};

static int put_group(struct store *store, uint8_t *data, size_t first, size_t n)
{
	struct store_block *blocks = calloc(n, sizeof(*blocks));
	store_ticket ticket = 0;

	if (!blocks)
		die("memory");
	for (size_t i = 0; i < n; i++) {
		uint8_t *block = data + i * BLOCK;
		stamp(block, first + i);
		blocks[i].data = block;
		blocks[i].len = BLOCK;
		mf_cid_of(&blocks[i].cid, 1, MF_CODEC_RAW, block, BLOCK);
	}
	int rc = store_put_many(store, blocks, n, STORE_VERIFIED, &ticket);
	free(blocks);
	return rc < 0 ? rc : store_sync(store, ticket);
}

static uint8_t *make_data(size_t blocks)
{
	uint8_t *data = malloc(blocks * BLOCK), first[BLOCK];

	if (!data)
		die("memory");
	fill(first, BLOCK);
	for (size_t i = 0; i < blocks; i++)
		memcpy(data + i * BLOCK, first, BLOCK);
	return data;
}

static int fill_repo(const struct job *job)
{
	struct store_options options = { .create = true };
	struct store *store;
	uint8_t *data = make_data(job->group);
	int rc = store_open(job->path, &options, &store, NULL);
	double began = now();

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < job->count; i += job->group) {
		size_t left = job->count - i;
		rc = put_group(store, data, i, left < job->group ? left : job->group);
	}
	int closed = store_close(store);
	printf("%.1f\n", (double)job->count / (now() - began));
	free(data);
	return rc < 0 ? rc : closed;
}

static int read_back(struct store *store, uint8_t *data, size_t number)
{
	struct store_block block;
	struct mf_cid cid;

	stamp(data, number);
	mf_cid_of(&cid, 1, MF_CODEC_RAW, data, BLOCK);
	int rc = store_get(store, &cid, &block);
	if (rc == 0)
		store_block_release(&block);
	return rc;
}

static int grow_repo(const struct job *job)
{
	struct store_recovery recovery;
	struct store *store;
	uint8_t *data = make_data(GROUP);
	double began = now();
	int rc = store_open(job->path, NULL, &store, &recovery);

	if (rc == 0)
		rc = read_back(store, data, 0);
	if (rc == 0)
		rc = read_back(store, data, job->first - 1);
	printf("%.6f %" PRIu64 "\n", now() - began, recovery.blocks);
	if (rc == 0)
		rc = store_checkpoint(store);
	for (size_t i = 0; rc == 0; i += GROUP) {
		rc = put_group(store, data, job->first + i, GROUP);
		if (i < job->count && i + GROUP >= job->count)
			printf("%zu\n", job->first + i + GROUP);
		fflush(stdout);
	}
	return rc;
}

static int write_car(const char *path, size_t count, size_t size)
{
	struct mf_pb_writer header = mf_pb_write_growing(64);
	uint8_t *data = malloc(size), prefix[CAR_PREFIX_MAX];
	FILE *file = fopen(path, "wb");
	struct mf_cid cid;

	if (!data || !file)
		die(path);
	memset(data, 0, size);
	mf_cid_of(&cid, 1, MF_CODEC_RAW, data, size);
	car_put_header(&header, &cid, 1);
	fwrite(header.data, 1, header.len, file);
	for (size_t i = 0; i < count; i++) {
		fill(data, size);
		mf_cid_of(&cid, 1, MF_CODEC_RAW, data, size);
		ssize_t len = car_section_prefix(&cid, size, prefix, sizeof(prefix));
		fwrite(prefix, 1, (size_t)len, file);
		fwrite(data, 1, size, file);
	}
	free(header.data);
	free(data);
	if (ferror(file) || fclose(file))
		die(path);
	return 0;
}

static int run(void *arg)
{
	const struct job *job = arg;

	return strcmp(job->what, "fill") == 0 ? fill_repo(job) : grow_repo(job);
}

int main(int argc, char **argv)
{
	const char *what = argc == 5 ? argv[1] : "";
	size_t first = argc == 5 ? strtoull(argv[3], NULL, 0) : 0;
	size_t second = argc == 5 ? strtoull(argv[4], NULL, 0) : 0;
	struct job fills = { what, argv[2], 0, first, second };
	struct job grows = { what, argv[2], first, second, GROUP };
	int rc = 2;

	if (strcmp(what, "fill") == 0 && second > 0)
		rc = anyio_run(run, &fills, NULL);
	else if (strcmp(what, "grow") == 0 && first > 0)
		rc = anyio_run(run, &grows, NULL);
	else if (strcmp(what, "car") == 0 && second >= sizeof(size_t))
		rc = write_car(argv[2], first, second);
	else
		fprintf(stderr,
			"usage: repo fill DIR COUNT GROUP | grow DIR FIRST COUNT | "
			"car FILE COUNT SIZE\n");
	if (rc < 0)
		fprintf(stderr, "%s: failed: %d\n", what, rc);
	return rc == 2 ? 2 : rc != 0;
}
