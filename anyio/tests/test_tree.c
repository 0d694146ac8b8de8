/* Looking in: infos, the list, the tree as text, and SIGQUIT. */
#include "conformance.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "child.h"

struct text {
	char bytes[16384];
	size_t size;
	size_t lines;
};

static void keep(void *arg, const char *bytes, size_t size)
{
	struct text *text = arg;
	CHECK(size > 0 && bytes[size - 1] == '\n');
	CHECK(memchr(bytes, '\n', size) == bytes + size - 1);
	CHECK_RC(anyio_checkpoint(), ANYIO_NO_LOOP);
	if (text->size + size < sizeof text->bytes)
		memcpy(text->bytes + text->size, bytes, size);
	text->size += size;
	text->lines++;
}

static int look(struct text *text)
{
	*text = (struct text){ .size = 0 };
	return anyio_task_tree(keep, text);
}

/* The line that begins, after its indent, with this; NULL: none. *indent counts its spaces. */
static const char *line_of(const struct text *text, const char *start, int *indent)
{
	const char *at = text->bytes;
	while (*at) {
		int spaces = (int)strspn(at, " ");
		if (strncmp(at + spaces, start, strlen(start)) == 0) {
			*indent = spaces;
			return at;
		}
		at = strchr(at, '\n') + 1;
	}
	conformance_fail(
		__FILE__, __LINE__, "no line begins with \"%s\" in\n%s", start, text->bytes);
	*indent = -1;
	return "";
}

#define CHECK_LINE(text, start, spaces, part)                                                      \
	do {                                                                                       \
		char check_line[512];                                                              \
		int check_indent;                                                                  \
		const char *check_at = line_of(text, start, &check_indent);                        \
		snprintf(check_line, sizeof check_line, "%.*s", (int)strcspn(check_at, "\n"),      \
			check_at);                                                                 \
		CHECK_RC(check_indent, spaces);                                                    \
		if (!strstr(check_line, part))                                                     \
			conformance_fail(                                                          \
				__FILE__, __LINE__, "\"%s\" is not in \"%s\"", part, check_line);  \
	} while (0)

struct world {
	struct anyio_event event;
	struct anyio_lock lock;
	int pipe[2];
};

static int wait_event(void *arg)
{
	return anyio_event_wait(&((struct world *)arg)->event);
}

static int wait_lock(void *arg)
{
	return anyio_lock_acquire(&((struct world *)arg)->lock);
}

static int read_pipe(void *arg)
{
	char byte;
	return (int)anyio_read(((struct world *)arg)->pipe[0], &byte, 1);
}

static int scoped_sleep(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, 90 * ANYIO_SECOND);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_enter(&scope);
	int rc = anyio_sleep(3600 * ANYIO_SECOND);
	return anyio_cancel_scope_exit(&scope, rc);
}

static int nested_group(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, wait_event, arg, "grandchild");
	return anyio_task_group_exit(&group, 0);
}

static int start_nothing(void *arg)
{
	return anyio_sleep_forever();
}

static int starter(void *arg)
{
	return anyio_start(arg, start_nothing, NULL, "never", NULL);
}

static void world_init(struct world *world)
{
	anyio_event_init(&world->event);
	anyio_lock_init(&world->lock);
	CHECK_RC(anyio_lock_acquire_nowait(&world->lock), 0);
}

