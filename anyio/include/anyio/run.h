/*
 * Running a loop, and time.
 *
 * A loop belongs to the thread that runs it; a process may run any number of them. Unless said
 * otherwise every function of this library is called from a task of the loop it concerns.
 *
 * A child forked after the first run may only exec or _exit: the loop and the threads of its parent are not
 * there, and their locks may be held for ever. To start processes: anyio/process.h.
 */
#ifndef ANYIO_RUN_H
#define ANYIO_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <anyio/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Nanoseconds on the loop's monotonic clock. Durations are nanoseconds too. */
typedef int64_t anyio_time;

#define ANYIO_MICROSECOND INT64_C(1000)       /* in nanoseconds */
#define ANYIO_MILLISECOND INT64_C(1000000)    /* in nanoseconds */
#define ANYIO_SECOND      INT64_C(1000000000) /* in nanoseconds */
#define ANYIO_FOREVER     INT64_MAX           /* no deadline, no timeout */

/* A task's body. Returns 0 or a negative code; a code other than cancellation is an error that
 * cancels the siblings. */
typedef int (*anyio_task_fn)(void *arg);

/* All zero is the default everywhere. */
struct anyio_options {
	const char *backend; /* "uring", "uv", "sim"; NULL: $ANYIO_BACKEND, else the best here */
	bool strict;         /* every checkpoint yields, even one that need not wait */
	bool mock_clock;     /* time stands still, and jumps when every task waits and nothing
			      * outside could still wake one: no kernel operation, no
			      * thread, nobody who holds a token */
	bool seeded;         /* run ready tasks in an order drawn from seed */
	uint64_t seed;       /* for seeded scheduling and the simulation */
	size_t stack_size;   /* bytes for a task unless it asks otherwise; 0: 64 KiB. Below lie
			      * 64 KiB of guard: what runs into them ends the process with the
			      * task's name. Larger arrays on a stack may step over it unless
			      * compiled with -fstack-clash-protection, as pkg-config says */
	size_t max_tasks;    /* 0: one million */
	unsigned
		worker_threads; /* most threads for calls, and as many for files, and for closes; 0: 40 */
	bool no_signals;        /* leave SIGINT and SIGQUIT alone. By default, where nobody handles
				 * them: SIGINT cancels the root task, and a second one ends the
				 * process; SIGQUIT has the task tree written to standard error
				 * (anyio/tree.h), and another one a second later or more, when
				 * that is not done because the loop hangs, ends the process */
	const struct anyio_sim_options *sim; /* anyio/testing.h; NULL: defaults */
	struct anyio_instrument
		*instrument; /* anyio/instrument.h: from the root task on; or NULL */
	void *reserved[7];
};

/* Runs body in the root task of a new loop on this thread and returns its result, once every
 * task has ended. ANYIO_NO_BACKEND when the backend named does not work here; -ENOMEM; -EBUSY
 * when this thread runs a loop already. options may be NULL. Of the descriptors 0 to 2 those that are closed
 * are opened, on /dev/null, so that nothing else gets these numbers: reading the first and writing the others
 * goes on to be -EBADF.
 *
 * With mock_clock and in the simulation, when every task waits and nothing can wake one, all are cancelled and
 * this returns ANYIO_DEADLOCK. Elsewhere a signal might still come, and they wait: SIGQUIT tells for what. */
ANYIO_API int anyio_run(anyio_task_fn body, void *arg, const struct anyio_options *options);

/* The names of all compiled backends, best first, ended by NULL. Static storage; any thread. */
ANYIO_API const char *const *anyio_backends_all(void);
/* Those of them that work here, tried at the first call; "sim" is not among them, as it is never taken
 * unless it is named. */
ANYIO_API const char *const *anyio_backends_available(void);

/* The backend of the running loop, or NULL outside one. */
ANYIO_API const char *anyio_backend_name(void);

/* How many descriptors this process may have open (ulimit -n); UINT32_MAX where nothing says. Any
 * thread. */
ANYIO_API uint32_t anyio_descriptor_limit(void);

/* The loop's time: cheap, as it is read once a poll, and by a checkpoint while any timer is set, so that a
 * task that computes notices its deadline. Between these it is the same for all tasks. Never goes back. */
ANYIO_API anyio_time anyio_now(void);

/* Waits for a duration; 0 or less is a checkpoint. ANYIO_CANCELLED when the current scope is, or becomes,
 * cancelled. */
ANYIO_API int anyio_sleep(anyio_time duration);
/* The same until a time of the loop's clock. */
ANYIO_API int anyio_sleep_until(anyio_time deadline);
/* Waits until it is cancelled: ANYIO_CANCELLED. */
ANYIO_API int anyio_sleep_forever(void);

/* Lets others run; reports cancellation and expired deadlines. */
ANYIO_API int anyio_checkpoint(void);
/* Reports cancellation without letting others run when there is none. */
ANYIO_API int anyio_checkpoint_if_cancelled(void);
/* Lets others run; never reports cancellation. */
ANYIO_API void anyio_cancel_shielded_checkpoint(void);

/* A token names a loop to other threads. It stays valid, as a value, after the loop has ended. */
struct anyio_token;
/* A new reference to the running loop's token; NULL outside one. */
ANYIO_API struct anyio_token *anyio_current_token(void);
/* One reference more; returns token. Any thread. */
ANYIO_API struct anyio_token *anyio_token_ref(struct anyio_token *token);
/* Gives a reference back. Any thread. */
ANYIO_API void anyio_token_unref(struct anyio_token *token);

/* Any thread: runs fn(arg) on the loop's thread, outside any task, soon; fn must not wait. Calls
 * made from one thread run in order, some hundreds between two polls. It never waits, so only memory bounds
 * how many have not run: who may call faster than the loop runs them has a portal (anyio/portal.h), which
 * makes its callers wait. Returns ANYIO_LOOP_ENDED once the loop ended (fn will not run), -ENOMEM. */
ANYIO_API int anyio_call_soon(struct anyio_token *token, void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif
#endif
