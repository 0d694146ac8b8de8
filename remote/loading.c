#include "loading.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "why.h"

int load_library(const char *file, const char *package, const struct symbol *symbols, size_t count,
	struct remote_why *why)
{
	/* It stays: what it keeps for the process, OpenSSL's included, is never taken down. */
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!library)
		return explain(why, -ENOPKG, package, "remote stores need %s", file);
	for (size_t i = 0; i < count; i++) {
		void *symbol = dlsym(library, symbols[i].name);

		if (!symbol)
			return explain(why, -ENOPKG, package, "%s lacks %s", file, symbols[i].name);
		memcpy(symbols[i].at, &symbol, sizeof(symbol));
	}
	return 0;
}
