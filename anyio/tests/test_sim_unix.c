/* UNIX sockets in the simulation alone: replay whatever numbers descriptors have, names and locks on the
 * simulated disk, files of somebody outside, and what is left at the end. */
#include "sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "../core/core.h"

static const struct anyio_listen_options taking = { .descriptors = true };

/* At a path of the simulated disk. */
static void pair_make(struct anyio_stream *ends[2])
{
	struct anyio_listener *listener;

	CHECK_RC(anyio_listen_unix("/sim/pair", &taking, &listener), 0);
	CHECK_RC(anyio_connect_unix("/sim/pair", &ends[0]), 0);
	CHECK_RC(anyio_accept(listener, &ends[1]), 0);
	anyio_listener_free(listener);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, "/sim/pair", 0), 0);
}

static void pipe_make(int fds[2])
{
	CHECK_RC(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
}

/* What a run did, folded into one number (FNV-1a). */
static uint64_t trace;

static void note(int64_t value)
{
	trace = (trace ^ (uint64_t)value) * 0x100000001b3;
	trace = (trace ^ (uint64_t)anyio_now()) * 0x100000001b3;
}

enum { GIFTS = 40 };

static int give(void *arg)
{
	struct anyio_descriptors gift = { .count = 2 };

	for (int i = 0; i < GIFTS; i++) {
		pipe_make(gift.fds);
		note(anyio_stream_send_descriptors(
			arg, "some bytes", 1 + (size_t)i % 10, &gift, NULL));
		anyio_descriptors_close(&gift);
		gift.count = 2;
	}
	return anyio_stream_send_eof(arg);
}

static int exchange(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors got;
	char buffer[16];
	ssize_t n;
	ANYIO_TASK_GROUP(group);

	pair_make(ends);
	spawn(&group, give, ends[0], NULL);
	do {
		n = anyio_stream_receive_descriptors(ends[1], buffer, sizeof(buffer), &got);
		note(n);
		note((int64_t)got.count);
		anyio_descriptors_close(&got);
	} while (n > 0);
	CHECK_RC(n, 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	pair_free(ends);
	return 0;
}

static int numbers_of_descriptors_decide_nothing(void *arg)
{
	struct anyio_sim_options sim = {
		.latency_max = ANYIO_MILLISECOND, .short_io = 300000, .late_cancel = 300000
	};
	struct anyio_options options = *(const struct anyio_options *)arg;
	uint64_t first = 0;
	int others[3];

	options.sim = &sim;
	for (int i = 0; i < 2; i++) {
		/* Holes and more of them the second time. */
		for (int k = 0; k < 3 && i == 1; k++)
			others[k] = fcntl(2, F_DUPFD_CLOEXEC, 0);
		if (i == 1)
			close(others[1]);
		anyio_sim_disk_reset();
		trace = 0xcbf29ce484222325;
		CHECK_RC(anyio_run(exchange, NULL, &options), 0);
		if (i == 0)
			first = trace;
	}
	CHECK(trace == first);
	close(others[0]);
	close(others[2]);
	return 0;
}

static int names_lie_on_the_simulated_disk(void *arg)
{
	struct anyio_address address = path_address("/sim/name"), moved = path_address("/sim/new");
	struct anyio_datagram *first, *second;
	struct anyio_listener *listener;
	struct stat st;
	char byte;

	anyio_sim_disk_reset();
	CHECK_RC(anyio_datagram_connect(&address, NULL, NULL, &second), -ENOENT);
	CHECK_RC(anyio_datagram_bind(&address, NULL, &first), 0);
	CHECK_RC(anyio_fstatat(AT_FDCWD, "/sim/name", &st, 0), 0);
	CHECK(S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0600);
	CHECK_RC(anyio_open("/sim/name", O_RDWR, 0), -ENXIO);
	CHECK_RC(anyio_listen_unix("/sim/name", NULL, &listener), -EADDRINUSE);
	CHECK_RC(anyio_listen_unix("/sim/none/name", NULL, &listener), -ENOENT);
	CHECK_RC(anyio_renameat(AT_FDCWD, "/sim/name", AT_FDCWD, "/sim/new"), 0);
	CHECK_RC(anyio_datagram_send_to(first, "x", 1, &address), -ENOENT);
	CHECK_RC(anyio_datagram_send_to(first, "x", 1, &moved), 0);
	CHECK_RC(anyio_datagram_receive(first, &byte, 1, NULL), 1);
	/* The disk forgets it, and may give its number to another. */
	anyio_sim_disk_reset();
	CHECK_RC(anyio_datagram_bind(&moved, NULL, &second), 0);
	CHECK_RC(anyio_datagram_send_to(first, "y", 1, &moved), 0);
	CHECK_RC(anyio_datagram_receive(second, &byte, 1, NULL), 1);
	anyio_datagram_free(second);
	CHECK_RC(anyio_datagram_send_to(first, "y", 1, &moved), -ECONNREFUSED);
	anyio_datagram_free(first);
	/* Stale, and replaced. */
	CHECK_RC(anyio_listen_unix("/sim/new", NULL, &listener), 0);
	anyio_listener_free(listener);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, "/sim/new", 0), 0);
	return 0;
}

