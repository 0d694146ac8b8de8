/*
 * Cancel scopes.
 *
 * A scope is caller-owned storage that never moves between enter and exit. Scopes of a task nest
 * last in, first out, and are used once. Cancellation is level-triggered: inside a cancelled
 * scope every operation that could wait returns ANYIO_CANCELLED, again and again, until the
 * scope is left. A scope is effective when it was cancelled, or when it is not shielded and its
 * parent is effective. Its exit turns ANYIO_CANCELLED into 0 when it is effective itself
 * and no cancellation of its parent is visible through it.
 */
#ifndef ANYIO_CANCEL_H
#define ANYIO_CANCEL_H

#include <anyio/run.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Caller-owned storage that never moves between enter and exit. */
struct anyio_cancel_scope {
	uint64_t opaque[24];
};

/* Makes a scope with no deadline and no shield. */
ANYIO_API void anyio_cancel_scope_init(struct anyio_cancel_scope *scope);

/* Cancels it after timeout nanoseconds: from enter when set before it, else from now. ANYIO_FOREVER
 * takes the deadline away. Before entering or while inside, from any task of the loop. */
ANYIO_API void anyio_cancel_scope_set_timeout(struct anyio_cancel_scope *scope, anyio_time timeout);
/* The same at a time of the loop's clock (anyio_now). */
ANYIO_API void anyio_cancel_scope_set_deadline(struct anyio_cancel_scope *scope, anyio_time when);
/* The deadline, or ANYIO_FOREVER; that of a timeout before entering as if it were entered now. */
ANYIO_API anyio_time anyio_cancel_scope_deadline(const struct anyio_cancel_scope *scope);
/* While shielded it hides what is cancelled outside, not its own cancellation. Before entering or while
 * inside, from any task of the loop; taking it down lets a cancellation in at once. */
ANYIO_API void anyio_cancel_scope_set_shield(struct anyio_cancel_scope *scope, bool shield);
/* Whether it is shielded. */
ANYIO_API bool anyio_cancel_scope_shield(const struct anyio_cancel_scope *scope);

/* Cancels: before enter, or while inside from any task of the loop. reason is kept as a pointer
 * (a string literal, or storage that outlives the scope); NULL is allowed. Idempotent: the first
 * reason stays. */
ANYIO_API void anyio_cancel_scope_cancel(struct anyio_cancel_scope *scope, const char *reason);

/* Whether it was cancelled by a call, or its deadline fired. */
ANYIO_API bool anyio_cancel_scope_cancel_called(const struct anyio_cancel_scope *scope);
/* After exit: this scope absorbed a cancellation. */
ANYIO_API bool anyio_cancel_scope_cancelled_caught(const struct anyio_cancel_scope *scope);
/* Whether it was the deadline that fired, stored when it did. */
ANYIO_API bool anyio_cancel_scope_timed_out(const struct anyio_cancel_scope *scope);
/* NULL until it is cancelled, and when no reason was given; "deadline" when that fired. */
ANYIO_API const char *anyio_cancel_scope_reason(const struct anyio_cancel_scope *scope);

/* The body form, without hazard: enters, calls fn(arg), exits. */
ANYIO_API int anyio_cancel_scope_run(struct anyio_cancel_scope *scope, anyio_task_fn fn, void *arg);

/* The open form, with the place to be named when the block is left without exit, which stops the
 * program. */
ANYIO_API void anyio_cancel_scope_enter_at(
	struct anyio_cancel_scope *scope, const char *file, int line);
/* Enters here. Outside a task, or a second time, it stops the program. */
#define anyio_cancel_scope_enter(scope) anyio_cancel_scope_enter_at(scope, __FILE__, __LINE__)
/* Takes the result of the block and returns it, or 0 where this scope absorbs the cancellation.
 * ANYIO_WRONG_ORDER when it is not the innermost scope of this task. */
ANYIO_API int anyio_cancel_scope_exit(struct anyio_cancel_scope *scope, int rc);

/* Runs fn(arg) with a timeout (ANYIO_FOREVER: none). Where that fired and cut fn off, so that it returned
 * ANYIO_CANCELLED, this returns -ETIMEDOUT; else what fn returned, however late it is. */
ANYIO_API int anyio_fail_after(anyio_time timeout, anyio_task_fn fn, void *arg);
/* The same with a deadline. */
ANYIO_API int anyio_fail_at(anyio_time deadline, anyio_task_fn fn, void *arg);
/* As anyio_fail_after, but 0 where fn was cut off. */
ANYIO_API int anyio_move_on_after(anyio_time timeout, anyio_task_fn fn, void *arg);
/* The same with a deadline. */
ANYIO_API int anyio_move_on_at(anyio_time deadline, anyio_task_fn fn, void *arg);

/* Closes something whose close may wait (flush, say goodbye, reap), without that: runs close(resource) in
 * a scope that is cancelled from the start and shielded, so that it gives up what it would wait for
 * at once and releases the rest. Returns what close does, 0 for the cancellation. After AnyIO's
 * aclose_forcefully; byte streams have anyio_stream_abort. */
ANYIO_API int anyio_close_forcefully(anyio_task_fn close, void *resource);

/* Why the running task is cancelled: the reason of the innermost cancelled scope that applies here,
 * shields respected. NULL when none is, or it gave no reason. */
ANYIO_API const char *anyio_cancel_reason(void);

/* The earliest deadline that applies here, shields respected; the past when already cancelled;
 * ANYIO_FOREVER when none. */
ANYIO_API anyio_time anyio_current_effective_deadline(void);

#ifdef __cplusplus
}
#endif
#endif
