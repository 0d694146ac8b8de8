/* Injected faults, the worker threads, and waiting until all is quiet. */
#include "conformance.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

static void memory_fails_at_the_nth(void **state)
{
	anyio_fault_set(ANYIO_FAULT_MEMORY, 2, 0);
	void *first = anyio_malloc(8);
	void *second = anyio_calloc(1, 8);
	char *third = anyio_strdup("x");
	assert_non_null(first);
	assert_null(second);
	assert_non_null(third);
	assert_int_equal(anyio_fault_count(ANYIO_FAULT_MEMORY), 3);
	anyio_fault_set_sticky(ANYIO_FAULT_MEMORY, 1, 0);
	assert_null(anyio_realloc(first, 16));
	assert_null(anyio_malloc(1));
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	anyio_free(first);
	anyio_free(third);
	anyio_free(NULL);
}

static void an_array_grows_or_stays(void **state)
{
	uint32_t *numbers = NULL;
	size_t room = 0, before;
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(anyio_grow(&numbers, &room, i + 1, sizeof(*numbers)), 0);
		assert_true(room > i);
		numbers[i] = i;
	}
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(numbers[i], i);
	before = room;
	assert_int_equal(anyio_grow(&numbers, &room, 10, sizeof(*numbers)), 0);
	assert_int_equal(anyio_grow(&numbers, &room, SIZE_MAX, sizeof(*numbers)), -ENOMEM);
	assert_int_equal(anyio_grow(&numbers, &room, SIZE_MAX / 4, sizeof(*numbers)), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	assert_int_equal(anyio_grow(&numbers, &room, before + 1, sizeof(*numbers)), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	assert_int_equal(room, before);
	assert_int_equal(numbers[999], 999);
	anyio_free(numbers);
}

/* Off, nothing is counted: that is what makes it cheap. */
static void off_counts_nothing(void **state)
{
	anyio_fault_set(ANYIO_FAULT_MEMORY, UINT64_MAX, 0);
	anyio_free(anyio_malloc(1));
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	anyio_free(anyio_malloc(1));
	assert_int_equal(anyio_fault_count(ANYIO_FAULT_MEMORY), 1);
}

static void *allocate_often(void *arg)
{
	size_t *failed = arg;
	for (int i = 0; i < 1000; i++) {
		void *memory = anyio_malloc(1);
		*failed += memory == NULL;
		anyio_free(memory);
	}
	return NULL;
}

static void one_fault_hits_one_thread(void **state)
{
	pthread_t threads[4];
	size_t failed[4] = { 0 };
	anyio_fault_set(ANYIO_FAULT_MEMORY, 2500, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, allocate_often, &failed[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(anyio_fault_count(ANYIO_FAULT_MEMORY), 4000);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	assert_int_equal(failed[0] + failed[1] + failed[2] + failed[3], 1);
}

static atomic_int at_work, most_at_work, done;

static int work(void *arg)
{
	int now = atomic_fetch_add(&at_work, 1) + 1;
	int most = atomic_load(&most_at_work);
	while (most < now && !atomic_compare_exchange_weak(&most_at_work, &most, now))
		;
	atomic_fetch_add(&done, 1);
	atomic_fetch_sub(&at_work, 1);
	return (int)(intptr_t)arg;
}

static int work_task(void *arg)
{
	int rc = anyio_to_thread(work, arg, NULL);
	return rc == (int)(intptr_t)arg ? 0 : -EPROTO;
}

static int work_body(void *arg)
{
	ANYIO_TASK_GROUP(group);
	for (intptr_t i = 0; i < 200; i++)
		anyio_start_soon(&group, work_task, (void *)i, "work");
	return anyio_task_group_exit(&group, 0);
}

static int quiet_steps;

static int step_task(void *arg)
{
	for (int i = 0; i < 10; i++) {
		anyio_cancel_shielded_checkpoint();
		quiet_steps++;
	}
	return anyio_sleep_forever();
}

static int quiet_body(void *arg)
{
	ANYIO_TASK_GROUP(group);
	quiet_steps = 0;
	for (int i = 0; i < 5; i++)
		anyio_start_soon(&group, step_task, NULL, "step");
	int rc = anyio_wait_all_tasks_blocked();
	if (rc == 0 && quiet_steps != 50)
		rc = -EPROTO;
	anyio_task_group_cancel(&group, "done");
	return anyio_task_group_exit(&group, rc);
}

/* Fails every operation and every allocation of a run in turn: each run ends, by an error of the
 * injected kind or none at all. */
static int swept_body(void *arg)
{
	int rc = anyio_to_thread(work, (void *)0, NULL);
	if (rc < 0)
		return rc;
	int fd = anyio_open("/dev/null", O_WRONLY, 0);
	if (fd < 0)
		return fd;
	rc = anyio_write_all(fd, "x", 1);
	anyio_close(fd);
	return rc;
}

static void sweep(const struct anyio_options *options, enum anyio_fault_kind kind)
{
	anyio_fault_set(kind, UINT64_MAX, -EIO);
	assert_int_equal(anyio_run(swept_body, NULL, options), 0);
	uint64_t calls = anyio_fault_count(kind);
	assert_true(calls > 0);
	for (uint64_t at = 1; at <= calls; at++) {
		anyio_fault_set(kind, at, -EIO);
		int rc = anyio_run(swept_body, NULL, options);
		assert_true(rc == 0 || rc == (kind == ANYIO_FAULT_MEMORY ? -ENOMEM : -EIO));
		if (kind == ANYIO_FAULT_OPERATION)
			assert_int_equal(rc, -EIO);
	}
	anyio_fault_set(kind, 0, 0);
}

static void every_backend(void **state)
{
	for (const char *const *name = anyio_backends_available(); *name; name++) {
		struct anyio_options options = { .backend = *name, .worker_threads = 3 };
		atomic_store(&done, 0);
		assert_int_equal(anyio_run(work_body, NULL, &options), 0);
		assert_int_equal(atomic_load(&done), 200);
		assert_true(atomic_load(&most_at_work) <= 3);
		assert_int_equal(anyio_run(quiet_body, NULL, &options), 0);
		sweep(&options, ANYIO_FAULT_OPERATION);
		sweep(&options, ANYIO_FAULT_MEMORY);
	}
}

/* Cancelled, it has a lot to do still, some of it waiting. */
static int unwind_slowly(void *arg)
{
	int *steps = arg;
	struct anyio_cancel_scope shield;
	CHECK_RC(anyio_sleep_forever(), ANYIO_CANCELLED);
	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_enter(&shield);
	for (; *steps < 100; ++*steps)
		CHECK_RC(anyio_checkpoint(), 0);
	return anyio_cancel_scope_exit(&shield, ANYIO_CANCELLED);
}

static int c64_all_blocked_waits_for_a_cancelled_task_to_unwind(void *arg)
{
	struct anyio_task_handle handles[3];
	int steps[3] = { 0 };
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 3; i++) {
		struct anyio_task_options options = { .name = "child", .handle = &handles[i] };
		CHECK_RC(anyio_start_soon_with(&group, unwind_slowly, &steps[i], &options), 0);
	}
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(steps[0] + steps[1] + steps[2], 0);
	anyio_task_handle_cancel(&handles[0], "test");
	anyio_task_handle_cancel(&handles[2], "test");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(steps[0], 100);
	CHECK_RC(steps[1], 0);
	CHECK_RC(steps[2], 100);
	CHECK_RC((int64_t)anyio_task_count(), 2);
	anyio_task_group_cancel(&group, "the last one");
	return anyio_task_group_exit(&group, 0);
}

/* Cancelled before, and while it waits. */
static int all_blocked_is_a_checkpoint(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	anyio_cancel_scope_enter(&scope);
	CHECK_RC(anyio_wait_all_tasks_blocked(), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED), 0);
	return 0;
}

/* Whatever the pointer was before. */
#define MAKES_NONE(out, call)                                                                      \
	do {                                                                                       \
		(out) = (void *)&nowhere;                                                          \
		anyio_fault_set_sticky(ANYIO_FAULT_MEMORY, 1, 0);                                  \
		CHECK((call) < 0);                                                                 \
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);                                         \
		CHECK((out) == NULL);                                                              \
	} while (0)

