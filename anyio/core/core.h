/*
 * What the parts of the runtime share: the running task, parking and waking, operations.
 *
 * The parking contract. A task that must wait puts itself into whatever queue will wake it and
 * calls anyio_park(). Whoever wakes it first removes it from that queue and calls anyio_wake()
 * with a result, once. If the task's scope becomes (or is) effective while it is parked, or the task is
 * interrupted, abort() is tried once: it either removes the task from the queue and returns ANYIO_ABORTED (park
 * then returns ANYIO_CANCELLED), or returns ANYIO_ABORT_PENDING and a wake still comes. A task
 * already woken keeps its result: abort is not tried any more.
 */
#ifndef ANYIO_CORE_H
#define ANYIO_CORE_H

#include <pthread.h>
#include <anyio/error.h>
#include <anyio/memory.h>
#include <anyio/run.h>
#include <anyio/task.h>
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
/* Asks for two lines of the cache that are about to be written. Any pointer will do. */
static inline void anyio_prefetch(const void *at)
{
	__builtin_prefetch(at, 1);
	__builtin_prefetch((const char *)at + 64, 1);
}
#define anyio_container(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

typedef enum anyio_abort (*anyio_abort_fn)(struct anyio_task *task, void *arg);

/* Outside libanyio only libanyio-tls, a library of its own, may call what is so marked (dist/anyio.map). */
#define ANYIO_PRIVATE __attribute__((visibility("default")))

struct anyio_loop *anyio_loop_current(void); /* NULL outside a loop */

/* A word a loop carries for each other part; close(value), when not NULL, is called on the loop's
 * thread once all tasks have ended, in the order of the list, before the backend closes. */
enum anyio_slot_name {
	ANYIO_SLOT_THREAD, /* thread/ */
	ANYIO_SLOT_POOL,   /* backend/pool.c */
	ANYIO_SLOTS
};
struct anyio_slot {
	void *value;
	void (*close)(void *value);
};
struct anyio_slot *anyio_loop_slot(struct anyio_loop *loop, enum anyio_slot_name name);
const struct anyio_options *anyio_loop_options(const struct anyio_loop *loop);
/* Of a loop that a host drives (anyio/host.h) the uv_loop_t, else NULL. Its backend does not wait:
 * wait(timeout) only sees to it that the host's next poll takes no longer than that. */
void *anyio_loop_host(const struct anyio_loop *loop);
/* Called by that backend before each of the host's polls: runs what is ready, then calls wait(). */
void anyio_loop_turn(struct anyio_loop *loop);
/* Called by it once nothing of it is left in the host; the loop is gone on return. */
void anyio_loop_closed(struct anyio_loop *loop);
/* Any thread, while the loop lives: makes the backend's wait() return. */
void anyio_loop_wake(struct anyio_loop *loop);

/* The next of the numbers drawn from the loop's seed. */
uint64_t anyio_loop_random(struct anyio_loop *loop);

/* Parks the running task until a wake; returns the wake's result, or ANYIO_CANCELLED. When a
 * cancellation is already effective it yields once and returns ANYIO_CANCELLED after one abort.
 * abort NULL: never cancelled. */
int64_t anyio_park(anyio_abort_fn abort, void *arg);
/* What the running task waits for in the park that comes next, for the task tree ("the lock"). Static
 * storage. Who says nothing is shown to wait. */
void anyio_waits_for(const char *what);

/* What would be listed of the running task, which is a group's child, if it ended with this code. */
void anyio_error_of_current(struct anyio_task_error *error, int code);
/* Makes a parked task ready. Loop's thread only. */
void anyio_wake(struct anyio_task *task, int64_t result);

/* The end of an operation that did not need to wait: yields when the budget of 64 is used up (or
 * always, in strict mode), never reports cancellation. */
ANYIO_PRIVATE void anyio_pass(void);

/* Interrupting: between the two every wait of the task ends as if a scope around it were cancelled,
 * also the one it is in. For who must get a task out of what is closed under it; they may nest. */
void anyio_task_interrupt(struct anyio_task *task);
void anyio_task_interrupt_over(struct anyio_task *task);

/* Whether the running task's scope is effective now, or it is interrupted. */
bool anyio_cancel_pending(void);

/* A task outside every group, under the loop's root scope: its end is nobody's error. The loop
 * waits for it. */
int anyio_task_spawn_loose(anyio_task_fn fn, void *arg, const char *name);

/* Runs one operation to its end: cancellation check, fault injection, start, park, cancel. The
 * result is the operation's, or ANYIO_CANCELLED. */
int64_t anyio_op_run(struct anyio_op *op);
/* The same, but a cancellation is never seen (for closing, and files being finished). */
int64_t anyio_op_run_shielded(struct anyio_op *op);
/* stream.c: a receive, READ or RECV with MSG_DONTWAIT, that waits without a buffer and then borrows one. */
int64_t anyio_op_run_borrowing(
	struct anyio_op *op, void *(*borrow)(void *arg, size_t *size), void *arg);
/* file.c: anyio_read and anyio_write of a descriptor that nobody closes but by anyio_close. */
ssize_t anyio_read_owned(int fd, void *buffer, size_t size);
ssize_t anyio_write_owned(int fd, const void *data, size_t size);
/* plain.c: all of it, by calls that block. 0 or -errno. */
int anyio_write_blocking(int fd, const void *data, size_t size);
/* For the immediate kinds: no task needed, no checkpoint. */
int64_t anyio_op_now(struct anyio_op *op);
/* Closes a descriptor that is no file, for which there is anyio_close. Nothing is in flight on it. */
int anyio_fd_close(int fd);
/* For what somebody else made, whose last close may take any time: waits on a worker thread until it is
 * closed, and is not cancelled; outside a task it closes at once. */
int anyio_fd_close_waiting(int fd);
/* The same without waiting: a loose task does. */
void anyio_fd_close_later(int fd);

/* A thread of the library's own, with all signals blocked: those are for the threads that run loops. 0 or a
 * negative code. attr may be NULL. */
int anyio_thread_start(
	pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg);

/* The locks a task holds, broken at its end. */
struct anyio_list *anyio_task_locks(struct anyio_task *task);
/* Called by core when a task ends with locks held; implemented by sync/. */
void anyio_locks_break(struct anyio_list *locks);

/* A call for the loop's thread (anyio_call_soon) in the caller's storage, which lives until fn runs: for
 * what must be told even when memory is short. Any thread; ANYIO_LOOP_ENDED, then fn will not run. */
struct anyio_call {
	struct anyio_call *next;
	void (*fn)(void *arg);
	void *arg;
	bool allocated; /* by anyio_call_soon */
};
int anyio_token_call(struct anyio_token *token, struct anyio_call *call);

_Noreturn void anyio_die(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
