/* The allocator of all floors: malloc, whose failure can be injected. Any thread. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

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
