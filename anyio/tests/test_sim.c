/* The simulation itself: replay by seed, time, the network's and the disk's misfortunes. */
#include "conformance.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

/* What a run did, folded into one number (FNV-1a). */
static uint64_t trace;

static void note(const char *what, int64_t value)
{
	char line[64];
	int len = snprintf(
		line, sizeof(line), "%s %lld %lld", what, (long long)value, (long long)anyio_now());
	for (int i = 0; i < len; i++)
		trace = (trace ^ (uint8_t)line[i]) * 0x100000001b3;
}

static void run_with(anyio_task_fn body, uint64_t seed, const struct anyio_sim_options *sim)
{
	struct anyio_options options = {
		.backend = "sim", .seeded = true, .seed = seed, .sim = sim
	};
	unsigned before = conformance_failures();
	assert_int_equal(anyio_run(body, NULL, &options), 0);
	if (conformance_failures() != before)
		fail_msg("failed with seed %llu", (unsigned long long)seed);
}

static struct anyio_address node(int number, uint16_t port)
{
	struct anyio_address address;
	char host[32];
	snprintf(host, sizeof(host), "127.0.0.%d", number);
	CHECK_RC(anyio_address_parse(&address, host, port), 0);
	return address;
}

/* A little of everything: four clients of an echo server, each keeping a file. */

enum { CLIENTS = 4, ROUNDS = 6 };

static int echo(void *arg)
{
	struct anyio_stream *stream = arg;
	char buffer[700];
	ssize_t n;
	while ((n = anyio_stream_receive(stream, buffer, sizeof(buffer))) > 0) {
		note("echo", n);
		if (anyio_stream_send(stream, buffer, (size_t)n) < 0)
			break;
	}
	note("end", n);
	anyio_stream_free(stream);
	return 0;
}

static int serve(void *arg)
{
	struct anyio_listener *listener = arg;
	struct anyio_stream *stream;
	ANYIO_TASK_GROUP(group);
	int rc;
	while ((rc = anyio_accept(listener, &stream)) == 0)
		anyio_start_soon(&group, echo, stream, "echo");
	return anyio_task_group_exit(&group, rc);
}

static int keep(int client, const char *data, size_t size)
{
	char path[32];
	snprintf(path, sizeof(path), "/sim/client-%d", client);
	int fd = anyio_open(path, O_RDWR | O_CREAT, 0600);
	note("open", fd < 0 ? fd : 0);
	if (fd < 0)
		return fd;
	int rc = anyio_pwrite_all(fd, data, size, client);
	if (rc == 0)
		rc = anyio_fdatasync(fd);
	note("keep", rc);
	anyio_close(fd);
	return rc;
}

static int client(void *arg)
{
	int number = (int)(intptr_t)arg;
	struct anyio_address server = node(1, 4001);
	struct anyio_stream *stream;
	char sent[1000], got[1000];
	int rc = anyio_connect_address(&server, &stream);
	note("connect", rc);
	if (rc < 0)
		return 0;
	for (int i = 0; i < ROUNDS && rc == 0; i++) {
		memset(sent, 'a' + i, sizeof(sent));
		rc = anyio_stream_send(stream, sent, sizeof(sent));
		if (rc == 0)
			rc = anyio_stream_receive_exactly(stream, got, sizeof(got));
		note("round", rc);
		if (rc == 0)
			CHECK(memcmp(sent, got, sizeof(got)) == 0);
		keep(number, sent, sizeof(sent));
		anyio_sleep(ANYIO_MILLISECOND * number);
	}
	anyio_stream_free(stream);
	return 0;
}

static int small_world(void *arg)
{
	struct anyio_listener *listener;
	struct anyio_address address = node(1, 4001);
	CHECK_RC(anyio_listen_address(&address, NULL, &listener), 0);
	ANYIO_TASK_GROUP(servers);
	anyio_start_soon(&servers, serve, listener, "serve");
	ANYIO_TASK_GROUP(clients);
	for (intptr_t i = 0; i < CLIENTS; i++)
		anyio_start_soon(&clients, client, (void *)i, "client");
	CHECK_RC(anyio_task_group_exit(&clients, 0), 0);
	anyio_task_group_cancel(&servers, "done");
	CHECK_RC(anyio_task_group_exit(&servers, 0), 0);
	anyio_listener_free(listener);
	return 0;
}

static const struct anyio_sim_options hostile = {
	.latency_min = 10 * ANYIO_MICROSECOND,
	.latency_max = 20 * ANYIO_MILLISECOND,
	.short_io = 300000,
	.connection_break = 5000,
	.connect_fail = 50000,
	.disk_error = 20000,
	.late_cancel = 500000,
	.bandwidth = 1000000,
};

