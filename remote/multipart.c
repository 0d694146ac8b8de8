/*
 * Putting an object: at once, or in parts when it is large.
 *
 * Each piece is read twice: for its checksum, which goes in front of it and is signed, and to be sent. So the store refuses
 * what was changed on its way, a piece that failed can be sent again, and no more of it is in memory than a
 * buffer. An upload in parts that does not come to its end is aborted, in a shield of its own, as its parts are kept,
 * and paid for, until somebody does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "s3.h"

enum { PARTS_MOST = 10000 };
static const anyio_time patience =
	10 * ANYIO_SECOND; /* with a store that is told to forget an upload */

/* ---- checksums ---- */

/* Of size bytes from begin on; and on in whole, unless that is NULL. */
static int hash(const struct remote_source *source, uint64_t begin, uint64_t size,
	uint8_t digest[MF_SHA256_SIZE], struct mf_sha256 *whole, struct remote_why *why)
{
	struct mf_sha256 part;
	uint8_t *buffer = anyio_malloc(HTTP_BUFFER);
	int rc = buffer ? 0 : -ENOMEM;

	mf_sha256_init(&part);
	for (uint64_t at = 0; !rc && at < size;) {
		uint64_t left = size - at;
		ssize_t n = source->read(source->arg, buffer,
			left < HTTP_BUFFER ? (size_t)left : HTTP_BUFFER, begin + at);

		if (n <= 0) {
			rc = n ? (int)n : ANYIO_INCOMPLETE_READ;
			explain(why, rc, NULL,
				"what was to be sent cannot be read at byte %" PRIu64 ": %s",
				begin + at, anyio_error_text(rc));
			break;
		}
		mf_sha256_update(&part, buffer, (size_t)n);
		if (whole)
			mf_sha256_update(whole, buffer, (size_t)n);
		at += (uint64_t)n;
	}
	mf_sha256_final(&part, digest);
	anyio_free(buffer);
	return rc;
}

static int compare(const uint8_t *wanted, const uint8_t *is, struct remote_why *why)
{
	if (!wanted || !memcmp(wanted, is, MF_SHA256_SIZE))
		return 0;
	return explain(why, -EBADMSG, "see what has changed the file",
		"what was to be sent does not have the checksum that was given for it");
}

/* ---- at once ---- */

int s3_put_whole(struct s3 *s3, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why)
{
	struct s3_call call = { .method = "PUT", .key = key, .body = source, .size = source->size };
	int rc = hash(source, 0, source->size, call.digest, NULL, why);

	if (!rc)
		rc = compare(sha256, call.digest, why);
	return rc ? rc : s3_perform(s3, &call, why);
}

/* ---- in parts ---- */

struct parts {
	struct s3 *s3;
	const char *key;
	const struct remote_source *source;
	const uint8_t *sha256;
	uint64_t part_size;
	struct upload upload;
	struct text list; /* of the parts that have arrived, as XML */
	struct remote_why *why;
};

static int begin(struct parts *parts)
{
	struct s3_call call = { .method = "POST", .key = parts->key, .query = "uploads=" };
	int rc = s3_perform(parts->s3, &call, parts->why);

	if (!rc && !call.answer.upload[0])
		return explain(
			parts->why, -EPROTO, NULL, "the store begins an upload without a name");
	strcpy(parts->upload.id, call.answer.upload);
	return rc;
}

static int send_part(struct parts *parts, unsigned number, uint64_t at, struct mf_sha256 *whole)
{
	uint64_t left = parts->source->size - at;
	struct s3_call call = { .method = "PUT",
		.key = parts->key,
		.body = parts->source,
		.begin = at,
		.size = left < parts->part_size ? left : parts->part_size };
	struct text query = { 0 };
	int rc = hash(parts->source, at, call.size, call.digest, whole, parts->why);

	text_add(&query, "partNumber=%u&uploadId=", number);
	text_add_encoded(&query, parts->upload.id, 0);
	call.query = query.chars;
	if (!rc)
		rc = query.rc ? query.rc : s3_perform(parts->s3, &call, parts->why);
	if (!rc) {
		text_add(&parts->list, "<Part><PartNumber>%u</PartNumber><ETag>\"", number);
		text_add_escaped(&parts->list, call.result.etag);
		text_add(&parts->list, "\"</ETag></Part>");
		rc = parts->list.rc;
	}
	text_free(&query);
	return rc;
}

