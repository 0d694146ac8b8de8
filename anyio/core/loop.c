/*
 * The scheduler: whose turn it is, and when to poll.
 *
 * Tasks made ready wait in `ready`; a turn takes all of them into `batch` (in seeded mode, in
 * an order drawn from the seed) and runs it off. The loop polls when nothing is ready, at the end of
 * a turn once POLL_EVERY switches were made, and after POLL_MOST at the latest: what many tasks
 * asked for in one turn goes to the kernel together. Operations that did not wait
 * count as switches do (op.c). A poll collects completions, reads the clock,
 * fires timers and runs the calls of other threads. While tasks are ready, one that would find nothing is
 * a look from where the last task left off: switching to the loop and back costs several times as much.
 */
#include <errno.h>
#include "loop.h"

_Thread_local struct anyio_loop *anyio_loop_here __attribute__((tls_model("initial-exec")));

struct anyio_loop *anyio_loop_current(void)
{
	return anyio_loop_here;
}

struct anyio_slot *anyio_loop_slot(struct anyio_loop *loop, enum anyio_slot_name name)
{
	return &loop->slots[name];
}

const struct anyio_options *anyio_loop_options(const struct anyio_loop *loop)
{
	return &loop->options;
}

void anyio_loop_wake(struct anyio_loop *loop)
{
	loop->backend->wake(loop->state);
}

