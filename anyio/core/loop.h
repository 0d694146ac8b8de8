/*
 * The loop's own structures; for core/ alone. The rest of the runtime sees core.h.
 *
 * Who runs. The loop has a context of its own, the thread's stack, where it polls. Tasks switch
 * straight to one another while the run queue has work and the poll is not due; else they switch
 * to the loop. Callbacks (completions, timers, calls from other threads) run on the loop's
 * context and only mark tasks ready.
 */
#ifndef ANYIO_LOOP_H
#define ANYIO_LOOP_H

#include <signal.h>
#include <stdatomic.h>
#include <anyio/instrument.h>
#include <anyio/testing.h>
#include "core.h"
#include "context.h"

enum {
	BUDGET = 64,           /* units of operations that need not wait before one yields */
	UNIT_BYTES = 16 << 10, /* to be moved for a unit more than the one of the operation */
	POLL_EVERY = 64,       /* switches after which the end of a turn is time to poll */
	POLL_MOST = 256,       /* switches between two polls, at most */
	NAME_SIZE = 48,
	ERRORS_KEPT = 8,
};

/* A timer (timers.c). Not set while fire is NULL. */
struct timer {
	anyio_time when;
	uint64_t order; /* equal times fire in the order they were set */
	struct timer *child, *next, *prev;
	void (*fire)(struct timer *timer);
};

enum { CLOCK_LEVELS = 6 }; /* bytes of the number of milliseconds in all time */

struct clock {
	struct timer *root; /* the earliest of those up to the horizon */
	uint64_t order;
	anyio_time now;
	uint64_t horizon;                 /* in grains of time; later timers are in the wheel */
	size_t far;                       /* how many */
	uint64_t taken[CLOCK_LEVELS * 4]; /* a bit for each bucket */
	struct timer *wheel[CLOCK_LEVELS * 256];
};

enum scope_state { SCOPE_FRESH, SCOPE_ENTERED, SCOPE_LEFT };

struct scope {
	struct timer timer;
	struct scope *parent;
	struct anyio_list children; /* scopes whose parent this is */
	struct anyio_list sibling;
	struct anyio_list tasks;   /* tasks whose innermost scope this is */
	struct anyio_list refresh; /* in the loop's refreshes */
	struct anyio_task *task;   /* who entered it */
	struct anyio_loop *loop;   /* while entered */
	anyio_time deadline;       /* a timeout until it is entered, when relative is set */
	const char *reason;
	const char *file;
	int line;
	uint8_t state;
	bool relative;
	bool shield;
	bool cancel_called;
	bool timed_out;
	bool caught;
	bool effective;      /* kept in step with the tree by scope_refresh() */
	bool group;          /* lies at the head of a struct group */
	struct scope *inner; /* the next one in of the same task, while tree.c shows it */
};
_Static_assert(sizeof(struct scope) <= sizeof(struct anyio_cancel_scope), "scope fits");

enum group_state { GROUP_OPEN = 0x47, GROUP_CLOSED };

struct group {
	struct scope scope;
	struct anyio_task *host;
	struct anyio_list children;
	size_t child_count;
	size_t error_count;
	uint8_t state;
	bool host_waits;
	bool child_cancelled; /* a child ended by cancellation */
	struct anyio_task_error errors[ERRORS_KEPT];
};
_Static_assert(sizeof(struct group) <= sizeof(struct anyio_task_group), "group fits");

struct handle {
	struct anyio_task *task; /* NULL once it ended */
	struct anyio_list waiters;
	void *value;
	uint8_t status;                /* enum anyio_task_status, of a task that has ended */
	struct anyio_task_error error; /* its result, and its name from the first */
};
_Static_assert(sizeof(struct handle) <= sizeof(struct anyio_task_handle), "handle fits");

/* Why a task returns a code, as it said itself. */
struct failure {
	int code; /* 0: it said nothing */
	int line;
	const char *text, *file;
};