static uint64_t traced(uint64_t seed)
{
	trace = 0xcbf29ce484222325;
	anyio_sim_disk_reset();
	run_with(small_world, seed, seed % 4 ? &hostile : NULL);
	return trace;
}

static void same_seed_same_order(void **state)
{
	uint64_t last = 0;
	int different = 0;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		uint64_t first = traced(seed);
		assert_int_equal(first, traced(seed));
		different += first != last;
		last = first;
	}
	assert_int_equal(different, 200);
}

static int long_sleep(void *arg)
{
	anyio_time before = anyio_now();
	CHECK_RC(anyio_sleep(24 * 3600 * ANYIO_SECOND), 0);
	CHECK_RC(anyio_now() - before, 24 * 3600 * ANYIO_SECOND);
	return 0;
}

static void time_jumps(void **state)
{
	run_with(long_sleep, 1, NULL);
}

/* A pair of connected streams between two nodes. */
struct ends {
	struct anyio_listener *listener;
	struct anyio_stream *near, *far;
};

static int accept_far(void *arg)
{
	struct ends *ends = arg;
	return anyio_accept(ends->listener, &ends->far);
}

static void ends_open(struct ends *ends)
{
	struct anyio_address address = node(2, 0);
	CHECK_RC(anyio_listen_address(&address, NULL, &ends->listener), 0);
	CHECK_RC(anyio_listener_address(ends->listener, &address), 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, accept_far, ends, "accept");
	int rc = anyio_connect_address(&address, &ends->near);
	CHECK_RC(anyio_task_group_exit(&group, rc), 0);
}

static void ends_close(struct ends *ends)
{
	anyio_stream_free(ends->near);
	anyio_stream_free(ends->far);
	anyio_listener_free(ends->listener);
}

static char big[1 << 20];

static int send_big(void *arg)
{
	return anyio_stream_send(((struct ends *)arg)->near, big, sizeof(big));
}

static int slow_link(void *arg)
{
	struct ends ends;
	static char got[sizeof(big)];
	ends_open(&ends);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 >> 3);
	anyio_time before = anyio_now();
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, send_big, &ends, "send");
	int rc = anyio_stream_receive_exactly(ends.far, got, sizeof(got));
	CHECK_RC(anyio_task_group_exit(&group, rc), 0);
	CHECK(memcmp(big, got, sizeof(got)) == 0);
	/* 1 MiB at 1 MB/s, and the latency of each window on top. */
	anyio_time took = anyio_now() - before;
	CHECK(took >= ANYIO_SECOND && took < 5 * ANYIO_SECOND);
	ends_close(&ends);
	return 0;
}

static void bandwidth_is_kept(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct anyio_sim_options sim = {
			.latency_max = ANYIO_MILLISECOND,
			.bandwidth = 1000000,
			.short_io = seed * 50000,
		};
		run_with(slow_link, seed, &sim);
	}
}

/* Nobody reads: the sender waits once the window is full, and what it sent is known. */
static int full_window(void *arg)
{
	struct ends ends;
	struct iovec iov = { big, sizeof(big) };
	struct anyio_cancel_scope scope;
	size_t sent = 0;
	ends_open(&ends);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, 10 * ANYIO_SECOND);
	anyio_cancel_scope_enter(&scope);
	int rc = anyio_stream_sendv(ends.near, &iov, 1, &sent);
	CHECK_RC(anyio_cancel_scope_exit(&scope, rc), 0);
	CHECK(anyio_cancel_scope_timed_out(&scope));
	CHECK_RC((int64_t)sent, 64 << 10);
	ends_close(&ends);
	return 0;
}

static void an_unread_window_holds_the_sender(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++)
		run_with(full_window, seed, NULL);
}

static int connect_to(void *arg)
{
	struct anyio_stream *stream;
	int rc = anyio_connect_address(arg, &stream);
	if (rc == 0)
		anyio_stream_free(stream);
	return rc;
}

static int refused_and_cut(void *arg)
{
	struct anyio_listener *listener, *second;
	struct anyio_address nobody = node(3, 9), server = node(2, 7);
	uint32_t here = htonl(0x7f000001), there = server.ip4.sin_addr.s_addr;
	CHECK_RC(anyio_listen_address(&server, NULL, &listener), 0);
	CHECK_RC(anyio_listen_address(&server, NULL, &second), -EADDRINUSE);
	CHECK_RC(connect_to(&nobody), -ECONNREFUSED);
	anyio_sim_partition(here, there, true);
	anyio_time before = anyio_now();
	CHECK_RC(connect_to(&server), -ETIMEDOUT);
	CHECK(anyio_now() - before > 30 * ANYIO_SECOND);
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, connect_to, &server), -ETIMEDOUT);
	anyio_sim_partition(here, there, false);
	CHECK_RC(connect_to(&server), 0);
	anyio_listener_free(listener);
	return 0;
}

