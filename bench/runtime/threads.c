/* A call on a worker thread. */
#include "runtime.h"

enum { CALLS = 20000 };

static int nothing(void *arg)
{
	return 0;
}

int threads(void *arg)
{
	int rc = anyio_to_thread(nothing, NULL, NULL);
	double began = now();

	for (int i = 0; i < CALLS && rc == 0; i++)
		rc = anyio_to_thread(nothing, NULL, NULL);
	printf("%.1f\n", (now() - began) / CALLS);
	return rc;
}
