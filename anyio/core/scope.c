/*
 * Cancel scopes.
 *
 * The tree. A scope's parent is the innermost scope of its task when it was entered; a task's first
 * scope is its group's. Each scope knows its children and the tasks for which it is innermost.
 *
 * The invariant. effective == cancel_called || (!shield && parent is effective), always: whatever
 * changes an input calls scope_refresh(), which walks down only where the answer changes, without
 * recursion, and tries to wake the tasks of each scope that became effective. A task's abort may
 * cancel a scope in turn (a pending start its child's): that scope waits until the walk is over, so
 * that a chain of them takes no stack. No task runs before all are done.
 */
#include <errno.h>
#include "loop.h"

static struct scope *of(struct anyio_cancel_scope *scope)
{
	return (struct scope *)scope;
}
static const struct scope *of_const(const struct anyio_cancel_scope *scope)
{
	return (const struct scope *)scope;
}

bool scope_parent_effective(const struct scope *scope)
{
	return !scope->shield && scope->parent && scope->parent->effective;
}

static void deliver_all(struct scope *scope)
{
	for (struct anyio_list *at = scope->tasks.next; at != &scope->tasks; at = at->next)
		task_deliver(anyio_container(at, struct anyio_task, in_scope));
}

/* True when the answer changed, so that the children must be asked too. */
static bool scope_recompute(struct scope *scope)
{
	bool effective = scope->cancel_called || scope_parent_effective(scope);
	if (effective == scope->effective)
		return false;
	scope->effective = effective;
	if (effective)
		deliver_all(scope);
	return true;
}

static void scope_walk(struct scope *top)
{
	struct scope *at = top;
	bool down = scope_recompute(at);
	for (;;) {
		if (down && !anyio_list_empty(&at->children)) {
			at = anyio_container(at->children.next, struct scope, sibling);
		} else {
			while (at != top && at->sibling.next == &at->parent->children)
				at = at->parent;
			if (at == top)
				return;
			at = anyio_container(at->sibling.next, struct scope, sibling);
		}
		down = scope_recompute(at);
	}
}

static void scope_refresh(struct scope *scope)
{
	struct anyio_loop *loop = scope->loop;
	anyio_list_append(&loop->refreshes, &scope->refresh);
	if (loop->refreshing)
		return;
	loop->refreshing = true;
	while (!anyio_list_empty(&loop->refreshes)) {
		struct anyio_list *first = loop->refreshes.next;
		anyio_list_remove(first);
		scope_walk(anyio_container(first, struct scope, refresh));
	}
	loop->refreshing = false;
}

/* What a scope not yet entered is asked for; the rest comes with entering. Field by field: what
 * compilers make of zeroing it whole costs more than all of entering and leaving. */
void scope_init(struct scope *scope)
{
	scope->timer.fire = NULL;
	scope->parent = NULL;
	scope->task = NULL;
	scope->loop = NULL;
	scope->deadline = ANYIO_FOREVER;
	scope->reason = NULL;
	scope->state = SCOPE_FRESH;
	scope->relative = scope->shield = scope->group = false;
	scope->cancel_called = scope->timed_out = scope->caught = scope->effective = false;
}

static void scope_expired(struct timer *timer)
{
	struct scope *scope = anyio_container(timer, struct scope, timer);
	if (!scope->cancel_called)
		scope->timed_out = true;
	scope_cancel(scope, "deadline");
}

static void scope_arm(struct scope *scope)
{
	if (scope->state != SCOPE_ENTERED || scope->cancel_called)
		return;
	if (scope->deadline == ANYIO_FOREVER)
		timer_unset(&scope->loop->clock, &scope->timer);
	else
		timer_set(&scope->loop->clock, &scope->timer, scope->deadline, scope_expired);
	if (__builtin_expect(scope->loop->between_turns, 0))
		anyio_loop_wake(scope->loop);
}