/* What was sent into a cut arrives once it has healed. */
static int healed(void *arg)
{
	struct ends ends;
	char got[4];
	ends_open(&ends);
	uint32_t here = htonl(0x7f000001), there = htonl(0x7f000002);
	anyio_sim_partition(here, there, true);
	CHECK_RC(anyio_stream_send(ends.near, "ping", 4), 0);
	CHECK_RC(anyio_sleep(2 * ANYIO_SECOND), 0);
	anyio_sim_partition(there, here, false);
	CHECK_RC(anyio_stream_receive_exactly(ends.far, got, 4), 0);
	CHECK(memcmp(got, "ping", 4) == 0);
	/* And one that never heals ends the connection on both sides. */
	anyio_sim_partition(here, there, true);
	CHECK_RC(anyio_stream_send(ends.near, "ping", 4), 0);
	CHECK(anyio_stream_receive(ends.near, got, 4) < 0);
	CHECK(anyio_stream_receive(ends.far, got, 4) < 0);
	anyio_sim_partition(here, there, false);
	ends_close(&ends);
	return 0;
}

static void partitions_cut_and_heal(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		run_with(refused_and_cut, seed, NULL);
		run_with(healed, seed, NULL);
	}
}

/* The disk after a crash. */

enum { RECORD = 1500 };

static int write_records(void *arg)
{
	char bytes[RECORD];
	CHECK_RC(anyio_mkdirat(AT_FDCWD, "/sim/d", 0700), 0);
	int root = anyio_open("/sim", O_RDONLY | O_DIRECTORY, 0);
	int dir = anyio_open("/sim/d", O_RDONLY | O_DIRECTORY, 0);
	int fd = anyio_openat(dir, "log", O_RDWR | O_CREAT, 0600);
	memset(bytes, 'A', sizeof(bytes));
	CHECK_RC(anyio_pwrite_all(fd, bytes, sizeof(bytes), 0), 0);
	CHECK_RC(anyio_fdatasync(fd), 0);
	CHECK_RC(anyio_fsync(dir), 0);
	CHECK_RC(anyio_fsync(root), 0);
	memset(bytes, 'B', sizeof(bytes));
	CHECK_RC(anyio_pwrite_all(fd, bytes, sizeof(bytes), RECORD), 0);
	int other = anyio_openat(dir, "new", O_RDWR | O_CREAT, 0600);
	CHECK_RC(anyio_fsync(other), 0);
	CHECK_RC(anyio_renameat(dir, "new", dir, "renamed"), 0);
	CHECK_RC(anyio_flock(fd, LOCK_EX | LOCK_NB), 0);
	return 0; /* everything stays open, as when a process dies */
}

struct outcomes {
	int whole, none, torn;         /* of the second record */
	int created, renamed, neither; /* of the second file */
} outcomes;

static bool exists(const char *path)
{
	struct stat st;
	return anyio_fstatat(AT_FDCWD, path, &st, 0) == 0;
}

static int look_after_crash(void *arg)
{
	char bytes[2 * RECORD] = "", first[RECORD];
	int fd = anyio_open("/sim/d/log", O_RDWR, 0);
	CHECK(fd >= 0);
	memset(first, 'A', sizeof(first));
	ssize_t n = anyio_pread(fd, bytes, sizeof(bytes), 0);
	CHECK(n >= RECORD && memcmp(bytes, first, RECORD) == 0);
	size_t kept = 0;
	for (ssize_t i = RECORD; i < n; i++) {
		CHECK(bytes[i] == 'B' || bytes[i] == 0);
		kept += bytes[i] == 'B';
	}
	outcomes.whole += kept == RECORD;
	outcomes.none += kept == 0;
	outcomes.torn += kept > 0 && kept < RECORD;
	bool old = exists("/sim/d/new"), renamed = exists("/sim/d/renamed");
	CHECK(!(old && renamed));
	outcomes.created += old;
	outcomes.renamed += renamed;
	outcomes.neither += !old && !renamed;
	CHECK_RC(anyio_flock(fd, LOCK_EX | LOCK_NB), 0);
	return anyio_close(fd);
}

static void a_crash_loses_what_was_not_synced(void **state)
{
	memset(&outcomes, 0, sizeof(outcomes));
	for (uint64_t seed = 1; seed <= 200; seed++) {
		anyio_sim_disk_reset();
		run_with(write_records, seed, NULL);
		anyio_sim_disk_crash(seed);
		run_with(look_after_crash, seed, NULL);
	}
	assert_true(outcomes.whole > 20 && outcomes.none > 20 && outcomes.torn > 20);
	assert_true(outcomes.created > 20 && outcomes.renamed > 20 && outcomes.neither > 20);
}

