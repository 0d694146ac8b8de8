/* How it ends when it goes wrong: deadlock, a stack that overflows, blocks left open, SIGINT. */
#include "conformance.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../core/core.h"
#include "child.h"
#include "frame.h"

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

static int s_a_deadlock_is_reported(void *arg)
{
	CHECK_RC(anyio_run(sleep_forever, NULL, arg), ANYIO_DEADLOCK);
	return 0;
}

static int hang_for_ever(void *arg)
{
	anyio_waits_for("nothing at all");
	return (int)anyio_park(NULL, NULL);
}

static void run_hang_for_ever(void *arg)
{
	anyio_run(hang_for_ever, NULL, arg);
}

static int s_a_deadlock_that_cannot_be_cancelled_shows_the_tasks(void *arg)
{
	char text[8192];
	int status = in_child(run_hang_for_ever, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "deadlock"));
	CHECK(strstr(text, "root (task 1) waits for nothing at all"));
	return 0;
}

static int __attribute__((noinline)) overflow(void *arg)
{
	volatile char page[4096];
	page[0] = 1;
	return arg ? overflow((char *)arg + 1) + page[0] : 0;
}

static int spawn_overflow(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, overflow, "x", "deep thinker");
	return anyio_task_group_exit(&group, 0);
}

static void run_overflow(void *arg)
{
	anyio_run(spawn_overflow, NULL, arg);
}

static int s_an_overflow_names_the_task(void *arg)
{
	char text[8192];
	int status = in_child(run_overflow, arg, text, sizeof text);
	CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	CHECK(strstr(text, "deep thinker"));
	return 0;
}

static int spawn_large_frame(void *arg)
{
	const struct anyio_task_options options = { .name = "wide", .stack_size = 16 << 10 };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon_with(&group, large_frame, NULL, &options);
	return anyio_task_group_exit(&group, 0);
}

static void run_large_frame(void *arg)
{
	anyio_run(spawn_large_frame, NULL, arg);
}

/* It touches none of the pages between, as code does that was compiled without stack clash
 * protection. */
static int s_a_frame_larger_than_the_stack_names_the_task(void *arg)
{
	char text[8192];
	int status = in_child(run_large_frame, arg, text, sizeof text);
	CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	CHECK(strstr(text, "task \"wide\" overflowed its stack"));
	return 0;
}

static int leave_group_open(void *arg)
{
	ANYIO_TASK_GROUP(group);
	return 0;
}

static int leave_scope_open(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	return 0;
}

static void run_leave_group_open(void *arg)
{
	anyio_run(leave_group_open, NULL, arg);
}

static void run_leave_scope_open(void *arg)
{
	anyio_run(leave_scope_open, NULL, arg);
}

static int s_blocks_left_open_stop_the_program(void *arg)
{
	char text[8192];
	int status = in_child(run_leave_group_open, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "test_end.c"));
	status = in_child(run_leave_scope_open, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "test_end.c"));
	return 0;
}

/* Destroys what another task is still in. */
struct torn {
	const struct anyio_options *options;
	bool text;
	struct anyio_text storage;
};

static int receive_torn(void *arg)
{
	char buffer[16];
	return (int)anyio_text_receive(&((struct torn *)arg)->storage, buffer, sizeof buffer);
}

static int tear(void *arg)
{
	struct torn *torn = arg;
	struct anyio_stream *ends[2];
	CHECK_RC(anyio_stream_pair(0, ends), 0);
	anyio_text_init(&torn->storage, ends[1], ANYIO_TEXT_STRICT);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, receive_torn, arg, "bookworm");
	anyio_wait_all_tasks_blocked();
	if (torn->text)
		anyio_text_destroy(&torn->storage);
	else
		anyio_reader_destroy(anyio_text_reader(&torn->storage));
	_exit(0); /* nothing was said */
}

static void run_tear(void *arg)
{
	anyio_run(tear, arg, ((struct torn *)arg)->options);
}