/* What anyio_start waits for; on the starter's stack. */
struct starter {
	struct anyio_task *waiter;
	struct anyio_task *child;
	void *value;
	int rc;
	bool started;
	bool cancelled;
};

enum task_state { TASK_READY, TASK_RUNNING, TASK_PARKED, TASK_ENDED };

/* Lies at the top of its own stack. What every wait and wake touches comes first, in two lines of
 * the cache: with many tasks busy it has left it in between. */
struct anyio_task {
	struct context context;
	struct anyio_task *next; /* in the run queue */
	struct anyio_loop *loop;
	struct scope *scope; /* the innermost */
	uint8_t state;
	bool begun; /* its function was called */
	bool abort_tried;
	bool alone; /* own is entered */
	uint16_t budget;
	uint16_t interrupts; /* under way */

	anyio_abort_fn abort;
	void *abort_arg;
	int64_t result;
	const char *waits_for; /* while parked; NULL: nothing was said */
	anyio_time waits_until;
	int waits_fd; /* -1: none */
	int rc;
	struct anyio_list queue; /* whoever it waits for */

	struct anyio_list in_scope; /* scope->tasks */
	struct scope *base;         /* the innermost when it began */
	struct stack *stack;
	anyio_task_fn fn;
	void *arg;
	struct group *group; /* NULL: the root task */
	struct anyio_list in_group;
	struct handle *handle;
	struct starter *starter;
	struct anyio_list locks;
	struct anyio_list all; /* the loop's list of tasks */
	uint64_t id;           /* in the order of spawning, from 1 */
	struct failure failure;
	struct locals *locals; /* NULL: none (local.c) */
	char name[NAME_SIZE];
	struct scope own; /* entered only when the task can be cancelled alone; seldom touched */
};

/* A stack of one size; pooled last in, first out (stack.c). */
struct stack {
	struct stack *next, *prev; /* of those that are free */
	char *low;                 /* below it lies the guard */
	size_t size;
	unsigned colour;
	uint8_t class;
};

enum { STACK_CLASSES = 16, STACK_SHIFT = 14 }; /* 16 KiB up to 512 MiB */

struct stack_class {
	struct stack *free, *last; /* with their pages, the last given first */
	struct stack *clean;       /* whose pages were given back */
	size_t count;              /* in free */
	size_t coldest;            /* lowest count since the last trim */
	struct slab *slab;         /* the one being carved */
};

struct stack_pool {
	struct stack_class classes[STACK_CLASSES];
	struct slab *slabs;
	size_t dirty; /* in all lists of free ones with pages */
	size_t taken;
};

struct anyio_loop {
	struct context context;
	struct anyio_task *current;
	struct anyio_task *ended; /* its stack is given back after the switch away from it */
	struct anyio_task *batch; /* what is left of this turn */
	struct anyio_task *ready, **ready_last; /* the next one, first in, first out */
	unsigned switches;                      /* and units, since the last poll */
	bool between_turns; /* hosted: what a host's callback makes ready or due must end its poll */
	struct anyio_instrument *instruments;
	struct clock clock;
	const struct anyio_backend *backend;
	void *state;
	size_t in_flight;       /* operations */
	struct anyio_list idle; /* tasks that wait until all others are blocked */
	struct anyio_list tasks;
	size_t task_count;
	struct scope root_scope;
	struct anyio_list refreshes; /* scopes whose inputs changed */
	bool refreshing;
	struct anyio_token *token;
	struct anyio_options options;
	struct stack_pool stacks;
	struct anyio_task **shuffle; /* room for every live task, when seeded */
	size_t shuffle_size;
	uint64_t random;
	anyio_time trim_at;
	atomic_bool interrupted;        /* SIGINT */
	_Atomic(anyio_time) tree_asked; /* SIGQUIT, when; 0: not */
	bool deadlocked;
	uint64_t task_ids;     /* given so far */
	struct locals *locals; /* of the run */
	size_t ends_asked;     /* operations that were asked to end and have not */
	bool telling;          /* instruments (instrument.c) */
	struct anyio_instrument *next_told;
	struct anyio_task *told_in;
	struct anyio_slot slots[ANYIO_SLOTS];
	void *host; /* the host's uv_loop_t, which polls for us; NULL: we do */
};