/* splitmix64 */
uint64_t anyio_loop_random(struct anyio_loop *loop)
{
	uint64_t z = loop->random += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int loop_reserve(struct anyio_loop *loop)
{
	if (loop->shuffle_size > loop->task_count)
		return 0;
	size_t size = loop->shuffle_size * 2;
	struct anyio_task **more = anyio_realloc(loop->shuffle, size * sizeof *more);
	if (!more)
		return -ENOMEM;
	loop->shuffle = more;
	loop->shuffle_size = size;
	return 0;
}

static void shuffle_batch(struct anyio_loop *loop)
{
	size_t count = 0;
	for (struct anyio_task *at = loop->batch; at; at = at->next)
		loop->shuffle[count++] = at;
	for (size_t i = count; i > 1; i--) {
		size_t j = anyio_loop_random(loop) % i;
		struct anyio_task *swap = loop->shuffle[i - 1];
		loop->shuffle[i - 1] = loop->shuffle[j];
		loop->shuffle[j] = swap;
	}
	struct anyio_task **last = &loop->batch;
	for (size_t i = 0; i < count; i++, last = &(*last)->next)
		*last = loop->shuffle[i];
	*last = NULL;
}

void loop_begin_turn(struct anyio_loop *loop)
{
	loop->batch = loop->ready;
	loop->ready = NULL;
	loop->ready_last = &loop->ready;
	if (loop->batch && loop->shuffle_size)
		shuffle_batch(loop);
}

/* Or called for by another thread: either way the poll does not wait. */
static bool anything_ready(const struct anyio_loop *loop)
{
	return loop->batch || loop->ready || token_waits(loop->token);
}

static anyio_time read_clock(struct anyio_loop *loop)
{
	if (loop->backend->now)
		return loop->backend->now(loop->state);
	return loop->options.mock_clock ? loop->clock.now : clock_real();
}

anyio_time loop_look(struct anyio_loop *loop)
{
	clock_set(&loop->clock, read_clock(loop));
	return loop->clock.now;
}

void loop_refresh(struct anyio_loop *loop)
{
	loop_look(loop);
	clock_fire(&loop->clock);
}

/* Something outside the tasks may still make one of them ready. */
static bool outside_busy(struct anyio_loop *loop)
{
	if (token_shared(loop->token))
		return true;
	return loop->backend->busy ? loop->backend->busy(loop->state) : loop->in_flight > 0;
}

bool loop_simulated(const struct anyio_loop *loop)
{
	return loop->options.mock_clock || loop->backend->now;
}

/* Every task waits and nothing can wake one: end by cancelling all; if they resist, stop. */
static void deadlock(struct anyio_loop *loop)
{
	if (!loop->deadlocked) {
		loop->deadlocked = true;
		scope_cancel(&loop->root_scope, "deadlock");
		return;
	}
	tree_say(loop);
	anyio_die(__FILE__, __LINE__, "deadlock: %zu tasks wait for ever and cannot be cancelled",
		loop->task_count);
}

/* How long the backend may wait when nothing is ready; moves the mock clock. */
static anyio_time idle_timeout(struct anyio_loop *loop)
{
	struct clock *clock = &loop->clock;
	if (loop_simulated(loop) && !outside_busy(loop)) {
		/* Who gave up its token may have called just before. */
		token_drain(loop->token);
		if (anything_ready(loop))
			return 0;
		if (!clock_has_timers(clock)) {
			deadlock(loop);
			return 0;
		}
		if (!loop->backend->now) {
			anyio_time next = clock_next(clock);
			clock_set(clock, next > clock->now ? next : clock->now);
			return 0;
		}
	}
	anyio_time next = clock_next(clock);
	if (next == ANYIO_FOREVER || (loop->options.mock_clock && !loop->backend->now))
		return ANYIO_FOREVER;
	/* Tasks have run since the clock was last read, and what they took is gone. */
	anyio_time now = loop_look(loop);
	return next > now ? next - now : 0;
}

static bool asked_from_outside(const struct anyio_loop *loop)
{
	return token_waits(loop->token) ||
		atomic_load_explicit(&loop->interrupted, memory_order_relaxed) ||
		atomic_load_explicit(&loop->tree_asked, memory_order_relaxed);
}

bool loop_quiet(struct anyio_loop *loop)
{
	bool ready = loop->batch || loop->ready;
	if (!ready || loop->instruments || !loop->backend->quiet ||
		!loop->backend->quiet(loop->state) || asked_from_outside(loop))
		return false;
	loop_look(loop);
	if (clock_due(&loop->clock))
		return false;
	loop->switches = 0;
	return true;
}

static void poll_backend(struct anyio_loop *loop, anyio_time timeout)
{
	if (__builtin_expect(loop->instruments != NULL, 0))
		instrument_poll(loop, timeout);
	loop->backend->wait(loop->state, timeout);
	token_drain(loop->token);
	if (atomic_load_explicit(&loop->interrupted, memory_order_relaxed))
		scope_cancel(&loop->root_scope, "interrupted");
	if (atomic_load_explicit(&loop->tree_asked, memory_order_relaxed) &&
		atomic_exchange(&loop->tree_asked, 0))
		tree_say(loop);
	loop_refresh(loop);
	if (__builtin_expect(loop->instruments != NULL, 0))
		instrument_polled(loop);
}

static void wake_idle(struct anyio_loop *loop)
{
	while (!anyio_list_empty(&loop->idle)) {
		struct anyio_list *first = loop->idle.next;
		anyio_list_remove(first);
		anyio_wake(anyio_container(first, struct anyio_task, queue), 0);
	}
}

/* Stacks that lay unused for a second give their pages back; the wait is cut to see to it. */
static anyio_time trim_stacks(struct anyio_loop *loop, anyio_time timeout)
{
	if (loop->stacks.dirty == 0 || loop_simulated(loop))
		return timeout;
	if (loop->clock.now >= loop->trim_at) {
		bool all = stack_trim(&loop->stacks);
		loop->trim_at = loop->clock.now + (all ? ANYIO_SECOND : 10 * ANYIO_MILLISECOND);
	}
	anyio_time left = loop->trim_at - loop->clock.now;
	return loop->stacks.dirty > 0 && left < timeout ? left : timeout;
}

static void poll_idle(struct anyio_loop *loop)
{
	poll_backend(loop, 0);
	if (anything_ready(loop))
		return;
	if (!anyio_list_empty(&loop->idle) && loop->ends_asked == 0) {
		wake_idle(loop);
		return;
	}
	poll_backend(loop, trim_stacks(loop, idle_timeout(loop)));
}

static void poll_once(struct anyio_loop *loop)
{
	loop->switches = 0;
	if (anything_ready(loop))
		poll_backend(loop, 0);
	else if (loop_simulated(loop) || !anyio_list_empty(&loop->idle))
		poll_idle(loop);
	else
		poll_backend(loop, trim_stacks(loop, idle_timeout(loop)));
}

static void switch_to(struct anyio_loop *loop, struct anyio_task *next)
{
	if (__builtin_expect(loop->instruments != NULL, 0))
		instrument_switch(loop, NULL, next);
	loop->current = next;
	context_switch(&loop->context, &next->context);
	loop->current = NULL;
	if (loop->ended)
		task_reap(loop);
}

void loop_run(struct anyio_loop *loop)
{
	while (loop->task_count > 0) {
		struct anyio_task *next = loop_next(loop);
		if (next)
			switch_to(loop, next);
		else
			poll_once(loop);
	}
}

/* What the host's poll may take: nothing while somebody waits for all to be quiet. */
static anyio_time hosted_timeout(struct anyio_loop *loop)
{
	if (anything_ready(loop) || !anyio_list_empty(&loop->idle))
		return 0;
	return trim_stacks(loop, idle_timeout(loop));
}

/* The host has polled since the last turn: if that left nothing ready, nothing was before it either. */
void anyio_loop_turn(struct anyio_loop *loop)
{
	struct anyio_task *next;
	context_adopt(&loop->context);
	loop->between_turns = false;
	loop->switches = 0;
	poll_backend(loop, 0);
	if (!anything_ready(loop) && loop->ends_asked == 0)
		wake_idle(loop);
	while (loop->task_count > 0 && (next = loop_next(loop)) != NULL)
		switch_to(loop, next);
	if (loop->task_count == 0) {
		host_finish(loop);
		return;
	}
	/* What this may still collect has woken the host, whose poll will not wait. */
	loop->backend->wait(loop->state, hosted_timeout(loop));
	loop->between_turns = true;
}

static enum anyio_abort idle_abort(struct anyio_task *task, void *arg)
{
	anyio_list_remove(&task->queue);
	return ANYIO_ABORTED;
}

int anyio_wait_all_tasks_blocked(void)
{
	struct anyio_task *task = anyio_current_task();
	if (!task)
		return ANYIO_NO_LOOP;
	anyio_list_append(&task->loop->idle, &task->queue);
	anyio_waits_for("all others to be blocked");
	return (int)anyio_park(idle_abort, NULL);
}
