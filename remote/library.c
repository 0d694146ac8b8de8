#include "library.h"

#include <errno.h>
#include <pthread.h>

#include "loading.h"
#include "why.h"

struct curl_functions curl;
struct expat_functions expat;

static int load_both(struct remote_why *why)
{
#define X(symbol, name) { #symbol, &curl.name },
	static const struct symbol curls[] = { CURL_FUNCTIONS(X) };
#undef X
#define X(symbol, name) { #symbol, &expat.name },
	static const struct symbol expats[] = { EXPAT_FUNCTIONS(X) };
#undef X
	int rc = load_library("libexpat.so.1", "install it (Debian: libexpat1)", expats,
		sizeof(expats) / sizeof(*expats), why);

	if (!rc)
		rc = load_library("libcurl.so.4", "install it (Debian: libcurl4)", curls,
			sizeof(curls) / sizeof(*curls), why);
	if (!rc && curl.global_init(CURL_GLOBAL_DEFAULT))
		rc = explain(why, -ENOPKG, NULL, "libcurl cannot be initialised");
	return rc;
}

int library_load(struct remote_why *why)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int loaded;
	int rc = 0;

	pthread_mutex_lock(&mutex);
	if (!loaded) {
		rc = load_both(why);
		loaded = !rc;
	}
	pthread_mutex_unlock(&mutex);
	return rc;
}
