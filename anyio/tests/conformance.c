#include "conformance.h"
#include "rings.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIM_SEEDS = 20, NAME_ROOM = 128 };

struct run {
	const struct conformance_case *test;
	struct anyio_options options;
	uint64_t seeds; /* how many runs, with seeds from options.seed */
	char name[NAME_ROOM];
};

static unsigned failures;

unsigned conformance_failures(void)
{
	return __atomic_load_n(&failures, __ATOMIC_SEQ_CST);
}

void conformance_fail(const char *file, int line, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "%s:%d: ", file, line);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	__atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST);
}

bool conformance_skips(const char *name)
{
	const char *names = getenv("KIT_SKIP");
	return names && strstr(names, name);
}

size_t conformance_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

uint64_t conformance_number(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);
	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* One line for contract.py. A line is written at once, since programs run side by side. */
static void record(const char *name, uint64_t seeds, const char *result)
{
	const char *path = getenv("ANYIO_CONFORMANCE_LOG");
	int fd = path && *path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644) : -1;
	if (fd < 0)
		return;
	if (dprintf(fd, "%s %llu %s\n", name, (unsigned long long)seeds, result) < 0)
		abort();
	close(fd);
}

static int checked_body(void *arg)
{
	const struct conformance_case *test = arg;
	int rc = test->body(NULL);
	CHECK_RC(anyio_task_count(), 1);
	return rc;
}

static void run_once(struct run *run)
{
	const struct conformance_case *test = run->test;
	size_t fds = conformance_count_fds();
	if (test->flags & CONFORM_BARE)
		CHECK_RC(test->body(&run->options), 0);
	else
		CHECK_RC(anyio_run(checked_body, (void *)test, &run->options), 0);
	CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
}

static void run_case(void **state)
{
	struct run *run = *state;
	unsigned before = conformance_failures();
	for (uint64_t i = 0; i < run->seeds; i++) {
		run_once(run);
		if (conformance_failures() != before) {
			record(run->name, i + 1, "failed");
			fail_msg("%s failed with seed %llu: ANYIO_SEED=%llu replays it", run->name,
				(unsigned long long)run->options.seed,
				(unsigned long long)run->options.seed);
		}
		run->options.seed++;
	}
	record(run->name, run->seeds, "ok");
}

/* Of the contract (contract.txt). */
static bool numbered(const char *name)
{
	return (name[0] == 'c' || name[0] == 'r') && name[1] >= '0' && name[1] <= '9';
}

static bool is_sim(const char *backend)
{
	return strcmp(backend, "sim") == 0;
}

static void add_run(struct CMUnitTest *tests, size_t at, const struct conformance_case *test,
	const char *backend, bool strict)
{
	struct run *run = calloc(1, sizeof *run);
	if (!run)
		abort();
	bool seeded = is_sim(backend) && !(test->flags & CONFORM_ORDERED);
	run->test = test;
	run->options = (struct anyio_options){
		.backend = backend,
		.strict = strict,
		.mock_clock = test->flags & CONFORM_MOCK,
		.seeded = seeded,
		.seed = conformance_number("ANYIO_SEED", 1),
	};
	run->seeds = is_sim(backend) ? SIM_SEEDS : 1;
	if (is_sim(backend) && numbered(test->name))
		run->seeds = conformance_number("ANYIO_SEEDS", SIM_SEEDS);
	if (getenv("ANYIO_SEED"))
		run->seeds = 1;
	snprintf(run->name, sizeof run->name, "%s/%s/%s", backend, strict ? "strict" : "budget",
		test->name);
	tests[at] = (struct CMUnitTest){
		.name = run->name, .test_func = run_case, .initial_state = run
	};
}

static int nothing(void *arg)
{
	return 0;
}

/* libuv keeps a pipe for the whole process from its first loop on. */
static void warm_up(const char *backend)
{
	struct anyio_options options = { .backend = backend };
	if (anyio_run(nothing, NULL, &options) < 0)
		abort();
}

static bool works(const char *backend)
{
	if (is_sim(backend))
		return true;
	for (const char *const *name = anyio_backends_available(); *name; name++)
		if (strcmp(*name, backend) == 0)
			return true;
	fprintf(stderr, "skips the backend %s: it does not work here\n", backend);
	record(backend, 0, "skipped");
	if (getenv("KIT_REQUIRE_ALL"))
		abort();
	return false;
}

int conformance_hostile(
	const anyio_task_fn *bodies, size_t count, const struct anyio_options *options)
{
	struct anyio_sim_options sim = {
		.latency_min = ANYIO_MILLISECOND,
		.latency_max = 20 * ANYIO_MILLISECOND,
		.short_io = 500000,
		.late_cancel = 500000,
	};
	struct anyio_options hostile = *options;

	hostile.sim = &sim;
	for (size_t i = 0; i < count; i++)
		CHECK_RC(anyio_run(bodies[i], NULL, &hostile), 0);
	return 0;
}

int run_conformance(const struct conformance_case *cases, size_t count)
{
	const char *only = getenv("ANYIO_BACKEND");
	size_t backends = 0;
	setvbuf(stdout, NULL, _IOLBF,
		0); /* so that one that is killed has said in which case it was */
	rings_begin();
	while (anyio_backends_all()[backends])
		backends++;
	struct CMUnitTest *tests = calloc(count * backends * 2, sizeof *tests);
	size_t at = 0;
	if (!tests)
		abort();
	for (const char *const *name = anyio_backends_all(); *name; name++) {
		if ((only && *only && strcmp(only, *name) != 0) || !works(*name))
			continue;
		warm_up(*name);
		for (size_t i = 0; i < count * 2; i++)
			if (!(cases[i / 2].flags &
				    (is_sim(*name) ? CONFORM_NO_SIM : CONFORM_SIM)) &&
				!conformance_skips(cases[i / 2].name))
				add_run(tests, at++, &cases[i / 2], *name, i % 2 == 0);
	}
	int failed = _cmocka_run_group_tests("conformance", tests, at, NULL, NULL);
	for (size_t i = 0; i < at; i++)
		free(tests[i].initial_state);
	free(tests);
	return failed;
}
