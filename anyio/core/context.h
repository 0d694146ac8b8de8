/*
 * A context: a stack pointer and what tools and the C++ runtime must know of a stack.
 *
 * context_switch() keeps the callee-saved registers only. The floating-point environment
 * (MXCSR, x87 control word, FPCR) is the thread's, not the task's: a task that changes rounding
 * puts it back before it waits. C++ exception state does travel with the task.
 */
#ifndef ANYIO_CONTEXT_H
#define ANYIO_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONTEXT_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CONTEXT_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define CONTEXT_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define CONTEXT_TSAN 1
#endif

struct context {
	void *sp;
	void *exceptions[2]; /* __cxa_eh_globals: the caught ones, and a count */
#ifdef CONTEXT_ASAN
	void *fake_stack;
	const void *bottom;
	size_t size;
#endif
#ifdef CONTEXT_TSAN
	void *fiber;
#endif
	unsigned valgrind;
	bool fresh; /* made, and never switched to */
};

/* Where the processor goes when a context ends: in two registers, to switch.S. */
struct context_next {
	void *sp;
	size_t fresh;
};

/* The thread's own stack, about to become the loop's context. */
void context_adopt(struct context *context);
/* A new context that will call entry(arg) at top, growing down to bottom; entry ends by returning
 * what context_leave() gave it. */
void context_make(struct context *context, char *bottom, char *top,
	struct context_next (*entry)(void *), void *arg);
void context_free(struct context *context);
/* First thing on a new context's stack. */
void context_began(void);
void context_switch(struct context *from, struct context *to);
/* The last switch of a context: nothing is done any more but to return this. */
struct context_next context_leave(struct context *from, struct context *to);

#endif
