/*
 * Attempts: when one is made, what follows from how it ends, and when no more is.
 */
#include <errno.h>

#include "remote.h"

static int refuse(struct remote *remote, struct remote_why *why)
{
	anyio_time left = remote->breaker.until - anyio_now();

	remote->statistics.refused++;
	return explain(why, -EHOSTDOWN, "see why the earlier requests failed",
		"%s has failed again and again; it is asked again in %lld s", remote->endpoint,
		(long long)(left > 0 ? (left + ANYIO_SECOND - 1) / ANYIO_SECOND : 0));
}

/* What an attempt says about whether the store is there. Of our own ends (cancelled, without memory, a caller that has
 * had enough) nothing. */
static enum breaker_outcome outcome_of(int rc, enum verdict verdict)
{
	if (verdict == VERDICT_PASSING)
		return BREAKER_FAILED;
	return verdict == VERDICT_DONE || rc == 0 ? BREAKER_ANSWERED : BREAKER_UNKNOWN;
}

int remote_attempt(struct remote *remote,
	int (*once)(void *arg, enum verdict *verdict, anyio_time *wait, struct remote_why *why),
	void *arg, struct remote_why *why)
{
	struct retry retry = { .attempts = remote->attempts,
		.pause = remote->pause,
		.random = remote->random += 0x9e3779b97f4a7c15 };
	struct remote_why unused;
	anyio_time pause = 0;
	int rc = 0;

	while (pause != ANYIO_FOREVER) {
		int entered = breaker_enter(&remote->breaker, anyio_now());
		enum verdict verdict = VERDICT_FINAL;
		anyio_time wait = 0;

		if (entered < 0)
			return retry.made ? rc : refuse(remote, why);
		remote->statistics.requests++;
		remote->statistics.retries += retry.made > 0;
		rc = once(arg, &verdict, &wait, why ? why : &unused);
		breaker_leave(&remote->breaker, entered, outcome_of(rc, verdict), anyio_now());
		if (verdict != VERDICT_PASSING)
			return rc;
		pause = retry_next(&retry, wait);
		if (pause != ANYIO_FOREVER && anyio_sleep(pause) != 0)
			return ANYIO_CANCELLED;
	}
	return rc;
}
