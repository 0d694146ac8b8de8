/*
 * Files to the daemon. Those that are added: the tree is walked here and sent as multipart/form-data the way Kubo's
 * clients do (directories as application/x-directory, symlinks as application/symlink, names
 * percent-encoded), and the answers are read while it is sent.
 */
#include "remote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOUNDARY "ipfs-kit-7f3a1c5e9b2d4860"

enum { CHUNK = 1 << 20, DEPTH_MAX = 200 };

struct adding {
	const struct kit_add_options *options;
	const char *const *paths;
	const struct kit_source *input; /* what "-" among them stands for */
	const struct kit_sink *sink;
	char *buffer;
	uint64_t done;
	struct mf_cid *root;
	bool answered;
	char trouble[600]; /* with what is on disk: which file, and why */
};

static int trouble(struct adding *adding, int code, const char *name, const char *why)
{
	snprintf(adding->trouble, sizeof(adding->trouble), "%.480s: %s", name, why);
	return code;
}

static int disk_trouble(struct adding *adding, int code, const char *name)
{
	/* The answer came before all was sent: what it says is the reason. */
	if (code == ANYIO_CANCELLED)
		return code;
	return trouble(adding, code, name, anyio_error_text(code));
}

static int put_end(const struct kit_sink *sink)
{
	static const char end[] = "--" BOUNDARY "--\r\n";

	return sink->write(sink->arg, end, sizeof(end) - 1);
}

static int put_head(const struct kit_sink *sink, const char *type, const char *name)
{
	char head[8192];
	size_t n = (size_t)snprintf(head, sizeof(head),
		"--" BOUNDARY
		"\r\nContent-Type: %s\r\nContent-Disposition: form-data; name=\"file\"",
		type);

	if (name) {
		n += (size_t)snprintf(head + n, sizeof(head) - n, "; filename=\"");
		for (; *name && n + 16 < sizeof(head); name++) {
			unsigned char c = (unsigned char)*name;
			if (c > 0x20 && c < 0x7f && !strchr("\"%\\+", c))
				head[n++] = (char)c;
			else
				n += (size_t)snprintf(head + n, sizeof(head) - n, "%%%02X", c);
		}
		if (*name)
			return -ENAMETOOLONG;
		head[n++] = '"';
	}
	memcpy(head + n, "\r\n\r\n", 4);
	return sink->write(sink->arg, head, n + 4);
}

static int copy(
	struct adding *adding, ssize_t (*read)(void *arg, void *buffer, size_t size), void *arg)
{
	ssize_t n;

	while ((n = read(arg, adding->buffer, CHUNK)) > 0) {
		int rc = adding->sink->write(adding->sink->arg, adding->buffer, (size_t)n);
		if (rc)
			return rc;
		adding->done += (uint64_t)n;
		if (adding->options->progress)
			adding->options->progress(adding->options->arg, adding->done, 0);
	}
	return n < 0 ? (int)n : adding->sink->write(adding->sink->arg, "\r\n", 2);
}

static ssize_t read_fd(void *arg, void *buffer, size_t size)
{
	return anyio_read(*(int *)arg, buffer, size);
}

static int put_file(struct adding *adding, int dir, const char *entry, const char *name, int follow)
{
	int fd = anyio_openat(dir, entry, O_RDONLY | O_NONBLOCK | follow, 0);
	struct stat st;
	int rc = fd < 0 ? fd : anyio_fstat(fd, &st);

	/* What was a file when it was listed may be something else by now. */
	if (rc == -ELOOP || (!rc && !S_ISREG(st.st_mode)))
		rc = trouble(
			adding, -ENOTSUP, name, "changed while it was being added; run it again");
	else if (rc)
		disk_trouble(adding, rc, name);
	if (!rc)
		rc = put_head(adding->sink, "application/octet-stream", name);
	if (!rc)
		rc = copy(adding, read_fd, &fd);
	if (fd >= 0)
		anyio_close(fd);
	return rc;
}

