/* What every kind of store has, and what object.c asks of each. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include <anyio/anyio.h>
#include <remote/object.h>
#include <stdbool.h>

#include "retry.h"
#include "text.h"
#include "why.h"

struct remote {
	const struct kind *kind;
	char *endpoint, *host, *prefix;
	uint16_t port;
	unsigned connections, attempts; /* connections 0: the kind's own default */
	anyio_time pause, silence;
	uint64_t random;
	struct breaker breaker;
	struct remote_why passing; /* of the last attempt that counted against it */
	bool away; /* a kind that asks without the breaker: its last call found nothing there */
	struct remote_statistics statistics;
};

/* One kind of store. Its struct begins with a struct remote. Keys are prefix and name, checked; what else a verb says is
 * in object.h. */
struct kind {
	size_t size; /* of its struct, in bytes, which is all zero but for the common part at first */
	int (*create)(struct remote *remote, const struct remote_options *options,
		struct remote_why *why);
	void (*destroy)(struct remote *remote); /* also after a create that failed */
	int (*run)(struct remote *remote);
	int (*put)(struct remote *remote, const char *key, const struct remote_source *source,
		const uint8_t *sha256, struct remote_why *why);
	/* Of at least one byte; behind the end is 0 and nothing taken. */
	int (*get)(struct remote *remote, const char *key, uint64_t offset, uint64_t size,
		int (*take)(void *arg, const void *data, size_t len), void *arg,
		struct remote_why *why);
	int (*head)(struct remote *remote, const char *key, struct remote_head *head,
		struct remote_why *why);
	int (*delete)(struct remote *remote, const char *key, struct remote_why *why);
	/* start and after (or NULL) are keys too; entries are named without the prefix. */
	int (*list)(struct remote *remote, const char *start, const char *after,
		int (*each)(void *arg, const struct remote_entry *entry), void *arg,
		struct remote_why *why);
	int (*sweep)(struct remote *remote, struct remote_why *why);
};
extern const struct kind s3_kind, sftp_kind, folder_kind;

/* Calls once until it comes to another end than VERDICT_PASSING, or it makes no sense to go on: with pauses, and through the
 * breaker. once may set *wait to what the store asks for. What it returned last, -EHOSTDOWN, or ANYIO_CANCELLED. */
int remote_attempt(struct remote *remote,
	int (*once)(void *arg, enum verdict *verdict, anyio_time *wait, struct remote_why *why),
	void *arg, struct remote_why *why);

#endif
