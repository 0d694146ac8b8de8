/*
 * Tasks and task groups.
 *
 * A group is caller-owned storage that never moves between enter and exit. Its exit waits for
 * every child. The first real error cancels the host and the siblings and is what exit returns;
 * all of them are listed. Cancellations are never listed.
 */
#ifndef ANYIO_TASK_H
#define ANYIO_TASK_H

#include <stdbool.h>
#include <anyio/cancel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_task; /* a running task; the pointer is valid until it ends */

struct anyio_task_group {
	uint64_t opaque[104];
};

/* One collected error. Strings are copies that live as long as the group. */
struct anyio_task_error {
	int code;
	char task[48];    /* the name of the task */
	const char *file; /* where the group was entered */
	int line;
};

/* A handle outlives its task; it is caller-owned storage, released by the group's exit. */
struct anyio_task_handle {
	uint64_t opaque[16];
};

struct anyio_task_options {
	const char *name;                 /* copied, at most 47 bytes; NULL: "task" */
	size_t stack_size;                /* bytes; 0: the loop's default */
	struct anyio_task_handle *handle; /* filled when not NULL */
	bool may_fail; /* a failure to spawn is only returned: as by anyio_try_start_soon */
	void *reserved[3];
};

ANYIO_API void anyio_task_group_enter_at(
	struct anyio_task_group *group, const char *file, int line);
#define anyio_task_group_enter(group) anyio_task_group_enter_at(group, __FILE__, __LINE__)

/* Waits for all children and leaves. rc is the host's own result: a negative code other than a
 * cancellation cancels the children and counts as an error. Returns the first real error, else
 * ANYIO_CANCELLED when the host is cancelled from outside, else rc. */
ANYIO_API int anyio_task_group_exit(struct anyio_task_group *group, int rc);

/* Declares a group and enters it; leaving the block without exit stops the program. */
#define ANYIO_TASK_GROUP(name)                                                                     \
	struct anyio_task_group name __attribute__((cleanup(anyio_task_group_check_left)));        \
	anyio_task_group_enter(&name)
ANYIO_API void anyio_task_group_check_left(struct anyio_task_group *group);

/* Spawns fn(arg). A failure to spawn (-ENOMEM, ANYIO_TOO_MANY) is returned, and also sticks: it
 * cancels the group and exit returns it. ANYIO_GROUP_CLOSED after exit began to return. */
ANYIO_API int anyio_start_soon(
	struct anyio_task_group *group, anyio_task_fn fn, void *arg, const char *name);
/* The same, but a failure to spawn is only returned, and the group goes on: for services, whose
 * children are clients, and the one that cannot be served is turned away. */
ANYIO_API int anyio_try_start_soon(
	struct anyio_task_group *group, anyio_task_fn fn, void *arg, const char *name);
/* options may be NULL. */
ANYIO_API int anyio_start_soon_with(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	const struct anyio_task_options *options);

/* Spawns fn(arg) and waits until it calls anyio_started, whose value is stored in *value (may be
 * NULL). Errors before that are returned from here alone; ending without it is
 * ANYIO_NOT_STARTED. Being cancelled cancels the child and waits for it. */
ANYIO_API int anyio_start(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	const char *name, void **value);
/* From a task spawned by anyio_start: tells the starter. ANYIO_ALREADY_STARTED the second time, or
 * in a task that was not. */
ANYIO_API int anyio_started(void *value);

/* The group's own scope: cancel it, give it a deadline or a shield. */
ANYIO_API struct anyio_cancel_scope *anyio_task_group_scope(struct anyio_task_group *group);
ANYIO_API void anyio_task_group_cancel(struct anyio_task_group *group, const char *reason);

/* The errors so far, at most the first 8 in full; count may be higher. Valid until the group's
 * storage goes. */
ANYIO_API size_t anyio_task_group_errors(
	const struct anyio_task_group *group, const struct anyio_task_error **errors);

/* Waits for the task. Returns its result; ANYIO_TASK_CANCELLED when it was cancelled;
 * ANYIO_CANCELLED when the caller was. */
ANYIO_API int anyio_task_handle_wait(struct anyio_task_handle *handle);
ANYIO_API void anyio_task_handle_cancel(struct anyio_task_handle *handle, const char *reason);

/* The running task, and the name of one. */
ANYIO_API struct anyio_task *anyio_current_task(void);
ANYIO_API const char *anyio_task_name(const struct anyio_task *task);
/* Tasks alive in this loop, the root included. */
ANYIO_API size_t anyio_task_count(void);

#ifdef __cplusplus
}
#endif
#endif
