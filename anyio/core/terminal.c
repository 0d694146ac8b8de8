/*
 * The signals that a terminal's keys send. SIGINT: the first cancels the root task of the loop that came
 * first, the second ends the process. SIGQUIT: every loop writes its task tree; one that has not done so
 * a second later hangs, and the next SIGQUIT ends the process. Either is taken only where nobody handles
 * it.
 *
 * The handlers only set a flag and wake the backend, whose wake() is safe in a signal handler.
 * Unwatching waits until no handler is inside, so the loop cannot go from under it.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include "loop.h"

enum { LOOPS = 64 }; /* that SIGQUIT reaches; more of them it leaves alone */

static atomic_int inside;

static struct {
	_Atomic(struct anyio_loop *) loop;
	struct sigaction before;
} interrupted;

static struct {
	_Atomic(struct anyio_loop *) loops[LOOPS];
	pthread_mutex_t lock; /* for the two below */
	unsigned count;
	bool taken;
	struct sigaction before;
} looked_at = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void end_by(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

static void on_interrupt(int number)
{
	int saved = errno;
	atomic_fetch_add(&inside, 1);
	struct anyio_loop *loop = atomic_load(&interrupted.loop);
	if (!loop || atomic_exchange(&loop->interrupted, true))
		end_by(number);
	else
		anyio_loop_wake(loop);
	atomic_fetch_sub(&inside, 1);
	errno = saved;
}

/* False when it was asked before and has not answered for long. */
static bool ask_for_tree(struct anyio_loop *loop, anyio_time now)
{
	anyio_time asked = 0;
	if (atomic_compare_exchange_strong(&loop->tree_asked, &asked, now))
		return true;
	return now - asked < ANYIO_SECOND;
}

static void on_quit(int number)
{
	int saved = errno;
	bool hangs = false;
	anyio_time now = clock_real();
	atomic_fetch_add(&inside, 1);
	for (size_t i = 0; i < LOOPS; i++) {
		struct anyio_loop *loop = atomic_load(&looked_at.loops[i]);
		if (!loop)
			continue;
		hangs |= !ask_for_tree(loop, now);
		anyio_loop_wake(loop);
	}
	atomic_fetch_sub(&inside, 1);
	if (hangs)
		end_by(number);
	errno = saved;
}

/* False when somebody handles it. */
static bool take(int number, void (*handler)(int), struct sigaction *before)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK };
	sigemptyset(&action.sa_mask);
	sigaction(number, NULL, before);
	return before->sa_handler == SIG_DFL && sigaction(number, &action, NULL) == 0;
}

/* Unless somebody took it since. */
static void give_back(int number, void (*handler)(int), const struct sigaction *before)
{
	struct sigaction now;
	sigaction(number, NULL, &now);
	if (now.sa_handler == handler)
		sigaction(number, before, NULL);
}

static void interrupt_take(struct anyio_loop *loop)
{
	struct anyio_loop *nobody = NULL;
	if (atomic_compare_exchange_strong(&interrupted.loop, &nobody, loop) &&
		!take(SIGINT, on_interrupt, &interrupted.before))
		atomic_store(&interrupted.loop, NULL);
}

static void interrupt_give_back(const struct anyio_loop *loop)
{
	if (atomic_load(&interrupted.loop) != loop)
		return;
	give_back(SIGINT, on_interrupt, &interrupted.before);
	atomic_store(&interrupted.loop, NULL);
}

static bool replace(struct anyio_loop *old, struct anyio_loop *new)
{
	for (size_t i = 0; i < LOOPS; i++) {
		struct anyio_loop *expected = old;
		if (atomic_compare_exchange_strong(&looked_at.loops[i], &expected, new))
			return true;
	}
	return false;
}

static void quit_take(struct anyio_loop *loop)
{
	pthread_mutex_lock(&looked_at.lock);
	if (replace(NULL, loop) && looked_at.count++ == 0)
		looked_at.taken = take(SIGQUIT, on_quit, &looked_at.before);
	pthread_mutex_unlock(&looked_at.lock);
}

static void quit_give_back(struct anyio_loop *loop)
{
	pthread_mutex_lock(&looked_at.lock);
	if (replace(loop, NULL) && --looked_at.count == 0 && looked_at.taken)
		give_back(SIGQUIT, on_quit, &looked_at.before);
	pthread_mutex_unlock(&looked_at.lock);
}

void terminal_watch(struct anyio_loop *loop)
{
	interrupt_take(loop);
	quit_take(loop);
}

void terminal_unwatch(struct anyio_loop *loop)
{
	interrupt_give_back(loop);
	quit_give_back(loop);
	while (atomic_load(&inside) > 0)
		sched_yield();
}
