/*
 * What a caller calls: names and keys, then the verb of the remote's kind; and the life of a remote.
 */
#include <errno.h>
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

/* Prefix and name, to be freed with anyio_free. -EINVAL for a name that no store should be given, -ENOMEM. */
static int make_key(struct remote *remote, const char *name, char **key, struct remote_why *why)
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

/* ---- verbs ---- */

int remote_put_from(struct remote *remote, const char *name, const struct remote_source *source,
	const uint8_t sha256[REMOTE_CHECKSUM_SIZE], struct remote_why *why)
{
	static const uint64_t most = (uint64_t)5 << 40; /* S3's */
	char *key;
	int rc = make_key(remote, name, &key, why);

	if (rc)
		return rc;
	if (source->size > most)
		rc = explain(why, -EFBIG, "split it", "no object can be larger than 5 TiB");
	else
		rc = remote->kind->put(remote, key, source, sha256, why);
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

int remote_get_to(struct remote *remote, const char *name, uint64_t offset, uint64_t size,
	int (*take)(void *arg, const void *data, size_t len), void *arg, struct remote_why *why)
{
	char *key;
	int rc = offset > INT64_MAX ? -EINVAL : make_key(remote, name, &key, why);

	if (rc)
		return rc;
	size = size < INT64_MAX - offset ? size : INT64_MAX - offset;
	if (size)
		rc = remote->kind->get(remote, key, offset, size, take, arg, why);
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

int remote_head(
	struct remote *remote, const char *name, struct remote_head *head, struct remote_why *why)
{
	char *key;
	int rc = make_key(remote, name, &key, why);

	if (rc)
		return rc;
	rc = remote->kind->head(remote, key, head, why);
	anyio_free(key);
	return rc;
}

int remote_delete(struct remote *remote, const char *name, struct remote_why *why)
{
	char *key;
	int rc = make_key(remote, name, &key, why);

	if (rc)
		return rc;
	rc = remote->kind->delete (remote, key, why);
	anyio_free(key);
	return rc == -ENOENT ? 0 : rc;
}

int remote_list(struct remote *remote, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg, struct remote_why *why)
{
	struct text from = { 0 }, behind = { 0 };
	int rc;

	if (!is_name(start, true) || (after && !is_name(after, true)))
		return explain(why, -EINVAL, "use printable ASCII",
			"no object's name begins as is asked for");
	text_add(&from, "%s%s", remote->prefix, start);
	text_add(&behind, "%s%s", remote->prefix, after ? after : "");
	rc = from.rc ? from.rc : behind.rc;
	if (!rc)
		rc = remote->kind->list(
			remote, from.chars, after ? behind.chars : NULL, each, arg, why);
	text_free(&from);
	text_free(&behind);
	return rc;
}

int remote_sweep(struct remote *remote, struct remote_why *why)
{
	return remote->kind->sweep(remote, why);
}

/* ---- life ---- */

static const struct scheme {
	const char *name;
	uint16_t port;
	const struct kind *kind;
} schemes[] = {
#ifdef REMOTE_S3
	{ "https://", 443, &s3_kind },
	{ "http://", 80, &s3_kind },
#endif
#ifdef REMOTE_SFTP
	{ "sftp://", 22, &sftp_kind },
#endif
	{ "file://", 0, &folder_kind },
};

static const struct scheme *find_scheme(const char *url)
{
	for (size_t i = 0; url && i < sizeof(schemes) / sizeof(*schemes); i++)
		if (!strncmp(url, schemes[i].name, strlen(schemes[i].name)))
			return &schemes[i];
	return NULL;
}

/* "scheme://host[:port]" and nothing else; what is wrong is not repeated, as a password may be in it. */
static int take_endpoint(
	struct remote *remote, const char *url, const struct scheme *scheme, struct remote_why *why)
{
	const char *host = url + strlen(scheme->name), *end, *rest;
	unsigned long number = scheme->port;
	char *stop;

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
	remote->port = (uint16_t)number;
	remote->host = strndup(host, (size_t)(end - host));
	remote->endpoint = strndup(url, (size_t)(rest - url));
	return remote->host && remote->endpoint ? 0 : -ENOMEM;
wrong:
	return explain(why, -EINVAL,
		"write it as https://s3.example.net, http://127.0.0.1:9000 or sftp://nas.example.net",
		"that is not the endpoint of a store: a scheme, a host, perhaps a port, and nothing else");
}

static void take_numbers(struct remote *remote, const struct remote_options *options)
{
	remote->connections = options->connections;
	remote->attempts = options->attempts ? options->attempts : 5;
	remote->pause = options->pause ? options->pause : 200 * ANYIO_MILLISECOND;
	remote->silence = options->silence < ANYIO_SECOND ? 30 * ANYIO_SECOND : options->silence;
	remote->breaker =
		(struct breaker){ .failures_most = options->failures ? options->failures : 5,
			.pause = options->down ? options->down : 5 * ANYIO_SECOND };
	getrandom(&remote->random, sizeof(remote->random), GRND_NONBLOCK);
}

static int take_common(struct remote *remote, const struct remote_options *options,
	const struct scheme *scheme, struct remote_why *why)
{
	remote->kind = scheme->kind;
	take_numbers(remote, options);
	if (scheme->kind == &folder_kind && strcmp(options->endpoint, scheme->name) != 0)
		return explain(why, -EINVAL, "write it as file://, and name the folder beside it",
			"a folder has no host");
	if (options->prefix && !is_name(options->prefix, true))
		return explain(why, -EINVAL, "use printable ASCII, as node-7/",
			"that is not a prefix for the names of objects");
	remote->prefix = anyio_strdup(options->prefix ? options->prefix : "");
	if (scheme->kind == &folder_kind)
		return remote->prefix ? 0 : -ENOMEM;
	return remote->prefix ? take_endpoint(remote, options->endpoint, scheme, why) : -ENOMEM;
}

int remote_create(const struct remote_options *options, struct remote **out, struct remote_why *why)
{
	const struct scheme *scheme = find_scheme(options->endpoint);
	struct remote *remote;
	int rc;

	if (!scheme)
		return explain(why, -EINVAL,
			"begin it with the scheme of a kind of store that this was built with: "
			"https:// or http:// (S3), sftp://, file://",
			"that is not the endpoint of a store");
	remote = anyio_calloc(1, scheme->kind->size);
	if (!remote)
		return -ENOMEM;
	rc = take_common(remote, options, scheme, why);
	if (!rc)
		rc = remote->kind->create(remote, options, why);
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
	remote->kind->destroy(remote);
	anyio_free(remote->endpoint);
	anyio_free(remote->host);
	anyio_free(remote->prefix);
	anyio_free(remote);
}

int remote_run(void *remote)
{
	return ((struct remote *)remote)->kind->run(remote);
}

void remote_stat(const struct remote *remote, struct remote_statistics *out)
{
	*out = remote->statistics;
	out->down = remote->away || remote->breaker.state != BREAKER_CLOSED;
}