static char nowhere;

static void nothing_of_the_network(void)
{
	struct anyio_address address, *addresses;
	struct anyio_listener *listener;
	struct anyio_datagram *datagram;
	struct anyio_stream *stream;
	size_t count;

	CHECK_RC(anyio_address_parse(&address, "127.0.0.1", 0), 0);
	MAKES_NONE(addresses, anyio_getaddrinfo("::1", 1, AF_UNSPEC, &addresses, &count));
	MAKES_NONE(listener, anyio_listen_address(&address, NULL, &listener));
	MAKES_NONE(listener, anyio_listen_several(&address, 1, NULL, &listener));
	MAKES_NONE(listener, anyio_listen_unix("/none/such", NULL, &listener));
	MAKES_NONE(stream, anyio_connect_address(&address, &stream));
	MAKES_NONE(stream, anyio_connect_address_with(&address, NULL, &stream));
	MAKES_NONE(stream, anyio_connect_tcp("127.0.0.1", 1, &stream));
	MAKES_NONE(stream, anyio_connect_tcp_with("127.0.0.1", 1, NULL, &stream));
	MAKES_NONE(stream, anyio_connect_unix("/none/such", &stream));
	MAKES_NONE(datagram, anyio_datagram_open(AF_INET, NULL, &datagram));
	MAKES_NONE(datagram, anyio_datagram_bind(&address, NULL, &datagram));
	MAKES_NONE(datagram, anyio_datagram_connect(&address, NULL, NULL, &datagram));
	MAKES_NONE(datagram, anyio_udp_bind("127.0.0.1", 0, NULL, &datagram));
	MAKES_NONE(datagram, anyio_udp_connect("127.0.0.1", 1, NULL, &datagram));
	CHECK_RC(anyio_listen_address(&address, NULL, &listener), 0);
	anyio_listener_close(listener);
	MAKES_NONE(stream, anyio_accept(listener, &stream));
	anyio_listener_free(listener);
}

