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
/* A struct and the function that fills it share a name, of which g++ -Wshadow warns. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

/* Something that happens once. */
struct anyio_event {
	uint64_t opaque[4];
};
/* Makes one that is not set. */
ANYIO_API void anyio_event_init(struct anyio_event *event);
/* Sets it, for good, and wakes all who wait. Never waits. */
ANYIO_API void anyio_event_set(struct anyio_event *event);
/* Whether it is set. */
ANYIO_API bool anyio_event_is_set(const struct anyio_event *event);
/* Waits until it is set: 0 or ANYIO_CANCELLED. */
ANYIO_API int anyio_event_wait(struct anyio_event *event);

/* Of each the state at this moment. */
struct anyio_event_statistics {
	size_t waiting; /* tasks */
};
/* What it is now. */
ANYIO_API struct anyio_event_statistics anyio_event_statistics(const struct anyio_event *event);

/* A lock has an owner: release by another task is ANYIO_NOT_OWNER, acquiring twice is
 * ANYIO_BUSY. Release hands it to the first waiter. An owner that ends breaks it: waiters and
 * later callers get ANYIO_BROKEN. While somebody holds it or waits for it its storage stays where it is: one that
 * was made anew or overwritten stops the program when the owner ends, and names that. */
struct anyio_lock {
	uint64_t opaque[8];
};
/* Makes one that nobody holds. */
ANYIO_API void anyio_lock_init(struct anyio_lock *lock);
/* Waits for it: 0, ANYIO_BUSY when the task has it already, ANYIO_BROKEN, ANYIO_CANCELLED. */
ANYIO_API int anyio_lock_acquire(struct anyio_lock *lock);
/* The same, but ANYIO_WOULD_BLOCK where it had to wait; no checkpoint. */
ANYIO_API int anyio_lock_acquire_nowait(struct anyio_lock *lock);
/* Hands it on, or frees it: 0 or ANYIO_NOT_OWNER. Never waits. */
ANYIO_API int anyio_lock_release(struct anyio_lock *lock);
/* Whether somebody holds it. */
ANYIO_API bool anyio_lock_locked(const struct anyio_lock *lock);

/* A lock at this moment. */
struct anyio_lock_statistics {
	bool locked;              /* somebody holds it */
	struct anyio_task *owner; /* NULL: not locked */
	size_t waiting;           /* tasks */
};
/* What it is now. */
ANYIO_API struct anyio_lock_statistics anyio_lock_statistics(const struct anyio_lock *lock);

/* What a task that holds a lock waits for, and another that holds it brings about. */
struct anyio_condition {
	uint64_t opaque[6];
};
/* Makes one of that lock, which outlives it. */
ANYIO_API void anyio_condition_init(struct anyio_condition *condition, struct anyio_lock *lock);
/* Releases the lock, waits for a notify, and takes the lock again, also when cancelled: 0,
 * ANYIO_CANCELLED, ANYIO_NOT_OWNER without the lock, ANYIO_BROKEN when that broke. A waiter cancelled after
 * its notify passes that on. */
ANYIO_API int anyio_condition_wait(struct anyio_condition *condition);
/* Wakes count of those who wait, in their order: 0 or ANYIO_NOT_OWNER. Never waits. */
ANYIO_API int anyio_condition_notify(struct anyio_condition *condition, size_t count);
/* The same of all. */
ANYIO_API int anyio_condition_notify_all(struct anyio_condition *condition);

/* A condition at this moment. */
struct anyio_condition_statistics {
	size_t waiting;                    /* for a notify */
	struct anyio_lock_statistics lock; /* with those who have it and wait for the lock */
};
/* What it is now. */
ANYIO_API struct anyio_condition_statistics anyio_condition_statistics(
	const struct anyio_condition *condition);

/* A count of what is there to be taken. */
struct anyio_semaphore {
	uint64_t opaque[6];
};
/* Makes one of value, which releases do not bring above maximum; 0: no maximum. */
ANYIO_API void anyio_semaphore_init(
	struct anyio_semaphore *semaphore, uint64_t value, uint64_t maximum);
