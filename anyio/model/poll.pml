/* The second half of wake.pml: the loop's poll, the kernel, the foreign thread. */

/* The kernel ends an operation that it holds. It writes where the operation says. */
inline kernel_complete(o, r)
{
	printf("(kernel) op %d result %d\n", o, r);
	assert(alive[o]); /* an operation's memory is not used again before its completion */
	outcome[o] = r;
	if
	:: r == DATA -> produced++
	:: else
	fi;
	where[o] = IN_CQ
}

inline kernel_ends(o)
{
	if
	:: polling[o] -> kernel_complete(o, POLLED)
	:: !polling[o] -> kernel_complete(o, DATA)
	:: !polling[o] && again > 0 ->
		again--;
		kernel_complete(o, EAGAIN);
		if /* what it then waits for may never come */
		:: abortable[o + 1] -> endless[o] = true
		:: true
		fi
	fi
}

/* What was ready before the submission was looked at, or after it. */
inline kernel_may_end(o)
{
	if
	:: where[o] == ARMED && !endless[o] -> kernel_ends(o)
	:: true
	fi
}

inline kernel_submission(o)
{
	if
	:: where[o] == QUEUED -> where[o] = ARMED
	:: else
	fi;
	kernel_may_end(o);
	if
	:: where[o] == ARMED && cancelling[o] ->
		if
		:: kernel_complete(o, ECANCELED) /* or EINTR */
		:: endless[o] = false		 /* EALREADY: it runs, and ends by itself */
		fi
	:: else /* ENOENT */
	fi;
	cancelling[o] = false
}

/* uring.c */

inline send_unsent(o)
{
	if
	:: where[o] == UNSENT -> submit_op(o)
	:: where[o] != UNSENT && cancel_unsent[o] ->
		submit_cancel(o);
		cancel_unsent[o] = !answer
	:: else
	fi
}

inline complete(o)
{
	if
	:: where[o] == IN_CQ ->
		if /* try_again */
#ifdef RESUBMIT
		:: outcome[o] == EAGAIN ->
#else
		:: outcome[o] == EAGAIN && !cancel_asked[o] ->
#endif
			polling[o] = true;
			send_or_queue(o)
		:: outcome[o] == POLLED && !cancel_asked[o] ->
			polling[o] = false;
			send_or_queue(o)
		:: else ->
			cancel_unsent[o] = false; /* unsent_remove */
			if
			:: outcome[o] == POLLED || outcome[o] == EAGAIN -> outcome[o] = ECANCELED
			:: else
			fi;
			anyio_op_complete(o, outcome[o])
		fi;
		outcome[o] = OK
	:: else
	fi
}

#define unsent_any                                                                                 \
	(where[0] == UNSENT || where[1] == UNSENT || cancel_unsent[0] || cancel_unsent[1])
#define kernel_has_any (where[0] == IN_CQ || where[1] == IN_CQ)
#define kernel_may_any ((where[0] == ARMED && !endless[0]) || (where[1] == ARMED && !endless[1]))

inline uring_wait()
{
	atomic {
		printf("uring_wait\n");
		asleep = !ready_any;
		if /* arm_wake */
		:: !wake_armed ->
			room();
			wake_armed = answer
		:: else
		fi;
		send_unsent(0);
		send_unsent(1);
		asleep = asleep && !unsent_any && wake_armed;
		kernel_submission(0);
		kernel_submission(1);
		kernel_may_end(0)
	}
	do /* enter */
	:: atomic {
		!asleep || kernel_has_any || (wake_fd && wake_armed) ->
			asleep = false;
			if
			:: wake_fd && wake_armed -> /* DATA_WAKE */
				wake_fd = false;
				wake_armed = false
			:: else
			fi;
			printf("reap\n");
			k = 0;
			do
			:: k < 2 -> complete(k); k++
			:: else -> break
			od;
			break
	   }
	:: atomic {
		asleep && kernel_may_any ->
			if
			:: where[0] == ARMED && !endless[0] -> k = 0
			:: where[1] == ARMED && !endless[1] -> k = 1
			fi;
			kernel_ends(k)
	   }
	:: atomic { asleep && deadlines > 0 -> asleep = false }
	od
}

/* uv.c, uv_watch.c */

inline watch_serve(o)
{
	if
	:: where[o] == ARMED && !endless[o] ->
		kernel_complete(o, DATA);
		anyio_op_complete(o, DATA);
		outcome[o] = OK
	:: true
	fi
}

inline uv_backend_wait()
{
	atomic {
		printf("uv_backend_wait\n");
		asleep = !ready_any
	}
	if /* uv_run: epoll_wait */
	:: atomic {
		!asleep || wake_fd || kernel_may_any || deadlines > 0 ->
			asleep = false;
			woken = wake_fd;
			watch_serve(0);
			watch_serve(1)
	   }
	fi;
	if
	:: atomic { woken -> woken = false; wake_fd = false; printf("uv__async_io\n") }
		if /* uv__async_spin: until the sender has done with the handle */
		:: atomic { pending == 2 -> pending = 0 }
		:: atomic { pending == 0 }
		fi
	:: atomic { !woken }
	fi
}

/* pool.c */

inline anyio_pool_collect()
{
	if
	:: atomic { news && !pool_mutex ->
		printf("anyio_pool_collect\n");
		news = false;
		k = 0;
		do
		:: k < 2 ->
			if
			:: where[k] == DONE -> anyio_op_complete(k, DATA)
			:: else
			fi;
			k++
		:: else -> break
		od
	   }
	:: atomic { !news }
	fi
}

