/*
 * The scope and wake protocol of anyio/core and of both real backends.
 *
 * One process is the loop's thread: tasks are turns of it, so that between two of them only the
 * foreign thread and the kernel can act. The kernel acts where the loop can see it: inside
 * wait(). Every inline carries the name of the C function it stands for and prints it, so a
 * counterexample reads as a list of calls. README.md says what is left out; run.sh what is checked.
 *
 * Tasks and scopes: task 0 hosts group 0 (scope 0); task 1 is its child and hosts group 1 (scope 1);
 * task 2 is spawned into group 1, perhaps twice and perhaps by task 0, and enters scope 2. So scope
 * s lies in scope s - 1. Tasks 1 and 2 each have one operation, on their stacks, used again and
 * again: operation o belongs to task o + 1. The foreign thread makes calls through the token, and
 * is the worker thread of the pool.
 */

/* How much of everything there is. */
#ifndef WAITS
#define WAITS 1 /* of one task, before it leaves */
#endif
#ifndef CHANGES
#define CHANGES 2 /* cancels and shields raised or dropped by tasks, all together */
#endif
#ifndef DEADLINES
#define DEADLINES 1
#endif
#ifndef POSTS
#define POSTS 2
#endif
#ifndef SPAWNS
#define SPAWNS 2 /* of task 2 */
#endif
#ifndef AGAIN
#define AGAIN 1 /* operations that a descriptor refuses with EAGAIN */
#endif
#ifndef EARLY
#define EARLY 1 /* polls while tasks are ready: POLL_EVERY switches were made */
#endif
#ifndef NO_ROOM
#define NO_ROOM 1 /* times the submission queue has no room */
#endif

#define FRESH 0
#define READY 1
#define RUNNING 2
#define PARKED 3
#define ENDED 4
byte state[3];

#define NOTHING 0
#define OPERATION 1
#define EVENT 2
#define CHILDREN 3
byte waits_for[3];
bool abortable[3]; /* abort is not NULL */
bool abort_tried[3];
byte waits_left[3];
bool leaving[3];

/* Results. */
#define OK 0
#define DATA 1
#define CANCELLED 2
#define ECANCELED 3
#define EAGAIN 4
#define POLLED 5 /* of a poll_add: ready */
byte result[3];

/* Scopes. */
bool entered[3], called[3], shield[3], effective[3];
byte innermost[3]; /* of each task */

/* What effective ought to be, from nothing but the inputs. */
#define ought0 (called[0])
#define ought1 (called[1] || (!shield[1] && ought0))
#define ought2 (called[2] || (!shield[2] && ought1))
#define ought(s) ((s == 0 && ought0) || (s == 1 && ought1) || (s == 2 && ought2))

/* Group 0 and 1. */
byte children[2];
bool host_waits[2];
bool open[2];

/* Operations. */
#define NOWHERE 0
#define UNSENT 1 /* uring->unsent */
#define QUEUED 2 /* in the submission queue */
#define ARMED 3	 /* the kernel's; with libuv: in the watch's list */
#define IN_CQ 4	 /* completed, not reaped */
#define IN_POOL 5
#define IN_HANDS 6 /* the worker's */
#define DONE 7	   /* in the pool's done list */
byte where[2];
bool alive[2];	/* its storage: from the start until its task goes on */
byte outcome[2];
bool endless[2];	/* nothing will end it but a cancel */
bool cancel_asked[2], cancel_unsent[2], polling[2];
bool cancelling[2]; /* a cancel is in the submission queue */
bool flying[2];	    /* counted in loop->in_flight */

/* The wake. */
bool wake_fd;		/* the eventfd is readable */
bool wake_armed;	/* uring: its read is in the ring */
byte pending;		/* libuv's uv_async_t.pending */
bool news, news_stored; /* pool->news, and a store to it that other cores do not see yet */
bool pool_mutex, token_lock;
byte calls;   /* token->first */
bool waiting; /* token->waiting */
bool last_call;
bool loop_ended, closed;
bool asleep; /* for the seeded fault alone */