/* What the root task runs. */
struct root {
	anyio_task_fn body;
	void *arg;
	int rc;
};

extern _Thread_local struct anyio_loop *anyio_loop_here __attribute__((tls_model("initial-exec")));

/* stack.c */
int stack_take(struct stack_pool *pool, size_t size, struct stack **stack);
void stack_give(struct stack_pool *pool, struct stack *stack);
/* Gives back the pages of stacks that were not used since the last call; false when it did only
 * a part, not to stop the loop for long. */
bool stack_trim(struct stack_pool *pool);
void stack_pool_close(struct stack_pool *pool);
char *stack_top(const struct stack *stack, size_t record);
size_t stack_guard_size(void);

/* overflow.c */
void overflow_watch(void);

/* task.c */
int task_spawn(struct anyio_loop *loop, anyio_task_fn fn, void *arg,
	const struct anyio_task_options *options, struct anyio_task **task);
/* Puts a spawned task under a scope and into the run queue. */
void task_launch(struct anyio_task *task, struct scope *scope, bool own_scope);
void task_yield(struct anyio_task *task);
/* Tries the one abort of this wait, if it is still to be tried. */
void task_deliver(struct anyio_task *task);
void task_reap(struct anyio_loop *loop);

/* run.c: the parts of a loop's life. */
void loop_prepare_process(void);
/* Takes those of 0 to 2 that were closed when the program was started. */
void standard_descriptors_take(void);
int loop_open(struct anyio_loop *loop, const struct anyio_options *options);
int loop_launch(struct anyio_loop *loop, struct root *root); /* the root task is ready */
void loop_close(struct anyio_loop *loop);

/* host.c */
void host_finish(struct anyio_loop *loop); /* of a hosted loop, all of whose tasks have ended */

/* loop.c */
void loop_begin_turn(struct anyio_loop *loop);
void loop_run(struct anyio_loop *loop);
anyio_time loop_look(struct anyio_loop *loop);      /* reads the clock; fires nothing */
bool loop_quiet(struct anyio_loop *loop);           /* a poll would find nothing: it is put off */
void loop_refresh(struct anyio_loop *loop);         /* the same, and fires what expired */
bool loop_simulated(const struct anyio_loop *loop); /* its clock jumps */
int loop_reserve(struct anyio_loop *loop);          /* room to shuffle one more task */

/* scope.c */
void scope_init(struct scope *scope);
void scope_enter(struct scope *scope, struct scope *parent, struct anyio_task *task,
	const char *file, int line);
void scope_leave(struct scope *scope);
void scope_cancel(struct scope *scope, const char *reason);
bool scope_parent_effective(const struct scope *scope);
/* The innermost cancelled scope that applies to who is in this one; NULL: none. */
const struct scope *scope_cause(const struct scope *innermost);

/* group.c */
void group_child_ended(struct anyio_task *task);

/* handle.c */
/* task NULL: it could not be spawned. */
void handle_init(struct handle *handle, struct anyio_task *task);
/* That it is still this task's, which has ended. */
void handle_check(const struct handle *handle, const struct anyio_task *task);
/* Its task has ended; the error is filled in. */
void handle_settle(struct handle *handle, enum anyio_task_status status);
/* failure NULL: nothing was said. */
void error_note(struct anyio_task_error *error, const struct group *group, const char *task,
	int code, const struct failure *failure);

/* local.c */
struct locals *locals_share(struct locals *locals);
void locals_drop(struct locals **locals);    /* a task's */
void locals_destroy(struct locals **locals); /* the run's */

/* instrument.c: called where instruments are installed. NULL: the loop, not a task. */
void instrument_spawned(struct anyio_loop *loop, const struct anyio_task *task);
void instrument_ended(struct anyio_loop *loop, const struct anyio_task *task);
/* None may be left in the frames of a task whose function has returned. */
void instrument_stack_goes(struct anyio_loop *loop, const struct anyio_task *task);
void instrument_switch(
	struct anyio_loop *loop, const struct anyio_task *from, const struct anyio_task *to);