static int listen_in_turn(void *arg)
{
	struct anyio_listener **listener = arg;

	return anyio_listen_unix("/sim/turn", NULL, listener);
}

/* So does the lock of who binds. */
static int the_lock_lies_on_the_simulated_disk(void *arg)
{
	struct anyio_listener *listener = NULL;
	struct anyio_names names;
	ANYIO_TASK_GROUP(group);
	int fd = anyio_open("/sim/turn.bind-lock", O_RDWR | O_CREAT, 0600);

	CHECK_RC(anyio_flock(fd, LOCK_EX), 0);
	spawn(&group, listen_in_turn, &listener, NULL);
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	CHECK(listener == NULL);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, "/sim/turn.bind-lock", 0), 0);
	CHECK_RC(anyio_close(fd), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(listener != NULL);
	anyio_listener_free(listener);
	CHECK_RC(anyio_listdir(AT_FDCWD, "/sim", &names), 0);
	CHECK(names.count == 1 && strcmp(names.names[0], "turn") == 0);
	anyio_names_free(&names);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, "/sim/turn", 0), 0);
	return 0;
}

/* What somebody outside listens on is neither reached nor taken for stale. */
static int files_of_others_are_left_alone(void *arg)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	struct folder folder;
	struct anyio_address address;
	struct anyio_listener *listener;
	struct anyio_datagram *datagram;
	struct anyio_stream *stream;
	struct stat before, after;

	folder_make(&folder);
	address = path_address(folder.path);
	for (int i = 0; i < 2; i++) {
		int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

		CHECK_RC(bind(fd, &address.any, address.len), 0);
		if (types[i] == SOCK_STREAM)
			CHECK_RC(listen(fd, 5), 0);
		CHECK_RC(stat(folder.path, &before), 0);
		CHECK_RC(anyio_connect_unix(folder.path, &stream), -EHOSTUNREACH);
		CHECK_RC(anyio_datagram_connect(&address, NULL, NULL, &datagram), -EHOSTUNREACH);
		CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), -EADDRINUSE);
		CHECK_RC(anyio_datagram_bind(&address, NULL, &datagram), -EADDRINUSE);
		CHECK_RC(stat(folder.path, &after), 0);
		CHECK(before.st_ino == after.st_ino);
		close(fd);
		/* Nobody's, it is stale as any other. */
		CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), 0);
		anyio_listener_free(listener);
		unlink(folder.path);
	}
	folder_remove(&folder);
	return 0;
}

/* What is under way is limited by how many descriptors there may be, as in the kernel; then none
 * travels. */
static int too_many_under_way_are_refused_whole(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors gift = { .count = 2 };
	struct rlimit before, now;
	size_t fds;
	char byte;

	pair_make(ends);
	pipe_make(gift.fds);
	fds = conformance_count_fds();
	CHECK_RC(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = (rlim_t)dup(2) + 1;
	close((int)now.rlim_cur - 1);
	CHECK_RC(setrlimit(RLIMIT_NOFILE, &now), 0);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &gift, NULL), -ETOOMANYREFS);
	CHECK_RC(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "y", 1, &gift, NULL), 0);
	anyio_descriptors_close(&gift);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], &byte, 1, &gift), 1);
	CHECK(byte == 'y' && gift.count == 2);
	anyio_descriptors_close(&gift);
	pair_free(ends);
	return 0;
}

/* All is left as it is: what is unread, what is under way, a stream in its own queue, and what is
 * queued of datagrams. The count of descriptors afterwards tells. */
