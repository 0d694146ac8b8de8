/*
 * Putting an object, and sweeping what a put that was killed has left.
 *
 * A file is written under a name of its own beside all objects, synced, and then renamed over what is there. Each
 * attempt takes another name: the server may still be writing what a connection that broke has sent.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "sftp.h"

static const anyio_time patience = 10 * ANYIO_SECOND; /* with a server that is to remove a file */

/* ---- putting ---- */

struct put {
	struct sftp *sftp;
	const char *path;
	const struct remote_source *source;
	const uint8_t *sha256;
	struct sftp_upload upload;
	struct text temporary; /* its path; empty: there is none */
};

static int name_temporary(struct put *put)
{
	uint64_t random = put->sftp->remote.random += 0x9e3779b97f4a7c15;

	getrandom(&random, sizeof(random), GRND_NONBLOCK);
	snprintf(put->upload.name, sizeof(put->upload.name), "%s-%016" PRIx64,
		put->sftp->upload_mark, random);
	text_free(&put->temporary);
	text_add(&put->temporary, "%s/%s", put->sftp->uploads, put->upload.name);
	return put->temporary.rc;
}

static int open_temporary(struct sftp_conn *conn, struct put *put, struct sftp_handle *handle)
{
	enum { FLAGS = SFTP_FLAG_WRITE | SFTP_FLAG_CREATE | SFTP_FLAG_EXCLUSIVE };
	int rc = name_temporary(put);

	if (rc)
		return sftp_end_here(conn, rc);
	rc = sftp_open(conn, put->temporary.chars, FLAGS, handle);
	if (rc != -ENOENT)
		return rc;
	rc = sftp_make_folders(conn, put->sftp->folder, put->sftp->uploads);
	return rc ? rc : sftp_open(conn, put->temporary.chars, FLAGS, handle);
}

static int compare(struct sftp_conn *conn, const struct put *put, const uint8_t *is)
{
	if (!put->sha256 || !memcmp(put->sha256, is, REMOTE_CHECKSUM_SIZE))
		return 0;
	return explain(conn->why, sftp_end_here(conn, -EBADMSG), "see what has changed the file",
		"what was to be sent does not have the checksum that was given for it");
}

/* Times are in seconds: what takes the place of a file in the second that this is from gets the next one, so that an etag
 * tells them from each other. */
static int tell_apart(
	struct sftp_conn *conn, const struct put *put, const struct sftp_handle *handle)
{
	struct sftp_attrs fresh, before;
	int rc = sftp_stat(conn, SFTP_LSTAT, put->path, &before);

	if (rc == -ENOENT)
		return 0;
	if (!rc)
		rc = sftp_fstat(conn, handle, &fresh);
	if (rc || !before.has_times || !fresh.has_times || fresh.changed > before.changed)
		return rc;
	return sftp_set_time(conn, handle, before.changed + 1);
}

static int fill(struct sftp_conn *conn, struct put *put, const struct sftp_handle *handle)
{
	uint8_t is[REMOTE_CHECKSUM_SIZE];
	int rc;

	conn->durable = put->sftp->durable;
	if (conn->durable && !conn->fsync)
		return explain(conn->why, -EOPNOTSUPP,
			"use OpenSSH's server, or another that has it",
			"%s has no fsync@openssh.com, so that nothing there is known to be durable",
			conn->endpoint);
	rc = sftp_write_file(conn, handle, put->temporary.chars, put->source, is);

	if (!rc)
		rc = compare(conn, put, is);
	if (!rc)
		rc = tell_apart(conn, put, handle);
	if (!rc)
		rc = sftp_sync(conn, handle);
	return sftp_if_full(conn, rc, put->sftp->folder);
}

/* The folders of the object are made when it turns out that they lack. */
static int put_in_place(struct sftp_conn *conn, struct put *put)
{
	const char *to = put->path;
	char *folder = strndup(to, (size_t)(strrchr(to, '/') - to));
	int rc =
		folder ? sftp_rename(conn, put->temporary.chars, to) : sftp_end_here(conn, -ENOMEM);

	if (rc == -ENOENT) {
		rc = sftp_make_folders(conn, put->sftp->folder, folder);
		if (!rc)
			rc = sftp_rename(conn, put->temporary.chars, to);
		if (rc == -ENOENT)
			rc = -EREMOTEIO;
		rc = sftp_if_full(conn, rc, put->sftp->folder);
	}
	if (!rc)
		rc = sftp_sync_folder(conn, folder);
	free(folder);
	return rc;
}

/* Quietly: what happened before is what is told. */
static int remove_temporary(struct sftp_conn *conn, struct put *put)
{
	struct remote_why *why = conn->why, unused;
	enum verdict verdict = *conn->verdict;
	int rc;

	if (conn->broken || conn->outstanding || !put->temporary.len)
		return 0;
	conn->why = &unused;
	rc = sftp_remove(conn, put->temporary.chars);
	conn->why = why;
	if (conn->broken)
		return rc;
	*conn->verdict = verdict;
	text_free(&put->temporary);
	return 0;
}

