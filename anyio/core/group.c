/*
 * Task groups and the start handshake.
 *
 * A group is a scope whose exit waits until no child is left. A child counts from its spawn, so a
 * pending start holds the group open. A child's end is one of: success; a cancellation (the code,
 * with an effective scope), never listed; the starter's own error (before started()); an
 * error, listed and cancelling the group.
 */
#include <errno.h>
#include "loop.h"

static const struct anyio_task_options defaults;

static struct group *of(struct anyio_task_group *group)
{
	return (struct group *)group;
}

static void group_fail(
	struct group *group, const char *task, int code, const struct failure *failure)
{
	if (group->error_count < ERRORS_KEPT)
		error_note(&group->errors[group->error_count], group, task, code, failure);
	group->error_count++;
	scope_cancel(&group->scope, "a task failed");
}

void anyio_task_group_enter_at(struct anyio_task_group *opaque, const char *file, int line)
{
	struct group *group = of(opaque);
	struct anyio_loop *loop = anyio_loop_here;
	if (!loop || !loop->current)
		anyio_die(file, line, "a task group was entered outside a running task");
	scope_init(&group->scope);
	group->scope.group = true;
	scope_enter(&group->scope, loop->current->scope, loop->current, file, line);
	group->host = loop->current;
	anyio_list_init(&group->children);
	group->child_count = 0;
	group->error_count = 0;
	group->state = GROUP_OPEN;
	group->host_waits = false;
	group->child_cancelled = false;
}

/* The host goes on with it as with its own. */
static int first_error(struct group *group)
{
	const struct anyio_task_error *first = &group->errors[0];
	group->host->failure = (struct failure){ .code = first->failed_file ? first->code : 0,
		.line = first->failed_line,
		.text = first->text,
		.file = first->failed_file };
	return first->code;
}

int anyio_task_group_exit(struct anyio_task_group *opaque, int rc)
{
	struct group *group = of(opaque);
	struct anyio_loop *loop = anyio_loop_here;
	struct scope *scope = &group->scope;
	if (!loop || group->state != GROUP_OPEN || group->host != loop->current ||
		loop->current->scope != scope)
		return ANYIO_WRONG_ORDER;
	if (rc < 0 && (rc != ANYIO_CANCELLED || !scope->effective))
		group_fail(group, group->host->name, rc, &group->host->failure);
	if (group->child_count == 0)
		task_yield(group->host);
	while (group->child_count > 0) {
		group->host_waits = true;
		anyio_waits_for("its children");
		anyio_park(NULL, NULL);
	}
	group->state = GROUP_CLOSED;
	bool outer = scope_parent_effective(scope);
	if (group->error_count > 0)
		rc = first_error(group);
	else if (outer)
		rc = ANYIO_CANCELLED;
	else if (scope->effective) {
		scope->caught = rc == ANYIO_CANCELLED || group->child_cancelled;
		if (rc == ANYIO_CANCELLED)
			rc = 0;
	}
	scope_leave(scope);
	return rc;
}

void anyio_task_group_check_left(struct anyio_task_group *opaque)
{
	struct group *group = of(opaque);
	if (group->state == GROUP_OPEN)
		anyio_die(group->scope.file, group->scope.line,
			"the block was left without leaving the task group entered here");
}

static void settle(struct anyio_task *task, bool cancelled)
{
	enum anyio_task_status status = task->rc < 0 ? ANYIO_STATUS_FAILED : ANYIO_STATUS_FINISHED;
	int rc = cancelled ? ANYIO_TASK_CANCELLED : task->rc;
	handle_check(task->handle, task);
	error_note(&task->handle->error, task->group, task->name, rc, &task->failure);
	handle_settle(task->handle, cancelled ? ANYIO_STATUS_CANCELLED : status);
}

void group_child_ended(struct anyio_task *task)
{
	struct group *group = task->group;
	bool cancelled = task->rc == ANYIO_CANCELLED && task->scope->effective;
	struct starter *starter = task->starter;
	if (task->handle)
		settle(task, cancelled);
	if (starter) {
		if (task->failure.code == task->rc)
			starter->waiter->failure = task->failure;
		starter->rc = cancelled ? ANYIO_TASK_CANCELLED : task->rc;
		starter->child = NULL;
		anyio_wake(starter->waiter, 0);
	} else if (cancelled) {
		group->child_cancelled |= !task->alone || group->scope.effective;
	} else if (task->rc < 0) {
		group_fail(group, task->name, task->rc, &task->failure);
	}
	anyio_list_remove(&task->in_group);
	/* Once: another child may come and go before the host's turn. */
	if (--group->child_count == 0 && group->host_waits) {
		group->host_waits = false;
		anyio_wake(group->host, 0);
	}
}