static int crash_under_way(void *arg)
{
	struct stat st;
	int fd = anyio_open("/sim/gone", O_RDWR | O_CREAT, 0600);
	CHECK_RC(anyio_pwrite_all(fd, "x", 1, 0), 0);
	anyio_sim_disk_crash(7);
	CHECK_RC(anyio_pwrite(fd, "x", 1, 0), -EIO);
	CHECK_RC(anyio_fstat(fd, &st), -EIO);
	CHECK_RC(anyio_close(fd), 0);
	CHECK_RC(anyio_close(fd), -EBADF);
	return 0;
}

static void a_crash_makes_open_files_stale(void **state)
{
	anyio_sim_disk_reset();
	run_with(crash_under_way, 1, NULL);
}

/* Every error is one of the two; what was written and synced without one is there. */
static int unlucky_disk(void *arg)
{
	for (int i = 0; i < 50; i++) {
		char path[32], got[3000], bytes[3000];
		snprintf(path, sizeof(path), "/sim/u%d", i);
		memset(bytes, 'a' + i % 26, sizeof(bytes));
		int fd = anyio_open(path, O_RDWR | O_CREAT, 0600);
		if (fd < 0) {
			CHECK_RC(fd, -EIO);
			continue;
		}
		int rc = anyio_pwrite_all(fd, bytes, sizeof(bytes), 0);
		CHECK(rc == 0 || rc == -EIO || rc == -ENOSPC);
		if (rc == 0 && anyio_pread_all(fd, got, sizeof(got), 0) == 0)
			CHECK(memcmp(bytes, got, sizeof(got)) == 0);
		anyio_close(fd);
	}
	return 0;
}

static void the_disk_fails_by_chance(void **state)
{
	struct anyio_sim_options sim = { .short_io = 500000, .disk_error = 100000 };
	for (uint64_t seed = 1; seed <= 20; seed++) {
		anyio_sim_disk_reset();
		run_with(unlucky_disk, seed, &sim);
	}
}

/* A receive that is cancelled late may still have the byte; then it is returned, never lost. */
static int take_byte(void *arg)
{
	struct ends *ends = arg;
	char byte;
	ssize_t n = anyio_stream_receive(ends->far, &byte, 1);
	return n == 1 ? 1 : (int)n;
}

static int late_cancels(void *arg)
{
	struct ends ends;
	enum { BYTES = 60 };
	int got = 0;
	ends_open(&ends);
	CHECK_RC(anyio_stream_send(ends.near, big, BYTES), 0);
	CHECK_RC(anyio_stream_send_eof(ends.near), 0);
	for (bool over = false; !over;) {
		struct anyio_cancel_scope scope;
		anyio_cancel_scope_init(&scope);
		anyio_cancel_scope_set_timeout(&scope, 500);
		anyio_cancel_scope_enter(&scope);
		int rc = take_byte(&ends);
		int left = anyio_cancel_scope_exit(&scope, rc < 0 ? rc : 0);
		got += rc == 1;
		over = rc == 0;
		CHECK(rc == 1 || rc == 0 || (rc == ANYIO_CANCELLED && left == 0));
	}
	CHECK_RC(got, BYTES);
	ends_close(&ends);
	return 0;
}

static void a_late_cancel_loses_nothing(void **state)
{
	struct anyio_sim_options sim = { .late_cancel = 500000, .latency_max = 3000 };
	for (uint64_t seed = 1; seed <= 50; seed++)
		run_with(late_cancels, seed, &sim);
}

static int compute(void *arg)
{
	note("work", (intptr_t)arg);
	return (int)(intptr_t)arg;
}

static int run_compute(void *arg)
{
	CHECK_RC(anyio_to_thread(compute, arg, NULL), (intptr_t)arg);
	return 0;
}

static int work_inline(void *arg)
{
	ANYIO_TASK_GROUP(group);
	for (intptr_t i = 0; i < 10; i++)
		anyio_start_soon(&group, run_compute, (void *)i, "work");
	return anyio_task_group_exit(&group, 0);
}

static void work_replays(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t first;
		trace = 1;
		run_with(work_inline, seed, NULL);
		first = trace;
		trace = 1;
		run_with(work_inline, seed, NULL);
		assert_int_equal(first, trace);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_same_order),
		cmocka_unit_test(time_jumps),
		cmocka_unit_test(bandwidth_is_kept),
		cmocka_unit_test(an_unread_window_holds_the_sender),
		cmocka_unit_test(partitions_cut_and_heal),
		cmocka_unit_test(a_crash_loses_what_was_not_synced),
		cmocka_unit_test(a_crash_makes_open_files_stale),
		cmocka_unit_test(the_disk_fails_by_chance),
		cmocka_unit_test(a_late_cancel_loses_nothing),
		cmocka_unit_test(work_replays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
