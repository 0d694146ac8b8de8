/*
 * Attempts: when one is made, what follows from how it ends, and when no more is.
 */
#include <errno.h>

#include "remote.h"

static int refuse(struct remote *remote, struct remote_why *why)
{
	anyio_time left = remote->breaker.until - anyio_now();
	const struct remote_why *last = &remote->passing;

	remote->statistics.refused++;
	/* What may be long comes last: the cause of it has the endpoint in it. */
	return explain(why, -EHOSTDOWN, last->hint,
		"asked again in %lld s, as it has failed again and again: %s",
		(long long)(left > 0 ? (left + ANYIO_SECOND - 1) / ANYIO_SECOND : 0),
		last->what[0] ? last->what : remote->endpoint);
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
	struct remote_why own, *says = why ? why : &own;
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
		says->what[0] = says->hint[0] = '\0';
		rc = once(arg, &verdict, &wait, says);
		breaker_leave(&remote->breaker, entered, outcome_of(rc, verdict), anyio_now());
		if (verdict != VERDICT_PASSING)
			return rc;
		remote->passing = *says;
		pause = retry_next(&retry, wait);
		if (pause != ANYIO_FOREVER && anyio_sleep(pause) != 0)
			return ANYIO_CANCELLED;
	}
	return rc;
}
