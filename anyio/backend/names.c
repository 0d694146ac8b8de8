/* The list of names that LISTDIR fills, on the loop's thread or on a worker's. */
#include <anyio/file.h>
#include "../core/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int anyio_names_add(struct anyio_names *names, const char *name)
{
	/* Room for a power of two: the count alone says when it is full. */
	if ((names->count & (names->count - 1)) == 0) {
		size_t room = names->count ? names->count * 2 : 1;
		char **grown = anyio_realloc(names->names, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		names->names = grown;
	}
	char *copy = anyio_strdup(name);
	if (!copy)
		return -ENOMEM;
	names->names[names->count++] = copy;
	return 0;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void anyio_names_sort(struct anyio_names *names)
{
	if (names->count > 1)
		qsort(names->names, names->count, sizeof(*names->names), name_compare);
}

void anyio_names_free(struct anyio_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		anyio_free(names->names[i]);
	anyio_free(names->names);
	*names = (struct anyio_names){ 0 };
}