static int t_the_tree_shows_who_is_in_what(void *arg)
{
	struct text text;
	struct world world;
	world_init(&world);
	ANYIO_TASK_GROUP(group);
	struct anyio_cancel_scope inner;
	anyio_cancel_scope_init(&inner);
	anyio_cancel_scope_enter(&inner);
	anyio_start_soon(&group, nested_group, &world, "child");
	anyio_start_soon(&group, scoped_sleep, NULL, "sleeper");
	anyio_start_soon(&group, wait_lock, &world, "locked out");
	anyio_start_soon(&group, starter, &group, "starter");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(look(&text), 0);
	CHECK_LINE(&text, "anyio: 7 tasks on ", 0, anyio_backend_name());
	CHECK_LINE(&text, "root (task 1)", 0, "runs");
	CHECK_LINE(&text, "group at ", 2, "test_tree.c");
	CHECK_LINE(&text, "child (task 2)", 4, "waits for its children");
	CHECK_LINE(&text, "grandchild", 8, "waits for an event");
	CHECK_LINE(&text, "sleeper", 4, "waits for sleep, 3600.000 s left");
	CHECK_LINE(&text, "scope at ", 6, "90.000 s left, shielded");
	CHECK_LINE(&text, "locked out", 4, "waits for a lock");
	CHECK_LINE(&text, "starter", 4, "waits for a task to start");
	CHECK_LINE(&text, "never", 4, "waits for sleep");
	CHECK_RC((int64_t)text.lines, 12);
	/* What the host entered in the group stands below the group's children, at their level. */
	int indent;
	const char *last = strstr(line_of(&text, "never", &indent), "\n    scope at ");
	CHECK(last && !strchr(last + 2, '\n')[1]);
	CHECK_RC(anyio_cancel_scope_exit(&inner, 0), 0);
	anyio_task_group_cancel(&group, "enough seen");
	CHECK_RC(look(&text), 0);
	CHECK_LINE(&text, "group at ", 2, "5 children, cancelled (enough seen)");
	CHECK_LINE(&text, "grandchild", 8, "is ready to run");
	CHECK_RC(anyio_lock_release(&world.lock), 0);
	return anyio_task_group_exit(&group, 0);
}

static int t_a_task_cancelled_alone_says_so(void *arg)
{
	struct text text;
	struct anyio_task_handle handle;
	struct anyio_task_options options = { .name = "alone", .handle = &handle };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon_with(&group, start_nothing, NULL, &options);
	anyio_task_handle_cancel(&handle, "only this one");
	CHECK_RC(look(&text), 0);
	CHECK_LINE(&text, "alone", 4, "is ready to run, cancelled (only this one)");
	CHECK_LINE(&text, "group at ", 2, "1 child");
	return anyio_task_group_exit(&group, 0);
}

static int shielded_wait(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_enter(&scope);
	return anyio_cancel_scope_exit(&scope, anyio_event_wait(arg));
}

/* Whoever names a task after what a stranger sent forges no line, and nothing for the terminal. */
static int t_what_programs_chose_is_escaped(void *arg)
{
	struct anyio_event event;
	struct text text;
	anyio_event_init(&event);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, shielded_wait, &event, "a\nforged\x1b[2J\xc2\x9b\xc3\xa4 \x7f");
	CHECK_RC(anyio_checkpoint(), 0);
	anyio_task_group_cancel(&group, "b\nforged");
	CHECK_RC(look(&text), 0);
	CHECK(strstr(text.bytes, "a\\x0Aforged\\x1B[2J\\xC2"));
	CHECK(strstr(text.bytes, "\xc3\xa4 \\x7F (task "));
	CHECK(strstr(text.bytes, "cancelled (b\\x0Aforged)"));
	CHECK(!strstr(text.bytes, "\nforged") && !strchr(text.bytes, 0x1b));
	anyio_event_set(&event);
	return anyio_task_group_exit(&group, 0);
}

static int t_an_operation_is_named_with_its_descriptor(void *arg)
{
	struct text text;
	struct world world;
	char want[64];
	CHECK_RC(pipe2(world.pipe, O_CLOEXEC), 0);
	snprintf(want, sizeof want, "waits for read on descriptor %d", world.pipe[0]);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, read_pipe, &world, "reader");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(look(&text), 0);
	CHECK_LINE(&text, "reader", 4, want);
	anyio_task_group_cancel(&group, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	anyio_close(world.pipe[0]);
	anyio_close(world.pipe[1]);
	return 0;
}

enum { DEEP = 20000 };

