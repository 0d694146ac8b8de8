/*
 * What the libuv backend knows of descriptors. For uv.c and uv_watch.c alone.
 *
 * A watch belongs to one descriptor number and merges the interest of its readers and writers. It
 * begins with the first operation that had to wait and ends with CLOSE, which retires it before
 * the number can be used again; if that was forgotten, with a number that the kernel gives
 * out to us. Its memory is freed only in libuv's close callback. The watch of a
 * descriptor that is not ours (op->owned) ends with its last waiter, because the caller may close it
 * behind our back: who gets the number next must not meet it.
 */
#ifndef ANYIO_BACKEND_UV_WATCH_H
#define ANYIO_BACKEND_UV_WATCH_H

#include "../core/core.h"

#include <uv.h>

struct watch {
	uv_poll_t poll; /* first: a handle is its watch */
	struct uv_state *state;
	struct anyio_op *waiting[2]; /* oldest first, by direction */
	int fd;
	int armed;    /* UV_READABLE and UV_WRITABLE as told to libuv */
	int flags;    /* of the description, as they were before libuv made it non-blocking */
	bool drained; /* the last receive was short: the next one waits first */
	bool ours;    /* ends with CLOSE */
	int fired;    /* reported and not yet served; not 0 while in state->fired */
	struct watch *next;
};

struct uv_state {
	uv_loop_t *uv; /* own, or the host's */
	uv_loop_t own;
	uv_timer_t timer;
	uv_async_t async;
	uv_prepare_t turn; /* hosted: before each poll */
	uv_idle_t busy;    /* hosted: active while a poll must not wait */
	size_t handles;    /* not closed yet */
	struct anyio_loop *loop;
	struct watch **watches; /* by descriptor */
	size_t room;
	struct watch *fired, **fired_last; /* first in, first out */
};

static inline struct watch *watch_find(const struct uv_state *state, int fd)
{
	return fd >= 0 && (size_t)fd < state->room ? state->watches[fd] : NULL;
}

void watch_retire(struct watch *watch);
/* Before a close: retires the watch of fd, if there is one, and ends who waits there by -EBADF. */
void watch_closing(struct uv_state *state, int fd);
/* The kernel has just given fd out (or it is an error): the watch there may be is of another, which was closed
 * behind our back. */
void watch_fresh(struct uv_state *state, int64_t fd);
/* Takes back an operation that waits. */
void watch_unlink(struct watch *watch, struct anyio_op *op);
/* As a backend's start(); for READ and WRITE the second. */
bool watch_start_socket(struct uv_state *state, struct anyio_op *op);
bool watch_start_stream(struct uv_state *state, struct anyio_op *op);
/* Serves some of what libuv reported. */
void watch_serve_fired(struct uv_state *state);

/* uv.c */
void uv_handle_gone(struct uv_state *state);

#endif
