/*
 * Memory by the allocator of the library, so that a test can make any allocation fail (anyio/testing.h):
 * a list that grows, and a large buffer that goes back to the system when it is freed.
 */
#include <anyio/memory.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct list {
	char **names;
	size_t count, room;
};

static int append(struct list *list, const char *name)
{
	if (anyio_grow(&list->names, &list->room, list->count + 1, sizeof *list->names))
		return -ENOMEM; /* the list is as it was */
	list->names[list->count] = anyio_strdup(name);
	return list->names[list->count] ? (list->count++, 0) : -ENOMEM;
}

int main(void)
{
	static const size_t size = 4 << 20;
	struct list list = { 0 };
	unsigned char *pages = anyio_pages_alloc(size);
	int rc = pages ? 0 : -ENOMEM;

	for (char name[] = "a"; rc == 0 && *name <= 'e'; ++*name)
		rc = append(&list, name);
	for (size_t i = 0; i < list.count; i++) {
		printf("%s ", list.names[i]);
		anyio_free(list.names[i]);
	}
	anyio_free(list.names);
	if (rc == 0)
		printf("and %zu bytes, the last is %d\n", size, pages[size - 1]);
	anyio_pages_free(pages, size);
	return rc < 0;
}
/* Prints:
 * a b c d e and 4194304 bytes, the last is 0
 */