static int t_a_deep_tree_takes_no_stack(void *arg)
{
	struct text *text = calloc(1, sizeof *text);
	struct anyio_cancel_scope *scopes = malloc(DEEP * sizeof *scopes);
	if (!text || !scopes)
		return -ENOMEM;
	memset(scopes, 0xff, DEEP * sizeof *scopes); /* storage need not be zero */
	for (size_t i = 0; i < DEEP; i++) {
		anyio_cancel_scope_init(&scopes[i]);
		anyio_cancel_scope_enter(&scopes[i]);
	}
	CHECK_RC(look(text), 0);
	CHECK_RC((int64_t)text->lines, DEEP + 2);
	CHECK(strstr(text->bytes, "[level 41] scope at "));
	for (size_t i = DEEP; i-- > 0;)
		CHECK_RC(anyio_cancel_scope_exit(&scopes[i], 0), 0);
	free(scopes);
	free(text);
	return 0;
}

struct generation {
	int left;
	struct text *text;
};

/* Every generation hosts a group of two: one sleeps, the other is the next generation. */
static int generation(void *arg)
{
	struct generation *self = arg;
	if (self->left == 0) {
		CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
		return look(self->text);
	}
	ANYIO_TASK_GROUP(group);
	struct generation next = { self->left - 1, self->text };
	anyio_start_soon(&group, start_nothing, NULL, "sleeps");
	anyio_start_soon(&group, generation, &next, "next");
	struct anyio_cancel_scope inside;
	anyio_cancel_scope_init(&inside);
	anyio_cancel_scope_enter(&inside);
	int rc = anyio_sleep_forever();
	rc = anyio_cancel_scope_exit(&inside, rc);
	return anyio_task_group_exit(&group, rc);
}

enum { GENERATIONS = 20 };

static int t_every_task_and_scope_has_a_line(void *arg)
{
	struct text text = { .size = 0 };
	struct generation first = { GENERATIONS, &text };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, generation, &first, "first");
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	CHECK_RC(look(&text), 0);
	/* The head, the root and its group; of each generation itself, its group, the sleeper and
	 * the scope; the last one has ended. */
	CHECK_RC((int64_t)text.lines, 3 + GENERATIONS * 4);
	anyio_task_group_cancel(&group, NULL);
	return anyio_task_group_exit(&group, 0);
}

static int t_infos_say_the_same(void *arg)
{
	struct anyio_task_info infos[3];
	ANYIO_TASK_GROUP(group);
	int line = __LINE__ - 1;
	anyio_start_soon(&group, scoped_sleep, NULL, "sleeper");
	anyio_start_soon(&group, start_nothing, NULL, "other");
	CHECK_RC((int64_t)anyio_task_list(infos, 3), 3);
	CHECK_RC(infos[1].state, ANYIO_STATE_READY);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC((int64_t)anyio_task_list(NULL, 0), 3);
	CHECK_RC((int64_t)anyio_task_list(infos, 2), 3);
	CHECK_RC((int64_t)infos[0].id, 1);
	CHECK_RC((int64_t)infos[0].parent, 0);
	CHECK(!infos[0].group_file);
	CHECK_RC(infos[0].state, ANYIO_STATE_RUNNING);
	CHECK(strcmp(infos[0].name, "root") == 0);
	CHECK(infos[0].scope.group && infos[0].scope.line == line);
	CHECK(infos[0].scope.deadline == ANYIO_FOREVER && !infos[0].scope.cancelled);
	CHECK(strcmp(infos[1].name, "sleeper") == 0);
	CHECK_RC((int64_t)infos[1].id, 2);
	CHECK_RC((int64_t)infos[1].parent, 1);
	CHECK(strstr(infos[1].group_file, "test_tree.c") && infos[1].group_line == line);
	CHECK_RC(infos[1].state, ANYIO_STATE_WAITING);
	CHECK(strcmp(infos[1].waits_for, "sleep") == 0);
	CHECK_RC(infos[1].waits_fd, -1);
	CHECK_RC(infos[1].waits_until, anyio_now() + 3600 * ANYIO_SECOND);
	CHECK_RC(infos[1].scope.deadline, anyio_now() + 90 * ANYIO_SECOND);
	CHECK(infos[1].scope.shield && !infos[1].scope.cancelled && !infos[1].scope.group);
	anyio_task_group_cancel(&group, "why");
	struct anyio_task_info self;
	anyio_task_describe(anyio_current_task(), &self);
	CHECK(self.scope.cancelled && self.scope.cancel_called);
	CHECK(strcmp(self.scope.reason, "why") == 0);
	anyio_task_list(infos, 3);
	CHECK(!infos[1].scope.cancelled && infos[2].scope.cancelled);
	CHECK_RC(infos[2].state, ANYIO_STATE_READY);
	return anyio_task_group_exit(&group, 0);
}

