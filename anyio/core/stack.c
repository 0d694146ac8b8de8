/*
 * Stacks.
 *
 * Sizes are rounded up to a power of two. Each size carves its stacks out of slabs, one mapping
 * each, so that a million stacks are a few thousand mappings. Below each stack lies its guard. One
 * page would do for code that touches its stack page by page (-fstack-clash-protection); a
 * caller's may be compiled without, and a large array of such code reaches beyond a page, into the
 * stack of another task. So a guard is 64 KiB, of which the kernel keeps 8 bytes a page and no
 * memory. MADV_GUARD_INSTALL makes one without splitting the mapping; it is believed only when
 * a system call that reads the guard fails with EFAULT (an emulator may ignore unknown advice),
 * else mprotect does it, which ends near vm.max_map_count: then spawning fails, a stack is never
 * left unguarded.
 *
 * Free stacks are kept last in, first out, so the warmest is used first. Those that nobody took
 * for a while, which lie at the end of the list, give their pages back and go to a list of their own,
 * which is used when the other is empty: so a pass meets none twice. Tops are coloured: they start at
 * different cache sets.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "loop.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
	COLOURS = 16,
	COLOUR_STEP = 128,
	GUARD_SIZE = 64 << 10, /* a multiple of every page size there is */
	SLAB_SIZE = 8 << 20,
	SLAB_MIN = 4,
	TRIM_MOST = 256, /* stacks in one go, about a quarter of a millisecond */
};

struct slab {
	struct slab *next;
	char *memory;
	size_t size;
	unsigned count, used;
	bool light_guards; /* MADV_GUARD_INSTALL works here */
	struct stack stacks[];
};

size_t stack_guard_size(void)
{
	return GUARD_SIZE;
}

char *stack_top(const struct stack *stack, size_t record)
{
	uintptr_t top = (uintptr_t)stack->low + stack->size - stack->colour * COLOUR_STEP - record;
	return (char *)(top & ~(uintptr_t)63);
}

/* Reading the guard through the kernel tells without a signal whether it is one. */
static bool guard_works(const char *guard)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return false;
	bool works = write(fd, guard, 8) < 0 && errno == EFAULT;
	close(fd);
	return works;
}

static int guard(struct slab *slab, struct stack *stack)
{
	char *low = stack->low - GUARD_SIZE;
	if (slab->used == 0 || slab->light_guards)
		slab->light_guards = madvise(low, GUARD_SIZE, MADV_GUARD_INSTALL) == 0 &&
			(slab->used > 0 || (guard_works(low) && guard_works(stack->low - 8)));
	if (slab->light_guards)
		return 0;
	return mprotect(low, GUARD_SIZE, PROT_NONE) == 0 ? 0 : -ENOMEM;
}

static struct slab *slab_map(struct stack_pool *pool, size_t size)
{
	size_t each = GUARD_SIZE + size;
	size_t count = SLAB_SIZE / each > SLAB_MIN ? SLAB_SIZE / each : SLAB_MIN;
	struct slab *slab = anyio_calloc(1, sizeof *slab + count * sizeof *slab->stacks);
	if (!slab)
		return NULL;
	slab->size = count * each;
	slab->count = (unsigned)count;
	slab->memory = mmap(NULL, slab->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (slab->memory == MAP_FAILED) {
		anyio_free(slab);
		return NULL;
	}
	madvise(slab->memory, slab->size, MADV_NOHUGEPAGE);
	slab->next = pool->slabs;
	pool->slabs = slab;
	return slab;
}

static int carve(struct stack_pool *pool, unsigned class, struct stack **out)
{
	size_t size = (size_t)1 << (class + STACK_SHIFT);
	struct slab *slab = pool->classes[class].slab;
	if (!slab || slab->used == slab->count) {
		slab = slab_map(pool, size);
		if (!slab)
			return -ENOMEM;
		pool->classes[class].slab = slab;
	}
	struct stack *stack = &slab->stacks[slab->used];
	*stack = (struct stack){
		.low = slab->memory + slab->used * (GUARD_SIZE + size) + GUARD_SIZE,
		.size = size,
		.colour = slab->used % COLOURS,
		.class = (uint8_t) class,
	};
	int rc = guard(slab, stack);
	if (rc == 0) {
		slab->used++;
		pool->taken++;
		*out = stack;
	}
	return rc;
}

int stack_take(struct stack_pool *pool, size_t size, struct stack **out)
{
	unsigned class = 0;
	while (class < STACK_CLASSES && (size_t)1 << (class + STACK_SHIFT) < size)
		class ++;
	if (class == STACK_CLASSES)
		return -ENOMEM;
	struct stack_class *of = &pool->classes[class];
	struct stack *stack = of->free ? of->free : of->clean;
	if (!stack)
		return carve(pool, class, out);
	if (stack == of->free) {
		of->free = stack->next;
		pool->dirty--;
		if (--of->count < of->coldest)
			of->coldest = of->count;
	} else {
		of->clean = stack->next;
	}
	pool->taken++;
	*out = stack;
	return 0;
}

/* The first one's prev is never looked at. */
void stack_give(struct stack_pool *pool, struct stack *stack)
{
	struct stack_class *of = &pool->classes[stack->class];
	if (of->free)
		of->free->prev = stack;
	else
		of->last = stack;
	stack->next = of->free;
	of->free = stack;
	of->count++;
	pool->dirty++;
	pool->taken--;
}

/* The last of the list, which is not empty. */
static struct stack *take_last(struct stack_class *of)
{
	struct stack *stack = of->last;
	if (--of->count == 0) {
		of->free = NULL;
	} else {
		of->last = stack->prev;
		of->last->next = NULL;
	}
	return stack;
}

/* Those at the end of the list, beyond the ones taken since the last trim, lay cold. */
static size_t trim_class(struct stack_pool *pool, struct stack_class *of, size_t most)
{
	size_t trimmed = 0;
	for (; of->coldest > 0 && trimmed < most; of->coldest--, trimmed++) {
		struct stack *stack = take_last(of);
		madvise(stack->low, stack->size, MADV_DONTNEED);
		stack->next = of->clean;
		of->clean = stack;
	}
	pool->dirty -= trimmed;
	if (trimmed < most)
		of->coldest = of->count;
	return trimmed;
}

bool stack_trim(struct stack_pool *pool)
{
	size_t left = TRIM_MOST;
	for (unsigned class = 0; class < STACK_CLASSES; class ++)
		left -= trim_class(pool, &pool->classes[class], left);
	return left > 0;
}

void stack_pool_close(struct stack_pool *pool)
{
	if (pool->taken > 0)
		anyio_die(__FILE__, __LINE__, "the loop ends with %zu stacks in use", pool->taken);
	while (pool->slabs) {
		struct slab *slab = pool->slabs;
		pool->slabs = slab->next;
		munmap(slab->memory, slab->size);
		anyio_free(slab);
	}
}
