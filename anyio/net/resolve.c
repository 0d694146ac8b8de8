/*
 * Names are resolved, and found for addresses, on a worker thread, under a limiter of their own: many slow lookups shall not
 * keep other blocking work from running. The lookup is on the heap, because a cancelled caller
 * does not wait for the resolver's own timeouts. What is numbers alone needs none of it.
 */
#include <errno.h>
#include <netdb.h>
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

/* Runs it on a thread. A negative code: it is gone, or goes when the thread is through with it. */
static int detached_run(struct anyio_detached *detached)
{
	bool outside = anyio_current_task() == NULL;
	struct anyio_threads *threads = outside ? NULL : anyio_threads_here();
	int rc = outside ? ANYIO_NO_LOOP : -ENOMEM;

	if (threads != NULL)
		rc = anyio_detached_start(detached, &threads->lookups);
	if (rc < 0) {
		detached->release(detached);
		return rc;
	}
	return anyio_detached_wait(detached);
}

static int lookup_run(struct lookup *lookup, struct anyio_address **addresses, size_t *count)
{
	int64_t found;
	int rc = detached_run(&lookup->detached);

	if (rc < 0)
		return rc;
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

struct naming {
	struct anyio_detached detached;
	struct anyio_address address;
	char names[NI_MAXHOST + NI_MAXSERV];
};

static void naming_free(struct anyio_detached *detached)
{
	anyio_free(anyio_container(detached, struct naming, detached));
}

static int name_copy(char *out, size_t size, const char *name)
{
	size_t needed = strlen(name) + 1;

	if (out == NULL)
		return 0;
	if (needed > size)
		return -ENOSPC;
	memcpy(out, name, needed);
	return 0;
}

static struct naming *naming_create(const struct anyio_address *address, int flags)
{
	struct naming *naming = anyio_calloc(1, sizeof(*naming));

	if (naming == NULL)
		return NULL;
	naming->address = *address;
	naming->detached = (struct anyio_detached){
		.op = {
			.code = ANYIO_OP_GETNAMEINFO,
			.addr = &naming->address.any,
			.addrlen = address->len,
			.flags = flags,
			.base = naming->names,
		},
		.release = naming_free,
	};
	return naming;
}

static int naming_run(struct naming *naming)
{
	const int numbers = NI_NUMERICHOST | NI_NUMERICSERV;
	struct anyio_op *op = &naming->detached.op;

	if ((op->flags & numbers) != numbers)
		return detached_run(&naming->detached);
	naming->detached.result = anyio_op_perform(op);
	anyio_pass();
	return 0;
}

int anyio_getnameinfo(const struct anyio_address *address, char *host, size_t host_size,
	char *service, size_t service_size, int flags)
{
	struct naming *naming;
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	if (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6)
		return -EAFNOSUPPORT;
	naming = naming_create(address, flags);
	if (naming == NULL)
		return -ENOMEM;
	rc = naming_run(naming);
	if (rc < 0)
		return rc;
	rc = (int)naming->detached.result;
	if (rc == 0)
		rc = name_copy(host, host_size, naming->names);
	if (rc == 0)
		rc = name_copy(service, service_size, naming->names + NI_MAXHOST);
	naming_free(&naming->detached);
	return rc;
}
