/*
 * The process as the kernel counts it, under the names that all programs have
 * (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics). What cannot be read is left out.
 */
#include "counting.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t clock)
{
	struct timespec time = { 0 };

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Seconds of the epoch. The clocks it is told from differ by a little each time: asked again, it is what it was. */
static double started_at(unsigned long long ticks)
{
	static _Atomic double started;
	double before = atomic_load(&started);

	if (before > 0)
		return before;
	double age = seconds_of(CLOCK_BOOTTIME) - (double)ticks / (double)sysconf(_SC_CLK_TCK);
	double now = seconds_of(CLOCK_REALTIME) - age;
	return atomic_compare_exchange_strong(&started, &before, now) ? now : before;
}

/* One that counts is open itself. */
static bool count_descriptors(size_t *count)
{
	DIR *folder = opendir("/proc/self/fd");

	*count = 0;
	if (!folder)
		return false;
	for (const struct dirent *entry; (entry = readdir(folder));)
		*count += entry->d_name[0] != '.';
	closedir(folder);
	*count -= *count > 0;
	return true;
}

/* Threads, start in ticks since the machine's, bytes of addresses, and pages in memory: proc(5). The name before them may
 * have anything in it. */
static bool read_stat(long *threads, unsigned long long *start, unsigned long *bytes, long *pages)
{
	char text[1024];
	int fd = anyio_plain_openat_blocking(AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
	ssize_t len = fd < 0 ? fd : anyio_plain_read_blocking(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return false;
	text[len] = 0;
	const char *end = strrchr(text, ')');
	return end &&
		sscanf(end + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu %lu %ld",
			threads, start, bytes, pages) == 4;
}

static int count_all(void *arg)
{
	struct counting *counting = arg;
	unsigned long long start;
	unsigned long bytes;
	long threads, pages;
	size_t descriptors;

	counting_add(counting, KIT_COUNTER, "process_cpu_seconds_total",
		"Time that all threads have computed, in the kernel too.",
		seconds_of(CLOCK_PROCESS_CPUTIME_ID));
	if (count_descriptors(&descriptors))
		counting_add(counting, KIT_GAUGE, "process_open_fds", "Open file descriptors.",
			(double)descriptors);
	counting_add(counting, KIT_GAUGE, "process_max_fds", "How many may be open.",
		(double)anyio_descriptor_limit());
	if (!read_stat(&threads, &start, &bytes, &pages))
		return 0;
	counting_add(counting, KIT_GAUGE, "process_threads", "Threads.", (double)threads);
	counting_add(counting, KIT_GAUGE, "process_virtual_memory_bytes",
		"Addresses in use, most of which nothing lies behind.", (double)bytes);
	counting_add(counting, KIT_GAUGE, "process_resident_memory_bytes",
		"Memory in use, pages of files among it.",
		(double)pages * (double)sysconf(_SC_PAGESIZE));
	counting_add(counting, KIT_GAUGE, "process_start_time_seconds",
		"When the process began, in seconds of the epoch.", started_at(start));
	return 0;
}

/* Ten thousand descriptors take the kernel some milliseconds: not on the loop's thread. */
int counting_process(struct counting *counting)
{
	int rc = anyio_to_thread(count_all, counting, NULL);

	return rc == ANYIO_CANCELLED || rc == -ENOMEM ? rc : 0;
}
