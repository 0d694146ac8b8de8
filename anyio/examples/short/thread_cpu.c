/*
 * Work that computes, on all cores: the other tasks of the loop run meanwhile.
 */
#include <anyio/thread.h>
#include <stdint.h>
#include <stdio.h>

enum { PARTS = 8, EACH = 100000 };

/* On a thread of the pool: must neither block nor call the library. */
static void add_up(void *arg, size_t part)
{
	uint64_t *sums = arg;

	for (uint64_t i = part * EACH + 1; i <= (part + 1) * EACH; i++)
		sums[part] += i;
}

static int body(void *arg)
{
	uint64_t sums[PARTS] = { 0 }, total = 0;
	int rc = anyio_cpu_map(add_up, sums, PARTS);

	for (int i = 0; i < PARTS; i++)
		total += sums[i];
	if (rc == 0)
		printf("the numbers up to %d are %llu\n", PARTS * EACH, (unsigned long long)total);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "thread_cpu: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * the numbers up to 800000 are 320000400000
 */
