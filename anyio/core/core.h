/*
 * What the parts of the runtime share: the running task, parking and waking, operations.
 *
 * The parking contract. A task that must wait puts itself into whatever queue will wake it and
 * calls anyio_park(). Whoever wakes it first removes it from that queue and calls anyio_wake()
 * with a result, once. If the task's scope becomes (or is) effective while it is parked, abort()
 * is tried once: it either removes the task from the queue and returns ANYIO_ABORTED (park
 * then returns ANYIO_CANCELLED), or returns ANYIO_ABORT_PENDING and a wake still comes. A task
 * already woken keeps its result: abort is not tried any more.
 */
#ifndef ANYIO_CORE_H
#define ANYIO_CORE_H

#include <anyio/anyio.h>
#include "../backend/backend.h"

/* Intrusive doubly linked list; an empty list head points to itself. */
struct anyio_list {
	struct anyio_list *next, *prev;
};

static inline void anyio_list_init(struct anyio_list *list)
{
	list->next = list->prev = list;
}
static inline bool anyio_list_empty(const struct anyio_list *list)
{
	return list->next == list;
}
static inline void anyio_list_append(struct anyio_list *list, struct anyio_list *node)
{
	node->prev = list->prev;
	node->next = list;
	list->prev->next = node;
	list->prev = node;
}
static inline void anyio_list_remove(struct anyio_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = node;
}
#define anyio_container(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

typedef enum anyio_abort (*anyio_abort_fn)(struct anyio_task *task, void *arg);

struct anyio_loop *anyio_loop_current(void); /* NULL outside a loop */

/* Parks the running task until a wake; returns the wake's result, or ANYIO_CANCELLED. When a
 * cancellation is already effective it yields once and returns ANYIO_CANCELLED after one abort.
 * abort NULL: never cancelled. */
int64_t anyio_park(anyio_abort_fn abort, void *arg);
/* Makes a parked task ready. Loop's thread only. */
void anyio_wake(struct anyio_task *task, int64_t result);

/* The end of an operation that did not need to wait: yields when the budget of 64 is used up (or
 * always, in strict mode), never reports cancellation. */
void anyio_pass(void);

/* Whether the running task's scope is effective now. */
bool anyio_cancel_pending(void);

/* Runs one operation to its end: cancellation check, fault injection, start, park, cancel. The
 * result is the operation's, or ANYIO_CANCELLED. */
int64_t anyio_op_run(struct anyio_op *op);
/* The same, but a cancellation is never seen (for closing, and files being finished). */
int64_t anyio_op_run_shielded(struct anyio_op *op);
/* For the immediate kinds: no task needed, no checkpoint. */
int64_t anyio_op_now(struct anyio_op *op);

/* A word of storage a task carries for others: 0 is the lock list (locks held, broken at its end). */
struct anyio_list *anyio_task_locks(struct anyio_task *task);
/* Called by core when a task ends with locks held; implemented by sync/. */
void anyio_locks_break(struct anyio_list *locks);

/* Whether the injected fault hits this call; counts it. Implemented in testing/. */
bool anyio_fault_hit(enum anyio_fault_kind kind, int *error);
/* The same for an operation about to be started, of whatever kinds it belongs to. */
bool anyio_fault_hit_op(const struct anyio_op *op, int *error);

/* For the worker pool (backend/pool.c), which core closes after the last task and before the
 * backend. wake: any thread, as backend->wake. slot: NULL until the pool's first use. */
struct anyio_pool;
void anyio_loop_wake(struct anyio_loop *loop);
struct anyio_pool **anyio_loop_pool(struct anyio_loop *loop);
const struct anyio_options *anyio_loop_options(struct anyio_loop *loop);

/* Parks the running task until no other is ready and a poll made none ready; or ANYIO_CANCELLED. */
int anyio_park_until_idle(void);

_Noreturn void anyio_die(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
