/* Which backends there are, and which of them is chosen. */
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include "loop.h"

/* Best first. The simulation is never chosen unless it is named. */
static const struct anyio_backend *const all[] = {
	&anyio_backend_uring,
	&anyio_backend_uv,
	&anyio_backend_sim,
};
enum { ALL = sizeof all / sizeof *all };

static const char *names[ALL + 1], *names_available[ALL + 1];
static pthread_once_t probed = PTHREAD_ONCE_INIT;

static void probe(void)
{
	size_t available = 0;
	standard_descriptors_take();
	for (size_t i = 0; i < ALL; i++) {
		names[i] = all[i]->name;
		if (all[i] != &anyio_backend_sim && all[i]->available())
			names_available[available++] = all[i]->name;
	}
}

const char *const *anyio_backends_all(void)
{
	pthread_once(&probed, probe);
	return names;
}

const char *const *anyio_backends_available(void)
{
	pthread_once(&probed, probe);
	return names_available;
}

/* The one that is named and no other; else the first that opens, because what worked for the last
 * loop may not for this one, when memory is short or a filter was put in between. */
int backends_open(struct anyio_loop *loop)
{
	const char *name = loop->options.backend;
	int rc = ANYIO_NO_BACKEND;
	if (!name || !*name)
		name = getenv("ANYIO_BACKEND");
	bool named = name && *name;
	for (size_t i = 0; i < ALL && rc < 0; i++) {
		if (named ? strcmp(all[i]->name, name) != 0 : all[i] == &anyio_backend_sim)
			continue;
		loop->backend = all[i];
		rc = all[i]->open(loop, &loop->options, &loop->state);
	}
	return rc;
}
