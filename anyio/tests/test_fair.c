/* Operations that need not wait: how much of them comes between two looks at all the others. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <anyio/file.h>
#include "conformance.h"

enum { MIB = 1 << 20 };

struct seen {
	int64_t bytes, operations;           /* since the last poll */
	int64_t most_bytes, most_operations; /* between two */
	uint64_t polls;
	bool polling; /* what is completed meanwhile came by itself */
};

static void on_completed(
	void *arg, const struct anyio_task *task, const char *operation, int fd, int64_t result)
{
	struct seen *seen = arg;
	if (seen->polling)
		return;
	seen->bytes += result > 0 ? result : 0;
	seen->operations++;
	if (seen->bytes > seen->most_bytes)
		seen->most_bytes = seen->bytes;
	if (seen->operations > seen->most_operations)
		seen->most_operations = seen->operations;
}

static void on_poll(void *arg, anyio_time timeout)
{
	((struct seen *)arg)->polling = true;
}

static void on_polled(void *arg)
{
	struct seen *seen = arg;
	seen->polling = false;
	seen->bytes = seen->operations = 0;
	seen->polls++;
}

static void look(struct anyio_instrument *instrument, struct seen *seen)
{
	*seen = (struct seen){ 0 };
	*instrument = (struct anyio_instrument){
		.arg = seen,
		.operation_completed = on_completed,
		.before_poll = on_poll,
		.after_poll = on_polled,
	};
	CHECK_RC(anyio_instrument_add(instrument), 0);
}

/* A file that the page cache holds, in size bytes. */
static int file_of(size_t size, char *buffer)
{
	char path[256];
	memset(buffer, 'x', size);
	int fd = anyio_temporary_file(NULL, path, sizeof(path));
	CHECK(fd >= 0);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, path, 0), 0);
	CHECK_RC(anyio_pwrite_all(fd, buffer, size, 0), 0);
	CHECK_RC(anyio_pread_all(fd, buffer, size, 0), 0);
	return fd;
}

struct reading {
	int fd;
	char *buffer;
};

static int read_on_and_on(void *arg)
{
	struct reading *reading = arg;
	for (int i = 0; i < 16; i++)
		CHECK(anyio_pread(reading->fd, reading->buffer, MIB, 0) > 0);
	return 0;
}

static int what_is_read_at_once_is_bounded(void *arg)
{
	enum { READERS = 16 };
	char *buffer = malloc(MIB);
	struct reading reading = { file_of(MIB, buffer), buffer };
	struct anyio_instrument instrument;
	struct seen seen;

	look(&instrument, &seen);
	CHECK_RC(read_on_and_on(&reading), 0);
	CHECK(seen.most_bytes <= 4 * MIB);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < READERS; i++)
		CHECK_RC(anyio_start_soon(&group, read_on_and_on, &reading, "reader"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(seen.most_bytes <= 8 * MIB);
	CHECK_RC(anyio_instrument_remove(&instrument), 0);
	CHECK_RC(anyio_close(reading.fd), 0);
	free(buffer);
	return 0;
}

static int a_large_piece_is_not_copied_by_the_loop(void *arg)
{
	enum { SIZE = 4 * MIB };
	char *buffer = malloc(SIZE);
	int fd = file_of(SIZE, buffer);
	struct anyio_instrument instrument;
	struct seen seen;

	look(&instrument, &seen);
	for (int i = 0; i < 4; i++) {
		uint64_t polls = seen.polls;
		ssize_t got = anyio_pread(fd, buffer, SIZE, 0);
		CHECK(got > 0);
		CHECK(got <= MIB || seen.polls > polls);
	}
	CHECK_RC(anyio_instrument_remove(&instrument), 0);
	CHECK_RC(anyio_close(fd), 0);
	free(buffer);
	return 0;
}

static int so_are_small_operations(void *arg)
{
	struct anyio_instrument instrument;
	struct seen seen;
	int ends[2];
	char byte;

	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	look(&instrument, &seen);
	for (int i = 0; i < 1000; i++) {
		CHECK_RC(anyio_write(ends[1], "x", 1), 1);
		CHECK_RC(anyio_read(ends[0], &byte, 1), 1);
	}
	CHECK(seen.most_operations <= 256);
	CHECK_RC(anyio_instrument_remove(&instrument), 0);
	CHECK_RC(anyio_close(ends[0]), 0);
	CHECK_RC(anyio_close(ends[1]), 0);
	return 0;
}

static int sleep_a_little(void *arg)
{
	CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	*(bool *)arg = true;
	return 0;
}

/* By checkpoints that do not look at the clock. */
static int who_is_busy_does_not_stop_the_time(void *arg)
{
	anyio_time began = anyio_now();
	bool over = false;

	while (anyio_now() == began)
		anyio_cancel_shielded_checkpoint();
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start_soon(&group, sleep_a_little, &over, "sleeper"), 0);
	while (!over)
		anyio_cancel_shielded_checkpoint();
	return anyio_task_group_exit(&group, 0);
}

struct waiting {
	int fd, left;
	bool is_file;
};

static int read_a_byte(void *arg)
{
	struct waiting *waiting = arg;
	char byte;

	CHECK_RC(waiting->is_file ? anyio_pread(waiting->fd, &byte, 1, 0)
				  : anyio_read(waiting->fd, &byte, 1),
		1);
	waiting->left--;
	return 0;
}

/* Readers begin and end while another task is busy. */
static void read_beside(int fd, int to, int readers)
{
	static const char bytes[300];
	struct waiting waiting = { fd, readers, to < 0 };

	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < readers; i++)
		CHECK_RC(anyio_start_soon(&group, read_a_byte, &waiting, "reader"), 0);
	for (int i = 0; i < 300; i++)
		anyio_cancel_shielded_checkpoint();
	if (to >= 0)
		CHECK_RC(write(to, bytes, (size_t)readers), readers);
	while (waiting.left > 0)
		anyio_cancel_shielded_checkpoint();
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
}

/* One, and more than are taken from the kernel at once. */
static int nor_those_who_wait_for_the_kernel(void *arg)
{
	static const int counts[] = { 300, 1 };
	char bytes[16];
	int file = file_of(sizeof(bytes), bytes), ends[2];

	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	for (int i = 0; i < 2; i++) {
		read_beside(file, -1, counts[i]);
		read_beside(ends[0], ends[1], counts[i]);
	}
	CHECK_RC(anyio_close(file), 0);
	CHECK_RC(anyio_close(ends[0]), 0);
	CHECK_RC(anyio_close(ends[1]), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(what_is_read_at_once_is_bounded, 0),
		CONFORM(a_large_piece_is_not_copied_by_the_loop, 0),
		CONFORM(so_are_small_operations, CONFORM_NO_SIM),
		CONFORM(who_is_busy_does_not_stop_the_time, CONFORM_NO_SIM),
		CONFORM(nor_those_who_wait_for_the_kernel, CONFORM_NO_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
