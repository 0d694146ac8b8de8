#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <anyio/version.h>
#include "loop.h"

enum { DEFAULT_STACK = 64 * 1024, DEFAULT_TASKS = 1000000, FIRST_SHUFFLE = 64 };

const char *anyio_version(void)
{
	return ANYIO_VERSION;
}

const char *anyio_backend_name(void)
{
	return anyio_loop_here ? anyio_loop_here->backend->name : NULL;
}

uint32_t anyio_descriptor_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > UINT32_MAX
		? UINT32_MAX
		: (uint32_t)limit.rlim_cur;
}

int loop_open(struct anyio_loop *loop, const struct anyio_options *options)
{
	if (options)
		loop->options = *options;
	if (!loop->options.stack_size)
		loop->options.stack_size = DEFAULT_STACK;
	if (!loop->options.max_tasks)
		loop->options.max_tasks = DEFAULT_TASKS;
	loop->ready_last = &loop->ready;
	anyio_list_init(&loop->idle);
	anyio_list_init(&loop->tasks);
	anyio_list_init(&loop->refreshes);
	loop->random = loop->options.seed;
	if (loop->options.seeded) {
		loop->shuffle = anyio_malloc(FIRST_SHUFFLE * sizeof *loop->shuffle);
		if (!loop->shuffle)
			return -ENOMEM;
		loop->shuffle_size = FIRST_SHUFFLE;
	}
	int rc = backends_open(loop);
	if (rc < 0)
		return rc;
	loop->token = token_create(loop);
	if (!loop->token) {
		loop->backend->close(loop->state);
		return -ENOMEM;
	}
	return 0;
}

void loop_close(struct anyio_loop *loop)
{
	if (loop->in_flight > 0)
		anyio_die(__FILE__, __LINE__, "the loop ends with %zu operations in flight",
			loop->in_flight);
	locals_destroy(&loop->locals);
	for (int i = 0; i < ANYIO_SLOTS; i++)
		if (loop->slots[i].close)
			loop->slots[i].close(loop->slots[i].value);
	token_end(loop->token);
	loop->backend->close(loop->state);
}

static int run_root(void *arg)
{
	struct root *root = arg;
	root->rc = root->body(root->arg);
	return root->rc;
}

/* Ignored for good, in the whole process, unless somebody handles them: a broken pipe, or a file that
 * may not grow further, is an error value here, and the kernel offers no flag for pipes and files as
 * it does for sockets. */
static void ignore_failed_writes(void)
{
	static const int signals[] = { SIGPIPE, SIGXFSZ };
	struct sigaction now;

	for (int i = 0; i < 2; i++)
		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			signal(signals[i], SIG_IGN);
}

int loop_launch(struct anyio_loop *loop, struct root *root)
{
	struct anyio_task_options options = { .name = "root" };
	context_adopt(&loop->context);
	clock_set(
		&loop->clock, loop->backend->now ? loop->backend->now(loop->state) : clock_real());
	scope_init(&loop->root_scope);
	scope_enter(&loop->root_scope, NULL, NULL, __FILE__, __LINE__);
	if (loop->options.instrument)
		anyio_instrument_add(loop->options.instrument);
	struct anyio_task *task;
	int rc = task_spawn(loop, run_root, root, &options, &task);
	if (rc == 0)
		task_launch(task, &loop->root_scope, false);
	return rc;
}

/* By something that refuses what they are there for. Else the loop's own descriptors, or a connection,
 * would get these numbers, and what is said on standard error would go there. */
void standard_descriptors_take(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
}

void loop_prepare_process(void)
{
	standard_descriptors_take();
	ignore_failed_writes();
	overflow_watch();
}

static int loop_main(struct anyio_loop *loop, struct root *root)
{
	int rc = loop_launch(loop, root);
	if (rc < 0)
		return rc;
	if (!loop->options.no_signals)
		terminal_watch(loop);
	loop_run(loop);
	if (!loop->options.no_signals)
		terminal_unwatch(loop);
	return loop->deadlocked ? ANYIO_DEADLOCK : root->rc;
}

int anyio_run(anyio_task_fn body, void *arg, const struct anyio_options *options)
{
	if (anyio_loop_here)
		return -EBUSY;
	struct anyio_loop *loop = anyio_calloc(1, sizeof *loop);
	if (!loop)
		return -ENOMEM;
	struct root root = { .body = body, .arg = arg };
	loop_prepare_process();
	int rc = loop_open(loop, options);
	if (rc == 0) {
		anyio_loop_here = loop;
		rc = loop_main(loop, &root);
		loop_close(loop);
		anyio_loop_here = NULL;
		stack_pool_close(&loop->stacks);
	}
	anyio_free(loop->shuffle);
	anyio_free(loop);
	return rc;
}
