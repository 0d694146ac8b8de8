/*
 * Tasks and task groups.
 *
 * A group is caller-owned storage that never moves between enter and exit. Its exit waits for
 * every child. The first real error cancels the host and the siblings and is what exit returns;
 * all of them are counted, the first 8 listed. Cancellations are never listed.
 */
#ifndef ANYIO_TASK_H
#define ANYIO_TASK_H

#include <stdbool.h>
#include <anyio/cancel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_task; /* a running task; the pointer is valid until it ends */

/* Caller-owned storage that never moves between enter and exit. */
struct anyio_task_group {
	uint64_t opaque[136];
};

/* One error of a task. The name is a copy; all of it lives as long as the group, or the handle, it is
 * read from. */
struct anyio_task_error {
	int code;                /* the negative code */
	char task[48];           /* the name of the task */
	const char *file;        /* where its group was entered */
	int line;                /* the same */
	int failed_line;         /* where the task said why, by anyio_fail; 0: nowhere */
	const char *failed_file; /* NULL: nowhere */
	const char *text;        /* what it said there, else anyio_error_text(code); never NULL */
};

/* A handle outlives its task; it is caller-owned storage, free again once the task has ended and
 * nobody waits for it: at the latest after the group's exit. One that was given to another task before, or
 * overwritten, stops the program when the task ends, and names it. */
struct anyio_task_handle {
	uint64_t opaque[24];
};

/* The first three are those of a task that has not ended. */
enum anyio_task_status {
	ANYIO_STATUS_PENDING,    /* spawned, has not run yet */
	ANYIO_STATUS_RUNNING,    /* has begun */
	ANYIO_STATUS_CANCELLING, /* asked to end by anyio_task_handle_cancel, and has not ended */
	ANYIO_STATUS_FINISHED,   /* ended with 0 or more */
	ANYIO_STATUS_CANCELLED,  /* ended by a cancellation */
	ANYIO_STATUS_FAILED      /* ended with an error, or was never spawned */
};

/* All zero is the default. */
struct anyio_task_options {
	const char *name;                 /* copied, at most 47 bytes; NULL: "task" */
	size_t stack_size;                /* bytes; 0: the loop's default */
	struct anyio_task_handle *handle; /* filled when not NULL */
	bool may_fail; /* a failure to spawn is only returned: as by anyio_try_start_soon */
	void *reserved[3];
};

/* Enters a group, with the place to be named in errors and messages. Outside a task it stops the
 * program. */
ANYIO_API void anyio_task_group_enter_at(
	struct anyio_task_group *group, const char *file, int line);
/* Enters it here. */
#define anyio_task_group_enter(group) anyio_task_group_enter_at(group, __FILE__, __LINE__)

/* Waits for all children and leaves. rc is the host's own result: a negative code other than a
 * cancellation cancels the children and counts as an error. Returns the first real error, else
 * ANYIO_CANCELLED when the host is cancelled from outside, else rc. */
ANYIO_API int anyio_task_group_exit(struct anyio_task_group *group, int rc);

/* Declares a group and enters it; leaving the block without exit stops the program. */
#define ANYIO_TASK_GROUP(name)                                                                     \
	struct anyio_task_group name __attribute__((cleanup(anyio_task_group_check_left)));        \
	anyio_task_group_enter(&name)
/* What that macro calls when the block is left: stops the program unless the group was exited. */
ANYIO_API void anyio_task_group_check_left(struct anyio_task_group *group);

/* Spawns fn(arg). A failure to spawn (-ENOMEM, ANYIO_TOO_MANY) is returned, and also sticks: it
 * cancels the group and exit returns it. ANYIO_GROUP_CLOSED after exit began to return, -EINVAL without
 * fn, ANYIO_NO_LOOP. */
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
/* The same with options, which may be NULL; may_fail means nothing here. The handle holds what became
 * of the task also where start returns an error. */
