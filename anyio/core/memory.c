/* The allocator of all floors: malloc, whose failure can be injected. Any thread. */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

enum { FIRST_ROOM = 64 };

static bool memory_fails(void)
{
	int error;
	return anyio_fault_hit(ANYIO_FAULT_MEMORY, &error);
}

void *anyio_malloc(size_t size)
{
	return memory_fails() ? NULL : malloc(size);
}

void *anyio_calloc(size_t count, size_t size)
{
	return memory_fails() ? NULL : calloc(count, size);
}

void *anyio_realloc(void *memory, size_t size)
{
	return memory_fails() ? NULL : realloc(memory, size);
}

int anyio_grow(void *memory, size_t *room, size_t need, size_t size)
{
	size_t more = *room ? *room : FIRST_ROOM, bytes;
	void *old, *bigger;

	if (need <= *room)
		return 0;
	while (more < need)
		if (__builtin_mul_overflow(more, 2, &more))
			return -ENOMEM;
	if (__builtin_mul_overflow(more, size, &bytes))
		return -ENOMEM;
	memcpy(&old, memory, sizeof(old));
	bigger = anyio_realloc(old, bytes);
	if (!bigger)
		return -ENOMEM;
	memcpy(memory, &bigger, sizeof(bigger));
	*room = more;
	return 0;
}

char *anyio_strdup(const char *text)
{
	return memory_fails() ? NULL : strdup(text);
}

void *anyio_aligned_alloc(size_t alignment, size_t size)
{
	void *memory;

	return memory_fails() || posix_memalign(&memory, alignment, size) ? NULL : memory;
}

void anyio_free(void *memory)
{
	free(memory);
}

static size_t whole_pages(size_t size)
{
	return (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

void *anyio_pages_alloc(size_t size)
{
	/* One page more, so that a boundary lies in it; what is over at the ends goes back. */
	size_t whole = whole_pages(size);
	if (memory_fails() || whole < size)
		return NULL;
	char *all = mmap(NULL, whole + HUGE_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)all % HUGE_PAGE;
	if (before)
		munmap(all, before);
	munmap(all + before + whole, HUGE_PAGE - before);
	madvise(all + before, whole, MADV_HUGEPAGE);
	return all + before;
}

void anyio_pages_free(void *memory, size_t size)
{
	if (memory)
		munmap(memory, whole_pages(size));
}
