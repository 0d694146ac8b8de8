/*
 * Names are resolved on a worker thread, under a limiter of their own: many slow lookups shall not
 * keep other blocking work from running. The lookup is on the heap, because a cancelled caller
 * does not wait for the resolver's own timeouts. A numeric host needs none of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../thread/detached.h"
#include "net.h"

enum { ADDRESSES_MOST = 32 };

struct lookup {
	struct anyio_detached detached;
	char *host;
	struct anyio_address addresses[ADDRESSES_MOST];
};

static void lookup_free(struct anyio_detached *detached)
{
	struct lookup *lookup = anyio_container(detached, struct lookup, detached);

	anyio_free(lookup->host);
	anyio_free(lookup);
}

static struct lookup *lookup_create(const char *host, uint16_t port, int family)
{
	struct lookup *lookup = anyio_calloc(1, sizeof(*lookup));

	if (lookup == NULL)
		return NULL;
	lookup->host = anyio_strdup(host);
	if (lookup->host == NULL) {
		anyio_free(lookup);
		return NULL;
	}
	lookup->detached = (struct anyio_detached){
		.op = {
			.code = ANYIO_OP_GETADDRINFO,
			.path = lookup->host,
			.flags = family,
			.flags2 = port,
			.base = lookup->addresses,
			.len = ADDRESSES_MOST,
		},
		.release = lookup_free,
	};
	return lookup;
}

static int addresses_copy(
	const struct anyio_address *from, size_t n, struct anyio_address **addresses, size_t *count)
{
	*addresses = anyio_malloc(n * sizeof(*from));
	if (*addresses == NULL)
		return -ENOMEM;
	memcpy(*addresses, from, n * sizeof(*from));
	*count = n;
	return 0;
}

static int lookup_run(struct lookup *lookup, struct anyio_address **addresses, size_t *count)
{
	struct anyio_threads *threads = anyio_threads_here();
	int64_t found;
	int rc = -ENOMEM;

	if (threads != NULL)
		rc = anyio_detached_start(&lookup->detached, &threads->lookups);
	if (rc < 0) {
		lookup_free(&lookup->detached);
		return rc;
	}
	rc = anyio_detached_wait(&lookup->detached);
	if (rc < 0)
		return rc; /* abandoned: it goes when the thread is through with it */
	found = lookup->detached.result;
	rc = found < 0 ? (int)found
		       : addresses_copy(lookup->addresses, (size_t)found, addresses, count);
	lookup_free(&lookup->detached);
	return rc;
}

int anyio_getaddrinfo(const char *host, uint16_t port, int family, struct anyio_address **addresses,
	size_t *count)
{
	struct anyio_address numeric;
	struct lookup *lookup;
	int rc = anyio_checkpoint_if_cancelled();

	*addresses = NULL;
	*count = 0;
	if (rc < 0)
		return rc;
	if (anyio_address_parse(&numeric, host, port) == 0) {
		if (family != AF_UNSPEC && family != numeric.any.sa_family)
			return -ENOENT;
		anyio_pass();
		return addresses_copy(&numeric, 1, addresses, count);
	}
	lookup = lookup_create(host, port, family);
	return lookup == NULL ? -ENOMEM : lookup_run(lookup, addresses, count);
}
