/*
 * Tasks: born on a pooled stack with their record at its top, parked, woken, ended.
 *
 * Every wait is anyio_park(), and nothing else switches a task out but a yield, which is a park
 * that was woken in advance. A task is RUNNING, READY (in the run queue, its result decided),
 * PARKED (in nobody's queue but the waker's) or ENDED. Abort is tried only while PARKED, once a
 * wait; so a result once given is never taken back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "loop.h"

void task_reap(struct anyio_loop *loop)
{
	struct anyio_task *task = loop->ended;
	loop->ended = NULL;
	context_free(&task->context);
	stack_give(&loop->stacks, task->stack);
}

/* Leaves the running task, whose state says why, for whoever is next. */
static void task_switch_out(struct anyio_task *task)
{
	struct anyio_loop *loop = task->loop;
	struct anyio_task *next = loop_next(loop);
	task->budget = 0;
	if (next != task) {
		if (__builtin_expect(loop->instruments != NULL, 0))
			instrument_switch(loop, task, next);
		loop->current = next;
		context_switch(&task->context, next ? &next->context : &loop->context);
		if (loop->ended)
			task_reap(loop);
	}
	task->state = TASK_RUNNING;
}

static void make_ready(struct anyio_task *task, int64_t result)
{
	task->state = TASK_READY;
	task->abort = NULL;
	task->result = result;
	task->next = NULL;
	*task->loop->ready_last = task;
	task->loop->ready_last = &task->next;
}

/* The same, where no task of the loop may be running. */
static void make_ready_outside(struct anyio_task *task, int64_t result)
{
	make_ready(task, result);
	if (__builtin_expect(task->loop->between_turns, 0))
		anyio_loop_wake(task->loop);
}

void task_yield(struct anyio_task *task)
{
	make_ready(task, 0);
	task_switch_out(task);
}

int64_t anyio_park(anyio_abort_fn abort, void *arg)
{
	struct anyio_task *task = task_here();
	if (!task)
		anyio_die(__FILE__, __LINE__, "only a task can wait");
	task->state = TASK_PARKED;
	task->abort = abort;
	task->abort_arg = arg;
	task->abort_tried = false;
	if (abort && anyio_cancel_pending())
		task_deliver(task);
	task_switch_out(task);
	task->waits_for = NULL;
	return task->result;
}

void anyio_waits_for(const char *what)
{
	struct anyio_task *task = anyio_current_task();
	if (!task)
		return;
	task->waits_for = what;
	task->waits_until = ANYIO_FOREVER;
	task->waits_fd = -1;
}

/* By another thread, or another loop's task: it would be lost there, or run a loop that is not ours. */
static __attribute__((noinline, cold, noreturn)) void woken_from_elsewhere(
	const struct anyio_task *task)
{
	anyio_die(__FILE__, __LINE__,
		"task \"%s\" was woken from outside its loop: use anyio_call_soon or a portal",
		task->name);
}

void anyio_wake(struct anyio_task *task, int64_t result)
{
	if (__builtin_expect(task->loop != anyio_loop_here, 0))
		woken_from_elsewhere(task);
	if (task->state != TASK_PARKED)
		anyio_die(
			__FILE__, __LINE__, "task \"%s\" was woken but is not parked", task->name);
	make_ready_outside(task, result);
}

void task_deliver(struct anyio_task *task)
{
	if (task->state != TASK_PARKED || !task->abort || task->abort_tried)
		return;
	task->abort_tried = true;
	if (task->abort(task, task->abort_arg) == ANYIO_ABORTED)
		anyio_wake(task, ANYIO_CANCELLED);
}

void anyio_task_interrupt(struct anyio_task *task)
{
	task->interrupts++;
	task_deliver(task);
}

void anyio_task_interrupt_over(struct anyio_task *task)
{
	task->interrupts--;
}

void anyio_pass(void)
{
	struct anyio_task *task = task_here();
	if (task && (task->loop->options.strict || ++task->budget >= BUDGET))
		task_yield(task);
}

/* With timers set it looks at the clock, so that a task that computes notices its deadline. */
static bool cancelled_now(struct anyio_task *task)
{
	if (clock_has_timers(&task->loop->clock) && !task_cancelled(task))
		loop_refresh(task->loop);
	return task_cancelled(task);
}

int anyio_checkpoint(void)
{
	struct anyio_task *task = task_here();
	if (!task)
		return ANYIO_NO_LOOP;
	task_yield(task);
	return cancelled_now(task) ? ANYIO_CANCELLED : 0;
}

int anyio_checkpoint_if_cancelled(void)
{
	struct anyio_task *task = task_here();
	if (!task)
		return ANYIO_NO_LOOP;
	if (!cancelled_now(task))
		return 0;
	task_yield(task);
	return ANYIO_CANCELLED;
}