/* Spawns into the group; a failure sticks, unless someone waits for it or it may fail. */
static int group_spawn(struct group *group, anyio_task_fn fn, void *arg,
	const struct anyio_task_options *options, struct starter *starter)
{
	struct anyio_loop *loop = anyio_loop_here;
	struct handle *handle = (struct handle *)options->handle;
	const char *name = options->name ? options->name : "task";
	struct anyio_task *task = NULL;
	if (!loop || (!loop->current && loop->telling))
		return ANYIO_NO_LOOP;
	if (!fn)
		return -EINVAL;
	int rc = group->state == GROUP_OPEN ? 0 : ANYIO_GROUP_CLOSED;
	if (rc == 0 && __builtin_expect(group->scope.loop != loop, 0))
		anyio_die(group->scope.file, group->scope.line,
			"task \"%s\" was started in the group entered here from another loop: use "
			"a portal",
			name);
	if (rc == 0) {
		rc = task_spawn(loop, fn, arg, options, &task);
		if (rc < 0 && !starter && !options->may_fail)
			group_fail(group, name, rc, NULL);
	}
	if (handle) {
		handle_init(handle, task);
		error_note(&handle->error, group, name, rc, NULL);
		handle->status = ANYIO_STATUS_FAILED; /* unless a task settles it */
	}
	if (rc < 0)
		return rc;
	task->group = group;
	task->starter = starter;
	if (starter)
		starter->child = task;
	task->handle = handle;
	if (loop->current && loop->current->locals)
		task->locals = locals_share(loop->current->locals);
	anyio_list_append(&group->children, &task->in_group);
	group->child_count++;
	task_launch(task, &group->scope, starter || handle);
	return 0;
}

int anyio_start_soon(struct anyio_task_group *group, anyio_task_fn fn, void *arg, const char *name)
{
	struct anyio_task_options options = { .name = name };
	return group_spawn(of(group), fn, arg, &options, NULL);
}

int anyio_try_start_soon(
	struct anyio_task_group *group, anyio_task_fn fn, void *arg, const char *name)
{
	struct anyio_task_options options = { .name = name, .may_fail = true };
	return group_spawn(of(group), fn, arg, &options, NULL);
}

int anyio_start_soon_with(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	const struct anyio_task_options *options)
{
	return group_spawn(of(group), fn, arg, options ? options : &defaults, NULL);
}

static enum anyio_abort start_abort(struct anyio_task *task, void *arg)
{
	struct starter *starter = arg;
	starter->cancelled = true;
	scope_cancel(&starter->child->own, "start was cancelled");
	return ANYIO_ABORT_PENDING;
}

int anyio_start_with(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	const struct anyio_task_options *options, void **value)
{
	struct starter starter = { .waiter = anyio_current_task() };
	if (!starter.waiter)
		return ANYIO_NO_LOOP;
	int rc = group_spawn(of(group), fn, arg, options ? options : &defaults, &starter);
	if (rc < 0)
		return rc;
	anyio_waits_for("a task to start");
	anyio_park(start_abort, &starter);
	if (starter.started) {
		if (value)
			*value = starter.value;
		return 0;
	}
	if (starter.rc < 0 && starter.rc != ANYIO_TASK_CANCELLED)
		return starter.rc;
	if (starter.cancelled || anyio_cancel_pending())
		return ANYIO_CANCELLED;
	return starter.rc < 0 ? starter.rc : ANYIO_NOT_STARTED;
}

int anyio_start(
	struct anyio_task_group *group, anyio_task_fn fn, void *arg, const char *name, void **value)
{
	struct anyio_task_options options = { .name = name };
	return anyio_start_with(group, fn, arg, &options, value);
}

int anyio_started(void *value)
{
	struct anyio_task *task = anyio_current_task();
	if (!task)
		return ANYIO_NO_LOOP;
	if (!task->starter)
		return ANYIO_ALREADY_STARTED;
	struct starter *starter = task->starter;
	if (starter->cancelled)
		return 0; /* the starter waits for the end now */
	task->starter = NULL;
	starter->started = true;
	starter->value = value;
	anyio_wake(starter->waiter, 0);
	return 0;
}

struct anyio_cancel_scope *anyio_task_group_scope(struct anyio_task_group *group)
{
	return (struct anyio_cancel_scope *)&of(group)->scope;
}

void anyio_task_group_cancel(struct anyio_task_group *group, const char *reason)
{
	scope_cancel(&of(group)->scope, reason);
}

size_t anyio_task_group_errors(
	const struct anyio_task_group *opaque, const struct anyio_task_error **errors)
{
	const struct group *group = (const struct group *)opaque;
	if (errors)
		*errors = group->errors;
	return group->error_count;
}
