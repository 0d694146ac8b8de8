/* Filling in what went wrong. */
#ifndef REMOTE_WHY_INNER_H
#define REMOTE_WHY_INNER_H

#include <remote/why.h>

struct answer;
struct http_result;

/* Says it and returns rc. why may be NULL; hint may be NULL. Control characters become '?'. */
int explain(struct remote_why *why, int rc, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What kind of end a request came to. */
enum verdict { VERDICT_DONE, VERDICT_FINAL, VERDICT_PASSING };
/* Of an attempt that got an answer other than success: its code, with the reason. host and bucket are for the text. */
struct place {
	const char *endpoint, *bucket, *region;
};
int judge_status(const struct place *place, const struct http_result *result,
	const struct answer *answer, enum verdict *verdict, struct remote_why *why);
/* Of one that got none: by libcurl's code, and what it says about it. */
int judge_curl(const struct place *place, int code, const char *says, enum verdict *verdict,
	struct remote_why *why);

#endif
