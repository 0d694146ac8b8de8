/*
 * Variables of a task, and of a run of the loop: what would else be an argument of every function
 * (the request being served), or a global (a cache of this loop's). After contextvars and
 * AnyIO's RunVar.
 *
 * A key is storage of whoever uses the variable, most often static and constant: two keys are two
 * variables, and a key lives as long as anything is set under it. Keys may be shared by threads;
 * what is set under them is the loop's own. All functions are called on a loop's thread, and the ones
 * of tasks by the running task; elsewhere get returns the initial value, set and reset ANYIO_NO_LOOP.
 */
#ifndef ANYIO_LOCAL_H
#define ANYIO_LOCAL_H

#include <anyio/run.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A variable of a task. A task begins with what its spawner (who calls start_soon or start) had set at
 * that moment; from then on neither sees what the other sets. The root task begins with nothing
 * set, and so does a task spawned from outside any task. A task that was handed nothing and sets
 * nothing pays nothing; looking one up walks the few that are set.
 *
 * Who owns a value. Without hold and release it is borrowed: it outlives every task that may have
 * inherited it. With them it is counted: the runtime calls hold once for every reference it takes and
 * release once for every one it drops, at the latest when the last task with it ends. The caller's own
 * reference stays the caller's: set takes one more. The two may not wait; release may run in
 * whichever task drops the reference.
 */
struct anyio_task_local {
	void *initial;                /* what get returns where nothing is set */
	void (*hold)(void *value);    /* both or none */
	void (*release)(void *value); /* the other */
};

/* What was set before, as long as it may come back: filled by set, used up by reset. */
struct anyio_local_token {
	uint64_t opaque[4];
};

/* What the running task sees: set by itself or inherited; else the initial value. */
ANYIO_API void *anyio_task_local_get(const struct anyio_task_local *local);
/* before may be NULL. A token that was filled is given back by reset, in the same task: it
 * holds the value from before. -ENOMEM: nothing changed, and the token is not filled. */
ANYIO_API int anyio_task_local_set(
	const struct anyio_task_local *local, void *value, struct anyio_local_token *before);
/* Brings back what was set before, or that nothing was. -EINVAL for a token that is used up, or of
 * another task or variable. -ENOMEM, possible only where a child was spawned since the last set,
 * leaves all as it is, the token too. */
ANYIO_API int anyio_task_local_reset(
	const struct anyio_task_local *local, struct anyio_local_token *before);

/*
 * A variable of one run of the loop: one value for all its tasks. The value belongs to the loop from
 * set on: destroy is called with it when it is replaced or reset, or else at the loop's end, after the
 * last task and before the backend closes, in the reverse of the order in which they were first set.
 * There destroy may call what needs no task, get and set included.
 */
struct anyio_run_local {
	void *initial;                /* what get returns where nothing is set */
	void (*destroy)(void *value); /* may not wait; NULL: nothing to do */
};

/* What was set in this run, else the initial value. */
ANYIO_API void *anyio_run_local_get(const struct anyio_run_local *local);
/* With a token what was set before is not destroyed but kept in it, until reset; a token that is never
 * reset leaves its value to the caller. -ENOMEM: nothing changed, and value stays the caller's. */
ANYIO_API int anyio_run_local_set(
	const struct anyio_run_local *local, void *value, struct anyio_local_token *before);
/* -EINVAL for a token that is used up, or of another variable. */
ANYIO_API int anyio_run_local_reset(
	const struct anyio_run_local *local, struct anyio_local_token *before);

#ifdef __cplusplus
}
#endif
#endif
