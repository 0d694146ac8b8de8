#include "stress.h"
#include <stdatomic.h>

/* Operations of a quick run. The thread sanitizer takes a hundred times as long. */
#ifdef __SANITIZE_THREAD__
enum { QUICK = 10000 };
#else
enum { QUICK = 50000 };
#endif

/* Memory: what the library and the lanes take and give back (the linker wraps these). */
static _Atomic int64_t blocks;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
void __wrap_free(void *memory);

static void *counted(void *memory)
{
	blocks += memory != NULL;
	return memory;
}

void *__wrap_malloc(size_t size)
{
	return counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
	return memory ? __real_realloc(memory, size) : __wrap_malloc(size);
}

char *__wrap_strdup(const char *text)
{
	return counted(__real_strdup(text));
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
	int rc = __real_posix_memalign(memory, alignment, size);
	blocks += rc == 0;
	return rc;
}

void __wrap_free(void *memory)
{
	blocks -= memory != NULL;
	__real_free(memory);
}

void linger(struct world *world, unsigned most)
{
	for (uint64_t left = draw(world, most + 1); left > 0; left--)
		anyio_cancel_shielded_checkpoint();
}

struct risked {
	anyio_task_fn fn;
	void *arg;
	int rc;
};

static int risked_run(void *arg)
{
	struct risked *risked = arg;
	risked->rc = risked->fn(risked->arg);
	return risked->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void in_scope(struct risked *risked, struct anyio_cancel_scope *scope)
{
	CHECK_RC(anyio_cancel_scope_run(scope, risked_run, risked), 0);
}

static void risk_precancelled(struct risked *risked)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "before");
	in_scope(risked, &scope);
}

static void risk_deadline(struct world *world, struct risked *risked)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, (anyio_time)draw(world, 200) * ANYIO_MICROSECOND);
	in_scope(risked, &scope);
}

/* In a task of its own, cancelled by its handle or with its group, at any moment of its life. */
static void risk_task(struct world *world, struct risked *risked, bool whole_group)
{
	struct anyio_task_handle handle;
	ANYIO_TASK_GROUP(group);
	spawn(&group, risked_run, risked, &handle);
	linger(world, 6);
	if (whole_group)
		anyio_task_group_cancel(&group, "all");
	else
		anyio_task_handle_cancel(&handle, "this one");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
}

static void risk_strike(struct world *world, struct risked *risked)
{
	struct struck *struck = world->struck;
	struct strike strike = { .place = struck->count };
	if (strike.place == STRUCK_MOST) {
		risked_run(risked);
		return;
	}
	anyio_cancel_scope_init(&strike.scope);
	struck->at[struck->count++] = &strike;
	in_scope(risked, &strike.scope);
	struct strike *last = struck->at[--struck->count];
	struck->at[strike.place] = last;
	last->place = strike.place;
}

int risk(struct world *world, anyio_task_fn fn, void *arg)
{
	struct risked risked = { fn, arg, ANYIO_CANCELLED };
	bool any = more(world);
	world->operations++;
	switch (any ? draw(world, 10) : 0) {
	case 0: risked.rc = fn(arg); break;
	case 1: risk_precancelled(&risked); break;
	case 2: risk_deadline(world, &risked); break;
	case 3: risk_task(world, &risked, false); break;
	case 4: risk_task(world, &risked, true); break;
	default: risk_strike(world, &risked); break;
	}
	world->cancelled += risked.rc == ANYIO_CANCELLED;
	return risked.rc;
}

/* Hits somebody now and then, whatever he is at. */
static int striker(void *arg)
{
	struct world *world = arg;
	int rc = 0;
	while (rc == 0) {
		rc = draw(world, 3) ? anyio_checkpoint()
				    : anyio_sleep((anyio_time)draw(world, 50) * ANYIO_MICROSECOND);
		if (world->struck->count > 0)
			anyio_cancel_scope_cancel(
				&world->struck->at[draw(world, world->struck->count)]->scope,
				"struck");
	}
	return rc;
}

enum { LANES = 11, WORLD = 2000 /* operations of all its lanes */ };