static int put_symlink(struct adding *adding, int dir, const char *entry, const char *name)
{
	char target[4096];
	ssize_t len = anyio_readlinkat(dir, entry, target, sizeof(target));
	int rc = len < 0 ? disk_trouble(adding, (int)len, name)
			 : put_head(adding->sink, "application/symlink", name);

	if (!rc)
		rc = adding->sink->write(adding->sink->arg, target, (size_t)len);
	return rc ? rc : adding->sink->write(adding->sink->arg, "\r\n", 2);
}

static int put_entry(
	struct adding *adding, int dir, const char *entry, const char *name, int depth);

static int put_directory(
	struct adding *adding, int dir, const char *entry, const char *name, int depth, int follow)
{
	struct anyio_names names = { 0 };
	int fd = anyio_openat(dir, entry, O_RDONLY | O_DIRECTORY | follow, 0);
	int rc = fd < 0 ? fd : anyio_listdir(fd, ".", &names);

	if (rc)
		disk_trouble(adding, rc, name);
	else
		rc = put_head(adding->sink, "application/x-directory", name);
	if (!rc)
		rc = adding->sink->write(adding->sink->arg, "\r\n", 2);
	for (size_t i = 0; !rc && i < names.count; i++) {
		if (names.names[i][0] == '.' && !adding->options->hidden)
			continue;
		size_t len = strlen(name) + strlen(names.names[i]) + 2;
		char *child = anyio_malloc(len);
		rc = child ? 0 : -ENOMEM;
		if (!rc) {
			snprintf(child, len, "%s/%s", name, names.names[i]);
			rc = put_entry(adding, fd, names.names[i], child, depth + 1);
		}
		anyio_free(child);
	}
	anyio_names_free(&names);
	if (fd >= 0)
		anyio_close(fd);
	return rc;
}

static int put_entry(struct adding *adding, int dir, const char *entry, const char *name, int depth)
{
	struct stat st;
	bool through = depth == 0 && adding->options->dereference;
	int follow = through ? 0 : O_NOFOLLOW;
	int rc = anyio_fstatat(dir, entry, &st, through ? 0 : AT_SYMLINK_NOFOLLOW);

	if (rc)
		return disk_trouble(adding, rc, name);
	if (depth > DEPTH_MAX)
		return disk_trouble(adding, -ELOOP, name);
	if (S_ISREG(st.st_mode))
		return put_file(adding, dir, entry, name, follow);
	if (S_ISLNK(st.st_mode))
		return put_symlink(adding, dir, entry, name);
	if (!S_ISDIR(st.st_mode))
		return trouble(adding, -ENOTSUP, name,
			"neither a file, a folder nor a symlink; leave it out");
	if (!adding->options->recursive)
		return trouble(adding, -EISDIR, name, "is a directory");
	return put_directory(adding, dir, entry, name, depth, follow);
}

static int put_path(struct adding *adding, const char *path)
{
	char name[256], *trimmed;
	size_t len = strlen(path);
	int rc;

	if (!strcmp(path, "-")) {
		rc = put_head(
			adding->sink, "application/octet-stream", adding->options->input_name);
		return rc ? rc : copy(adding, adding->input->read, adding->input->arg);
	}
	rc = kit_name_of(path, name, sizeof(name));
	if (rc)
		return disk_trouble(adding, rc, path);
	trimmed = anyio_strdup(path);
	if (!trimmed)
		return -ENOMEM;
	while (len > 1 && trimmed[len - 1] == '/')
		trimmed[--len] = 0;
	rc = put_entry(adding, AT_FDCWD, trimmed, name, 0);
	anyio_free(trimmed);
	return rc;
}

static int body(void *arg, const struct kit_sink *sink)
{
	struct adding *adding = arg;
	int rc = 0;

	adding->sink = sink;
	for (const char *const *path = adding->paths; !rc && *path; path++)
		rc = put_path(adding, *path);
	return rc ? rc : put_end(sink);
}

