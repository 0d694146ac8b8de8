/* Libraries that are loaded when they are first needed: who has no remote tier does not pay for them. */
#ifndef REMOTE_LOADING_H
#define REMOTE_LOADING_H

#include <remote/why.h>
#include <stddef.h>

struct symbol {
	const char *name;
	void *at; /* a pointer to its function, which is filled in */
};

/* Loads file, for the life of the process, and finds all of its symbols. -ENOPKG, with package as the hint.
 * Blocks; any thread. */
int load_library(const char *file, const char *package, const struct symbol *symbols, size_t count,
	struct remote_why *why);

#endif
