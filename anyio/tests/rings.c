#include "rings.h"
#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

struct rings rings = { .error = EINVAL, .missing = -1 };

void rings_begin(void)
{
	const char *rung = getenv("ANYIO_RUNG");
	rings.refused = rung ? atoi(rung) : 0;
}

static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (!found)
		abort();
	return found;
}

static int rung_of(unsigned flags)
{
	if (flags & IORING_SETUP_DEFER_TASKRUN)
		return 0;
	return flags & IORING_SETUP_COOP_TASKRUN ? 1 : 2;
}

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	int (*init)(unsigned, struct io_uring *, unsigned) = real(__func__);
	int rc;
	if (rung_of(flags) < rings.refused) {
		rings.refusals++;
		return -rings.error;
	}
	rc = init(entries, ring, flags);
	rings.stood_on = rung_of(flags);
	if (rc == 0 && rings.drops)
		ring->features &= ~IORING_FEAT_NODROP;
	return rc;
}

struct io_uring_probe *io_uring_get_probe_ring(struct io_uring *ring)
{
	struct io_uring_probe *(*get)(struct io_uring *) = real(__func__);
	struct io_uring_probe *probe = rings.unprobed ? NULL : get(ring);
	if (probe && rings.missing >= 0)
		probe->ops[rings.missing].flags &= (uint16_t)~IO_URING_OP_SUPPORTED;
	return probe;
}

int io_uring_submit(struct io_uring *ring)
{
	int (*submit)(struct io_uring *) = real(__func__);
	if (rings.stalled == 0)
		return submit(ring);
	rings.stalled--;
	rings.refusals++;
	return -EBUSY;
}