static int s_a_reader_is_not_destroyed_under_who_reads(void *arg)
{
	for (int text = 0; text < 2; text++) {
		struct torn torn = { .options = arg, .text = text };
		char said[8192];
		int status = in_child(run_tear, &torn, said, sizeof said);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		CHECK(strstr(said, "a reader was destroyed while task \"bookworm\" is in it"));
	}
	return 0;
}

static int interrupt_self(void *arg)
{
	kill(getpid(), SIGINT);
	int rc = anyio_sleep_forever();
	printf("unwound\n");
	fflush(stdout);
	return rc;
}

static int interrupt_while_busy(void *arg)
{
	kill(getpid(), SIGINT);
	for (int i = 0; i < 300; i++)
		if (anyio_checkpoint() == ANYIO_CANCELLED)
			return ANYIO_CANCELLED;
	printf("still here\n");
	fflush(stdout);
	return 0;
}

static int ignore_interrupts(void *arg)
{
	kill(getpid(), SIGINT);
	while (anyio_sleep_forever() != ANYIO_CANCELLED)
		;
	kill(getpid(), SIGINT);
	printf("still here\n");
	fflush(stdout);
	return 0;
}

static void run_interrupt(void *arg)
{
	if (anyio_run(interrupt_self, NULL, arg) == ANYIO_CANCELLED)
		_exit(3);
}

static void run_busy(void *arg)
{
	if (anyio_run(interrupt_while_busy, NULL, arg) == ANYIO_CANCELLED)
		_exit(3);
}

static void run_ignore(void *arg)
{
	anyio_run(ignore_interrupts, NULL, arg);
}

static int s_an_interrupt_cancels_and_a_second_ends(void *arg)
{
	char text[8192];
	int status = in_child(run_interrupt, arg, text, sizeof text);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	CHECK(strstr(text, "unwound"));
	status = in_child(run_busy, arg, text, sizeof text);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	status = in_child(run_ignore, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	CHECK(!strstr(text, "still here"));
	return 0;
}

/* What another thread, alone or with a loop of its own, does to this loop's things. */
struct elsewhere {
	const struct anyio_options *options;
	struct anyio_event event;
	struct anyio_task_group group;
	int (*act)(void *arg);
	bool with_loop;
};

static int set_there(void *arg)
{
	anyio_event_set(&((struct elsewhere *)arg)->event);
	return 0;
}

static int cancel_there(void *arg)
{
	anyio_task_group_cancel(&((struct elsewhere *)arg)->group, "from elsewhere");
	return 0;
}

static int start_there(void *arg)
{
	return anyio_start_soon(&((struct elsewhere *)arg)->group, sleep_forever, NULL, "stray");
}

static void *thread_main(void *arg)
{
	struct elsewhere *elsewhere = arg;
	if (elsewhere->with_loop)
		anyio_run(elsewhere->act, arg, elsewhere->options);
	else
		elsewhere->act(arg);
	return NULL;
}

static int wait_for_event(void *arg)
{
	return anyio_event_wait(&((struct elsewhere *)arg)->event);
}

static int let_another_thread_in(void *arg)
{
	struct elsewhere *elsewhere = arg;
	pthread_t thread;
	anyio_event_init(&elsewhere->event);
	anyio_task_group_enter(&elsewhere->group);
	anyio_start_soon(&elsewhere->group, wait_for_event, arg, "waiter");
	anyio_checkpoint();
	if (pthread_create(&thread, NULL, thread_main, arg) == 0)
		pthread_join(thread, NULL);
	_exit(0); /* nothing was said */
}

static void run_elsewhere(void *arg)
{
	struct elsewhere *elsewhere = arg;
	anyio_run(let_another_thread_in, arg, elsewhere->options);
}

static void dies_elsewhere(const struct anyio_options *options, int (*act)(void *arg),
	bool with_loop, const char *said)
{
	struct elsewhere elsewhere = { .options = options, .act = act, .with_loop = with_loop };
	char text[8192];
	int status = in_child(run_elsewhere, &elsewhere, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, said));
}

