/*
 * Synchronisation between the tasks of one loop. All are caller-owned storage of this size, never
 * moved while somebody waits. Waits are FIFO and cancellable; they are checkpoints. Nothing here
 * is for other threads: see anyio/thread.h.
 */
#ifndef ANYIO_SYNC_H
#define ANYIO_SYNC_H

#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_event {
	uint64_t opaque[4];
};
ANYIO_API void anyio_event_init(struct anyio_event *event);
ANYIO_API void anyio_event_set(struct anyio_event *event); /* wakes all; stays set */
ANYIO_API bool anyio_event_is_set(const struct anyio_event *event);
ANYIO_API int anyio_event_wait(struct anyio_event *event);
ANYIO_API size_t anyio_event_waiting(const struct anyio_event *event);

/* Of each the state at this moment; waiting counts tasks. */
struct anyio_event_statistics {
	size_t waiting;
};
ANYIO_API void anyio_event_stat(
	const struct anyio_event *event, struct anyio_event_statistics *out);

/* A lock has an owner: release by another task is ANYIO_NOT_OWNER, acquiring twice is
 * ANYIO_BUSY. Release hands it to the first waiter. An owner that ends breaks it: waiters and
 * later callers get ANYIO_BROKEN. */
struct anyio_lock {
	uint64_t opaque[8];
};
ANYIO_API void anyio_lock_init(struct anyio_lock *lock);
ANYIO_API int anyio_lock_acquire(struct anyio_lock *lock);
ANYIO_API int anyio_lock_acquire_nowait(struct anyio_lock *lock); /* ANYIO_WOULD_BLOCK */
ANYIO_API int anyio_lock_release(struct anyio_lock *lock);
ANYIO_API bool anyio_lock_locked(const struct anyio_lock *lock);
ANYIO_API size_t anyio_lock_waiting(const struct anyio_lock *lock);

struct anyio_lock_statistics {
	bool locked;
	struct anyio_task *owner; /* NULL: not locked */
	size_t waiting;
};
ANYIO_API void anyio_lock_stat(const struct anyio_lock *lock, struct anyio_lock_statistics *out);

/* wait and notify without holding the lock are ANYIO_NOT_OWNER. wait returns with the lock held,
 * also when cancelled; a waiter cancelled after its notify passes that on. */
struct anyio_condition {
	uint64_t opaque[6];
};
ANYIO_API void anyio_condition_init(struct anyio_condition *condition, struct anyio_lock *lock);
ANYIO_API int anyio_condition_wait(struct anyio_condition *condition);
ANYIO_API int anyio_condition_notify(struct anyio_condition *condition, size_t count);
ANYIO_API int anyio_condition_notify_all(struct anyio_condition *condition);
ANYIO_API size_t anyio_condition_waiting(const struct anyio_condition *condition);

struct anyio_condition_statistics {
	size_t waiting;                    /* for a notify */
	struct anyio_lock_statistics lock; /* with those who have it and wait for the lock */
};
ANYIO_API void anyio_condition_stat(
	const struct anyio_condition *condition, struct anyio_condition_statistics *out);

/* maximum 0: none. Releasing above the maximum is -EOVERFLOW. */
struct anyio_semaphore {
	uint64_t opaque[6];
};
ANYIO_API void anyio_semaphore_init(
	struct anyio_semaphore *semaphore, uint64_t value, uint64_t maximum);
ANYIO_API int anyio_semaphore_acquire(struct anyio_semaphore *semaphore);
ANYIO_API int anyio_semaphore_acquire_nowait(struct anyio_semaphore *semaphore);
ANYIO_API int anyio_semaphore_release(struct anyio_semaphore *semaphore);
ANYIO_API uint64_t anyio_semaphore_value(const struct anyio_semaphore *semaphore);

struct anyio_semaphore_statistics {
	uint64_t value, maximum; /* maximum 0: none */
	size_t waiting;
};
ANYIO_API void anyio_semaphore_stat(
	const struct anyio_semaphore *semaphore, struct anyio_semaphore_statistics *out);

/* Tokens that belong to borrowers (any pointer; by default the task). Borrowing twice on behalf
 * of the same borrower is ANYIO_BUSY; releasing what was not borrowed is ANYIO_NOT_OWNER. FIFO,
 * never oversubscribed; a non-waiting acquire cannot jump the queue. */
struct anyio_limiter {
	uint64_t opaque[10];
};
ANYIO_API void anyio_limiter_init(struct anyio_limiter *limiter, size_t total);
ANYIO_API void anyio_limiter_destroy(struct anyio_limiter *limiter);
/* Also while tasks wait: more tokens go to them at once. Fewer than are borrowed take none away; nobody
 * gets one until enough were given back. */
ANYIO_API void anyio_limiter_set_total(struct anyio_limiter *limiter, size_t total);
ANYIO_API int anyio_limiter_acquire(struct anyio_limiter *limiter);
ANYIO_API int anyio_limiter_acquire_for(struct anyio_limiter *limiter, const void *borrower);
ANYIO_API int anyio_limiter_acquire_nowait(struct anyio_limiter *limiter);
ANYIO_API int anyio_limiter_acquire_nowait_for(struct anyio_limiter *limiter, const void *borrower);
ANYIO_API int anyio_limiter_release(struct anyio_limiter *limiter);
ANYIO_API int anyio_limiter_release_for(struct anyio_limiter *limiter, const void *borrower);

struct anyio_limiter_statistics {
	size_t total, borrowed, waiting;
};
ANYIO_API void anyio_limiter_stat(
	const struct anyio_limiter *limiter, struct anyio_limiter_statistics *out);
/* Those who hold a token, in no order: at most room of them are put into borrowers; returns how many
 * there are. */
ANYIO_API size_t anyio_limiter_borrowers(
	const struct anyio_limiter *limiter, const void **borrowers, size_t room);

/* Guards a resource that only one task may use at a time: the second gets ANYIO_BUSY. */
struct anyio_guard {
	uint64_t opaque[1];
}; /* begins as all zero */
ANYIO_API int anyio_guard_enter(struct anyio_guard *guard);
ANYIO_API void anyio_guard_leave(struct anyio_guard *guard);
ANYIO_API bool anyio_guard_entered(const struct anyio_guard *guard);

#ifdef __cplusplus
}
#endif
#endif
