/* Running inside a host's libuv loop. Where another backend is asked for it is refused. */
#include "conformance.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* A host with a timer that ticks, and what its tasks share with it. */
struct program {
	uv_loop_t uv;
	uv_timer_t timer;
	uv_pipe_t pipe;
	struct anyio_host *host;
	struct anyio_event event;
	anyio_task_fn body;
	int ticks, stop_at, event_at, cancel_at;
	int done, rc;
	int socket; /* the tasks' end of the pipe */
	char heard[8];
};

static bool is_uv(const struct anyio_options *options)
{
	return strcmp(options->backend, "uv") == 0;
}

static void on_tick(uv_timer_t *timer)
{
	struct program *program = timer->data;

	program->ticks++;
	CHECK(anyio_current_task() == NULL);
	if (program->ticks == program->stop_at)
		uv_stop(&program->uv);
	if (program->ticks == program->event_at)
		anyio_event_set(&program->event);
	if (program->ticks == program->cancel_at && program->done == 0)
		anyio_host_cancel(program->host, "the host leaves");
	if (program->done > 0)
		uv_close((uv_handle_t *)timer, NULL);
}

static void on_done(void *arg, int rc)
{
	struct program *program = arg;

	CHECK(anyio_backend_name() == NULL);
	program->done++;
	program->rc = rc;
	program->host = NULL;
}

static void program_open(struct program *program)
{
	CHECK_RC(uv_loop_init(&program->uv), 0);
	CHECK_RC(uv_timer_init(&program->uv, &program->timer), 0);
	program->timer.data = program;
	anyio_event_init(&program->event);
	program->rc = 1;
}

static void program_start(struct program *program, const struct anyio_options *options)
{
	uv_timer_start(&program->timer, on_tick, 1, 1);
	CHECK_RC(anyio_host_start(&program->uv, program->body, program, options, on_done, program,
			 &program->host),
		0);
}

/* Nothing of the tasks' may be left in the loop: closing it would be busy. */
static void program_close(struct program *program)
{
	CHECK_RC(program->done, 1);
	CHECK_RC(uv_loop_close(&program->uv), 0);
}

static void run_program(struct program *program, const struct anyio_options *options)
{
	program_open(program);
	program_start(program, options);
	CHECK_RC(uv_run(&program->uv, UV_RUN_DEFAULT), 0);
	program_close(program);
}

static int other_backends_are_refused(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;
	struct program program = { .ticks = 0 };

	program_open(&program);
	if (is_uv(&options)) {
		options.mock_clock = true;
		CHECK_RC(anyio_host_start(
				 &program.uv, NULL, NULL, &options, on_done, &program, NULL),
			-EINVAL);
	} else {
		CHECK_RC(anyio_host_start(&program.uv, NULL, NULL, &options, on_done, &program,
				 &program.host),
			ANYIO_NO_BACKEND);
		CHECK(program.host == NULL);
	}
	uv_close((uv_handle_t *)&program.timer, NULL);
	CHECK_RC(uv_run(&program.uv, UV_RUN_DEFAULT), 0);
	program.done++;
	program_close(&program);
	return 0;
}

static int return_seven(void *arg)
{
	return 7;
}

static int sleep_and_work(void *arg)
{
	struct program *program = arg;

	CHECK(strcmp(anyio_backend_name(), "uv") == 0);
	for (int i = 0; i < 3; i++)
		CHECK_RC(anyio_sleep(3 * ANYIO_MILLISECOND), 0);
	CHECK_RC(anyio_to_thread(return_seven, NULL, NULL), 7);
	CHECK_RC(anyio_event_wait(&program->event), 0);
	CHECK_RC(anyio_run(return_seven, NULL, NULL), -EBUSY);
	CHECK_RC(anyio_host_start(&program->uv, return_seven, NULL, NULL, on_done, program, NULL),
		-EBUSY);
	return 5;
}

static int tasks_run_beside_the_hosts_timer(void *arg)
{
	struct program program = { .body = sleep_and_work, .event_at = 5 };

	if (!is_uv(arg))
		return 0;
	run_program(&program, arg);
	CHECK_RC(program.rc, 5);
	CHECK(program.ticks > 5);
	return 0;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
	static char bytes[8];

	*buffer = uv_buf_init(bytes, sizeof(bytes));
}

/* The host answers each byte with the next one. */
static void on_heard(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	uv_buf_t answer = uv_buf_init(buffer->base, size > 0 ? (unsigned)size : 0);

	if (size < 0) {
		CHECK_RC(size, UV_EOF);
		uv_close((uv_handle_t *)stream, NULL);
		return;
	}
	for (ssize_t i = 0; i < size; i++)
		buffer->base[i]++;
	CHECK_RC(uv_try_write(stream, &answer, 1), size);
}

