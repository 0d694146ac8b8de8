/* What the tests of files share: a fresh folder for each body, on every backend that works here and on the
 * simulated disk. */
#ifndef ANYIO_TESTS_FILES_H
#define ANYIO_TESTS_FILES_H

#include <fcntl.h>
#include <unistd.h>

#include "../../tests/check.h"

static char folder[64]; /* where the running test may make files */

static inline const char *in_folder(const char *name)
{
	static char path[4][128];
	static int turn;
	char *out = path[turn++ & 3];
	snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
	return out;
}

static inline int in_fresh_folder(void *arg)
{
	anyio_task_fn body = *(anyio_task_fn *)arg;
	CHECK(anyio_mkdirat(AT_FDCWD, folder, 0700) == 0);
	int rc = body(NULL);
	CHECK(anyio_remove_tree(AT_FDCWD, folder) == 0);
	return rc;
}

static inline int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 512; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static inline int nothing(void *arg)
{
	return 0;
}

static inline void run_on(const char *backend, bool strict, anyio_task_fn body)
{
	struct anyio_options options = { .backend = backend, .strict = strict };
	bool sim = strcmp(backend, "sim") == 0;
	snprintf(folder, sizeof(folder), "%s/anyio-file-%d",
		sim                        ? "/sim"
			: getenv("TMPDIR") ? getenv("TMPDIR")
					   : "/tmp",
		(int)getpid());
	/* What a process opens once, at its first loop, is no leak. */
	assert_int_equal(anyio_run(nothing, NULL, &options), 0);
	int before = open_descriptors();
	assert_int_equal(anyio_run(in_fresh_folder, &body, &options), 0);
	assert_int_equal(open_descriptors(), before);
}

/* $ANYIO_BACKEND narrows it to one. */
static inline void run_everywhere(anyio_task_fn body)
{
	const char *only = getenv("ANYIO_BACKEND");
	for (const char *const *name = anyio_backends_all(); *name; name++) {
		bool works = strcmp(*name, "sim") == 0;
		for (const char *const *it = anyio_backends_available(); *it; it++)
			works |= strcmp(*it, *name) == 0;
		if (!works || (only && *only && strcmp(only, *name) != 0))
			continue;
		run_on(*name, false, body);
		run_on(*name, true, body);
	}
}

#define EVERYWHERE(name)                                                                           \
	static void name##_test(void **state)                                                      \
	{                                                                                          \
		run_everywhere(name##_body);                                                       \
	}

#endif