byte posts = POSTS, changes = CHANGES, deadlines, spawns = SPAWNS, again = AGAIN, no_room = NO_ROOM, early = EARLY;
byte permits;		 /* posted, not taken */
byte produced, consumed; /* pieces of data */
bool final;

byte i, j, m, at; /* 0 between uses */
hidden byte answer, k;

#define ready_any (state[0] == READY || state[1] == READY || state[2] == READY)
#define ended_all (state[0] == ENDED && state[1] == ENDED && (state[2] == ENDED || state[2] == FRESH))

/* task.c */

inline make_ready(t, r)
{
	state[t] = READY;
	abortable[t] = false;
	abort_tried[t] = false;
	result[t] = r
}

inline anyio_wake(t, r)
{
	printf("anyio_wake task %d result %d\n", t, r);
	assert(state[t] == PARKED); /* no double completion */
	make_ready(t, r)
}

/* uring.c */

inline room()
{
	answer = true;
	if
	:: no_room > 0 -> no_room--; answer = false
	:: true
	fi
}

inline submit_op(o)
{
	room();
	if
	:: answer -> where[o] = QUEUED
	:: else
	fi
}

inline send_or_queue(o)
{
	printf("send_or_queue op %d\n", o);
	submit_op(o);
	if
	:: !answer -> where[o] = UNSENT
	:: else
	fi
}

inline submit_cancel(o)
{
	room();
	if
	:: answer -> cancelling[o] = true
	:: else
	fi
}

/* answer: ANYIO_ABORTED */
inline uring_cancel(o)
{
	printf("uring_cancel op %d\n", o);
	if
	:: where[o] == UNSENT ->
		where[o] = NOWHERE;
		answer = true
	:: else ->
		submit_cancel(o);
		cancel_unsent[o] = !answer;
#ifdef REUSE
		answer = true
#else
		answer = false
#endif
	fi
}

/* uv.c */

inline uv_backend_cancel(o)
{
	printf("uv_backend_cancel op %d\n", o);
#ifndef DOUBLE
	where[o] = NOWHERE;
#endif
	answer = true
}

/* pool.c: under its mutex */

inline anyio_pool_withdraw(o)
{
	printf("anyio_pool_withdraw op %d\n", o);
	!pool_mutex;
	answer = (where[o] == IN_POOL);
	if
	:: answer -> where[o] = NOWHERE
	:: else
	fi
#ifdef DOUBLE
	answer = true
#endif
}

/* op.c */

inline op_abort(o)
{
	cancel_asked[o] = true;
	if
	:: where[o] >= IN_POOL -> anyio_pool_withdraw(o)
#ifdef UV
	:: else -> uv_backend_cancel(o)
#else
	:: else -> uring_cancel(o)
#endif
	fi;
	if
	:: answer -> flying[o] = false
	:: else
	fi
}

inline anyio_op_complete(o, r)
{
	printf("anyio_op_complete op %d result %d\n", o, r);
	assert(alive[o] && flying[o]);
	where[o] = NOWHERE;
	flying[o] = false;
	if
	:: r == ECANCELED ->
		assert(cancel_asked[o]); /* nobody is cancelled who did not ask */
		anyio_wake(o + 1, CANCELLED)
#ifdef DATA_LOST
	:: r != ECANCELED && cancel_asked[o] -> anyio_wake(o + 1, CANCELLED)
	:: r != ECANCELED && !cancel_asked[o] -> anyio_wake(o + 1, r)
#else
	:: else -> anyio_wake(o + 1, r)
#endif
	fi
}

inline task_deliver(t)
{
	if
	:: state[t] == PARKED && abortable[t] && !abort_tried[t] ->
		printf("task_deliver task %d\n", t);
		assert(ought(innermost[t])); /* nobody is cancelled in a scope that is not */
		abort_tried[t] = true;
		if
		:: waits_for[t] == OPERATION -> op_abort(t - 1)
		:: else -> answer = true /* wait_abort: leaves the queue */
		fi;
		if
		:: answer -> anyio_wake(t, CANCELLED)
		:: else
		fi
	:: else
	fi
}

