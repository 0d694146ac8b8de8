/* What object.c, s3.c and multipart.c share. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include <multiformats/sha256.h>
#include <sys/queue.h>

#include "answer.h"
#include "http.h"
#include "retry.h"
#include "text.h"
#include "why.h"

/* An upload in parts that a task here is making, so that a sweep leaves it alone. */
struct upload {
	LIST_ENTRY(upload) link;
	char id[ANSWER_TEXT_MAX];
};

struct remote {
	struct http http;
	char *endpoint, *host, *bucket, *region, *prefix, *ca_file, *sigv4;
	struct remote_credentials credentials;
	uint64_t part_size, random;
	unsigned attempts;
	anyio_time pause;
	struct breaker breaker;
	LIST_HEAD(, upload) uploads;
	struct remote_statistics statistics;
};

/* One thing asked of the store, in S3's words; all zero is the default. */
struct s3_call {
	const char *method;
	const char *key; /* NULL: of the bucket itself */
	const char
		*query; /* as SigV4 wants it: names in order, encoded, each with '='; NULL: none */
	const struct remote_source
		*body; /* sent from begin on, size bytes, whose SHA-256 is digest */
	uint64_t begin, size;
	uint8_t digest[MF_SHA256_SIZE];
	bool ranged; /* asks for size bytes from begin on; how many of them were taken: */
	uint64_t taken;
	char etag[REMOTE_ETAG_MAX]; /* of the object they are of */
	/* Takes what a success brings; NULL: it is read as an answer. */
	int (*take)(void *arg, const void *data, size_t len);
	void *arg;

	/* Of the last attempt. */
	struct answer answer;
	struct http_result result;
	unsigned made; /* attempts */
};

/* Asks until it is answered, or it makes no sense to ask again. */
int s3_perform(struct remote *remote, struct s3_call *call, struct remote_why *why);

/* Prefix and name, to be freed with anyio_free. -EINVAL for a name that no store should be given, -ENOMEM. */
int remote_key(struct remote *remote, const char *name, char **key, struct remote_why *why);

/* Sends source under a key. */
int s3_put_whole(struct remote *remote, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why);
int s3_put_parts(struct remote *remote, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why);
int s3_head(
	struct remote *remote, const char *key, struct remote_head *head, struct remote_why *why);

#endif