static int s_a_loop_is_touched_by_its_own_thread_alone(void *arg)
{
	dies_elsewhere(arg, set_there, false, "task \"waiter\" was woken from outside its loop");
	dies_elsewhere(arg, set_there, true, "task \"waiter\" was woken from outside its loop");
	dies_elsewhere(arg, cancel_there, false, "was cancelled from outside its loop");
	dies_elsewhere(arg, cancel_there, true, "was cancelled from outside its loop");
	dies_elsewhere(arg, start_there, true, "\"stray\" was started in the group entered here");
	return 0;
}

static int open_and_say(void *arg)
{
	int ends[2];

	CHECK_RC(pipe(ends), 0);
	CHECK(ends[0] > STDERR_FILENO && ends[1] > STDERR_FILENO);
	CHECK(read(STDIN_FILENO, &ends, 1) < 0 && errno == EBADF);
	CHECK(write(STDOUT_FILENO, "x", 1) < 0 && errno == EBADF);
	CHECK(write(STDERR_FILENO, "x", 1) < 0 && errno == EBADF);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void run_without_standard_descriptors(void *arg)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	/* Nothing can be printed: the status tells. */
	if (anyio_run(open_and_say, NULL, arg) != 0 || conformance_failures() != 0)
		_exit(1);
}

static int s_what_was_closed_at_the_start_is_nobody_elses(void *arg)
{
	char text[10];

	CHECK_RC(in_child(run_without_standard_descriptors, arg, text, sizeof(text)), 0);
	CHECK_RC((int64_t)strlen(text), 0);
	return 0;
}

static int take_one(void *arg)
{
	return anyio_limiter_acquire(arg);
}

static int destroy_under_a_waiter(void *arg)
{
	struct anyio_limiter limiter;
	struct anyio_task_group group;

	anyio_limiter_init(&limiter, 0);
	anyio_task_group_enter(&group);
	anyio_start_soon(&group, take_one, &limiter, "waiter");
	anyio_wait_all_tasks_blocked();
	anyio_limiter_destroy(&limiter);
	_exit(0);
}

static void run_destroy_under_a_waiter(void *arg)
{
	anyio_run(destroy_under_a_waiter, NULL, arg);
}

static int s_a_limiter_that_is_waited_for_is_not_destroyed(void *arg)
{
	char text[8192];
	int status = in_child(run_destroy_under_a_waiter, arg, text, sizeof(text));

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "destroyed while 1 tasks wait"));
	return 0;
}

static int make_a_held_lock_anew(void *arg)
{
	static struct anyio_lock lock;

	anyio_lock_init(&lock);
	anyio_lock_acquire(&lock);
	anyio_lock_init(&lock);
	return 0;
}

static void run_make_a_held_lock_anew(void *arg)
{
	anyio_run(make_a_held_lock_anew, NULL, arg);
}

static int s_a_lock_that_is_held_stays(void *arg)
{
	char text[8192];
	int status = in_child(run_make_a_held_lock_anew, arg, text, sizeof(text));

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "task \"root\" ended with a lock whose storage is gone"));
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(s_a_deadlock_is_reported, CONFORM_BARE | CONFORM_MOCK),
		CONFORM(s_a_deadlock_that_cannot_be_cancelled_shows_the_tasks,
			CONFORM_BARE | CONFORM_MOCK),
		CONFORM(s_an_overflow_names_the_task, CONFORM_BARE),
		CONFORM(s_a_frame_larger_than_the_stack_names_the_task, CONFORM_BARE),
		CONFORM(s_blocks_left_open_stop_the_program, CONFORM_BARE),
		CONFORM(s_a_reader_is_not_destroyed_under_who_reads, CONFORM_BARE),
		CONFORM(s_a_loop_is_touched_by_its_own_thread_alone, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(s_an_interrupt_cancels_and_a_second_ends, CONFORM_BARE),
		CONFORM(s_a_limiter_that_is_waited_for_is_not_destroyed, CONFORM_BARE),
		CONFORM(s_a_lock_that_is_held_stays, CONFORM_BARE),
		CONFORM(s_what_was_closed_at_the_start_is_nobody_elses, CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