/* scope.c: top is an entered scope; here a scope has one child at most */

inline scope_refresh(top)
{
	i = top;
	do
	:: i < 3 && entered[i] ->
		if /* scope_recompute */
		:: i == 0 -> answer = called[0]
		:: else -> answer = called[i] || (!shield[i] && effective[i - 1])
		fi;
		if
		:: answer == effective[i] -> break
		:: else
		fi;
		effective[i] = answer;
		printf("scope_recompute scope %d effective %d\n", i, answer);
		if
		:: effective[i] -> /* deliver_all */
			j = 0;
			do
			:: j < 3 ->
				if
				:: innermost[j] == i -> task_deliver(j)
				:: else
				fi;
				j++
			:: else -> break
			od
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0;
	j = 0
}

/* Called with what anyio_cancel_scope_cancel, a setter of the shield or a timer changed at scope at. */
inline scope_changed()
{
	printf("scope %d: called %d shield %d\n", at, called[at], shield[at]);
#ifdef REMEMBERED
	if
	:: called[at] || shield[at] -> scope_refresh(at)
	:: else
	fi;
#else
	scope_refresh(at);
#endif
	at = 0
}

inline some_scope()
{
	if
	:: at = 0
	:: entered[1] -> at = 1
	:: entered[2] -> at = 2
	fi
}

/* clock.c; a timer that fires */

inline clock_fire()
{
	deadlines--;
	some_scope();
	printf("scope_expired\n");
	called[at] = true;
	scope_changed()
}

inline scope_enter(s, t)
{
	printf("scope_enter scope %d task %d\n", s, t);
	entered[s] = true;
	called[s] = false;
	shield[s] = false;
	if
	:: s == 0 -> effective[s] = false
	:: else -> effective[s] = effective[s - 1]
	fi;
	innermost[t] = s
}

/* Its result is what the scope made of r: absorbed or not (rule 4). */
inline anyio_cancel_scope_exit(s, t)
{
	printf("anyio_cancel_scope_exit scope %d task %d\n", s, t);
	assert(effective[s] == ought(s));
	if
	:: s > 0 && result[t] == CANCELLED && effective[s] && (shield[s] || !effective[s - 1]) ->
		assert(called[s]);
		result[t] = OK
	:: else
	fi;
	entered[s] = false;
	called[s] = false;
	shield[s] = false;
	effective[s] = false;
	if
	:: s > 0 -> innermost[t] = s - 1
	:: else
	fi
}

/* op.c; the park is at the end of the turn */

inline op_run(o)
{
	assert(where[o] == NOWHERE && !alive[o] && !flying[o]);
	printf("op_run op %d\n", o);
	alive[o] = true;
	flying[o] = true;
	if
	:: endless[o] = can
	:: endless[o] = false
	fi;
	if
	:: !endless[o] ->
		!pool_mutex; /* anyio_pool_start */
		where[o] = IN_POOL
#ifdef UV
	:: where[o] = ARMED /* wait_start */
#else
	:: send_or_queue(o)
#endif
	fi
}

inline anyio_wait_wake()
{
	printf("anyio_wait_wake\n");
	if
	:: state[0] == PARKED && waits_for[0] == EVENT -> anyio_wake(0, OK)
	:: state[2] == PARKED && waits_for[2] == EVENT -> anyio_wake(2, OK)
	:: else -> permits++
	fi
}

/* group.c */

inline group_child_ended(g)
{
	children[g]--;
	if
	:: children[g] == 0 && host_waits[g] ->
#ifndef HOST_TWICE
		host_waits[g] = false;
#endif
		anyio_wake(g, OK)
	:: else
	fi
}

