/*
 * What a caller calls: names and keys, the verbs that are one request, and the life of a remote.
 */
#include <errno.h>
#include <remote/object.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "remote.h"

/* ---- names ---- */

/* Printable ASCII, since XML cannot carry the rest; and no segment that a path would swallow. */
static bool is_name(const char *name, bool may_be_empty)
{
	size_t len = strlen(name), segment;

	for (size_t i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == '\\')
			return false;
	for (const char *at = name; *at; at += segment + (at[segment] == '/')) {
		segment = strcspn(at, "/");
		if (segment == 0 || !strncmp(at, ".", segment) ||
			(segment == 2 && !strncmp(at, "..", 2)))
			return false;
	}
	return (may_be_empty || len) && len <= REMOTE_NAME_MAX;
}

int remote_key(struct remote *remote, const char *name, char **key, struct remote_why *why)
{
	struct text text = { 0 };

	*key = NULL;
	if (!is_name(name, false) || name[strlen(name) - 1] == '/' ||
		strlen(remote->prefix) + strlen(name) > REMOTE_NAME_MAX)
		return explain(why, -EINVAL,
			"use printable ASCII, at most 1024 bytes, without '\\', '//', '/./', '/../'",
			"'%.80s' is not a name for an object", name);
	text_add(&text, "%s%s", remote->prefix, name);
	*key = text.chars;
	return text.rc;
}

/* ---- putting ---- */

int remote_put_from(struct remote *remote, const char *name, const struct remote_source *source,
	const uint8_t sha256[REMOTE_CHECKSUM_SIZE], struct remote_why *why)
{
	static const uint64_t most = (uint64_t)5 << 40; /* S3's */
	char *key;
	int rc = remote_key(remote, name, &key, why);

	if (rc)
		return rc;
	if (source->size > most)
		rc = explain(why, -EFBIG, "split it", "no object can be larger than 5 TiB");
	else if (source->size <= remote->part_size)
		rc = s3_put_whole(remote, key, source, sha256, why);
	else
		rc = s3_put_parts(remote, key, source, sha256, why);
	anyio_free(key);
	return rc;
}

struct file {
	int fd;
	uint64_t begin;
};

static ssize_t read_file(void *arg, void *buffer, size_t size, uint64_t offset)
{
	const struct file *file = arg;

	return anyio_pread(file->fd, buffer, size, (off_t)(file->begin + offset));
}

int remote_put(struct remote *remote, const char *name, int fd, uint64_t offset, uint64_t size,
	const uint8_t sha256[REMOTE_CHECKSUM_SIZE], struct remote_why *why)
{
	struct file file = { fd, offset };
	struct remote_source source = { read_file, &file, size };

	return remote_put_from(remote, name, &source, sha256, why);
}

/* ---- getting ---- */

int remote_get_to(struct remote *remote, const char *name, uint64_t offset, uint64_t size,
	int (*take)(void *arg, const void *data, size_t len), void *arg, struct remote_why *why)
{
	struct s3_call call = { .method = "GET",
		.begin = offset,
		.size = size < INT64_MAX - offset ? size : INT64_MAX - offset,
		.ranged = true,
		.take = take,
		.arg = arg };
	char *key;
	int rc = offset > INT64_MAX ? -EINVAL : remote_key(remote, name, &key, why);

	if (rc)
		return rc;
	call.key = key;
	if (size)
		rc = s3_perform(remote, &call, why);
	/* Behind the end there is nothing; but an object that has shrunk between two attempts is another one. */
	if (rc == -ERANGE && !call.taken)
		rc = 0;
	anyio_free(key);
	return rc;
}

struct buffer {
	uint8_t *at;
	size_t len;
};

static int take_into(void *arg, const void *data, size_t len)
{
	struct buffer *buffer = arg;

	memcpy(buffer->at + buffer->len, data, len);
	buffer->len += len;
	return 0;
}

ssize_t remote_get(struct remote *remote, const char *name, uint64_t offset, void *out, size_t size,
	struct remote_why *why)
{
	struct buffer buffer = { out, 0 };
	int rc = remote_get_to(remote, name, offset, size, take_into, &buffer, why);

	return rc ? rc : (ssize_t)buffer.len;
}

/* ---- the rest ---- */

static int take_none(void *arg, const void *data, size_t len)
{
	return 0;
}

/* An answer to HEAD has no body that would tell a missing object from a missing bucket: GET has. */
static int ask_why(struct remote *remote, const char *key, struct remote_why *why)
{
	struct s3_call call = {
		.method = "GET", .key = key, .size = 1, .ranged = true, .take = take_none
	};

	return s3_perform(remote, &call, why);
}

