/*
 * Coroutines without a runtime: the jump of anyio/core/switch.S, a queue, a pool of stacks. No
 * cancelling, no clock, no guards, no names: what is left when all of that costs nothing.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include "bare.h"

enum {
	SWITCHES = 20000000,
	SPAWNED = 2000000,
	ROUND_TRIPS = 5000000,
	STACK = 64 << 10,
	MOST = 1024
};

void anyio_jump(void **save, void *load);
void anyio_trampoline(void);

struct coroutine {
	void *sp;
	struct coroutine *next; /* in the run queue, or in the pool */
	void (*body)(void);
	bool ended;
	struct coroutine *joiner;
};

static struct coroutine thread_stack, *current = &thread_stack, *pool, *first, **last = &first;

static void ready(struct coroutine *coroutine)
{
	coroutine->next = NULL;
	*last = coroutine;
	last = &coroutine->next;
}

static void park(void)
{
	struct coroutine *from = current;

	current = first;
	first = first->next;
	if (!first)
		last = &first;
	anyio_jump(&from->sp, current->sp);
}

static void begin(void *arg)
{
	struct coroutine *self = arg;

	self->body();
	self->ended = true;
	if (self->joiner)
		ready(self->joiner);
	park();
}

static unsigned colour; /* tops start at different cache sets */

static struct coroutine *take(void)
{
	struct coroutine *taken = pool;

	if (taken) {
		pool = taken->next;
		return taken;
	}
	char *stack = aligned_alloc(4096, STACK);
	if (!stack)
		die("stack");
	return (struct coroutine *)(stack + STACK - 256 - colour++ % 16 * 128);
}

static void *frame_make(char *top, void (*entry)(void *), void *arg)
{
	uint64_t *frame = (uint64_t *)((uintptr_t)top & ~(uintptr_t)15);

#if defined(__x86_64__)
	frame -= 9;
	memset(frame, 0, 72);
	frame[3] = (uintptr_t)entry;
	frame[4] = (uintptr_t)arg;
	frame[6] = (uintptr_t)anyio_trampoline;
#else
	frame -= 20;
	memset(frame, 0, 160);
	frame[0] = (uintptr_t)arg;
	frame[1] = (uintptr_t)entry;
	frame[11] = (uintptr_t)anyio_trampoline;
#endif
	return frame;
}

static struct coroutine *start(void (*body)(void))
{
	struct coroutine *coroutine = take();

	coroutine->body = body;
	coroutine->ended = false;
	coroutine->joiner = NULL;
	coroutine->sp = frame_make((char *)coroutine, begin, coroutine);
	ready(coroutine);
	return coroutine;
}

static void join(struct coroutine *coroutine)
{
	if (!coroutine->ended) {
		coroutine->joiner = current;
		park();
	}
	coroutine->next = pool;
	pool = coroutine;
}

static struct coroutine *other;

static void switch_back(void)
{
	for (;;)
		anyio_jump(&other->sp, thread_stack.sp);
}

int switches(void)
{
	other = start(switch_back);
	double began = used();
	for (int i = 0; i < SWITCHES / 2; i++)
		anyio_jump(&thread_stack.sp, other->sp);
	printf("%.2f\n", (used() - began) / SWITCHES);
	return 0;
}

static void end_at_once(void)
{
}

static void spawn_all(int count)
{
	struct coroutine *coroutines[MOST];

	for (int i = 0; i < count; i++)
		coroutines[i] = start(end_at_once);
	for (int i = 0; i < count; i++)
		join(coroutines[i]);
}

int spawns(int count)
{
	if (count < 1 || count > MOST)
		return 2;
	spawn_all(count);
	double began = used();
	for (int i = 0; i < SPAWNED / count; i++)
		spawn_all(count);
	printf("%.2f\n", (used() - began) / (SPAWNED / count) / count);
	return 0;
}

/* A rendezvous for one sender and one receiver. */
struct channel {
	struct coroutine *receiver, *sender;
	int item, *room;
};

static void send_item(struct channel *channel, int item)
{
	struct coroutine *receiver = channel->receiver;

	if (receiver) {
		*channel->room = item;
		channel->receiver = NULL;
		ready(receiver);
		return;
	}
	channel->item = item;
	channel->sender = current;
	park();
}

static int receive_item(struct channel *channel)
{
	struct coroutine *sender = channel->sender;
	int item = channel->item;

	if (sender) {
		channel->sender = NULL;
		ready(sender);
		return item;
	}
	channel->room = &item;
	channel->receiver = current;
	park();
	return item;
}

static struct channel there, back;

static void answer(void)
{
	for (int i = 0; i < ROUND_TRIPS; i++)
		send_item(&back, receive_item(&there));
}

int handovers(void)
{
	struct coroutine *peer = start(answer);
	double began = used();

	for (int i = 0; i < ROUND_TRIPS; i++) {
		send_item(&there, i);
		if (receive_item(&back) != i)
			return 1;
	}
	printf("%.2f\n", (used() - began) / ROUND_TRIPS / 2);
	join(peer);
	return 0;
}

static ucontext_t context_here, context_there;

static void swap_often(void)
{
	for (;;)
		swapcontext(&context_there, &context_here);
}

int contexts(void)
{
	static char stack[STACK];
	enum { SWAPS = SWITCHES / 40 };

	getcontext(&context_there);
	context_there.uc_stack.ss_sp = stack;
	context_there.uc_stack.ss_size = sizeof(stack);
	makecontext(&context_there, swap_often, 0);
	double began = used();
	for (int i = 0; i < SWAPS / 2; i++)
		swapcontext(&context_here, &context_there);
	printf("%.2f\n", (used() - began) / SWAPS);
	return 0;
}

static void *thread(void *arg)
{
	return NULL;
}

int pthreads(void)
{
	enum { ROUNDS = 5, THREADS = 1000 };
	pthread_t ids[THREADS];
	double began = now();

	for (int i = 0; i < ROUNDS; i++) {
		for (int j = 0; j < THREADS; j++)
			if (pthread_create(&ids[j], NULL, thread, NULL))
				return 1;
		for (int j = 0; j < THREADS; j++)
			pthread_join(ids[j], NULL);
	}
	printf("%.2f\n", (now() - began) / ROUNDS / THREADS);
	return 0;
}
