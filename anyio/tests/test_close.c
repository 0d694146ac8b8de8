/* Who closes a file: the loop's thread, unless that would hold it up. The linker leads close(2) here. Not in the
 * simulation, whose files the kernel does not know. */
#include "conformance.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <anyio/testing.h>

enum { MANY = 8, PIECE = 64 << 10, LARGE = 2 << 20, SMALL = 1000 };

static pthread_t thread_of_loop;
static atomic_int closed_here, closed_elsewhere;
static atomic_bool watched[1024];

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
	if (fd >= 0 && fd < 1024 && atomic_exchange(&watched[fd], false))
		atomic_fetch_add(pthread_equal(pthread_self(), thread_of_loop) ? &closed_here
									       : &closed_elsewhere,
			1);
	return __real_close(fd);
}

static void watch_anew(void)
{
	thread_of_loop = pthread_self();
	atomic_store(&closed_here, 0);
	atomic_store(&closed_elsewhere, 0);
}

static void watch(int fd)
{
	CHECK(fd >= 0 && fd < 1024);
	if (fd >= 0 && fd < 1024)
		atomic_store(&watched[fd], true);
}

static int unnamed(size_t size)
{
	static char bytes[PIECE];
	int fd = anyio_temporary_file_unnamed(NULL);

	for (size_t at = 0; at < size; at += PIECE)
		CHECK_RC(anyio_pwrite_all(fd, bytes, size < PIECE ? size : PIECE, (off_t)at), 0);
	watch(fd);
	return fd;
}

static int close_many(void *arg)
{
	for (int i = 0; i < MANY; i++)
		CHECK_RC(anyio_close(unnamed(LARGE)), 0);
	return 0;
}

/* And the run does not end before. */
static int large_files_without_a_name_hold_nobody_up(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;

	for (unsigned threads = 1; threads < 3; threads++) {
		options.worker_threads = threads;
		watch_anew();
		CHECK_RC(anyio_run(close_many, NULL, &options), 0);
		CHECK_RC(closed_here, 0);
		CHECK_RC(closed_elsewhere, MANY);
	}
	return 0;
}

static int free_a_spool(void *arg)
{
	static char bytes[PIECE];
	struct anyio_stream *spool;
	int fd = -1;

	CHECK_RC(anyio_spool_create(SMALL, NULL, &spool), 0);
	for (size_t at = 0; at < LARGE; at += PIECE)
		CHECK_RC(anyio_stream_send(spool, bytes, PIECE), 0);
	CHECK_RC(anyio_stream_attribute(spool, ANYIO_ATTRIBUTE_DESCRIPTOR, &fd, sizeof(fd)),
		sizeof(fd));
	watch(fd);
	anyio_stream_free(spool);
	return 0;
}

static int nor_do_spools(void *arg)
{
	watch_anew();
	CHECK_RC(anyio_run(free_a_spool, NULL, arg), 0);
	CHECK_RC(closed_here, 0);
	CHECK_RC(closed_elsewhere, 1);
	return 0;
}

static int all_others_are_closed_on_return(void *arg)
{
	static char bytes[LARGE];
	char path[PATH_MAX];
	int ends[2], fd;

	watch_anew();
	CHECK_RC(anyio_close(unnamed(SMALL)), 0);
	CHECK_RC(closed_here, 1);
	fd = anyio_temporary_file(NULL, path, sizeof(path));
	CHECK_RC(anyio_pwrite_all(fd, bytes, sizeof(bytes), 0), 0);
	watch(fd);
	CHECK_RC(anyio_close(fd), 0);
	CHECK_RC(closed_here, 2);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, path, 0), 0);
	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	watch(ends[0]);
	CHECK_RC(anyio_close(ends[0]), 0);
	CHECK_RC(closed_here, 3);
	CHECK_RC(anyio_close(ends[1]), 0);
	CHECK_RC(anyio_close(-1), -EBADF);
	CHECK_RC(closed_elsewhere, 0);
	return 0;
}

static int close_short_of_memory(void *arg)
{
	for (uint64_t at = 1; at <= 3; at++) {
		int fd = unnamed(LARGE);

		anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		CHECK_RC(anyio_close(fd), 0);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	}
	return 0;
}

/* What it takes to have a thread do it, the pool and the thread among that, is not there at some point. */
static int without_memory_the_loop_closes_them_itself(void *arg)
{
	watch_anew();
	CHECK_RC(anyio_run(close_short_of_memory, NULL, arg), 0);
	CHECK(closed_here >= 1);
	CHECK_RC(closed_here + closed_elsewhere, 3);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(large_files_without_a_name_hold_nobody_up, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(nor_do_spools, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(all_others_are_closed_on_return, CONFORM_NO_SIM),
		CONFORM(without_memory_the_loop_closes_them_itself, CONFORM_BARE | CONFORM_NO_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
