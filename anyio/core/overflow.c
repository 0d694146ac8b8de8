/*
 * A stack overflow is a fault in a guard, with no stack left to report it on: the handler
 * runs on an alternate stack, names the task and lets the fault kill the process. All other
 * faults go to whoever handled SIGSEGV before.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "loop.h"

enum { ALTERNATE_SIZE = 32 * 1024 };

static struct sigaction before[2];
static pthread_key_t alternate_key;

static void say(const struct anyio_task *task)
{
	char text[160];
	int size =
		snprintf(text, sizeof text, "anyio: task \"%s\" overflowed its stack of %zu KiB\n",
			task->name, task->stack->size / 1024);
	ssize_t ignored = write(STDERR_FILENO, text, (size_t)size);
	(void)ignored;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	struct anyio_loop *loop = anyio_loop_here;
	char *address = info->si_addr;
	if (loop && loop->current) {
		const struct stack *stack = loop->current->stack;
		if (address < stack->low && address >= stack->low - stack_guard_size())
			say(loop->current);
	}
	/* Returning runs into the same fault again, now under the handler that was there before. */
	sigaction(number, &before[number == SIGBUS], NULL);
}

/* Again at every run: a test runner or the like may have put its own handler over ours. */
static void watch_signal(int number)
{
	struct sigaction now;
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigemptyset(&action.sa_mask);
	if (sigaction(number, NULL, &now) != 0 || now.sa_sigaction == on_fault)
		return;
	before[number == SIGBUS] = now;
	sigaction(number, &action, NULL);
}

static void free_alternate(void *memory)
{
	stack_t none = { .ss_flags = SS_DISABLE };
	sigaltstack(&none, NULL);
	anyio_free(memory);
}

static void make_key(void)
{
	pthread_key_create(&alternate_key, free_alternate);
}

static void watch_thread(void)
{
	stack_t now;
	if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
		return;
	stack_t alternate = { .ss_sp = anyio_malloc(ALTERNATE_SIZE), .ss_size = ALTERNATE_SIZE };
	if (alternate.ss_sp && sigaltstack(&alternate, NULL) == 0)
		pthread_setspecific(alternate_key, alternate.ss_sp);
	else
		anyio_free(alternate.ss_sp);
}

/* Each thread that runs a loop has an alternate stack, kept until the thread ends. */
void overflow_watch(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_once(&once, make_key);
	pthread_mutex_lock(&lock);
	watch_signal(SIGSEGV);
	watch_signal(SIGBUS);
	pthread_mutex_unlock(&lock);
	watch_thread();
}
