#include "context.h"
#include <stdint.h>
#include <string.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id)      ((void)(id))
#endif

#ifdef CONTEXT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <pthread.h>
#endif
#ifdef CONTEXT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

void anyio_switch(void **save, void *load);
void anyio_jump(void **save, void *load);
void anyio_trampoline(void);

/* Defined only where a C++ runtime is linked in. */
extern void *__cxa_get_globals(void) __attribute__((weak));

static void *made_entry(char *top, struct context_next (*entry)(void *), void *arg)
{
	uint64_t *frame = (uint64_t *)((uintptr_t)top & ~(uintptr_t)15);
#if defined(__x86_64__)
	/* r15 r14 r13 r12 rbx rbp and the address to go to; the stack is aligned there. */
	*--frame = 0;
	*--frame = 0;
	*--frame = (uintptr_t)anyio_trampoline;
	*--frame = 0;
	*--frame = (uintptr_t)arg;
	*--frame = (uintptr_t)entry;
	*--frame = 0;
	*--frame = 0;
	*--frame = 0;
#else
	frame -= 20;
	memset(frame, 0, 160);
	frame[0] = (uintptr_t)arg;
	frame[1] = (uintptr_t)entry;
	frame[11] = (uintptr_t)anyio_trampoline;
#endif
	return frame;
}

void context_adopt(struct context *context)
{
	memset(context, 0, sizeof *context);
#ifdef CONTEXT_ASAN
	pthread_attr_t attr;
	void *low = NULL;
	size_t size = 0;
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstack(&attr, &low, &size);
		pthread_attr_destroy(&attr);
	}
	context->bottom = low;
	context->size = size;
#endif
#ifdef CONTEXT_TSAN
	context->fiber = __tsan_get_current_fiber();
#endif
}

void context_make(struct context *context, char *bottom, char *top,
	struct context_next (*entry)(void *), void *arg)
{
	context->exceptions[0] = context->exceptions[1] = NULL;
#ifdef CONTEXT_ASAN
	__asan_unpoison_memory_region(bottom, (size_t)(top - bottom));
	context->fake_stack = NULL;
	context->bottom = bottom;
	context->size = (size_t)(top - bottom);
#endif
#ifdef CONTEXT_TSAN
	context->fiber = __tsan_create_fiber(0);
#endif
	context->sp = made_entry(top, entry, arg);
	context->fresh = true;
	context->valgrind = (unsigned)VALGRIND_STACK_REGISTER(bottom, top);
}

void context_free(struct context *context)
{
#ifdef CONTEXT_TSAN
	__tsan_destroy_fiber(context->fiber);
#endif
	VALGRIND_STACK_DEREGISTER(context->valgrind);
}

static inline void exceptions_swap(struct context *from, struct context *to)
{
	if (__cxa_get_globals) {
		void *here = __cxa_get_globals();
		memcpy(from->exceptions, here, sizeof from->exceptions);
		memcpy(here, to->exceptions, sizeof to->exceptions);
	}
}

void context_began(void)
{
#ifdef CONTEXT_ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
}

void context_switch(struct context *from, struct context *to)
{
	exceptions_swap(from, to);
#ifdef CONTEXT_ASAN
	__sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#endif
#ifdef CONTEXT_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
	if (__builtin_expect(to->fresh, false)) {
		to->fresh = false;
		anyio_jump(&from->sp, to->sp);
	} else {
		anyio_switch(&from->sp, to->sp);
	}
#ifdef CONTEXT_ASAN
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

/* Where a sanitizer watches functions come and go, none may return on a stack that was left. */
struct context_next context_leave(struct context *from, struct context *to)
{
	bool fresh = to->fresh;
	exceptions_swap(from, to);
	to->fresh = false;
#ifdef CONTEXT_ASAN
	__sanitizer_start_switch_fiber(NULL, to->bottom, to->size);
#endif
#ifdef CONTEXT_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
#if defined(CONTEXT_ASAN) || defined(CONTEXT_TSAN)
	anyio_jump(&from->sp, to->sp);
#endif
	return (struct context_next){ to->sp, fresh };
}