static int send_all(struct parts *parts)
{
	struct mf_sha256 whole;
	uint8_t digest[MF_SHA256_SIZE];
	unsigned number = 1;
	int rc = 0;

	mf_sha256_init(&whole);
	text_add(&parts->list,
		"<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (uint64_t at = 0; !rc && at < parts->source->size; at += parts->part_size)
		rc = send_part(parts, number++, at, &whole);
	text_add(&parts->list, "</CompleteMultipartUpload>");
	mf_sha256_final(&whole, digest);
	if (!rc)
		rc = parts->list.rc;
	return rc ? rc : compare(parts->sha256, digest, parts->why);
}

static ssize_t read_text(void *arg, void *buffer, size_t size, uint64_t offset)
{
	const struct text *text = arg;
	size_t left = text->len - (size_t)offset;

	size = size < left ? size : left;
	memcpy(buffer, text->chars + offset, size);
	return (ssize_t)size;
}

/* The answer to an earlier attempt was lost, and it had been done: then the object is there. */
static bool is_there(struct parts *parts)
{
	struct remote_head head;

	return s3_head(parts->s3, parts->key, &head, NULL) == 0 && head.size == parts->source->size;
}

static int finish(struct parts *parts)
{
	struct remote_source list = { read_text, &parts->list, parts->list.len };
	struct text query = { 0 };
	struct s3_call call = {
		.method = "POST", .key = parts->key, .body = &list, .size = list.size
	};
	int rc;

	text_add(&query, "uploadId=");
	text_add_encoded(&query, parts->upload.id, 0);
	call.query = query.chars;
	mf_sha256(parts->list.chars, parts->list.len, call.digest);
	rc = query.rc ? query.rc : s3_perform(parts->s3, &call, parts->why);
	text_free(&query);
	if (rc == -ENOENT && call.made > 1 && is_there(parts))
		return 0;
	return rc;
}

static int abort_upload(struct s3 *s3, const char *key, const char *id, struct remote_why *why)
{
	struct s3_call call = { .method = "DELETE", .key = key };
	struct text query = { 0 };
	int rc;

	text_add(&query, "uploadId=");
	text_add_encoded(&query, id, 0);
	call.query = query.chars;
	rc = query.rc ? query.rc : s3_perform(s3, &call, why);
	text_free(&query);
	return rc == -ENOENT ? 0 : rc;
}

static int give_up(void *arg)
{
	struct parts *parts = arg;

	return abort_upload(parts->s3, parts->key, parts->upload.id, NULL);
}

static void give_up_in_shield(struct parts *parts)
{
	struct anyio_cancel_scope shield;

	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_set_timeout(&shield, patience);
	anyio_cancel_scope_run(&shield, give_up, parts);
}

static uint64_t part_size(const struct s3 *s3, uint64_t size)
{
	uint64_t least = (size + PARTS_MOST - 1) / PARTS_MOST;

	return least > s3->part_size ? least : s3->part_size;
}

static int run(struct parts *parts)
{
	int rc = begin(parts);

	if (rc)
		return rc;
	LIST_INSERT_HEAD(&parts->s3->uploads, &parts->upload, link);
	rc = send_all(parts);
	if (!rc)
		rc = finish(parts);
	if (rc)
		give_up_in_shield(parts);
	LIST_REMOVE(&parts->upload, link);
	return rc;
}

int s3_put_parts(struct s3 *s3, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why)
{
	struct parts *parts = anyio_calloc(1, sizeof(*parts));
	int rc;

	if (!parts)
		return -ENOMEM;
	parts->s3 = s3;
	parts->key = key;
	parts->source = source;
	parts->sha256 = sha256;
	parts->why = why;
	parts->part_size = part_size(s3, source->size);
	rc = run(parts);
	text_free(&parts->list);
	anyio_free(parts);
	return rc;
}

/* ---- sweeping ---- */

enum { LISTS_MOST = 100 };

struct sweep {
	struct s3 *s3;
	struct remote_why *why;
	int swept;
};

static int sweep_one(void *arg, const struct answer_entry *entry)
{
	struct sweep *sweep = arg;
	const struct upload *upload;
	int rc;

	if (strncmp(entry->key, sweep->s3->remote.prefix, strlen(sweep->s3->remote.prefix)) != 0)
		return 0;
	LIST_FOREACH (upload, &sweep->s3->uploads, link)
		if (!strcmp(upload->id, entry->upload))
			return 0;
	rc = abort_upload(sweep->s3, entry->key, entry->upload, sweep->why);
	sweep->swept += !rc;
	return rc;
}

int s3_sweep(struct s3 *s3, struct remote_why *why)
{
	struct sweep sweep = { s3, why, 0 };
	struct text query = { 0 };
	bool more = true;
	int rc, lists = 0;

	text_add(&query, "max-uploads=1000&prefix=");
	text_add_encoded(&query, s3->remote.prefix, 0);
	text_add(&query, "&uploads=");
	/* What was swept is not in the next list: until there is none, or only our own. What is left after so many is
	 * for another time. */
	for (rc = query.rc; !rc && more;) {
		struct s3_call call = { .method = "GET", .query = query.chars };
		int before = sweep.swept;

		call.answer.each = sweep_one;
		call.answer.arg = &sweep;
		rc = s3_perform(s3, &call, why);
		more = call.answer.truncated && sweep.swept > before && ++lists < LISTS_MOST;
	}
	text_free(&query);
	return rc ? rc : sweep.swept;
}