static int leave_all(void *arg)
{
	struct anyio_address address = path_address("/sim/left");
	struct anyio_descriptors gift = { .count = 2 };
	struct anyio_stream *ends[2], *itself[2];
	struct anyio_datagram *datagrams[2];

	pair_make(ends);
	pipe_make(gift.fds);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "unread", 6, &gift, NULL), 0);
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "under way", 9, &gift, NULL), 0);
	pair_make(itself);
	gift.count = 3;
	CHECK_RC(anyio_stream_attribute(
			 itself[1], ANYIO_ATTRIBUTE_DESCRIPTOR, &gift.fds[2], sizeof(int)),
		sizeof(int));
	CHECK_RC(anyio_stream_send_descriptors(itself[0], "itself", 6, &gift, NULL), 0);
	gift.count = 2;
	anyio_descriptors_close(&gift);
	pair_free(itself);
	anyio_stream_free(ends[0]);
	CHECK_RC(anyio_datagram_bind(&address, NULL, &datagrams[0]), 0);
	CHECK_RC(anyio_datagram_connect(&address, NULL, NULL, &datagrams[1]), 0);
	CHECK_RC(anyio_datagram_send(datagrams[1], "queued", 6), 0);
	anyio_datagram_free(datagrams[1]);
	/* The rest is the loop's; their own memory is this test's. */
	anyio_stream_free(ends[1]);
	anyio_datagram_free(datagrams[0]);
	return 0;
}

static int what_is_left_goes_with_the_loop(void *arg)
{
	CHECK_RC(anyio_run(leave_all, NULL, arg), 0);
	anyio_sim_disk_reset();
	return 0;
}

static int pass_all(void *arg)
{
	struct anyio_address address = path_address("/sim/all");
	struct anyio_descriptors gift = { .count = 2 }, got = { .count = 0 };
	struct anyio_listener *listener = NULL;
	struct anyio_stream *ends[2] = { NULL, NULL };
	struct anyio_datagram *server = NULL, *client = NULL;
	char buffer[8];
	int rc = anyio_listen_unix("/sim/listener", &taking, &listener);

	pipe_make(gift.fds);
	if (rc == 0)
		rc = anyio_connect_unix("/sim/listener", &ends[0]);
	if (rc == 0)
		rc = anyio_accept(listener, &ends[1]);
	if (rc == 0)
		rc = anyio_stream_send_descriptors(ends[0], "taken", 5, &gift, NULL);
	if (rc == 0)
		rc = anyio_stream_send_descriptors(ends[0], "left", 4, &gift, NULL);
	if (rc == 0)
		rc = (int)anyio_stream_receive_descriptors(ends[1], buffer, 5, &got);
	if (rc > 0)
		rc = anyio_datagram_bind(&address, NULL, &server);
	if (rc == 0)
		rc = anyio_datagram_connect(&address, NULL, NULL, &client);
	if (rc == 0)
		rc = anyio_datagram_send(client, "taken", 5);
	if (rc == 0)
		rc = anyio_datagram_send_to(client, "left", 4, &address);
	if (rc == 0)
		rc = (int)anyio_datagram_receive(server, buffer, 8, NULL);
	anyio_descriptors_close(&got);
	anyio_descriptors_close(&gift);
	anyio_datagram_free(client);
	anyio_datagram_free(server);
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
	anyio_listener_free(listener);
	return rc < 0 ? rc : 0;
}

static int a_fault_at_each_step_leaves_nothing(void *arg)
{
	static const enum anyio_fault_kind kinds[] = { ANYIO_FAULT_OPERATION, ANYIO_FAULT_MEMORY };

	for (int k = 0; k < 2; k++) {
		uint64_t at = 0, seen;

		do {
			size_t fds = conformance_count_fds();
			int rc;

			anyio_sim_disk_reset();
			anyio_fault_set(kinds[k], ++at, -EIO);
			rc = anyio_run(pass_all, NULL, arg);
			seen = anyio_fault_count(kinds[k]);
			anyio_fault_set(kinds[k], 0, 0);
			/* Where accepting found no memory, no other connection comes. */
			if (rc != 0 && !(k == 1 && rc == ANYIO_DEADLOCK))
				CHECK_RC(rc, k == 0 ? -EIO : -ENOMEM);
			CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
		} while (at <= seen && at < 1000);
		CHECK(at > 10 && at < 1000);
	}
	anyio_sim_disk_reset();
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(numbers_of_descriptors_decide_nothing, CONFORM_BARE | CONFORM_SIM),
		CONFORM(names_lie_on_the_simulated_disk, CONFORM_SIM),
		CONFORM(the_lock_lies_on_the_simulated_disk, CONFORM_SIM),
		CONFORM(files_of_others_are_left_alone, CONFORM_SIM),
		CONFORM(too_many_under_way_are_refused_whole, CONFORM_SIM),
		CONFORM(what_is_left_goes_with_the_loop, CONFORM_BARE | CONFORM_SIM),
		CONFORM(a_fault_at_each_step_leaves_nothing, CONFORM_BARE | CONFORM_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
