/*
 * The allocator that all floors use, so that its failure can be injected (anyio/testing.h).
 */
#ifndef ANYIO_MEMORY_H
#define ANYIO_MEMORY_H

#include <anyio/export.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As malloc(3); any thread, with or without a loop. Memory from one of these is given back with
 * anyio_free, or with free(): where a caller gets memory to keep, its header says so. NULL without
 * memory. */
ANYIO_API void *anyio_malloc(size_t size);
/* As calloc(3): zeroed. */
ANYIO_API void *anyio_calloc(size_t count, size_t size);
/* As realloc(3): on failure the old memory stays. */
ANYIO_API void *anyio_realloc(void *memory, size_t size);
/* Makes room in an array that grows: memory points to the pointer to its things of size bytes, *room (0 at first) is for how
 * many of them there is place, and becomes at least need. It doubles, so that adding one by one takes linear time.
 * 0; or -ENOMEM, and nothing has changed. What is new is not zeroed. */
ANYIO_API int anyio_grow(void *memory, size_t *room, size_t need, size_t size);
/* As strdup(3). */
ANYIO_API char *anyio_strdup(const char *text);
/* At a multiple of alignment, which is a power of two and at least the size of a pointer. */
ANYIO_API void *anyio_aligned_alloc(size_t alignment, size_t size);
/* As free(3). NULL is allowed. */
ANYIO_API void anyio_free(void *memory);

/* Large memory, zeroed, that goes back to the system as soon as it is freed; in huge pages where the
 * system has them, which are zeroed in one go, need one entry of the processor's tables, and reach a
 * disk in one piece. Begins at a multiple of 2 MiB, and its size is rounded up to one, also where pages are
 * small. Freed with the same size. */
ANYIO_API void *anyio_pages_alloc(size_t size);
/* Gives it back; size as it was allocated. NULL is allowed. */
ANYIO_API void anyio_pages_free(void *memory, size_t size);

#ifdef __cplusplus
}
#endif
#endif