/* Takes one, and waits for it: 0 or ANYIO_CANCELLED. */
ANYIO_API int anyio_semaphore_acquire(struct anyio_semaphore *semaphore);
/* The same, but ANYIO_WOULD_BLOCK where it had to wait; no checkpoint. */
ANYIO_API int anyio_semaphore_acquire_nowait(struct anyio_semaphore *semaphore);
/* Gives one to the first who waits, or adds it: 0, -EOVERFLOW above the maximum. Never waits. */
ANYIO_API int anyio_semaphore_release(struct anyio_semaphore *semaphore);
/* How many are there. */
ANYIO_API uint64_t anyio_semaphore_value(const struct anyio_semaphore *semaphore);

/* A semaphore at this moment. */
struct anyio_semaphore_statistics {
	uint64_t value;   /* how many are there */
	uint64_t maximum; /* 0: none */
	size_t waiting;   /* tasks */
};
/* What it is now. */
ANYIO_API struct anyio_semaphore_statistics anyio_semaphore_statistics(
	const struct anyio_semaphore *semaphore);

/* Tokens that belong to borrowers (any pointer; by default the task). Borrowing twice on behalf
 * of the same borrower is ANYIO_BUSY; releasing what was not borrowed is ANYIO_NOT_OWNER. FIFO,
 * never oversubscribed; a non-waiting acquire cannot jump the queue. */
struct anyio_limiter {
	uint64_t opaque[10];
};
/* Makes one of total tokens. */
ANYIO_API void anyio_limiter_init(struct anyio_limiter *limiter, size_t total);
/* Releases its memory. Stops the program when somebody waits. */
ANYIO_API void anyio_limiter_destroy(struct anyio_limiter *limiter);
/* Also while tasks wait: more tokens go to them at once. Fewer than are borrowed take none away; nobody
 * gets one until enough were given back. */
ANYIO_API void anyio_limiter_set_total(struct anyio_limiter *limiter, size_t total);
/* Borrows a token for the running task, and waits for it: 0, ANYIO_BUSY, -ENOMEM, ANYIO_CANCELLED. */
ANYIO_API int anyio_limiter_acquire(struct anyio_limiter *limiter);
/* The same on behalf of borrower: also -EINVAL for NULL. */
ANYIO_API int anyio_limiter_acquire_for(struct anyio_limiter *limiter, const void *borrower);
/* As anyio_limiter_acquire, but ANYIO_WOULD_BLOCK where it had to wait; no checkpoint. */
ANYIO_API int anyio_limiter_acquire_nowait(struct anyio_limiter *limiter);
/* The same on behalf of borrower. */
ANYIO_API int anyio_limiter_acquire_nowait_for(struct anyio_limiter *limiter, const void *borrower);
/* Gives back the running task's token: 0 or ANYIO_NOT_OWNER. Never waits. */
ANYIO_API int anyio_limiter_release(struct anyio_limiter *limiter);
/* Gives back that of borrower, from any task. */
ANYIO_API int anyio_limiter_release_for(struct anyio_limiter *limiter, const void *borrower);

/* A limiter at this moment. */
struct anyio_limiter_statistics {
	size_t total;    /* tokens */
	size_t borrowed; /* of them */
	size_t waiting;  /* tasks */
};
/* What it is now. */
ANYIO_API struct anyio_limiter_statistics anyio_limiter_statistics(
	const struct anyio_limiter *limiter);
/* Those who hold a token, in no order: at most room of them are put into borrowers; returns how many
 * there are. */
ANYIO_API size_t anyio_limiter_borrowers(
	const struct anyio_limiter *limiter, const void **borrowers, size_t room);

/* Guards a resource that only one task may use at a time. Begins as all zero. */
struct anyio_guard {
	uint64_t opaque[1];
};
/* 0, or ANYIO_BUSY when a task is inside. Never waits. */
ANYIO_API int anyio_guard_enter(struct anyio_guard *guard);
/* To be called by who entered. */
ANYIO_API void anyio_guard_leave(struct anyio_guard *guard);
/* Whether a task is inside. */
ANYIO_API bool anyio_guard_entered(const struct anyio_guard *guard);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif
#endif