static int world_run(void *arg)
{
	static const anyio_task_fn lanes[LANES] = { lane_tcp, lane_unix, lane_memory, lane_pipe,
		lane_datagrams, lane_connections, lane_channel, lane_locks, lane_threads, lane_file,
		lane_process };
	struct world *worlds = arg; /* the last is the striker's */
	ANYIO_TASK_GROUP(outer);
	spawn(&outer, striker, &worlds[LANES], NULL);
	ANYIO_TASK_GROUP(inner);
	for (size_t i = 0; i < LANES; i++)
		spawn(&inner, lanes[i], &worlds[i], NULL);
	CHECK_RC(anyio_task_group_exit(&inner, 0), 0);
	anyio_task_group_cancel(&outer, "all lanes are dry");
	CHECK_RC(anyio_task_group_exit(&outer, 0), 0);
	CHECK_RC((int64_t)worlds->struck->count, 0);
	while (anyio_task_count() > 1) /* abandoned threads: they end, or this does not */
		CHECK_RC(anyio_sleep(ANYIO_MICROSECOND), 0);
	return 0;
}

static void totals_add(struct world *total, const struct world *world)
{
	total->operations += world->operations;
	total->cancelled += world->cancelled;
	for (int i = 0; i < THINGS; i++)
		total->done[i] += world->done[i];
}

static void totals_print(const struct world *total, const struct anyio_options *options)
{
	static const char *const things[THINGS] = { "bytes", "wires", "datagrams", "connections",
		"items", "locks", "jobs", "records", "processes" };
	printf("%s, %s: %zu operations, %zu cancelled;", options->backend,
		options->strict ? "strict" : "budget", total->operations, total->cancelled);
	for (int i = 0; i < THINGS; i++)
		printf(" %zu %s", total->done[i], things[i]);
	putchar('\n');
}

static void run_world(struct world *total, const struct anyio_options *options, uint64_t seed)
{
	struct struck struck = { .count = 0 };
	struct world worlds[LANES + 1], sum = { .operations = 0 };
	struct anyio_options own = *options;
	anyio_sim_disk_reset();
	int64_t before = blocks;
	size_t fds = conformance_count_fds();
	unsigned failed = conformance_failures();
	for (size_t i = 0; i <= LANES; i++)
		worlds[i] = (struct world){
			.random = seed * (LANES + 1) + i,
			.limit = WORLD / LANES,
			.simulated = strcmp(options->backend, "sim") == 0,
			.struck = &struck,
		};
	own.seed = seed;
	CHECK_RC(anyio_run(world_run, worlds, &own), 0);
	for (size_t i = 0; i <= LANES; i++)
		totals_add(&sum, &worlds[i]);
	anyio_sim_disk_reset();
	CHECK_RC((int64_t)jobs_made, (int64_t)jobs_freed);
	CHECK_RC((int64_t)blocks, before);
	CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
	CHECK(sum.cancelled > WORLD / 20 && sum.cancelled < sum.operations);
	if (conformance_failures() != failed)
		conformance_fail(__FILE__, __LINE__,
			"in the world of seed %llu, after %zu operations: ANYIO_SEED=%llu",
			(unsigned long long)seed, sum.operations, (unsigned long long)seed);
	totals_add(total, &sum);
}

/* $ANYIO_OPERATIONS in all, half of them in each mode; with $ANYIO_SEED that one world. */
static int random_cancels_lose_nothing(void *arg)
{
	struct anyio_sim_options sim = {
		.latency_min = 10 * ANYIO_MICROSECOND,
		.latency_max = 300 * ANYIO_MICROSECOND,
		.short_io = 200000,
		.late_cancel = 200000,
	};
	struct anyio_options options = *(const struct anyio_options *)arg;
	size_t wanted = conformance_number("ANYIO_OPERATIONS", QUICK) / 2;
	struct world total = { .operations = 0 };
	options.sim = &sim;
	if (getenv("ANYIO_SEED"))
		wanted = 1;
	else if (options.seed != 1)
		return 0; /* the first has been through all seeds */
	unsigned failed = conformance_failures();
	for (uint64_t seed = options.seed;
		total.operations < wanted && conformance_failures() == failed; seed++)
		run_world(&total, &options, seed);
	if (wanted > 1)
		totals_print(&total, &options);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(random_cancels_lose_nothing, CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
