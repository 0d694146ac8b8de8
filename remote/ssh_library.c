#include "ssh_library.h"

#include <errno.h>
#include <pthread.h>

#include "loading.h"
#include "why.h"

struct ssh2_functions ssh2;

static int load(struct remote_why *why)
{
#define X(name) { "libssh2_" #name, &ssh2.name },
	static const struct symbol symbols[] = { SSH2_FUNCTIONS(X) };
#undef X
	int rc = load_library("libssh2.so.1", "install it (Debian: libssh2-1)", symbols,
		sizeof(symbols) / sizeof(*symbols), why);

	if (!rc && ssh2.init(0))
		rc = explain(why, -ENOPKG, NULL, "libssh2 cannot be initialised");
	return rc;
}

int ssh_library_load(struct remote_why *why)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int loaded;
	int rc = 0;

	pthread_mutex_lock(&mutex);
	if (!loaded) {
		rc = load(why);
		loaded = !rc;
	}
	pthread_mutex_unlock(&mutex);
	return rc;
}