/* token.c */

inline run_calls()
{
	do
	:: calls > 0 ->
		calls--;
		anyio_wait_wake()
	:: calls == 0 && last_call ->
		last_call = false;
		changes = 0; /* nobody raises one again */
		printf("the last call: every shield dropped, the root scope cancelled\n");
		at = 3;
		do
		:: at > 0 ->
			at--;
			shield[at] = false;
			called[at] = called[at] || (at == 0 && entered[0]);
			m = at;
			if
			:: entered[at] -> scope_changed()
			:: else
			fi;
			at = m;
			m = 0
		:: else -> break
		od
	:: else -> break
	od
}

inline token_drain()
{
	if
	:: atomic { waiting && !token_lock ->
		printf("token_drain\n");
		waiting = false;
		run_calls()
	   }
	:: atomic { !waiting }
	fi
}

/* loop.c */

inline poll_backend()
{
#ifdef UV
	uv_backend_wait();
#else
	uring_wait();
#endif
	anyio_pool_collect();
	token_drain();
	if /* loop_refresh */
	:: atomic { deadlines > 0 -> clock_fire() }
	:: atomic { true }
	fi
}

active proctype loop_run()
{
	byte me, what;
	bool can, woken;
	atomic {
		if
		:: deadlines = 0
		:: deadlines = DEADLINES
		fi;
		scope_enter(0, 0);
		open[0] = true;
		innermost[1] = 3;
		innermost[2] = 3;
		waits_left[0] = WAITS;
		group_spawn(0, 1);
		make_ready(0, OK)
	}
	do
	:: atomic {
		if
		:: state[0] == READY
		:: state[1] == READY -> me = 1
		:: state[2] == READY -> me = 2
		fi;
		turn(me);
		me = 0
	   }
	:: atomic {
		!ended_all && (early || !ready_any) ->
			if
			:: ready_any -> early--
			:: else
			fi
	   }
	   poll_backend()
	:: atomic { ended_all -> break }
	od;
	atomic { /* loop_close */
		printf("loop_close\n");
		!pool_mutex && !flying[0] && !flying[1]
	}
	atomic { /* token_end */
		!token_lock ->
			loop_ended = true;
			waiting = false;
			run_calls()
	}
	atomic {
		closed = true;
		assert(produced == consumed)
	}
}

/* The foreign thread */

/* What a store to a flag costs when nothing orders it: other cores see it some time later. */
active proctype store_buffer()
{
end:	do
	:: atomic { news_stored -> news = true; news_stored = false }
	od
}

inline flush()
{
	if
	:: news_stored ->
		news = true;
		news_stored = false
	:: else
	fi
}

inline backend_wake()
{
#ifdef UV
	/* uv_backend_wake: a fence, then uv_async_send */
	if
	:: atomic {
		pending != 0 ->
			printf("uv_backend_wake: is under way\n");
			assert(!closed);
#ifndef UNFENCED
			flush()
#endif
	   }
	:: atomic {
		pending == 0 ->
			printf("uv_backend_wake\n");
			assert(!closed);
			flush();
			pending = 1
	   }
	   atomic { wake_fd = true; assert(!closed) }
	   atomic { pending = 2 }
	fi
#else
	atomic {
		printf("uring_wake\n");
		assert(!closed);
		flush();
		wake_fd = true
	}
#endif
}

inline anyio_call_soon(final_call)
{
	atomic {
		!token_lock ->
			printf("anyio_call_soon\n");
			if
			:: loop_ended -> first = false
			:: else ->
				first = (calls == 0 && !last_call);
				if
				:: final_call -> last_call = true
				:: else -> calls++
				fi;
				waiting = true;
				token_lock = true
			fi
	}
#ifdef LOST_WAKE
	/* Spares the call when the loop looks awake; but it looked at the queue before. */
	atomic { first = first && asleep }
#endif
#ifdef UNLOCKED
	atomic { token_lock = false }
#endif
	if
	:: first -> backend_wake()
	:: else
	fi;
	atomic { token_lock = false; first = false }
}

inline worker_main(o)
{
	atomic {
		where[o] == IN_POOL && !pool_mutex ->
			printf("worker_main op %d\n", o);
			where[o] = IN_HANDS
	}
	atomic { /* anyio_op_perform; then the mutex is taken */
		assert(alive[o]);
		produced++;
		first = !(where[0] == DONE || where[1] == DONE);
		where[o] = DONE;
		pool_mutex = true;
		news_stored = !news
	}
	if
	:: first -> backend_wake()
	:: else
	fi;
	atomic { flush(); pool_mutex = false; first = false }
}

#define hangs(t) (state[t] == PARKED && abortable[t] && ought(innermost[t]))

active proctype foreign()
{
	bool first;
end:	do
	:: posts > 0 ->
		posts--;
		anyio_call_soon(false)
	:: worker_main(0)
	:: worker_main(1)
	:: atomic {
		timeout && !final ->
			/* Nothing moves any more: then nothing may be left that ought to. */
			printf("all is quiet\n");
			final = true;
			assert(!hangs(0) && !hangs(1) && !hangs(2)); /* no cancellation lost */
			assert(!calls && where[0] < IN_POOL && where[1] < IN_POOL); /* no wake lost */
			assert(!ready_any && !(permits && state[0] == PARKED && waits_for[0] == EVENT))
	   }
	   anyio_call_soon(true)
	od
}