static int on_added(void *arg, const char *text, size_t len)
{
	struct adding *adding = arg;
	json_t *answer = cli_remote_json(text, len);
	const char *hash = json_string_value(json_object_get(answer, "Hash"));
	const char *name = json_string_value(json_object_get(answer, "Name"));
	const char *size = json_string_value(json_object_get(answer, "Size"));
	int rc = answer ? 0 : -EPROTO;

	if (hash && !rc) {
		rc = mf_cid_parse(adding->root, hash, strlen(hash));
		adding->answered = true;
		if (!rc && adding->options->entry)
			rc = adding->options->entry(adding->options->arg, name ? name : "",
				adding->root, size ? strtoull(size, NULL, 10) : 0);
	}
	json_decref(answer);
	return rc;
}

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

static int add(struct cli_remote *remote, struct adding *adding)
{
	const struct kit_add_options *o = adding->options;
	char version[16] = "";
	struct cli_remote_query query[] = { { "cid-version", NULL },
		{ "raw-leaves", o->raw_leaves < 0 ? NULL : truth(o->raw_leaves) },
		{ "chunker", o->chunker }, { "profile", o->profile },
		{ "only-hash", truth(o->only_hash) }, { "pin", truth(!o->no_pin) },
		{ "pin-name", o->pin_name }, { "wrap-with-directory", truth(o->wrap) },
		{ "progress", "false" }, { 0 } };
	struct cli_remote_lines lines = { .each = on_added, .arg = adding };
	struct cli_remote_request request = { .command = "add",
		.query = query,
		.body = body,
		.body_arg = adding,
		.content_type = "multipart/form-data; boundary=" BOUNDARY,
		.answer = cli_remote_lines_sink(&lines) };

	if (o->cid_version >= 0) {
		snprintf(version, sizeof(version), "%d", o->cid_version);
		query[0].value = version;
	}
	adding->buffer = anyio_malloc(CHUNK);
	if (!adding->buffer)
		return -ENOMEM;
	int rc = cli_remote_lines_end(&lines, cli_remote_call(remote, &request));
	anyio_free(adding->buffer);
	if (rc && *adding->trouble)
		return cli_remote_fail(remote, rc, adding->trouble);
	return rc ? rc : adding->answered ? 0 : -EPROTO;
}

int cli_remote_add_paths(struct cli_remote *remote, const char *const *paths,
	const struct kit_source *input, const struct kit_add_options *options, struct mf_cid *root)
{
	struct adding adding = { .options = options, .paths = paths, .input = input, .root = root };

	return add(remote, &adding);
}

/* One unnamed part. */
static int put_source(void *arg, const struct kit_sink *sink)
{
	static const struct kit_add_options none = KIT_ADD_DEFAULTS;
	const struct kit_source *source = arg;
	struct adding adding = { .options = &none, .sink = sink, .buffer = anyio_malloc(CHUNK) };
	int rc = adding.buffer ? put_head(sink, "application/octet-stream", NULL) : -ENOMEM;

	if (!rc)
		rc = copy(&adding, source->read, source->arg);
	anyio_free(adding.buffer);
	return rc ? rc : put_end(sink);
}

int cli_remote_upload(struct cli_remote *remote, const char *command,
	const struct cli_remote_query *query, const struct kit_source *source,
	int (*each)(void *arg, const char *json, size_t len), void *arg)
{
	struct cli_remote_lines lines = { .each = each, .arg = arg };
	struct cli_remote_request request = { .command = command,
		.query = query,
		.body = put_source,
		.body_arg = (void *)source,
		.content_type = "multipart/form-data; boundary=" BOUNDARY,
		.answer = cli_remote_lines_sink(&lines) };

	return cli_remote_lines_end(&lines, cli_remote_call(remote, &request));
}