static void nothing_of_the_process(void)
{
	static const int signals[] = { SIGUSR1, 0 };
	char *const argv[] = { "true", NULL };
	struct anyio_signal_receiver *receiver;
	struct anyio_portal_task *task;
	struct anyio_process *process;
	struct anyio_worker *worker;
	struct anyio_portal *portal;
	struct anyio_stream *stream;
	uint8_t *data;
	size_t size;
	ANYIO_TASK_GROUP(group);

	MAKES_NONE(process, anyio_process_open(argv, NULL, &process));
	MAKES_NONE(worker, anyio_worker_open(argv, NULL, &worker));
	MAKES_NONE(receiver, anyio_signal_open(signals, &receiver));
	MAKES_NONE(portal, anyio_portal_start(NULL, &portal));
	MAKES_NONE(portal, anyio_portal_open(&group, &portal));
	CHECK_RC(anyio_portal_open(&group, &portal), 0);
	MAKES_NONE(task, anyio_portal_start_soon(portal, NULL, NULL, "none", &task));
	MAKES_NONE(task, anyio_portal_start_task(portal, NULL, NULL, "none", &task, NULL));
	anyio_portal_unref(portal);
	MAKES_NONE(data, anyio_read_whole(AT_FDCWD, "/proc/self/stat", 9999, &data, &size));
	MAKES_NONE(stream, anyio_file_stream_open("/dev/null", O_RDONLY, 0, &stream));
	MAKES_NONE(stream, anyio_file_stream_from(0, &stream));
	MAKES_NONE(stream, anyio_spool_create(1, NULL, &stream));
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
}

static int what_could_not_be_made_is_null(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_sender *sender, *sender_clone;
	struct anyio_receiver *receiver, *receiver_clone;

	for (int i = 0; i < 2; i++) {
		MAKES_NONE(ends[i], anyio_stream_pair(1, ends));
		MAKES_NONE(ends[i], anyio_lockstep_pair(ends));
	}
	MAKES_NONE(sender, anyio_channel_create(1, 1, NULL, &sender, &receiver));
	MAKES_NONE(receiver, anyio_channel_create(1, 1, NULL, &sender, &receiver));
	CHECK_RC(anyio_channel_create(1, 1, NULL, &sender, &receiver), 0);
	MAKES_NONE(sender_clone, anyio_sender_clone(sender, &sender_clone));
	MAKES_NONE(receiver_clone, anyio_receiver_clone(receiver, &receiver_clone));
	anyio_sender_close(sender);
	anyio_receiver_close(receiver);
	nothing_of_the_network();
	nothing_of_the_process();
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(what_could_not_be_made_is_null, 0),
		CONFORM(c64_all_blocked_waits_for_a_cancelled_task_to_unwind, 0),
		CONFORM(all_blocked_is_a_checkpoint, 0),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_fails_at_the_nth),
		cmocka_unit_test(an_array_grows_or_stays),
		cmocka_unit_test(off_counts_nothing),
		cmocka_unit_test(one_fault_hits_one_thread),
		cmocka_unit_test(every_backend),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed + run_conformance(cases, sizeof cases / sizeof *cases);
}
