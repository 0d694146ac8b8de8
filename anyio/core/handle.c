/*
 * Task handles, and what a task says about its own end: its value, and why it fails.
 *
 * A handle points to its task until the task ends; then the end is written into it, and it points to
 * nothing of the runtime's any more. So it is read at any time, and outlives group and loop. One that does not
 * point to its task at that end was given to another task meanwhile, or its storage is gone.
 */
#include <errno.h>
#include <string.h>
#include "loop.h"

static const struct handle *of_const(const struct anyio_task_handle *handle)
{
	return (const struct handle *)handle;
}

void handle_init(struct handle *handle, struct anyio_task *task)
{
	*handle = (struct handle){ .task = task };
	anyio_list_init(&handle->waiters);
}

void handle_check(const struct handle *handle, const struct anyio_task *task)
{
	if (handle->task != task)
		anyio_die(__FILE__, __LINE__,
			"task \"%s\" ended and its handle is not there any more: it was given to another "
			"task, or its storage is gone",
			task->name);
}

void handle_settle(struct handle *handle, enum anyio_task_status status)
{
	handle->task = NULL;
	handle->status = (uint8_t)status;
	while (!anyio_list_empty(&handle->waiters)) {
		struct anyio_list *first = handle->waiters.next;
		anyio_list_remove(first);
		anyio_wake(anyio_container(first, struct anyio_task, queue), 0);
	}
}

static enum anyio_abort wait_abort(struct anyio_task *task, void *arg)
{
	anyio_list_remove(&task->queue);
	return ANYIO_ABORTED;
}

int anyio_task_handle_wait(struct anyio_task_handle *opaque)
{
	struct handle *handle = (struct handle *)opaque;
	struct anyio_task *task = anyio_current_task();
	if (!task)
		return ANYIO_NO_LOOP;
	if (handle->task == task)
		return -EDEADLK;
	if (anyio_checkpoint_if_cancelled() < 0)
		return ANYIO_CANCELLED;
	if (handle->task) {
		anyio_list_append(&handle->waiters, &task->queue);
		anyio_waits_for("the end of a task");
		int rc = (int)anyio_park(wait_abort, handle);
		if (rc < 0)
			return rc;
	} else {
		anyio_pass();
	}
	return handle->error.code;
}

void anyio_task_handle_cancel(struct anyio_task_handle *opaque, const char *reason)
{
	struct handle *handle = (struct handle *)opaque;
	if (handle->task)
		scope_cancel(&handle->task->own, reason);
}

enum anyio_task_status anyio_task_handle_status(const struct anyio_task_handle *opaque)
{
	const struct handle *handle = of_const(opaque);
	if (!handle->task)
		return (enum anyio_task_status)handle->status;
	if (handle->task->own.cancel_called)
		return ANYIO_STATUS_CANCELLING;
	return handle->task->begun ? ANYIO_STATUS_RUNNING : ANYIO_STATUS_PENDING;
}

const char *anyio_task_handle_name(const struct anyio_task_handle *handle)
{
	return of_const(handle)->error.task;
}

int anyio_task_handle_result(const struct anyio_task_handle *opaque)
{
	const struct handle *handle = of_const(opaque);
	return handle->task ? ANYIO_WOULD_BLOCK : handle->error.code;
}

const struct anyio_task_error *anyio_task_handle_error(const struct anyio_task_handle *opaque)
{
	const struct handle *handle = of_const(opaque);
	return !handle->task && handle->status == ANYIO_STATUS_FAILED ? &handle->error : NULL;
}

void *anyio_task_handle_value(const struct anyio_task_handle *handle)
{
	return of_const(handle)->value;
}

int anyio_task_set_value(void *value)
{
	struct anyio_task *task = anyio_current_task();
	if (!task)
		return ANYIO_NO_LOOP;
	if (!task->handle)
		return -ENOENT;
	task->handle->value = value;
	return 0;
}

int anyio_fail_here(int code, const char *text, const char *file, int line)
{
	struct anyio_task *task = anyio_current_task();
	if (task)
		task->failure = (struct failure){ code, line, text, file };
	return code;
}

void anyio_error_of_current(struct anyio_task_error *error, int code)
{
	const struct anyio_task *task = anyio_current_task();
	error_note(error, task->group, task->name, code, &task->failure);
}

void error_note(struct anyio_task_error *error, const struct group *group, const char *task,
	int code, const struct failure *failure)
{
	size_t length = strnlen(task, sizeof error->task - 1);
	*error = (struct anyio_task_error){
		.code = code, .file = group->scope.file, .line = group->scope.line
	};
	memcpy(error->task, task, length);
	if (failure && failure->code == code) {
		error->text = failure->text;
		error->failed_file = failure->file;
		error->failed_line = failure->line;
	}
	if (!error->text)
		error->text = anyio_error_text(code);
}
