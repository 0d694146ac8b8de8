/*
 * Collecting a repo of which every other tree is dead, alone or while somebody reads the others without a pause.
 *
 *	collect fill DIR BLOCKS SIZE    trees of 64 blocks of SIZE, every other one pinned
 *	collect run DIR BLOCKS SIZE     collects; prints the seconds, the bytes of segments that went, those of blocks that
 *	                                were moved, and the 99th percentile of a reader's times in microseconds:
 *	                                before, and meanwhile
 *	collect alone DIR BLOCKS SIZE   the same without a reader: zeros
 *	collect bare DIR                reads all segments of DIR, writes half of what it reads to a file there, syncs it
 *	                                now and then; prints the seconds
 */
#include "work.h"

#include <anyio/anyio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/store.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of Linux 6.14; the C library's headers are older. */
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

enum {
	LINK_MOST = 64,
	READS = 20000,
	TIMES_MOST = 4000000,
	PIECE = 4 << 20,
	SYNC_EVERY = 64 << 20,
	SEGMENT = 256 << 20
};

struct job {
	const char *what, *path;
	size_t count, size;
};

static size_t put_link(uint8_t *out, const struct mf_cid *cid)
{
	uint8_t bytes[LINK_MOST];
	size_t len = mf_cid_encode(cid, bytes, sizeof(bytes));

	out[0] = 0x12;
	out[1] = (uint8_t)(len + 2);
	out[2] = 0x0a;
	out[3] = (uint8_t)len;
	memcpy(out + 4, bytes, len);
	return len + 4;
}

static int put_tree(struct store *store, uint8_t *data, size_t size, size_t tree)
{
	uint8_t node[GROUP * (LINK_MOST + 4)];
	struct store_block blocks[GROUP + 1];
	store_ticket ticket = 0;
	size_t len = 0;

	for (size_t i = 0; i < GROUP; i++) {
		blocks[i] = (struct store_block){ .data = data + i * size, .len = size };
		stamp(data + i * size, tree * GROUP + i);
		mf_cid_of(&blocks[i].cid, 1, MF_CODEC_RAW, blocks[i].data, size);
		len += put_link(node + len, &blocks[i].cid);
	}
	blocks[GROUP] = (struct store_block){ .data = node, .len = len };
	mf_cid_of(&blocks[GROUP].cid, 1, MF_CODEC_DAG_PB, node, len);
	int rc = store_put_many(store, blocks, GROUP + 1, STORE_VERIFIED, &ticket);
	if (rc == 0 && tree % 2 == 0)
		rc = store_pin_add(store, &blocks[GROUP].cid, STORE_PIN_RECURSIVE, &ticket);
	return rc < 0 || tree % 16 ? rc : store_sync(store, ticket);
}

static int fill_repo(const struct job *job)
{
	struct store_options options = { .create = true, .segment_bytes = SEGMENT };
	struct store *store;
	uint8_t *data = malloc(GROUP * job->size);
	int rc = data ? store_open(job->path, &options, &store, NULL) : -ENOMEM;

	if (rc < 0)
		return rc;
	fill(data, job->size);
	for (size_t i = 1; i < GROUP; i++)
		memcpy(data + i * job->size, data, job->size);
	for (size_t tree = 0; rc == 0 && tree < job->count / GROUP; tree++)
		rc = put_tree(store, data, job->size, tree);
	int closed = store_close(store);
	free(data);
	return rc < 0 ? rc : closed;
}

/* ---- A reader ---- */

struct reader {
	const struct job *job;
	struct store *store;
	uint8_t *data; /* of a block, but for its stamp */
	float *times;
	size_t count, limit;
	uint64_t random;
	bool over;
};

static int read_live(struct reader *reader)
{
	const struct job *job = reader->job;
	struct store_block block;
	struct mf_cid cid;
	uint8_t *data = reader->data;

	while (!reader->over && reader->count < reader->limit) {
		reader->random = reader->random * 6364136223846793005 + 1442695040888963407;
		size_t number = (size_t)(reader->random >> 33) % job->count;
		number = number / (2 * GROUP) * (2 * GROUP) + number % GROUP;
		stamp(data, number);
		mf_cid_of(&cid, 1, MF_CODEC_RAW, data, job->size);
		double began = now();
		int rc = store_get(reader->store, &cid, &block);
		reader->times[reader->count++] = (float)((now() - began) * 1e6);
		if (rc < 0)
			die("a live block is lost");
		store_block_release(&block);
		anyio_checkpoint();
	}
	return 0;
}