void instrument_started(struct anyio_loop *loop, const struct anyio_op *op);
void instrument_completed(struct anyio_loop *loop, const struct anyio_op *op);
void instrument_poll(struct anyio_loop *loop, anyio_time timeout);
void instrument_polled(struct anyio_loop *loop);

/* fault.c: whether the injected fault (anyio/testing.h) hits this call; counts it. */
bool anyio_fault_hit(enum anyio_fault_kind kind, int *error);
/* Whether operations of this code are those of ANYIO_FAULT_CALL. */
bool anyio_fault_calls(enum anyio_opcode code);

/* opcode.c */
struct op_kind {
	const char *name, *call; /* as a task tree says it, and anyio_fault_set_call */
	bool at_descriptor;
	enum anyio_fault_kind fault; /* ANYIO_FAULT_WRITE or _READ, if it is of those */
};
extern const struct op_kind op_kinds[]; /* by enum anyio_opcode */

static inline const char *op_name(const struct anyio_op *op)
{
	return op_kinds[op->code].name;
}

/* -1: none. */
static inline int op_descriptor(const struct anyio_op *op)
{
	return op_kinds[op->code].at_descriptor ? op->fd : -1;
}

/* tree.c */
void tree_say(struct anyio_loop *loop); /* to standard error */

/* timers.c */
void timer_set(struct clock *clock, struct timer *timer, anyio_time when,
	void (*fire)(struct timer *timer));
void timer_unset(struct clock *clock, struct timer *timer);
void clock_set(struct clock *clock, anyio_time now); /* never back */
void clock_fire(struct clock *clock);                /* what is due now */
/* When to look again: no later than the earliest timer; ANYIO_FOREVER when none is set. */
anyio_time clock_next(struct clock *clock);
static inline bool clock_due(const struct clock *clock)
{
	return clock->root && clock->root->when <= clock->now;
}
static inline bool clock_has_timers(const struct clock *clock)
{
	return clock->root || clock->far > 0;
}

/* clock.c */
anyio_time clock_real(void);
anyio_time clock_after(anyio_time now, anyio_time duration);
/* From this very moment, not from the last poll: what relative deadlines are made of. */
anyio_time clock_from_now(anyio_time duration);

/* token.c */
struct anyio_token *token_create(struct anyio_loop *loop);
void token_drain(struct anyio_token *token); /* runs what other threads called; not all at once */
bool token_waits(const struct anyio_token *token); /* there are more */
void token_end(struct anyio_token *token);
bool token_shared(struct anyio_token *token);

/* backends.c */
int backends_open(struct anyio_loop *loop); /* 0, ANYIO_NO_BACKEND, or what kept the last from it */

/* terminal.c */
void terminal_watch(struct anyio_loop *loop);
void terminal_unwatch(struct anyio_loop *loop);

/* The task to run next, out of the queue; NULL when it is time to poll. */
static inline struct anyio_task *loop_next(struct anyio_loop *loop)
{
	if (__builtin_expect(++loop->switches >= POLL_EVERY, 0) &&
		(!loop->batch || loop->switches >= POLL_MOST) && !loop_quiet(loop))
		return NULL;
	if (!loop->batch)
		loop_begin_turn(loop);
	struct anyio_task *next = loop->batch;
	if (next) {
		loop->batch = next->next;
		/* Where the one behind it goes on, which may long be out of the cache. */
		if (next->next)
			anyio_prefetch(next->next->context.sp);
	}
	return next;
}

/* What the task waits for is to end. */
static inline bool task_cancelled(const struct anyio_task *task)
{
	return task->scope->effective || task->interrupts > 0;
}

/* The same as anyio_current_task(). */
static inline struct anyio_task *task_here(void)
{
	return anyio_loop_here ? anyio_loop_here->current : NULL;
}

#endif
