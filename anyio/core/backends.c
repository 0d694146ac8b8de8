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

static bool works[ALL];
static const char *names[ALL + 1], *names_available[ALL + 1];
static pthread_once_t probed = PTHREAD_ONCE_INIT;

static void probe(void)
{
	size_t available = 0;
	for (size_t i = 0; i < ALL; i++) {
		names[i] = all[i]->name;
		works[i] = all[i]->available();
		if (works[i] && strcmp(all[i]->name, "sim") != 0)
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

/* A backend that is named is opened without a probe of the others. */
int backends_choose(const char *name, const struct anyio_backend **backend)
{
	if (!name || !*name)
		name = getenv("ANYIO_BACKEND");
	if (!name || !*name)
		name = *anyio_backends_available();
	for (size_t i = 0; name && i < ALL; i++) {
		if (strcmp(all[i]->name, name) == 0 && all[i]->available()) {
			*backend = all[i];
			return 0;
		}
	}
	return ANYIO_NO_BACKEND;
}