static int t_a_file_gets_the_same(void *arg)
{
	struct text text;
	char *bytes = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&bytes, &size);
	if (!file)
		return -ENOMEM;
	CHECK_RC(look(&text), 0);
	CHECK_RC(anyio_task_tree_print(file), 0);
	fclose(file);
	CHECK(size == text.size && memcmp(bytes, text.bytes, size) == 0);
	free(bytes);
	return 0;
}

static int t_outside_a_loop_there_is_nothing(void *arg)
{
	struct text text;
	struct anyio_task_info info;
	CHECK_RC(look(&text), ANYIO_NO_LOOP);
	CHECK_RC((int64_t)text.size, 0);
	CHECK_RC((int64_t)anyio_task_list(&info, 1), 0);
	return 0;
}

/* The tree comes by a poll; the pipe that standard error is says when. */
static int quit_twice(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, start_nothing, NULL, "somebody");
	for (int i = 0; i < 2; i++) {
		kill(getpid(), SIGQUIT);
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	}
	fprintf(stderr, "goes on\n");
	anyio_task_group_cancel(&group, NULL);
	return anyio_task_group_exit(&group, 0);
}

static void run_quit(void *arg)
{
	if (anyio_run(quit_twice, NULL, arg) < 0)
		_exit(1);
}

static int q_sigquit_shows_the_tree(void *arg)
{
	char text[8192];
	int status = in_child(run_quit, arg, text, sizeof text);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	char *first = strstr(text, "\n    somebody (task 2) ");
	CHECK(first && strstr(first + 1, "\n    somebody (task 2) "));
	CHECK(strstr(text, "goes on"));
	return 0;
}

/* Two that come together, as from an impatient hand, say nothing of the loop; a busy one hears them too. */
static int quit_twice_at_once(void *arg)
{
	kill(getpid(), SIGQUIT);
	kill(getpid(), SIGQUIT);
	for (int i = 0; i < 300; i++)
		CHECK_RC(anyio_checkpoint(), 0);
	fprintf(stderr, "goes on\n");
	return 0;
}

static void run_quit_at_once(void *arg)
{
	anyio_run(quit_twice_at_once, NULL, arg);
}

static int q_a_loop_that_is_asked_twice_at_once_goes_on(void *arg)
{
	char text[8192];
	int status = in_child(run_quit_at_once, arg, text, sizeof text);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	char *tree = strstr(text, "root (task 1) ");
	CHECK(tree && strstr(tree, "goes on"));
	return 0;
}

static int hang(void *arg)
{
	struct timespec begun, now;
	kill(getpid(), SIGQUIT);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec - begun.tv_sec < 2);
	kill(getpid(), SIGQUIT);
	fprintf(stderr, "still here\n");
	return 0;
}

static void run_hang(void *arg)
{
	anyio_run(hang, NULL, arg);
}

