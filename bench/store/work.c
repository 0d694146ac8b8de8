/*
 *	PROGRAM ENGINE puts DIR COUNT SIZE   blocks a second, a sync every 64
 *	PROGRAM ENGINE gets DIR COUNT SIZE   the same read back in a shuffled order, each hashed and held
 *	                                     against its key; DIR as puts left it
 *	PROGRAM ENGINE raw DIR COUNT SIZE    likewise, not hashed by who does not do so by itself
 *
 * What is read was read once before, so that it lies where a second reader finds it. Neither opening
 * nor closing counts, so that what a store leaves for later is left out of its time.
 */
#include "work.h"

#include <multiformats/sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	return random_state ^= random_state << 17;
}

_Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void fill(uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t word = next_random();
		memcpy(data + i, &word, sizeof(word));
	}
}

void stamp(uint8_t *block, size_t number)
{
	memcpy(block, &number, sizeof(number));
}

static void make_group(const struct work *work, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		stamp(work->data + i * work->size, first + i);
}

static size_t group_at(const struct work *work, size_t first)
{
	return work->count - first < GROUP ? work->count - first : GROUP;
}

static void make_keys(struct work *work)
{
	for (size_t i = 0; i < work->count; i += GROUP) {
		size_t n = group_at(work, i);
		make_group(work, i, n);
		for (size_t j = 0; j < n; j++) {
			work->keys[i + j][0] = 0x12;
			work->keys[i + j][1] = 0x20;
			mf_sha256(work->data + j * work->size, work->size, work->keys[i + j] + 2);
		}
	}
}

static void shuffle(uint32_t *order, size_t count)
{
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	for (size_t i = count; i > 1; i--) {
		size_t j = next_random() % i;
		uint32_t kept = order[j];
		order[j] = order[i - 1];
		order[i - 1] = kept;
	}
}

static double puts_seconds(const struct engine *engine, const struct work *work)
{
	double began = now();

	for (size_t i = 0; i < work->count; i += GROUP) {
		size_t n = group_at(work, i);
		make_group(work, i, n);
		engine->put(work, i, n);
	}
	return now() - began;
}

static void check(const struct work *work, size_t number, const uint8_t *data)
{
	uint8_t digest[MF_SHA256_SIZE];

	mf_sha256(data, work->size, digest);
	if (memcmp(digest, work->keys[number] + 2, sizeof(digest)) != 0) {
		fprintf(stderr, "block %zu: other bytes came back\n", number);
		exit(1);
	}
}

/* The pages that an engine only maps are touched before by hashing. */
static double gets_seconds(const struct engine *engine, const struct work *work, bool hashed)
{
	for (size_t i = 0; i < work->count; i++)
		check(work, i, engine->get(work, i));
	double began = now();
	for (size_t i = 0; i < work->count; i++) {
		size_t number = work->order[i];
		const uint8_t *data = engine->get(work, number);
		if (hashed && !engine->verifies)
			check(work, number, data);
	}
	return now() - began;
}

struct job {
	const struct engine *engine;
	struct work work;
	const char *what;
};

static double halve_seconds(const struct engine *engine, const struct work *work)
{
	double began = now();

	engine->halve(work);
	return now() - began;
}

static int measure(void *arg)
{
	struct job *job = arg;
	const struct engine *engine = job->engine;
	double took;

	engine->open(&job->work);
	if (strcmp(job->what, "puts") == 0)
		took = puts_seconds(engine, &job->work);
	else if (strcmp(job->what, "halves") == 0)
		took = halve_seconds(engine, &job->work);
	else
		took = gets_seconds(engine, &job->work, strcmp(job->what, "gets") == 0);
	engine->close(&job->work);
	printf("%.1f\n", (double)job->work.count / took);
	return 0;
}

static int usage(const char *program, const struct engine *const *engines)
{
	fprintf(stderr, "usage: %s ENGINE puts|gets|raw|halves DIR COUNT SIZE; engines:", program);
	for (; *engines; engines++)
		fprintf(stderr, " %s", (*engines)->name);
	fprintf(stderr, "\n");
	return 2;
}

static bool is_measure(const struct engine *engine, const char *what)
{
	return strcmp(what, "puts") == 0 || strcmp(what, "gets") == 0 || strcmp(what, "raw") == 0 ||
		(engine->halve && strcmp(what, "halves") == 0);
}

int work_main(int argc, char **argv, const struct engine *const *engines)
{
	const struct engine *const *engine = engines;

	while (argc == 6 && *engine && strcmp((*engine)->name, argv[1]) != 0)
		engine++;
	if (argc != 6 || !*engine || !is_measure(*engine, argv[2]))
		return usage(argv[0], engines);
	struct job job = { .engine = *engine, .what = argv[2], .work.dir = argv[3] };
	struct work *work = &job.work;
	work->count = strtoull(argv[4], NULL, 0);
	work->size = strtoull(argv[5], NULL, 0);
	if (work->count == 0 || work->count > UINT32_MAX || work->size < sizeof(size_t))
		return usage(argv[0], engines);
	work->keys = calloc(work->count, KEY);
	uint32_t *order = calloc(work->count, sizeof(*order));
	work->order = order;
	work->data = mmap(NULL, GROUP * work->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!work->keys || !order || work->data == MAP_FAILED)
		die("memory");
	madvise(work->data, GROUP * work->size, MADV_HUGEPAGE);
	fill(work->data, GROUP * work->size);
	make_keys(work);
	shuffle(order, work->count);
	int rc = job.engine->run ? job.engine->run(measure, &job) : measure(&job);
	if (rc)
		fprintf(stderr, "%s: failed: %d\n", argv[1], rc);
	return rc != 0;
}
