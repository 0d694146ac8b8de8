/* Filling in what went wrong. */
#ifndef REMOTE_WHY_INNER_H
#define REMOTE_WHY_INNER_H

#include <remote/why.h>

/* Says it and returns rc. why may be NULL; hint may be NULL. Control characters become '?'. */
int explain(struct remote_why *why, int rc, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What kind of end an attempt came to: the store has answered, whatever it said; or it makes no sense to try again; or it
 * does. */
enum verdict { VERDICT_DONE, VERDICT_FINAL, VERDICT_PASSING };

#endif