static int read_on(void *arg)
{
	return read_live(arg);
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double slow_percent(struct reader *reader)
{
	qsort(reader->times, reader->count, sizeof(*reader->times), by_value);
	double time = reader->count ? reader->times[reader->count * 99 / 100] : 0;
	reader->count = 0;
	return time;
}

static void note_dropped(void *arg, const struct mf_cid *cid, uint32_t len)
{
	uint8_t bytes[MF_CID_BYTES_MAX];

	*(size_t *)arg += (size_t)mf_cid_encode(cid, bytes, sizeof(bytes));
}

static int go_on(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	return 0;
}

static int collect_repo(const struct job *job)
{
	struct store_options options = { .segment_bytes = SEGMENT };
	size_t noted = 0;
	/* As `repo gc` has it, but for whoever reads what went. */
	struct store_collect_options every = {
		.every = true, .dropped = note_dropped, .progress = go_on, .arg = &noted
	};
	struct store_collect_result result = { 0 };
	struct store *store;
	struct store_stat stat;
	struct reader reader = {
		.job = job, .times = malloc(TIMES_MOST * sizeof(float)), .data = malloc(job->size)
	};
	int rc = reader.times && reader.data ? store_open(job->path, &options, &store, NULL)
					     : -ENOMEM;

	if (rc < 0)
		return rc;
	store_stat(store, &stat);
	fill(reader.data, job->size);
	reader.store = store;
	bool alone = strcmp(job->what, "alone") == 0;
	reader.limit = alone ? 0 : READS;
	read_live(&reader);
	double before = slow_percent(&reader);
	reader.limit = alone ? 0 : TIMES_MOST;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, read_on, &reader, "reader");
	double began = now();
	rc = store_collect(store, &every, &result);
	double seconds = now() - began;
	reader.over = true;
	rc = anyio_task_group_exit(&group, rc);
	printf("%.6f %" PRIu64 " %" PRIu64 " %.1f %.1f\n", seconds, stat.segment_bytes,
		result.moved_bytes, before, slow_percent(&reader));
	free(reader.times);
	free(reader.data);
	int closed = store_close(store);
	return rc < 0 ? rc : closed;
}

/* ---- The limit ---- */

/* Fresh pages of the page cache cost more than the disk does; where they are not kept they are few. */
static bool write_uncached(int out, const uint8_t *data, size_t len)
{
	struct iovec iov = { (void *)data, len };
	ssize_t n = pwritev2(out, &iov, 1, -1, RWF_DONTCACHE);

	if (n < 0 && errno == EOPNOTSUPP)
		n = write(out, data, len);
	return n == (ssize_t)len;
}

static void copy_half(const char *path, int out, uint8_t *piece, size_t *unsynced)
{
	int in = open(path, O_RDONLY);
	ssize_t n;

	if (in < 0)
		die(path);
	posix_fadvise(in, 0, 0, POSIX_FADV_SEQUENTIAL);
	while ((n = read(in, piece, PIECE)) > 0) {
		if (!write_uncached(out, piece, (size_t)n / 2))
			die("write");
		*unsynced += (size_t)n / 2;
		if (*unsynced >= SYNC_EVERY && (*unsynced = 0, fdatasync(out) != 0))
			die("sync");
	}
	close(in);
}

static int bare(const char *repo)
{
	char dir[4000], path[4400];
	uint8_t *piece = aligned_alloc(ALIGN, PIECE);
	size_t unsynced = 0;
	struct dirent *entry;

	snprintf(dir, sizeof(dir), "%s/segments", repo);
	snprintf(path, sizeof(path), "%s/bare", repo);
	int out = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	DIR *names = opendir(dir);
	if (!piece || out < 0 || !names)
		die(dir);
	double began = now();
	while ((entry = readdir(names)))
		if (entry->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
			copy_half(path, out, piece, &unsynced);
		}
	if (fdatasync(out))
		die("sync");
	printf("%.6f\n", now() - began);
	closedir(names);
	close(out);
	snprintf(path, sizeof(path), "%s/bare", repo);
	unlink(path);
	free(piece);
	return 0;
}

static int run(void *arg)
{
	const struct job *job = arg;

	return strcmp(job->what, "fill") == 0 ? fill_repo(job) : collect_repo(job);
}

int main(int argc, char **argv)
{
	struct job job = { .what = argc > 2 ? argv[1] : "", .path = argc > 2 ? argv[2] : "" };
	int rc = 2;

	if (argc == 3 && strcmp(job.what, "bare") == 0)
		return bare(job.path);
	if (argc == 5) {
		job.count = strtoull(argv[3], NULL, 0);
		job.size = strtoull(argv[4], NULL, 0);
	}
	job.count -= job.count % (2 * GROUP);
	if (job.count > 0 && job.size >= sizeof(size_t) &&
		(strcmp(job.what, "fill") == 0 || strcmp(job.what, "run") == 0 ||
			strcmp(job.what, "alone") == 0))
		rc = anyio_run(run, &job, NULL);
	else
		fprintf(stderr, "usage: collect fill|run|alone DIR BLOCKS SIZE | bare DIR\n");
	if (rc < 0)
		fprintf(stderr, "%s: failed: %d\n", job.what, rc);
	return rc == 2 ? 2 : rc != 0;
}