static int talk_to_host(void *arg)
{
	struct program *program = arg;
	char byte = 'a';

	for (int i = 0; i < 10; i++) {
		CHECK_RC(anyio_wait_writable(program->socket), 0);
		CHECK_RC(write(program->socket, &byte, 1), 1);
		CHECK_RC(anyio_wait_readable(program->socket), 0);
		CHECK_RC(read(program->socket, &byte, 1), 1);
	}
	CHECK_RC(byte, 'a' + 10);
	close(program->socket);
	return 0;
}

struct talk {
	struct anyio_listener *listener;
	char heard;
};

static int answer_one(void *arg)
{
	struct talk *talk = arg;
	struct anyio_stream *stream;

	CHECK_RC(anyio_accept(talk->listener, &stream), 0);
	CHECK_RC(anyio_stream_receive(stream, &talk->heard, 1), 1);
	CHECK_RC(anyio_stream_send(stream, &talk->heard, 1), 0);
	anyio_stream_free(stream);
	return 0;
}

/* With the host by its pipe, and among themselves by a socket. */
static int talk_both_ways(void *arg)
{
	struct talk talk = { .heard = 0 };
	struct anyio_task_group group;
	struct anyio_address address;
	struct anyio_stream *stream;
	char byte = 'z';

	CHECK_RC(anyio_address_parse(&address, "127.0.0.1", 0), 0);
	CHECK_RC(anyio_listen_address(&address, NULL, &talk.listener), 0);
	CHECK_RC(anyio_listener_address(talk.listener, &address), 0);
	anyio_task_group_enter(&group);
	CHECK_RC(anyio_start_soon(&group, talk_to_host, arg, "host"), 0);
	CHECK_RC(anyio_start_soon(&group, answer_one, &talk, "answer"), 0);
	CHECK_RC(anyio_connect_address(&address, &stream), 0);
	CHECK_RC(anyio_stream_send(stream, &byte, 1), 0);
	CHECK_RC(anyio_stream_receive(stream, &byte, 1), 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(talk.heard, 'z');
	anyio_stream_free(stream);
	anyio_listener_free(talk.listener);
	return 0;
}

static int tasks_and_host_talk(void *arg)
{
	struct program program = { .body = talk_both_ways };
	int ends[2];

	if (!is_uv(arg))
		return 0;
	CHECK_RC(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	program_open(&program);
	CHECK_RC(uv_pipe_init(&program.uv, &program.pipe, 0), 0);
	CHECK_RC(uv_pipe_open(&program.pipe, ends[0]), 0);
	CHECK_RC(uv_read_start((uv_stream_t *)&program.pipe, on_alloc, on_heard), 0);
	program.socket = ends[1];
	program_start(&program, arg);
	CHECK_RC(uv_run(&program.uv, UV_RUN_DEFAULT), 0);
	CHECK_RC(program.rc, 0);
	program_close(&program);
	return 0;
}

static int wait_for_tick(void *arg)
{
	struct program *program = arg;
	int before = program->ticks;

	while (program->ticks < before + 3)
		CHECK_RC(anyio_checkpoint(), 0);
	return 0;
}

static int tasks_that_never_wait_leave_the_host_its_turn(void *arg)
{
	struct program program = { .body = wait_for_tick };

	if (!is_uv(arg))
		return 0;
	run_program(&program, arg);
	CHECK_RC(program.rc, 0);
	return 0;
}

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

static int set_later(void *arg)
{
	struct program *program = arg;

	anyio_wait_all_tasks_blocked();
	CHECK_RC((int64_t)anyio_event_statistics(&program->event).waiting, 1);
	anyio_event_set(&program->event);
	return 0;
}

static int wait_in_all_ways(void *arg)
{
	struct program *program = arg;
	struct anyio_task_group group;

	CHECK_RC(anyio_fail_after(2 * ANYIO_MILLISECOND, sleep_forever, NULL), -ETIMEDOUT);
	anyio_task_group_enter(&group);
	CHECK_RC(anyio_start_soon(&group, set_later, arg, "later"), 0);
	CHECK_RC(anyio_event_wait(&program->event), 0);
	return anyio_task_group_exit(&group, 0);
}

static int deadlines_and_quiet_are_seen(void *arg)
{
	struct program program = { .body = wait_in_all_ways };

	if (!is_uv(arg))
		return 0;
	run_program(&program, arg);
	CHECK_RC(program.rc, 0);
	return 0;
}

static int clean_up(void *arg)
{
	struct program *program = arg;
	int rc = anyio_sleep_forever();

	CHECK_RC(rc, ANYIO_CANCELLED);
	strcpy(program->heard, "clean");
	return rc;
}

static int wait_for_child(void *arg)
{
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	CHECK_RC(anyio_start_soon(&group, clean_up, arg, "child"), 0);
	return anyio_task_group_exit(&group, 0);
}

/* It stands still while the host does other things, and goes on; cancelled it ends as it should. */
static int a_host_may_stop_go_on_and_leave(void *arg)
{
	struct program program = { .body = wait_for_child, .stop_at = 3, .cancel_at = 6 };

	if (!is_uv(arg))
		return 0;
	program_open(&program);
	program_start(&program, arg);
	CHECK(uv_run(&program.uv, UV_RUN_DEFAULT) != 0);
	CHECK_RC(program.ticks, 3);
	CHECK_RC(program.done, 0);
	while (program.done == 0)
		uv_run(&program.uv, UV_RUN_ONCE);
	CHECK_RC(program.rc, ANYIO_CANCELLED);
	CHECK(strcmp(program.heard, "clean") == 0);
	CHECK(program.ticks >= 6);
	CHECK_RC(uv_run(&program.uv, UV_RUN_DEFAULT), 0);
	program_close(&program);
	return 0;
}

static int set_from_thread(void *arg)
{
	struct program *program = arg;

	anyio_event_set(&program->event);
	return 9;
}

struct foreign {
	struct program *program;
	struct anyio_portal *portal;
};

static int call_in(void *arg)
{
	struct foreign *foreign = arg;

	return anyio_portal_call(foreign->portal, set_from_thread, foreign->program);
}

static int call_out(void *arg)
{
	struct foreign *foreign = arg;

	CHECK_RC(anyio_to_thread(call_in, foreign, NULL), 9);
	return 0;
}

static int let_threads_in(void *arg)
{
	struct foreign foreign = { .program = arg };
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	CHECK_RC(anyio_portal_open(&group, &foreign.portal), 0);
	CHECK_RC(anyio_start_soon(&group, call_out, &foreign, "out"), 0);
	CHECK_RC(anyio_event_wait(&((struct program *)arg)->event), 0);
	CHECK_RC(anyio_sleep(2 * ANYIO_MILLISECOND), 0);
	anyio_portal_unref(foreign.portal);
	return anyio_task_group_exit(&group, 0);
}

/* Without a timer of the host's: only the call, and our own timer, can end its poll. */
static int other_threads_wake_the_host(void *arg)
{
	struct program program = { .body = let_threads_in };

	if (!is_uv(arg))
		return 0;
	program_open(&program);
	uv_close((uv_handle_t *)&program.timer, NULL);
	CHECK_RC(anyio_host_start(&program.uv, program.body, &program, arg, on_done, &program,
			 &program.host),
		0);
	CHECK_RC(uv_run(&program.uv, UV_RUN_DEFAULT), 0);
	CHECK_RC(program.rc, 0);
	program_close(&program);
	return 0;
}

/* With nothing else in the loop whose polls could end by anything but their not being waited. */
static int yield_often(void *arg)
{
	for (int i = 0; i < 1000; i++)
		CHECK_RC(anyio_checkpoint(), 0);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	return 7;
}

static void on_done_again(void *arg, int rc)
{
	struct program *program = arg;

	CHECK_RC(rc, 7);
	if (++program->ticks < 3)
		CHECK_RC(anyio_host_start(&program->uv, yield_often, NULL, NULL, on_done_again,
				 program, NULL),
			0);
	else
		program->done = 1;
}

static int done_may_start_the_next(void *arg)
{
	struct program program = { .ticks = 0 };

	if (!is_uv(arg))
		return 0;
	program_open(&program);
	uv_close((uv_handle_t *)&program.timer, NULL);
	CHECK_RC(anyio_host_start(
			 &program.uv, yield_often, NULL, arg, on_done_again, &program, NULL),
		0);
	CHECK_RC(uv_run(&program.uv, UV_RUN_DEFAULT), 0);
	CHECK_RC(program.ticks, 3);
	program_close(&program);
	return 0;
}

static int a_shortage_leaves_nothing_behind(void *arg)
{
	struct program program = { .body = return_seven };
	int rc = -ENOMEM;

	if (!is_uv(arg))
		return 0;
	program_open(&program);
	uv_close((uv_handle_t *)&program.timer, NULL);
	for (uint64_t at = 1; rc == -ENOMEM; at++) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		rc = anyio_host_start(
			&program.uv, program.body, &program, arg, on_done, &program, &program.host);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK(rc == -ENOMEM || (rc == 0 && at > 2));
		CHECK_RC(uv_run(&program.uv, UV_RUN_DEFAULT), 0);
		CHECK_RC(program.done, rc == 0);
	}
	CHECK_RC(program.rc, 7);
	program_close(&program);
	return 0;
}

/* A prepare callback that was started before ours comes after it, right before the poll. */
struct late_host {
	struct program program; /* first: it is what the task is given */
	uv_prepare_t prepare;
	uv_timer_t far;
	struct anyio_cancel_scope scope;
	void (*act)(struct late_host *late);
	bool at_rest, acted, poll_ended;
};

static void on_prepare(uv_prepare_t *prepare)
{
	struct late_host *late = prepare->data;

	if (!late->at_rest || late->acted)
		return;
	late->acted = true;
	late->act(late);
}

static void set_event(struct late_host *late)
{
	anyio_event_set(&late->program.event);
}

static void cancel_host(struct late_host *late)
{
	anyio_host_cancel(late->program.host, "the host leaves");
}

static void set_deadline(struct late_host *late)
{
	anyio_cancel_scope_set_timeout(&late->scope, ANYIO_MILLISECOND);
}

/* The last tick: nothing but the far timer would end the next poll. */
static void on_last_tick(uv_timer_t *timer)
{
	struct late_host *late = timer->data;

	if (++late->program.ticks < 5)
		return;
	late->at_rest = true;
	uv_timer_stop(timer);
}

static void on_far(uv_timer_t *timer)
{
	((struct late_host *)timer->data)->poll_ended = true;
	if (((struct late_host *)timer->data)->program.host)
		anyio_host_cancel(((struct late_host *)timer->data)->program.host, "too late");
}

static int wait_in_scope(void *arg)
{
	struct late_host *late = arg;
	int rc;

	anyio_cancel_scope_init(&late->scope);
	anyio_cancel_scope_enter(&late->scope);
	rc = anyio_event_wait(&late->program.event);
	CHECK(!late->poll_ended);
	rc = anyio_cancel_scope_exit(&late->scope, rc);
	uv_close((uv_handle_t *)&late->prepare, NULL);
	uv_close((uv_handle_t *)&late->far, NULL);
	uv_close((uv_handle_t *)&late->program.timer, NULL);
	return rc;
}

static void act_before_the_poll(void (*act)(struct late_host *late), int expected, void *options)
{
	struct late_host late = { .program = { .body = wait_in_scope }, .act = act };
	struct program *program = &late.program;

	program_open(program);
	CHECK_RC(uv_prepare_init(&program->uv, &late.prepare), 0);
	CHECK_RC(uv_timer_init(&program->uv, &late.far), 0);
	late.prepare.data = late.far.data = program->timer.data = &late;
	uv_prepare_start(&late.prepare, on_prepare);
	uv_timer_start(&late.far, on_far, 5000, 0);
	uv_timer_start(&program->timer, on_last_tick, 1, 1);
	CHECK_RC(anyio_host_start(&program->uv, program->body, program, options, on_done, program,
			 &program->host),
		0);
	CHECK_RC(uv_run(&program->uv, UV_RUN_DEFAULT), 0);
	CHECK_RC(program->rc, expected);
	program_close(program);
}

static int what_is_done_right_before_a_poll_ends_it(void *arg)
{
	if (!is_uv(arg))
		return 0;
	act_before_the_poll(set_event, 0, arg);
	act_before_the_poll(set_deadline, 0, arg);
	act_before_the_poll(cancel_host, ANYIO_CANCELLED, arg);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(other_backends_are_refused, CONFORM_BARE),
		CONFORM(tasks_run_beside_the_hosts_timer, CONFORM_BARE),
		CONFORM(tasks_and_host_talk, CONFORM_BARE),
		CONFORM(tasks_that_never_wait_leave_the_host_its_turn, CONFORM_BARE),
		CONFORM(deadlines_and_quiet_are_seen, CONFORM_BARE),
		CONFORM(a_host_may_stop_go_on_and_leave, CONFORM_BARE),
		CONFORM(other_threads_wake_the_host, CONFORM_BARE),
		CONFORM(done_may_start_the_next, CONFORM_BARE),
		CONFORM(what_is_done_right_before_a_poll_ends_it, CONFORM_BARE),
		CONFORM(a_shortage_leaves_nothing_behind, CONFORM_BARE),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