void anyio_cancel_shielded_checkpoint(void)
{
	struct anyio_task *task = task_here();
	if (task)
		task_yield(task);
}

static void unhook(struct anyio_task *task)
{
	struct anyio_loop *loop = task->loop;
	if (task->scope != task->base)
		anyio_die(task->scope->file, task->scope->line,
			"task \"%s\" ended inside the scope or group entered here", task->name);
	if (!anyio_list_empty(&task->locks))
		anyio_locks_break(&task->locks);
	if (task->locals)
		locals_drop(&task->locals);
	if (task->group)
		group_child_ended(task);
	if (task->alone)
		scope_leave(&task->own);
	anyio_list_remove(&task->in_scope);
	anyio_list_remove(&task->all);
	loop->task_count--;
}

static struct context_next task_main(void *arg)
{
	struct anyio_task *task = arg;
	struct anyio_loop *loop = task->loop;
	context_began();
	if (loop->ended)
		task_reap(loop);
	task->state = TASK_RUNNING;
	task->begun = true;
	task->rc = task->fn(task->arg);
	if (__builtin_expect(loop->instruments != NULL, 0)) {
		instrument_stack_goes(loop, task);
		instrument_ended(loop, task);
	}
	unhook(task);
	task->state = TASK_ENDED;
	struct anyio_task *next = loop_next(loop);
	if (__builtin_expect(loop->instruments != NULL, 0))
		instrument_switch(loop, task, next);
	loop->current = next;
	loop->ended = task;
	return context_leave(&task->context, next ? &next->context : &loop->context);
}

int task_spawn(struct anyio_loop *loop, anyio_task_fn fn, void *arg,
	const struct anyio_task_options *options, struct anyio_task **out)
{
	int error = 0;
	if (loop->task_count >= loop->options.max_tasks)
		return ANYIO_TOO_MANY;
	if (anyio_fault_hit(ANYIO_FAULT_MEMORY, &error))
		return -ENOMEM;
	int rc = loop->shuffle_size ? loop_reserve(loop) : 0;
	if (rc < 0)
		return rc;
	struct stack *stack;
	size_t size = options->stack_size ? options->stack_size : loop->options.stack_size;
	rc = stack_take(&loop->stacks, size, &stack);
	if (rc < 0)
		return rc;
	struct anyio_task *task = (void *)stack_top(stack, sizeof *task);
	context_make(&task->context, stack->low, (char *)task, task_main, task);
	anyio_list_init(&task->in_scope);
	task->loop = loop;
	task->stack = stack;
	task->begun = false;
	task->abort = NULL;
	task->budget = 0;
	task->interrupts = 0;
	task->rc = 0;
	task->id = ++loop->task_ids;
	task->failure.code = 0;
	task->waits_for = NULL;
	task->locals = NULL;
	task->fn = fn;
	task->arg = arg;
	task->group = NULL;
	task->handle = NULL;
	task->starter = NULL;
	anyio_list_init(&task->locks);
	const char *name = options->name ? options->name : "task";
	size_t length = strnlen(name, NAME_SIZE - 1);
	memcpy(task->name, name, length);
	task->name[length] = 0;
	*out = task;
	return 0;
}

void task_launch(struct anyio_task *task, struct scope *scope, bool own_scope)
{
	struct anyio_loop *loop = task->loop;
	anyio_list_append(&loop->tasks, &task->all);
	loop->task_count++;
	task->alone = own_scope;
	if (own_scope) {
		scope_init(&task->own);
		scope_enter(&task->own, scope, task, task->name, 0);
	} else {
		anyio_list_append(&scope->tasks, &task->in_scope);
		task->scope = scope;
	}
	task->base = task->scope;
	make_ready_outside(task, 0);
	if (__builtin_expect(loop->instruments != NULL, 0))
		instrument_spawned(loop, task);
}

int anyio_task_spawn_loose(anyio_task_fn fn, void *arg, const char *name)
{
	struct anyio_loop *loop = anyio_loop_here;
	struct anyio_task_options options = { .name = name };
	struct anyio_task *task;
	if (!loop)
		return ANYIO_NO_LOOP;
	int rc = task_spawn(loop, fn, arg, &options, &task);
	if (rc == 0)
		task_launch(task, &loop->root_scope, false);
	return rc;
}

struct anyio_task *anyio_current_task(void)
{
	return task_here();
}

const char *anyio_task_name(const struct anyio_task *task)
{
	return task->name;
}

size_t anyio_task_count(void)
{
	return anyio_loop_here ? anyio_loop_here->task_count : 0;
}

struct anyio_list *anyio_task_locks(struct anyio_task *task)
{
	return &task->locks;
}