void scope_enter(struct scope *scope, struct scope *parent, struct anyio_task *task,
	const char *file, int line)
{
	scope->state = SCOPE_ENTERED;
	scope->loop = anyio_loop_here;
	scope->parent = parent;
	scope->task = task;
	scope->file = file;
	scope->line = line;
	anyio_list_init(&scope->children);
	anyio_list_init(&scope->tasks);
	if (parent)
		anyio_list_append(&parent->children, &scope->sibling);
	else
		anyio_list_init(&scope->sibling);
	if (scope->relative) {
		scope->relative = false;
		scope->deadline = clock_from_now(scope->deadline);
	}
	scope->effective = scope->cancel_called || scope_parent_effective(scope);
	/* Not scope_arm: its look at state and flags together would wait for the stores above. */
	if (scope->deadline != ANYIO_FOREVER && !scope->cancel_called)
		timer_set(&scope->loop->clock, &scope->timer, scope->deadline, scope_expired);
	if (task) {
		anyio_list_remove(&task->in_scope);
		anyio_list_append(&scope->tasks, &task->in_scope);
		task->scope = scope;
	}
}

void scope_leave(struct scope *scope)
{
	struct anyio_task *task = scope->task;
	timer_unset(&scope->loop->clock, &scope->timer);
	scope->state = SCOPE_LEFT;
	anyio_list_remove(&scope->sibling);
	if (task) {
		task->scope = scope->parent;
		anyio_list_remove(&task->in_scope);
		anyio_list_append(&scope->parent->tasks, &task->in_scope);
	}
	scope->loop = NULL;
}

void scope_cancel(struct scope *scope, const char *reason)
{
	if (scope->cancel_called)
		return;
	scope->cancel_called = true;
	scope->reason = reason;
	if (scope->state != SCOPE_ENTERED)
		return;
	if (__builtin_expect(scope->loop != anyio_loop_here, 0))
		anyio_die(scope->file, scope->line,
			"the scope entered here was cancelled from outside its loop: use "
			"anyio_call_soon or a portal");
	timer_unset(&scope->loop->clock, &scope->timer);
	scope_refresh(scope);
}

void anyio_cancel_scope_init(struct anyio_cancel_scope *scope)
{
	scope_init(of(scope));
}

void anyio_cancel_scope_set_timeout(struct anyio_cancel_scope *opaque, anyio_time timeout)
{
	struct scope *scope = of(opaque);
	scope->relative = scope->state == SCOPE_FRESH && timeout != ANYIO_FOREVER;
	scope->deadline = scope->relative ? timeout : clock_from_now(timeout);
	scope_arm(scope);
}

void anyio_cancel_scope_set_deadline(struct anyio_cancel_scope *opaque, anyio_time when)
{
	struct scope *scope = of(opaque);
	scope->relative = false;
	scope->deadline = when;
	scope_arm(scope);
}

anyio_time anyio_cancel_scope_deadline(const struct anyio_cancel_scope *opaque)
{
	const struct scope *scope = of_const(opaque);
	return scope->relative ? clock_after(anyio_now(), scope->deadline) : scope->deadline;
}

void anyio_cancel_scope_set_shield(struct anyio_cancel_scope *opaque, bool shield)
{
	struct scope *scope = of(opaque);
	scope->shield = shield;
	if (scope->state == SCOPE_ENTERED)
		scope_refresh(scope);
}

bool anyio_cancel_scope_shield(const struct anyio_cancel_scope *scope)
{
	return of_const(scope)->shield;
}

void anyio_cancel_scope_cancel(struct anyio_cancel_scope *scope, const char *reason)
{
	scope_cancel(of(scope), reason);
}

bool anyio_cancel_scope_cancel_called(const struct anyio_cancel_scope *scope)
{
	return of_const(scope)->cancel_called;
}

bool anyio_cancel_scope_cancelled_caught(const struct anyio_cancel_scope *scope)
{
	return of_const(scope)->caught;
}

bool anyio_cancel_scope_timed_out(const struct anyio_cancel_scope *scope)
{
	return of_const(scope)->timed_out;
}

const char *anyio_cancel_scope_reason(const struct anyio_cancel_scope *scope)
{
	return of_const(scope)->reason;
}