static int q_a_loop_that_hangs_ends_by_the_second(void *arg)
{
	char text[8192];
	int status = in_child(run_hang, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
	CHECK(!strstr(text, "still here"));
	return 0;
}

static void hosts_own(int number)
{
	ssize_t ignored = write(STDERR_FILENO, "the host's\n", 11);
	(void)ignored;
}

static void run_with_handler(void *arg)
{
	signal(SIGQUIT, hosts_own);
	run_quit(arg);
}

static void run_without_signals(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;
	options.no_signals = true;
	run_quit(&options);
}

static int q_a_host_keeps_its_sigquit(void *arg)
{
	char text[8192];
	int status = in_child(run_with_handler, arg, text, sizeof text);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(strstr(text, "the host's") && !strstr(text, "somebody"));
	status = in_child(run_without_signals, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
	return 0;
}

static int end_at_once(void *arg)
{
	return 0;
}

static void run_then_quit(void *arg)
{
	anyio_run(end_at_once, NULL, arg);
	kill(getpid(), SIGQUIT);
}

static int q_after_the_run_it_is_as_before(void *arg)
{
	char text[8192];
	int status = in_child(run_then_quit, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGQUIT);
	return 0;
}

static struct {
	struct anyio_options *options;
	pthread_barrier_t both;
} loops;

static int be_there(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, start_nothing, NULL, arg);
	pthread_barrier_wait(&loops.both);
	if (strcmp(arg, "one") == 0)
		kill(getpid(), SIGQUIT);
	pthread_barrier_wait(&loops.both);
	CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	anyio_task_group_cancel(&group, NULL);
	return anyio_task_group_exit(&group, 0);
}

static void *run_loop(void *name)
{
	anyio_run(be_there, name, loops.options);
	return NULL;
}

static void run_two_loops(void *arg)
{
	pthread_t thread;
	loops.options = arg;
	pthread_barrier_init(&loops.both, NULL, 2);
	if (pthread_create(&thread, NULL, run_loop, "two") != 0)
		_exit(1);
	run_loop("one");
	pthread_join(thread, NULL);
}

static int q_every_loop_shows_its_own(void *arg)
{
	char text[8192];
	int status = in_child(run_two_loops, arg, text, sizeof text);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(strstr(text, "\n    one (task 2) "));
	CHECK(strstr(text, "\n    two (task 2) "));
	return 0;
}

static int quit_once(void *arg)
{
	kill(getpid(), SIGQUIT);
	return anyio_sleep(ANYIO_MILLISECOND);
}

/* Standard error is a pipe that is full, and nobody reads it. */
static void run_unread(void *arg)
{
	static const char bytes[4096];
	int ends[2];

	if (pipe(ends) < 0 || fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0)
		_exit(1);
	while (write(ends[1], bytes, sizeof(bytes)) > 0)
		;
	if (fcntl(ends[1], F_SETFL, 0) < 0 || dup2(ends[1], STDERR_FILENO) < 0)
		_exit(1);
	if (anyio_run(quit_once, NULL, arg) < 0)
		_exit(1);
}

static int q_who_does_not_read_the_tree_holds_up_nobody(void *arg)
{
	char text[100];
	int status = in_child(run_unread, arg, text, sizeof text);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(t_the_tree_shows_who_is_in_what, CONFORM_MOCK | CONFORM_ORDERED),
		CONFORM(t_a_task_cancelled_alone_says_so, CONFORM_MOCK),
		CONFORM(t_what_programs_chose_is_escaped, CONFORM_MOCK),
		CONFORM(t_an_operation_is_named_with_its_descriptor, CONFORM_NO_SIM),
		CONFORM(t_a_deep_tree_takes_no_stack, CONFORM_MOCK),
		CONFORM(t_every_task_and_scope_has_a_line, CONFORM_MOCK),
		CONFORM(t_infos_say_the_same, CONFORM_MOCK),
		CONFORM(t_a_file_gets_the_same, CONFORM_MOCK),
		CONFORM(t_outside_a_loop_there_is_nothing, CONFORM_BARE),
		CONFORM(q_sigquit_shows_the_tree, CONFORM_BARE),
		CONFORM(q_a_loop_that_hangs_ends_by_the_second, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(q_a_loop_that_is_asked_twice_at_once_goes_on, CONFORM_BARE),
		CONFORM(q_a_host_keeps_its_sigquit, CONFORM_BARE),
		CONFORM(q_after_the_run_it_is_as_before, CONFORM_BARE),
		CONFORM(q_every_loop_shows_its_own, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(q_who_does_not_read_the_tree_holds_up_nobody,
			CONFORM_BARE | CONFORM_NO_SIM),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
