/*
 * Tokens: how other threads reach a loop.
 *
 * The token outlives the loop. Its lock orders callers against the loop's end: a call is either
 * queued before the end and runs, or is refused. The backend is woken under the lock, so it
 * cannot be closed meanwhile. The loop takes calls from the front of the queue at each poll, so they
 * are first in, first out and a call that calls again runs a poll later. It takes some hundreds at
 * most: whoever calls without end shares the loop with its timers and tasks. While some are left the
 * poll does not wait.
 */
#include <errno.h>
#include <pthread.h>
#include "loop.h"

enum { CALLS_MOST = 256 }; /* between two polls */

struct anyio_token {
	atomic_uint references;
	pthread_mutex_t lock;
	struct anyio_loop *loop; /* NULL once it ended */
	struct anyio_call *first, **last;
	atomic_bool waiting; /* first is not NULL: a look without the lock */
};

struct anyio_token *token_create(struct anyio_loop *loop)
{
	struct anyio_token *token = anyio_calloc(1, sizeof *token);
	if (!token)
		return NULL;
	atomic_init(&token->references, 1);
	pthread_mutex_init(&token->lock, NULL);
	token->loop = loop;
	token->last = &token->first;
	return token;
}

bool token_shared(struct anyio_token *token)
{
	return atomic_load(&token->references) > 1;
}

struct anyio_token *anyio_token_ref(struct anyio_token *token)
{
	atomic_fetch_add(&token->references, 1);
	return token;
}

void anyio_token_unref(struct anyio_token *token)
{
	if (!token)
		return;
	pthread_mutex_lock(&token->lock);
	unsigned left = atomic_fetch_sub(&token->references, 1) - 1;
	/* A simulated clock stands still as long as others may call. */
	if (left == 1 && token->loop && token->loop != anyio_loop_here &&
		loop_simulated(token->loop))
		anyio_loop_wake(token->loop);
	pthread_mutex_unlock(&token->lock);
	if (left > 0)
		return;
	pthread_mutex_destroy(&token->lock);
	anyio_free(token);
}

struct anyio_token *anyio_current_token(void)
{
	return anyio_loop_here ? anyio_token_ref(anyio_loop_here->token) : NULL;
}

int anyio_token_call(struct anyio_token *token, struct anyio_call *call)
{
	call->next = NULL;
	pthread_mutex_lock(&token->lock);
	bool ended = !token->loop;
	if (!ended) {
		bool first = !token->first;
		*token->last = call;
		token->last = &call->next;
		atomic_store(&token->waiting, true);
		if (first)
			anyio_loop_wake(token->loop);
	}
	pthread_mutex_unlock(&token->lock);
	return ended ? ANYIO_LOOP_ENDED : 0;
}

int anyio_call_soon(struct anyio_token *token, void (*fn)(void *arg), void *arg)
{
	struct anyio_call *call = anyio_malloc(sizeof *call);
	if (!call)
		return -ENOMEM;
	*call = (struct anyio_call){ .fn = fn, .arg = arg, .allocated = true };
	int rc = anyio_token_call(token, call);
	if (rc < 0)
		anyio_free(call);
	return rc;
}

static void run_calls(struct anyio_call *call)
{
	while (call) {
		struct anyio_call *next = call->next;
		void (*fn)(void *) = call->fn;
		void *arg = call->arg;
		if (call->allocated)
			anyio_free(call);
		fn(arg);
		call = next;
	}
}

bool token_waits(const struct anyio_token *token)
{
	return atomic_load(&token->waiting);
}

/* Under the lock: cuts the first so many off the queue. */
static struct anyio_call *take(struct anyio_token *token, size_t most)
{
	struct anyio_call *first = token->first, **end = &token->first;
	for (size_t i = 0; i < most && *end; i++)
		end = &(*end)->next;
	if (end == &token->first)
		return NULL;
	token->first = *end;
	*end = NULL;
	if (!token->first)
		token->last = &token->first;
	atomic_store(&token->waiting, token->first != NULL);
	return first;
}

void token_drain(struct anyio_token *token)
{
	if (!token_waits(token))
		return;
	pthread_mutex_lock(&token->lock);
	struct anyio_call *calls = take(token, CALLS_MOST);
	pthread_mutex_unlock(&token->lock);
	run_calls(calls);
}

void token_end(struct anyio_token *token)
{
	pthread_mutex_lock(&token->lock);
	token->loop = NULL;
	struct anyio_call *calls = take(token, SIZE_MAX);
	pthread_mutex_unlock(&token->lock);
	run_calls(calls);
	anyio_token_unref(token);
}