int s3_head(
	struct remote *remote, const char *key, struct remote_head *head, struct remote_why *why)
{
	struct s3_call call = { .method = "HEAD", .key = key };
	int rc = s3_perform(remote, &call, why), reason;

	if ((rc == -ENOENT || rc == -EACCES) && (reason = ask_why(remote, key, why)) < 0)
		return reason;
	if (rc)
		return rc;
	if (call.result.length < 0)
		return explain(why, -EPROTO, NULL, "the store does not say how long the object is");
	head->size = (uint64_t)call.result.length;
	strcpy(head->etag, call.result.etag);
	return 0;
}

int remote_head(
	struct remote *remote, const char *name, struct remote_head *head, struct remote_why *why)
{
	char *key;
	int rc = remote_key(remote, name, &key, why);

	if (rc)
		return rc;
	rc = s3_head(remote, key, head, why);
	anyio_free(key);
	return rc;
}

int remote_delete(struct remote *remote, const char *name, struct remote_why *why)
{
	struct s3_call call = { .method = "DELETE" };
	char *key;
	int rc = remote_key(remote, name, &key, why);

	if (rc)
		return rc;
	call.key = key;
	rc = s3_perform(remote, &call, why);
	anyio_free(key);
	return rc == -ENOENT ? 0 : rc;
}

/* ---- listing ---- */

struct listing {
	struct remote *remote;
	int (*each)(void *arg, const struct remote_entry *entry);
	void *arg;
	char last[ANSWER_TEXT_MAX]; /* key that was reported: where the next page begins */
	char seen
		[ANSWER_TEXT_MAX]; /* the last of this attempt, which may begin with some that were reported */
	unsigned attempt;
	uint64_t reported;
	const struct s3_call *call;
	struct remote_why *why;
};

static int list_one(void *arg, const struct answer_entry *entry)
{
	struct listing *listing = arg;
	size_t prefix = strlen(listing->remote->prefix);
	struct remote_entry out = { entry->key + prefix, entry->size };

	if (listing->attempt != listing->call->made)
		listing->seen[0] = '\0';
	listing->attempt = listing->call->made;
	if (strncmp(entry->key, listing->remote->prefix, prefix) != 0 ||
		strcmp(entry->key, listing->seen) <= 0)
		return explain(listing->why, -EPROTO, NULL,
			"the store lists what it was not asked for, or not in order");
	strcpy(listing->seen, entry->key);
	if (strcmp(entry->key, listing->last) <= 0)
		return 0;
	strcpy(listing->last, entry->key);
	listing->reported++;
	return listing->each(listing->arg, &out);
}

static int list_page(struct listing *listing, const char *start, bool *more)
{
	struct s3_call call = { .method = "GET" };
	struct text query = { 0 };
	uint64_t before = listing->reported;
	int rc;

	text_add(&query, "list-type=2&max-keys=1000&prefix=");
	text_add_encoded(&query, listing->remote->prefix, 0);
	text_add_encoded(&query, start, 0);
	if (listing->last[0]) {
		text_add(&query, "&start-after=");
		text_add_encoded(&query, listing->last, 0);
	}
	call.query = query.chars;
	call.answer.each = list_one;
	call.answer.arg = listing;
	listing->call = &call;
	listing->attempt = 0;
	rc = query.rc ? query.rc : s3_perform(listing->remote, &call, listing->why);
	text_free(&query);
	*more = call.answer.truncated && listing->reported > before;
	return rc;
}

int remote_list(struct remote *remote, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg, struct remote_why *why)
{
	struct listing *listing;
	bool more = true;
	int rc = 0;

	if (!is_name(start, true) || (after && !is_name(after, true)))
		return explain(why, -EINVAL, "use printable ASCII",
			"no object's name begins as is asked for");
	listing = anyio_calloc(1, sizeof(*listing));
	if (!listing)
		return -ENOMEM;
	*listing = (struct listing){ .remote = remote, .each = each, .arg = arg, .why = why };
	if (after)
		snprintf(listing->last, sizeof(listing->last), "%s%s", remote->prefix, after);
	while (!rc && more)
		rc = list_page(listing, start, &more);
	anyio_free(listing);
	return rc;
}

/* ---- life ---- */

/* "http[s]://host[:port]" and nothing else; what is wrong is not repeated, as a password may be in it. */
static int take_endpoint(
	struct remote *remote, const char *url, uint16_t *port, struct remote_why *why)
{
	bool secure = url && !strncmp(url, "https://", 8);
	const char *host, *end, *rest;
	unsigned long number = secure ? 443 : 80;
	char *stop;

