/*
 * A loop that a host drives: the same loop, whose turns are run from the host's, between two of its
 * polls (anyio_loop_turn), instead of from one of our own. Between turns it stays this thread's
 * loop, so that the host's callbacks may call what does not wait. What they make ready, and the
 * deadlines they set, are for the next turn; but a callback that comes right before the poll (libuv's
 * prepare, where the host's may come after ours) comes after our turn, so either wakes the host.
 *
 * Only libuv's backend can be hosted, by libuv. The host polls by epoll; a ring would be polled
 * through it and then entered, two system calls where the host's epoll does with one, so that nothing
 * a ring is good for would be left.
 *
 * The end comes in two steps: once all tasks have ended the loop is closed, and once the host has
 * let go of the last of our handles, memory is given back and done is called.
 */
#include <errno.h>
#include <string.h>
#include <anyio/host.h>
#include "loop.h"

struct anyio_host {
	struct anyio_loop loop; /* first: a hosted loop is its host's */
	struct root root;
	void (*done)(void *arg, int rc); /* NULL: it never began */
	void *arg;
};

void *anyio_loop_host(const struct anyio_loop *loop)
{
	return loop->host;
}

static int host_options(struct anyio_options *own, const struct anyio_options *options)
{
	*own = options ? *options : (struct anyio_options){ 0 };
	if (own->backend && strcmp(own->backend, "uv") != 0)
		return ANYIO_NO_BACKEND;
	if (own->mock_clock)
		return -EINVAL;
	own->backend = "uv";
	own->no_signals = true;
	return 0;
}

int anyio_host_start(struct uv_loop_s *uv, anyio_task_fn body, void *arg,
	const struct anyio_options *options, void (*done)(void *arg, int rc), void *done_arg,
	struct anyio_host **out)
{
	struct anyio_options own;
	if (out)
		*out = NULL;
	if (anyio_loop_here)
		return -EBUSY;
	int rc = host_options(&own, options);
	if (rc < 0)
		return rc;
	struct anyio_host *host = anyio_calloc(1, sizeof *host);
	if (!host)
		return -ENOMEM;
	struct anyio_loop *loop = &host->loop;
	host->root = (struct root){ .body = body, .arg = arg };
	loop->host = uv;
	loop_prepare_process();
	rc = loop_open(loop, &own);
	if (rc < 0) {
		/* Else it goes when its handles have gone. */
		if (!loop->state) {
			anyio_free(loop->shuffle);
			anyio_free(host);
		}
		return rc;
	}
	anyio_loop_here = loop;
	rc = loop_launch(loop, &host->root);
	if (rc < 0) {
		host_finish(loop);
		return rc;
	}
	host->done = done;
	host->arg = done_arg;
	loop->backend->wait(loop->state, 0);
	loop->between_turns = true;
	if (out)
		*out = host;
	return 0;
}

void host_finish(struct anyio_loop *loop)
{
	loop_close(loop);
	stack_pool_close(&loop->stacks);
	anyio_loop_here = NULL;
}

void anyio_loop_closed(struct anyio_loop *loop)
{
	struct anyio_host *host = (struct anyio_host *)loop;
	void (*done)(void *, int) = host->done;
	void *arg = host->arg;
	int rc = host->root.rc;
	anyio_free(loop->shuffle);
	anyio_free(host);
	if (done)
		done(arg, rc);
}

void anyio_host_cancel(struct anyio_host *host, const char *reason)
{
	scope_cancel(&host->loop.root_scope, reason);
}
