/*
 * Telling instruments.
 *
 * Events are told one at a time: while one is told no task is current, so that nobody can wait, and
 * what a callback causes is not told. next_told is whose turn it is, kept by the loop, so that
 * a callback may take any instrument out.
 *
 * An installed instrument is marked, and looked at each time before it is called or passed over: one whose
 * storage was used for something else meanwhile is named, before what lies there now is called.
 */
#include <errno.h>
#include "loop.h"

/* In anyio_instrument.opaque. */
struct link {
	struct anyio_instrument *next;
	uintptr_t mark;
};
_Static_assert(sizeof(struct link) <= sizeof(((struct anyio_instrument *)0)->opaque), "link fits");

static struct link *link_of(struct anyio_instrument *instrument)
{
	return (struct link *)instrument->opaque;
}

static uintptr_t mark_of(const struct anyio_instrument *instrument)
{
	return (uintptr_t)instrument ^ (uintptr_t)0x696e737472756d65u;
}

/* Of one that is installed. */
static struct link *installed(struct anyio_instrument *instrument)
{
	if (link_of(instrument)->mark != mark_of(instrument))
		anyio_die(__FILE__, __LINE__,
			"the storage of an instrument is gone: it was not removed before");
	return link_of(instrument);
}

static struct anyio_instrument *tell_next(struct anyio_loop *loop)
{
	struct anyio_instrument *instrument = loop->next_told;
	if (instrument) {
		loop->next_told = installed(instrument)->next;
	} else {
		loop->current = loop->told_in;
		loop->telling = false;
	}
	return instrument;
}

static struct anyio_instrument *tell_first(struct anyio_loop *loop)
{
	if (loop->telling)
		return NULL;
	loop->telling = true;
	loop->told_in = loop->current;
	loop->current = NULL;
	loop->next_told = loop->instruments;
	return tell_next(loop);
}

#define TELL(loop, callback, ...)                                                                  \
	for (struct anyio_instrument *at = tell_first(loop); at; at = tell_next(loop))             \
		if (at->callback)                                                                  \
	at->callback(at->arg, ##__VA_ARGS__)

void instrument_spawned(struct anyio_loop *loop, const struct anyio_task *task)
{
	TELL(loop, task_spawned, task);
}

void instrument_ended(struct anyio_loop *loop, const struct anyio_task *task)
{
	TELL(loop, task_ended, task, task->rc);
}

void instrument_switch(
	struct anyio_loop *loop, const struct anyio_task *from, const struct anyio_task *to)
{
	if (from)
		TELL(loop, after_switch, from);
	if (to)
		TELL(loop, before_switch, to);
}

void instrument_started(struct anyio_loop *loop, const struct anyio_op *op)
{
	const char *name = op_name(op);
	int fd = op_descriptor(op);
	TELL(loop, operation_started, op->task, name, fd);
}

void instrument_completed(struct anyio_loop *loop, const struct anyio_op *op)
{
	const char *name = op_name(op);
	int fd = op_descriptor(op);
	TELL(loop, operation_completed, op->task, name, fd, op->result);
}

void instrument_poll(struct anyio_loop *loop, anyio_time timeout)
{
	TELL(loop, before_poll, timeout);
}

void instrument_polled(struct anyio_loop *loop)
{
	TELL(loop, after_poll);
}

/* Where the pointer to instrument is, or the one at the end. */
static struct anyio_instrument **place_of(
	struct anyio_loop *loop, const struct anyio_instrument *instrument)
{
	struct anyio_instrument **at = &loop->instruments;
	while (*at && *at != instrument)
		at = &installed(*at)->next;
	return at;
}

int anyio_instrument_add(struct anyio_instrument *instrument)
{
	struct anyio_loop *loop = anyio_loop_here;
	if (!loop)
		return ANYIO_NO_LOOP;
	struct anyio_instrument **at = place_of(loop, instrument);
	if (*at)
		return -EBUSY;
	*link_of(instrument) = (struct link){ .mark = mark_of(instrument) };
	*at = instrument;
	return 0;
}

int anyio_instrument_remove(struct anyio_instrument *instrument)
{
	struct anyio_loop *loop = anyio_loop_here;
	if (!loop)
		return ANYIO_NO_LOOP;
	struct anyio_instrument **at = place_of(loop, instrument);
	if (!*at)
		return -ENOENT;
	*at = link_of(instrument)->next;
	link_of(instrument)->mark = 0;
	if (loop->next_told == instrument)
		loop->next_told = *at;
	return 0;
}

void instrument_stack_goes(struct anyio_loop *loop, const struct anyio_task *task)
{
	uintptr_t low = (uintptr_t)task->stack->low;
	for (struct anyio_instrument *at = loop->instruments; at; at = installed(at)->next)
		if ((uintptr_t)at - low < task->stack->size)
			anyio_die(__FILE__, __LINE__,
				"task \"%s\" ended with an instrument installed that lies on its stack",
				task->name);
}