	if (!secure && (!url || strncmp(url, "http://", 7) != 0))
		goto wrong;
	host = url + (secure ? 8 : 7);
	end = *host == '[' ? host + strcspn(host, "]") : host + strcspn(host, ":/");
	if (*host == '[' && !*end)
		goto wrong;
	rest = end + (*host == '[');
	host += *host == '[';
	if (*rest == ':') {
		number = strtoul(rest + 1, &stop, 10);
		if (rest[1] < '0' || rest[1] > '9')
			goto wrong;
		rest = stop;
	}
	if (end == host || number == 0 || number > 65535 ||
		strcspn(host, "@?# \\") < (size_t)(end - host) || (*rest && strcmp(rest, "/") != 0))
		goto wrong;
	*port = (uint16_t)number;
	remote->host = strndup(host, (size_t)(end - host));
	remote->endpoint = strndup(url, (size_t)(rest - url));
	return remote->host && remote->endpoint ? 0 : -ENOMEM;
wrong:
	return explain(why, -EINVAL, "write it as https://s3.example.net or http://127.0.0.1:9000",
		"that is not the endpoint of a store: a scheme, a host, perhaps a port, and nothing else");
}

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
	if (options->prefix && !is_name(options->prefix, true))
		return explain(why, -EINVAL, "use printable ASCII, as node-7/",
			"that is not a prefix for the names of objects");
	return 0;
}

static char *copy(const char *text, const char *otherwise)
{
	return anyio_strdup(text ? text : otherwise);
}

static int take_texts(struct remote *remote, const struct remote_options *options)
{
	struct text sigv4 = { 0 };

	remote->bucket = copy(options->bucket, NULL);
	remote->region = copy(options->region, "us-east-1");
	remote->prefix = copy(options->prefix, "");
	if (options->ca_file)
		remote->ca_file = copy(options->ca_file, NULL);
	if (remote->region)
		text_add(&sigv4, "aws:amz:%s:s3", remote->region);
	remote->sigv4 = sigv4.chars;
	return remote->bucket && remote->region && remote->prefix && remote->sigv4 &&
			(remote->ca_file || !options->ca_file)
		? 0
		: -ENOMEM;
}

static void take_numbers(struct remote *remote, const struct remote_options *options)
{
	remote->credentials = options->credentials;
	remote->part_size = options->part_size ? options->part_size : 16 << 20;
	remote->attempts = options->attempts ? options->attempts : 5;
	remote->pause = options->pause ? options->pause : 200 * ANYIO_MILLISECOND;
	remote->breaker =
		(struct breaker){ .failures_most = options->failures ? options->failures : 5,
			.pause = options->down ? options->down : 5 * ANYIO_SECOND };
	LIST_INIT(&remote->uploads);
	getrandom(&remote->random, sizeof(remote->random), GRND_NONBLOCK);
}

int remote_create(const struct remote_options *options, struct remote **out, struct remote_why *why)
{
	struct remote *remote = anyio_calloc(1, sizeof(*remote));
	struct http_options http = { .connections =
					     options->connections ? options->connections : 64,
		.silence = options->silence < ANYIO_SECOND ? 30 * ANYIO_SECOND : options->silence };
	int rc;

	if (!remote)
		return -ENOMEM;
	rc = check_options(options, why);
	if (!rc)
		rc = take_endpoint(remote, options->endpoint, &http.port, why);
	if (!rc)
		rc = take_texts(remote, options);
	take_numbers(remote, options);
	http.host = remote->host;
	http.user = remote->credentials.key;
	http.password = remote->credentials.secret;
	http.sigv4 = remote->sigv4;
	http.ca_file = remote->ca_file;
	http_init(&remote->http, &http);
	if (rc)
		remote_free(remote);
	else
		*out = remote;
	return rc;
}

void remote_free(struct remote *remote)
{
	if (!remote)
		return;
	http_destroy(&remote->http);
	remote_credentials_wipe(&remote->credentials);
	anyio_free(remote->endpoint);
	anyio_free(remote->host);
	anyio_free(remote->bucket);
	anyio_free(remote->region);
	anyio_free(remote->prefix);
	anyio_free(remote->ca_file);
	anyio_free(remote->sigv4);
	anyio_free(remote);
}

int remote_run(void *remote)
{
	return http_run(&((struct remote *)remote)->http);
}

void remote_stat(const struct remote *remote, struct remote_statistics *out)
{
	*out = remote->statistics;
	out->down = remote->breaker.state != BREAKER_CLOSED;
}