void anyio_cancel_scope_enter_at(struct anyio_cancel_scope *opaque, const char *file, int line)
{
	struct scope *scope = of(opaque);
	struct anyio_loop *loop = anyio_loop_here;
	if (!loop || !loop->current)
		anyio_die(file, line, "a cancel scope was entered outside a running task");
	if (scope->state != SCOPE_FRESH)
		anyio_die(file, line, "a cancel scope was entered twice: it is for one use");
	scope_enter(scope, loop->current->scope, loop->current, file, line);
}

int anyio_cancel_scope_exit(struct anyio_cancel_scope *opaque, int rc)
{
	struct scope *scope = of(opaque);
	struct anyio_loop *loop = anyio_loop_here;
	if (!loop || scope->state != SCOPE_ENTERED || scope->task != loop->current ||
		loop->current->scope != scope || scope->group)
		return ANYIO_WRONG_ORDER;
	if (rc == ANYIO_CANCELLED && scope->effective && !scope_parent_effective(scope)) {
		scope->caught = true;
		rc = 0;
	}
	scope_leave(scope);
	return rc;
}

int anyio_cancel_scope_run(struct anyio_cancel_scope *scope, anyio_task_fn fn, void *arg)
{
	anyio_cancel_scope_enter(scope);
	int rc = fn(arg);
	int left = anyio_cancel_scope_exit(scope, rc);
	if (left == ANYIO_WRONG_ORDER && of(scope)->state == SCOPE_ENTERED)
		anyio_die(anyio_loop_here->current->scope->file,
			anyio_loop_here->current->scope->line,
			"the function left a cancel scope open that was entered here");
	return left;
}

/* Why the scope fired is stored in it, so that a call that cancelled it is not taken for its deadline. */
static int run_or_fail(struct anyio_cancel_scope *scope, anyio_task_fn fn, void *arg)
{
	int rc = anyio_cancel_scope_run(scope, fn, arg);
	return of(scope)->caught && of(scope)->timed_out ? -ETIMEDOUT : rc;
}

int anyio_move_on_after(anyio_time timeout, anyio_task_fn fn, void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, timeout);
	return anyio_cancel_scope_run(&scope, fn, arg);
}

int anyio_move_on_at(anyio_time deadline, anyio_task_fn fn, void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_deadline(&scope, deadline);
	return anyio_cancel_scope_run(&scope, fn, arg);
}

int anyio_fail_after(anyio_time timeout, anyio_task_fn fn, void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, timeout);
	return run_or_fail(&scope, fn, arg);
}

int anyio_fail_at(anyio_time deadline, anyio_task_fn fn, void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_deadline(&scope, deadline);
	return run_or_fail(&scope, fn, arg);
}

int anyio_close_forcefully(anyio_task_fn close, void *resource)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_cancel(&scope, "closed by force");
	return anyio_cancel_scope_run(&scope, close, resource);
}

const struct scope *scope_cause(const struct scope *innermost)
{
	const struct scope *at = innermost;
	while (at && !at->cancel_called)
		at = at->shield ? NULL : at->parent;
	return at;
}

const char *anyio_cancel_reason(void)
{
	struct anyio_task *task = anyio_current_task();
	const struct scope *cause = task ? scope_cause(task->scope) : NULL;
	return cause ? cause->reason : NULL;
}

anyio_time anyio_current_effective_deadline(void)
{
	struct anyio_loop *loop = anyio_loop_here;
	anyio_time earliest = ANYIO_FOREVER;
	if (!loop || !loop->current)
		return earliest;
	if (loop->current->scope->effective)
		return INT64_MIN;
	for (const struct scope *at = loop->current->scope; at; at = at->shield ? NULL : at->parent)
		if (at->deadline < earliest)
			earliest = at->deadline;
	return earliest;
}

bool anyio_cancel_pending(void)
{
	struct anyio_loop *loop = anyio_loop_here;
	struct clock *clock = &loop->clock;
	if (clock->root && clock->root->when <= clock->now)
		clock_fire(clock);
	return task_cancelled(loop->current);
}
