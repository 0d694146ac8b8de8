/* FIFOs, which to open means to wait for the other side elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <anyio/file.h>
#include <anyio/net.h>
#include "conformance.h"

static char path[128];

static void make_fifo(void)
{
	const char *place = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/anyio-fifo-%d", place ? place : "/tmp", (int)getpid());
	CHECK_RC(mkfifo(path, 0600), 0);
}

static int open_for(int flags)
{
	return anyio_open(path, flags, 0600);
}

/* Until there is somebody who writes. */
static int wait_readable(void *arg)
{
	return anyio_wait_readable(*(int *)arg);
}

static int opening_waits_for_no_other_side(void *arg)
{
	make_fifo();
	/* O_CREAT has uring open it on a thread of the kernel's. */
	CHECK_RC(open_for(O_WRONLY), -ENXIO);
	CHECK_RC(open_for(O_WRONLY | O_CREAT), -ENXIO);
	for (int i = 0; i < 4; i++) {
		int asked = i & 1 ? O_NONBLOCK : 0, made = i & 2 ? O_CREAT : 0;
		char bytes[4] = "";
		int reads = open_for(O_RDONLY | asked | made);
		CHECK(reads >= 0);
		CHECK_RC(fcntl(reads, F_GETFL) & O_NONBLOCK, asked);
		ANYIO_TASK_GROUP(group);
		CHECK_RC(anyio_start_soon(&group, wait_readable, &reads, "waits"), 0);
		CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
		int writes = open_for(O_WRONLY | O_APPEND | asked | made);
		CHECK(writes >= 0);
		CHECK_RC(fcntl(writes, F_GETFL) & (O_NONBLOCK | O_APPEND), asked | O_APPEND);
		CHECK_RC(anyio_write(writes, "abc", 3), 3);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(anyio_read(reads, bytes, sizeof(bytes)), 3);
		CHECK(strcmp(bytes, "abc") == 0);
		CHECK_RC(anyio_close(reads), 0);
		CHECK_RC(anyio_close(writes), 0);
	}
	CHECK_RC(unlink(path), 0);
	return 0;
}

/* What is given to open besides is kept: F_SETFL takes away what it is not told. */
static int the_flags_of_a_file_are_those_asked_for(void *arg)
{
	static const int asked[] = { O_RDONLY, O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK,
		O_RDWR | O_SYNC, O_RDWR | O_NOATIME | O_APPEND };
	const int all = O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_NOATIME;

	int fd = anyio_temporary_file(NULL, path, sizeof(path));
	CHECK(fd >= 0);
	CHECK_RC(anyio_close(fd), 0);
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		fd = open_for(asked[i]);
		CHECK(fd >= 0);
		CHECK_RC(fcntl(fd, F_GETFL) & all, asked[i]);
		CHECK_RC(anyio_close(fd), 0);
	}
	fd = open_for(O_PATH);
	CHECK(fd >= 0 && (fcntl(fd, F_GETFL) & O_PATH));
	CHECK_RC(anyio_close(fd), 0);
	CHECK_RC(unlink(path), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(opening_waits_for_no_other_side, CONFORM_NO_SIM),
		CONFORM(the_flags_of_a_file_are_those_asked_for, CONFORM_NO_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