static int put_once(struct sftp_conn *conn, void *arg)
{
	struct put *put = arg;
	struct sftp_handle handle;
	int rc = remove_temporary(conn, put); /* an earlier attempt's */

	if (!rc)
		rc = open_temporary(conn, put, &handle);
	if (rc)
		return sftp_if_full(conn, rc, put->sftp->folder);
	rc = fill(conn, put, &handle);
	if (!conn->broken && !conn->outstanding) {
		int closed = sftp_close(conn, &handle);

		rc = rc ? rc : closed;
	}
	if (!rc)
		rc = put_in_place(conn, put);
	if (rc)
		remove_temporary(conn, put);
	else
		put->sftp->remote.statistics.sent += put->source->size;
	return rc;
}

static int give_up_once(struct sftp_conn *conn, void *arg)
{
	return remove_temporary(conn, arg);
}

static int give_up(void *arg)
{
	struct put *put = arg;

	return sftp_perform(put->sftp, give_up_once, put, NULL);
}

static void give_up_in_shield(struct put *put)
{
	struct anyio_cancel_scope shield;

	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_set_timeout(&shield, patience);
	anyio_cancel_scope_run(&shield, give_up, put);
}

int sftp_put(struct remote *remote, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why)
{
	struct sftp *sftp = (struct sftp *)remote;
	struct put put = { .sftp = sftp, .source = source, .sha256 = sha256 };
	struct text path = { 0 };
	int rc = sftp_path(sftp, key, &path, why);

	put.path = path.chars;
	if (!rc) {
		LIST_INSERT_HEAD(&sftp->uploading, &put.upload, link);
		rc = sftp_perform(sftp, put_once, &put, why);
		if (rc && put.temporary.len)
			give_up_in_shield(&put);
		LIST_REMOVE(&put.upload, link);
	}
	text_free(&put.temporary);
	text_free(&path);
	return rc;
}

/* ---- sweeping ---- */

enum {
	SWEEP_MOST = 1024,
	SWEEPS_MOST = 100
}; /* names that are kept at a time; how often, what is left is for another sweep */

struct sweep {
	struct sftp *sftp;
	char (*names)[sizeof(((struct sftp_upload *)0)->name)];
	size_t count;
	int swept;
};

static bool is_being_made(const struct sftp *sftp, const char *name)
{
	const struct sftp_upload *upload;

	LIST_FOREACH (upload, &sftp->uploading, link)
		if (!strcmp(upload->name, name))
			return true;
	return false;
}

static int keep_name(void *arg, const struct sftp_entry *entry)
{
	struct sweep *sweep = arg;
	size_t mark = strlen(sweep->sftp->upload_mark), len = entry->name.len;
	char *name = sweep->names[sweep->count];

	/* Only what can be a name of ours: the server may list any bytes. */
	if (sweep->count == SWEEP_MOST || len != mark + 17 ||
		memcmp(entry->name.at, sweep->sftp->upload_mark, mark) != 0 ||
		entry->name.at[mark] != '-')
		return 0;
	memcpy(name, entry->name.at, len);
	name[len] = '\0';
	if (strspn(name + mark + 1, "0123456789abcdef") == 16 && !is_being_made(sweep->sftp, name))
		sweep->count++;
	return 0;
}

static int sweep_name(struct sftp_conn *conn, struct sweep *sweep, const char *name)
{
	struct text path = { 0 };
	int rc;

	text_add(&path, "%s/%s", sweep->sftp->uploads, name);
	rc = path.rc ? sftp_end_here(conn, path.rc) : sftp_remove(conn, path.chars);
	text_free(&path);
	sweep->swept += !rc;
	return rc == -ENOENT ? 0 : rc;
}

static int sweep_once(struct sftp_conn *conn, void *arg)
{
	struct sweep *sweep = arg;
	int rc = 0, rounds = 0;

	do {
		sweep->count = 0;
		rc = sftp_read_folder(conn, sweep->sftp->uploads, keep_name, sweep);
		for (size_t i = 0; !rc && i < sweep->count; i++)
			rc = sweep_name(conn, sweep, sweep->names[i]);
	} while (!rc && sweep->count == SWEEP_MOST && ++rounds < SWEEPS_MOST);
	return rc;
}

int sftp_sweep(struct remote *remote, struct remote_why *why)
{
	struct sweep sweep = { .sftp = (struct sftp *)remote };
	int rc;

	sweep.names = anyio_calloc(SWEEP_MOST, sizeof(*sweep.names));
	if (!sweep.names)
		return -ENOMEM;
	rc = sftp_perform(sweep.sftp, sweep_once, &sweep, why);
	anyio_free(sweep.names);
	return rc && rc != -ENOENT ? rc : sweep.swept; /* the folder is made by the first put */
}
