/* What the files of the S3 kind share. */
#ifndef REMOTE_S3_H
#define REMOTE_S3_H

#include <multiformats/sha256.h>
#include <sys/queue.h>

#include "answer.h"
#include "http.h"
#include "remote.h"

/* An upload in parts that a task here is making, so that a sweep leaves it alone. */
struct upload {
	LIST_ENTRY(upload) link;
	char id[ANSWER_TEXT_MAX];
};

struct s3 {
	struct remote remote;
	struct http http;
	char *bucket, *region, *ca_file, *sigv4;
	struct remote_credentials credentials;
	uint64_t part_size;
	LIST_HEAD(, upload) uploads;
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
	unsigned made;  /* attempts */
	size_t refused; /* bytes that came with an error, of all of them */
};

/* Asks until it is answered, or it makes no sense to ask again. */
int s3_perform(struct s3 *s3, struct s3_call *call, struct remote_why *why);

/* Sends source under a key. */
int s3_put_whole(struct s3 *s3, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why);
int s3_put_parts(struct s3 *s3, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why);
int s3_head(struct s3 *s3, const char *key, struct remote_head *head, struct remote_why *why);
int s3_list(struct s3 *s3, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg,
	struct remote_why *why);
int s3_sweep(struct s3 *s3, struct remote_why *why);

/* ---- what went wrong ---- */

/* For the texts. */
struct place {
	const char *endpoint, *bucket, *region;
};
/* Of an attempt that got an answer other than success: its code, with the reason. */
int judge_status(const struct place *place, const struct http_result *result,
	const struct answer *answer, enum verdict *verdict, struct remote_why *why);
/* Of one that got none: by libcurl's code, and what it says about it. */
int judge_curl(const struct place *place, int code, const char *says, enum verdict *verdict,
	struct remote_why *why);

#endif