inline group_spawn(g, t)
{
	printf("group_spawn task %d\n", t);
	children[g]++;
	innermost[t] = g;
	waits_left[t] = WAITS;
	leaving[t] = false;
	waits_for[t] = NOTHING;
	make_ready(t, OK)
}

/* One call of one of the setters by the running task. */
inline change()
{
	changes--;
	some_scope();
	if
	:: called[at] = true
	:: at > 0 -> shield[at] = !shield[at]
	fi;
	scope_changed()
}

inline task_end(t)
{
	printf("unhook task %d\n", t);
	if
	:: t == 0
	:: else -> group_child_ended(t - 1)
	fi;
	innermost[t] = 3;
	result[t] = OK;
	leaving[t] = false;
	waits_left[t] = 0;
	state[t] = ENDED
}

/* A turn of task t, from where its wait returned to where it waits again or ends. */
inline turn(t)
{
	printf("task_switch_out to task %d\n", t);
	state[t] = RUNNING;
	if
	:: waits_for[t] == OPERATION ->
		/* Here the frame that held the operation is left. */
		alive[t - 1] = false;
		if
		:: result[t] == DATA -> consumed++
		:: else
		fi;
		assert(where[t - 1] == NOWHERE);
		assert(!cancelling[t - 1]); /* no cancel is left to hit the next one here */
		cancel_asked[t - 1] = false;
		polling[t - 1] = false;
		endless[t - 1] = false
	:: else
	fi;
	if
	:: waits_for[t] == CHILDREN -> host_waits[t] = false
	:: else
	fi;
	waits_for[t] = NOTHING;
	if
	:: t == 2 && !entered[2] -> scope_enter(2, 2)
	:: t == 1 && !open[1] ->
		scope_enter(1, 1); /* anyio_task_group_enter */
		open[1] = true
	:: else
	fi;
	if
	:: changes > 0 && !leaving[t] -> change()
	:: true
	fi;
	if
	:: t < 2 && spawns > 0 && open[1] && (state[2] == FRESH || state[2] == ENDED) ->
		spawns--;
		group_spawn(1, 2)
	:: true
	fi;
	if
	:: waits_left[t] > 0 && !leaving[t] ->
		waits_left[t]--;
		what = OPERATION;
		can = true;
		if
		:: t != 1 -> what = EVENT
		:: t != 0
		:: t == 1 -> can = false /* anyio_op_run_shielded */
		fi;
		if
		:: what == EVENT && permits == 0 /* a semaphore over sync/wait.c */
		:: can && (what == OPERATION || permits) && effective[innermost[t]] ->
			what = NOTHING; /* anyio_checkpoint_if_cancelled */
			make_ready(t, CANCELLED)
		:: what == EVENT && permits && !effective[innermost[t]] ->
			what = NOTHING;
			permits--;
			make_ready(t, OK)
		:: what == OPERATION && !(can && effective[innermost[t]]) -> op_run(t - 1)
		fi
	:: waits_left[t] == 0 || result[t] == CANCELLED || leaving[t] ->
		leaving[t] = true;
		if /* anyio_task_group_exit */
		:: t < 2 && children[t] > 0 ->
			host_waits[t] = true;
			what = CHILDREN;
			can = false
		:: else ->
			if
			:: t < 2 -> open[t] = false
			:: else
			fi;
			anyio_cancel_scope_exit(t, t);
			task_end(t)
		fi
	fi;
	if
	:: what != NOTHING ->
		printf("anyio_park task %d for %d\n", t, what);
		waits_for[t] = what;
		state[t] = PARKED;
		abortable[t] = can;
		result[t] = OK;
		if /* anyio_cancel_pending, whose clock may fire now */
		:: can && deadlines > 0 -> clock_fire()
		:: true
		fi;
		if
		:: can && effective[innermost[t]] -> task_deliver(t)
		:: else
		fi
	:: else
	fi;
	what = NOTHING;
	can = false
}

#include "poll.pml"
