/*
 * A loop in which tasks are short: their number is bounded, and taken up by sleepers but for a few, so
 * that what asks for one more is refused.
 */
#ifndef TESTS_NO_TASKS_H
#define TESTS_NO_TASKS_H

#include <anyio/anyio.h>
#include <anyio/testing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASKS_MAX = 64 };

#define CHECK(truth)                                                                               \
	do {                                                                                       \
		if (!(truth)) {                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth);                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static char dir[] = "/tmp/ipfs-kit-test-XXXXXX";

static int sleeper(void *arg)
{
	return anyio_sleep_forever();
}

/* Leaves so many tasks to be had. */
static void fill(struct anyio_task_group *group, size_t left)
{
	while (anyio_task_count() + left < TASKS_MAX)
		CHECK(anyio_start_soon(group, sleeper, NULL, "sleeper") == 0);
}

static void empty(struct anyio_task_group *group)
{
	anyio_task_group_cancel(group, "enough");
	CHECK(anyio_task_group_exit(group, 0) == 0);
}

static const char *api_multiaddr(const char *name)
{
	static char text[200];

	snprintf(text, sizeof(text), "/unix/%s/%s", dir, name);
	return text;
}

static const char *api_path(const char *name)
{
	return api_multiaddr(name) + strlen("/unix");
}

/* Runs body in such a loop, with dir made; main's result. */
static int run_with_few_tasks(anyio_task_fn body)
{
	static const struct anyio_options options = { .max_tasks = TASKS_MAX };
	char command[100];

	CHECK(mkdtemp(dir));
	CHECK(anyio_run(body, NULL, &options) == 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) != 0;
}

#endif
