/*
 * When to try again, and when to stop asking. Pure: the caller says what time it is, and what came of it.
 */
#ifndef REMOTE_RETRY_H
#define REMOTE_RETRY_H

#include <anyio/run.h>

/* The pauses of one request. */
struct retry {
	unsigned attempts; /* that may be made, the first included */
	unsigned made;
	anyio_time pause; /* the longest before the second; doubles up to RETRY_PAUSE_MOST */
	uint64_t
		random; /* state: any seed; another one for each request, so that they do not come together */
};
#define RETRY_PAUSE_MOST (20 * ANYIO_SECOND)

/* An attempt has failed: how long to wait before the next, anything between 0 and the longest (full jitter), and at least
 * what the store asks for, up to RETRY_PAUSE_MOST. ANYIO_FOREVER: no further one. */
anyio_time retry_next(struct retry *retry, anyio_time asked);

/*
 * The breaker. Closed, everybody may ask; failures in a row open it. Open, nobody may until the pause is over; then it is
 * half open: one may, the probe. If that gets through it is closed, if it fails it is open for twice as long.
 * A probe that ends without an outcome lets the next one try at once.
 */
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
struct breaker {
	unsigned failures_most; /* in a row, at least 1 */
	anyio_time pause;       /* the first; doubles up to BREAKER_PAUSE_MOST */
	enum breaker_state state;
	unsigned failures;    /* in a row */
	anyio_time pause_now; /* 0: never opened since it last was closed */
	anyio_time until;     /* while open */
};
#define BREAKER_PAUSE_MOST (300 * ANYIO_SECOND)

enum breaker_outcome {
	BREAKER_ANSWERED, /* the store is there, whatever it said */
	BREAKER_FAILED,   /* it is not, or cannot */
	BREAKER_UNKNOWN   /* cut off before that was known */
};

/* Whether to ask now: 0 yes, 1 yes, as the probe, -EHOSTDOWN no. After 0 and 1 breaker_leave follows, with that. */
int breaker_enter(struct breaker *breaker, anyio_time now);
void breaker_leave(
	struct breaker *breaker, int entered, enum breaker_outcome outcome, anyio_time now);

#endif
