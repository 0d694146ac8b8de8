/*
 * S3 as a kind of store: the verbs that are one request, and its life.
 */
#include <errno.h>
#include <string.h>

#include "s3.h"

static int put(struct remote *remote, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why)
{
	struct s3 *s3 = (struct s3 *)remote;

	return source->size <= s3->part_size ? s3_put_whole(s3, key, source, sha256, why)
					     : s3_put_parts(s3, key, source, sha256, why);
}

static int get(struct remote *remote, const char *key, uint64_t offset, uint64_t size,
	int (*take)(void *arg, const void *data, size_t len), void *arg, struct remote_why *why)
{
	struct s3_call call = { .method = "GET",
		.key = key,
		.begin = offset,
		.size = size,
		.ranged = true,
		.take = take,
		.arg = arg };
	int rc = s3_perform((struct s3 *)remote, &call, why);

	/* Behind the end there is nothing; but an object that has shrunk between two attempts is another one. */
	return rc == -ERANGE && !call.taken ? 0 : rc;
}

static int take_none(void *arg, const void *data, size_t len)
{
	return 0;
}

/* An answer to HEAD has no body that would tell a missing object from a missing bucket: GET has. */
static int ask_why(struct s3 *s3, const char *key, struct remote_why *why)
{
	struct s3_call call = {
		.method = "GET", .key = key, .size = 1, .ranged = true, .take = take_none
	};

	return s3_perform(s3, &call, why);
}

int s3_head(struct s3 *s3, const char *key, struct remote_head *head, struct remote_why *why)
{
	struct s3_call call = { .method = "HEAD", .key = key };
	int rc = s3_perform(s3, &call, why), reason;

	if ((rc == -ENOENT || rc == -EACCES) && (reason = ask_why(s3, key, why)) < 0)
		return reason;
	if (rc)
		return rc;
	if (call.result.length < 0)
		return explain(why, -EPROTO, NULL, "the store does not say how long the object is");
	head->size = (uint64_t)call.result.length;
	strcpy(head->etag, call.result.etag);
	return 0;
}

static int head(
	struct remote *remote, const char *key, struct remote_head *out, struct remote_why *why)
{
	return s3_head((struct s3 *)remote, key, out, why);
}

static int delete (struct remote *remote, const char *key, struct remote_why *why)
{
	struct s3_call call = { .method = "DELETE", .key = key };

	return s3_perform((struct s3 *)remote, &call, why);
}

static int list(struct remote *remote, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg, struct remote_why *why)
{
	return s3_list((struct s3 *)remote, start, after, each, arg, why);
}

static int sweep(struct remote *remote, struct remote_why *why)
{
	return s3_sweep((struct s3 *)remote, why);
}

/* ---- life ---- */

static bool is_word(const char *word, const char *more)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

	for (; *word; word++)
		if (!strchr(letters, *word) && !strchr(more, *word))
			return false;
	return true;
}

static int check_options(const struct remote_options *options, struct remote_why *why)
{
	if (!options->bucket || !options->bucket[0] || strlen(options->bucket) > 255 ||
		!is_word(options->bucket, "._"))
		return explain(why, -EINVAL, "name one that exists there",
			"that is not the name of a bucket");
	if (options->region &&
		(!options->region[0] || strlen(options->region) > 63 ||
			!is_word(options->region, "_")))
		return explain(
			why, -EINVAL, "name the store's, as us-east-1", "that is not a region");
	return 0;
}

static char *copy(const char *text, const char *otherwise)
{
	return anyio_strdup(text ? text : otherwise);
}

static int take_texts(struct s3 *s3, const struct remote_options *options)
{
	struct text sigv4 = { 0 };

	s3->bucket = copy(options->bucket, NULL);
	s3->region = copy(options->region, "us-east-1");
	if (options->ca_file)
		s3->ca_file = copy(options->ca_file, NULL);
	if (s3->region)
		text_add(&sigv4, "aws:amz:%s:s3", s3->region);
	s3->sigv4 = sigv4.chars;
	return s3->bucket && s3->region && s3->sigv4 && (s3->ca_file || !options->ca_file)
		? 0
		: -ENOMEM;
}

static int create(
	struct remote *remote, const struct remote_options *options, struct remote_why *why)
{
	struct s3 *s3 = (struct s3 *)remote;
	struct http_options http = { .host = remote->host,
		.port = remote->port,
		.connections = remote->connections ? remote->connections : 64,
		.silence = remote->silence };
	int rc = check_options(options, why);

	if (!rc)
		rc = take_texts(s3, options);
	s3->credentials = options->credentials;
	s3->part_size = options->part_size ? options->part_size : 16 << 20;
	LIST_INIT(&s3->uploads);
	http.user = s3->credentials.key;
	http.password = s3->credentials.secret;
	http.sigv4 = s3->sigv4;
	http.ca_file = s3->ca_file;
	http_init(&s3->http, &http);
	return rc;
}

static void destroy(struct remote *remote)
{
	struct s3 *s3 = (struct s3 *)remote;

	http_destroy(&s3->http);
	remote_credentials_wipe(&s3->credentials);
	anyio_free(s3->bucket);
	anyio_free(s3->region);
	anyio_free(s3->ca_file);
	anyio_free(s3->sigv4);
}

static int run(struct remote *remote)
{
	return http_run(&((struct s3 *)remote)->http);
}

const struct kind s3_kind = { sizeof(struct s3), create, destroy, run, put, get, head, delete, list,
	sweep };
