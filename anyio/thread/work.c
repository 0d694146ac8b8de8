/*
 * Calls on worker threads, and calls back from them.
 *
 * The task that waits in anyio_to_thread is also who runs what its thread asks the loop for: the
 * thread posts a request through the loop's token, which wakes the task; the task runs the
 * function in its own scopes, answers, and waits on. So a request needs no task of its own
 * and is cancelled with its caller.
 *
 * Who destroys abandoned arguments is settled by one exchange: the call is RUNNING until either
 * the thread ends it or the waiter abandons it, whichever comes first; the other sees that. To the
 * caller ANYIO_CANCELLED always means the same: the arguments are not its own any more.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <anyio/thread.h>
#include "detached.h"

enum call_state { CALL_RUNNING, CALL_ENDED, CALL_ABANDONED };

struct call {
	struct anyio_detached detached;
	int (*fn)(void *arg);
	void *arg;
	void (*destroy)(void *arg);
	bool may_abandon;
	struct anyio_token *token;
	_Atomic int state;       /* enum call_state */
	atomic_bool cancelled;   /* for anyio_from_thread_check_cancelled */
	struct request *request; /* the one its thread waits for; the loop's */
};

/* On the asking thread's stack until it is answered. */
struct request {
	struct call *call;
	anyio_task_fn fn;
	void *arg;
	int result;
	bool answered;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
};

/* The call this worker thread runs. */
static _Thread_local struct call *call_here;

static void call_end(void *arg)
{
	struct call *call = arg;
	int running = CALL_RUNNING;

	call_here = NULL;
	if (!atomic_compare_exchange_strong(&call->state, &running, CALL_ENDED) &&
		call->destroy != NULL)
		call->destroy(call->arg);
}

/* It ends also when the function does not return but ends its thread. */
static int call_perform(void *arg)
{
	struct call *call = arg;
	int rc;

	call_here = call;
	pthread_cleanup_push(call_end, call);
	rc = call->fn(call->arg);
	pthread_cleanup_pop(1);
	return rc;
}

static void call_release(struct anyio_detached *detached)
{
	struct call *call = anyio_container(detached, struct call, detached);

	anyio_token_unref(call->token);
	anyio_free(call);
}

static void request_answer(struct request *request, int result)
{
	pthread_mutex_lock(&request->mutex);
	request->result = result;
	request->answered = true;
	pthread_cond_signal(&request->changed);
	pthread_mutex_unlock(&request->mutex);
}

/* The thread shall know; it ends the wait unless the call may be abandoned and still runs. */
static enum anyio_abort call_abort(struct anyio_task *task, void *arg)
{
	struct call *call = arg;
	int running = CALL_RUNNING;

	atomic_store(&call->cancelled, true);
	if (!call->may_abandon ||
		!atomic_compare_exchange_strong(&call->state, &running, CALL_ABANDONED))
		return ANYIO_ABORT_PENDING;
	return anyio_detached_abandon(&call->detached);
}

static int call_wait(struct call *call)
{
	while (!call->detached.ended) {
		int64_t rc = anyio_detached_park(&call->detached, call_abort, call);
		struct request *request = call->request;

		if (rc == ANYIO_CANCELLED)
			return ANYIO_CANCELLED;
		call->request = NULL;
		if (request == NULL)
			continue;
		rc = request->fn(request->arg);
		/* A cancellation that came meanwhile has found nobody waiting here. */
		if (anyio_cancel_pending())
			atomic_store(&call->cancelled, true);
		request_answer(request, (int)rc);
	}
	return 0;
}

static struct call *call_create(
	int (*fn)(void *arg), void *arg, const struct anyio_thread_options *options)
{
	struct call *call = anyio_calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->detached.op.code = ANYIO_OP_WORK;
	call->detached.op.flags = ANYIO_WORK_CALL;
	call->detached.op.fn = call_perform;
	call->detached.op.arg = call;
	call->detached.release = call_release;
	call->fn = fn;
	call->arg = arg;
	if (options != NULL) {
		call->may_abandon = options->abandon_on_cancel;
		call->destroy = options->destroy;
	}
	return call;
}

int anyio_to_thread(int (*fn)(void *arg), void *arg, const struct anyio_thread_options *options)
{
	struct anyio_threads *threads = anyio_current_task() == NULL ? NULL : anyio_threads_here();
	struct call *call = threads == NULL ? NULL : call_create(fn, arg, options);
	bool own_limiter = options != NULL && options->limiter != NULL;
	int rc;

	if (call == NULL)
		return anyio_current_task() == NULL ? ANYIO_NO_LOOP : -ENOMEM;
	rc = anyio_detached_start(
		&call->detached, own_limiter ? options->limiter : &threads->calls);
	/* Not before: a token in other hands says that this loop may be called from outside. */
	if (rc == 0)
		call->token = anyio_current_token();
	if (rc == 0 && call_wait(call) == ANYIO_CANCELLED)
		return ANYIO_CANCELLED; /* abandoned: it goes when the thread is through with it */
	if (rc == 0)
		rc = (int)call->detached.result;
	if (rc == ANYIO_CANCELLED && call->may_abandon && call->destroy != NULL)
		call->destroy(call->arg);
	call_release(&call->detached);
	return rc;
}

struct anyio_limiter *anyio_default_thread_limiter(void)
{
	struct anyio_threads *threads = anyio_loop_current() == NULL ? NULL : anyio_threads_here();

	return threads == NULL ? NULL : &threads->calls;
}

int anyio_from_thread_check_cancelled(void)
{
	if (call_here == NULL)
		return ANYIO_NO_LOOP;
	return atomic_load(&call_here->cancelled) ? ANYIO_CANCELLED : 0;
}

/* On the loop's thread. A call being waited for parks now or will look before it parks again. */
static void request_deliver(void *arg)
{
	struct request *request = arg;
	struct call *call = request->call;

	if (call->detached.abandoned) {
		request_answer(request, ANYIO_CANCELLED);
		return;
	}
	call->request = request;
	anyio_detached_wake(&call->detached);
}

int anyio_from_thread_run(anyio_task_fn fn, void *arg)
{
	struct request request = { .call = call_here, .fn = fn, .arg = arg };
	int rc;

	if (call_here == NULL)
		return ANYIO_NO_LOOP;
	/* The simulation runs the call on the loop's own thread, where nobody may wait. */
	if (anyio_loop_current() != NULL)
		return -ENOTSUP;
	pthread_mutex_init(&request.mutex, NULL);
	pthread_cond_init(&request.changed, NULL);
	rc = anyio_call_soon(call_here->token, request_deliver, &request);
	pthread_mutex_lock(&request.mutex);
	while (rc == 0 && !request.answered)
		pthread_cond_wait(&request.changed, &request.mutex);
	pthread_mutex_unlock(&request.mutex);
	pthread_cond_destroy(&request.changed);
	pthread_mutex_destroy(&request.mutex);
	return rc < 0 ? rc : request.result;
}