ANYIO_API int anyio_start_with(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	const struct anyio_task_options *options, void **value);
/* From a task spawned by anyio_start: tells the starter. ANYIO_ALREADY_STARTED the second time, or
 * in a task that was not. */
ANYIO_API int anyio_started(void *value);

/* The group's own scope: to give it a deadline or a shield, or to cancel it. Only the group's exit
 * leaves it: anyio_cancel_scope_exit on it is ANYIO_WRONG_ORDER. */
ANYIO_API struct anyio_cancel_scope *anyio_task_group_scope(struct anyio_task_group *group);
/* Cancels the host's block and all children. reason as in anyio_cancel_scope_cancel. */
ANYIO_API void anyio_task_group_cancel(struct anyio_task_group *group, const char *reason);

/* How many errors there were so far; *errors (errors may be NULL) are the first 8 of them in the order in
 * which they came, or all when they are fewer. Of those after the 8th nothing is kept: they are counted. Valid
 * until the group's storage goes. */
ANYIO_API size_t anyio_task_group_errors(
	const struct anyio_task_group *group, const struct anyio_task_error **errors);

/* return anyio_fail(-EIO, "the index is damaged"); Returns code, and notes why and where for the
 * error that is listed if the running task ends (or the group it is host of exits) with this code.
 * The last note counts. An error that a group's exit returns carries its note along. text is
 * kept as a pointer: a literal, or storage that outlives the group. Outside a task it only returns; of
 * the root task nobody lists an error: anyio_run returns the code alone. */
ANYIO_API int anyio_fail_here(int code, const char *text, const char *file, int line);
/* The same with the place where it stands. */
#define anyio_fail(code, text) anyio_fail_here(code, text, __FILE__, __LINE__)

/* Waits for the task; any number of tasks may. Returns its result; ANYIO_TASK_CANCELLED when it was
 * cancelled; ANYIO_CANCELLED when the caller was; -EDEADLK from the task itself. */
ANYIO_API int anyio_task_handle_wait(struct anyio_task_handle *handle);
/* Cancels this task alone. reason as in anyio_cancel_scope_cancel; the first one stays, and the task
 * reads it by anyio_cancel_reason. Does nothing once it has ended. */
ANYIO_API void anyio_task_handle_cancel(struct anyio_task_handle *handle, const char *reason);

/* How far the task has come. Never waits. */
ANYIO_API enum anyio_task_status anyio_task_handle_status(const struct anyio_task_handle *handle);
/* Its name, in the handle's storage. */
ANYIO_API const char *anyio_task_handle_name(const struct anyio_task_handle *handle);
/* As anyio_task_handle_wait would return it; ANYIO_WOULD_BLOCK while the task has not ended. */
ANYIO_API int anyio_task_handle_result(const struct anyio_task_handle *handle);
/* The error it ended with, in the handle's storage; NULL unless its status is FAILED. */
ANYIO_API const struct anyio_task_error *anyio_task_handle_error(
	const struct anyio_task_handle *handle);

/* What the task has to give besides its result. The running task sets it, as often as it likes; it
 * is passed on as it is and belongs to whom the two agree on, but may not lie on the task's own
 * stack, which is gone when the task has ended. Setting it is -ENOENT where nobody holds a handle (then
 * the value stays the task's), ANYIO_NO_LOOP outside a task. NULL until set, also when the task failed. */
ANYIO_API int anyio_task_set_value(void *value);
/* The value that was set last; NULL when none was. */
ANYIO_API void *anyio_task_handle_value(const struct anyio_task_handle *handle);

/* The running task; NULL outside one. */
ANYIO_API struct anyio_task *anyio_current_task(void);
/* The name of a task that has not ended, in its storage. */
ANYIO_API const char *anyio_task_name(const struct anyio_task *task);
/* Tasks alive in this loop, the root included. */
ANYIO_API size_t anyio_task_count(void);

#ifdef __cplusplus
}
#endif
#endif
