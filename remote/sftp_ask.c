/*
 * The requests that are one question and one answer, and small conversations of them.
 */
#include <errno.h>
#include <string.h>

#include "sftp.h"

enum { FILE_MODE = 0600, FOLDER_MODE = 0700 }; /* what is kept is for its owner */

static int take_handle(struct sftp_conn *conn, struct sftp_handle *handle)
{
	handle->len = conn->reply.bytes.len;
	memcpy(handle->bytes, conn->reply.bytes.at, handle->len);
	return 0;
}

static void add_handle(struct sftp_packet *packet, const struct sftp_handle *handle)
{
	sftp_add_bytes(packet, handle->bytes, handle->len);
}

int sftp_open(struct sftp_conn *conn, const char *path, unsigned flags, struct sftp_handle *handle)
{
	struct sftp_packet *packet = sftp_request(conn, SFTP_OPEN);
	int rc;

	sftp_add_text(packet, path);
	sftp_add_u32(packet, flags);
	sftp_add_mode(packet, FILE_MODE);
	rc = sftp_ask(conn, SFTP_HANDLE, flags & SFTP_FLAG_WRITE ? "make" : "open", path);
	return rc ? rc : take_handle(conn, handle);
}

int sftp_close(struct sftp_conn *conn, const struct sftp_handle *handle)
{
	add_handle(sftp_request(conn, SFTP_CLOSE), handle);
	return sftp_ask(conn, SFTP_STATUS, "close", "a file");
}

int sftp_fstat(struct sftp_conn *conn, const struct sftp_handle *handle, struct sftp_attrs *attrs)
{
	int rc;

	add_handle(sftp_request(conn, SFTP_FSTAT), handle);
	rc = sftp_ask(conn, SFTP_ATTRS, "look at", "an open file");
	*attrs = conn->reply.attrs;
	return rc;
}

int sftp_stat(
	struct sftp_conn *conn, enum sftp_type type, const char *path, struct sftp_attrs *attrs)
{
	int rc;

	sftp_add_text(sftp_request(conn, type), path);
	rc = sftp_ask(conn, SFTP_ATTRS, "look at", path);
	*attrs = conn->reply.attrs;
	return rc;
}

int sftp_set_time(struct sftp_conn *conn, const struct sftp_handle *handle, uint32_t seconds)
{
	struct sftp_packet *packet = sftp_request(conn, SFTP_FSETSTAT);

	add_handle(packet, handle);
	sftp_add_times(packet, seconds);
	return sftp_ask(conn, SFTP_STATUS, "set the time of", "a new file");
}

int sftp_remove(struct sftp_conn *conn, const char *path)
{
	sftp_add_text(sftp_request(conn, SFTP_REMOVE), path);
	return sftp_ask(conn, SFTP_STATUS, "remove", path);
}

/* Without OpenSSH's extension a server renames to where nothing is. To remove what is there first would
 * leave a moment, or after a crash more, without either. */
static int rename_plainly(struct sftp_conn *conn, const char *from, const char *to)
{
	struct sftp_packet *packet = sftp_request(conn, SFTP_RENAME);
	struct sftp_attrs attrs;
	int rc;

	sftp_add_text(packet, from);
	sftp_add_text(packet, to);
	rc = sftp_ask(conn, SFTP_STATUS, "rename a new file to", to);
	if (rc != -EREMOTEIO || sftp_stat(conn, SFTP_LSTAT, to, &attrs) != 0)
		return rc;
	return explain(conn->why, -EEXIST,
		"delete it first, or take a server with posix-rename@openssh.com",
		"%s: '%s' is there, and the server cannot replace a file at once", conn->endpoint,
		to);
}

int sftp_rename(struct sftp_conn *conn, const char *from, const char *to)
{
	struct sftp_packet *packet;

	if (!conn->posix_rename)
		return rename_plainly(conn, from, to);
	packet = sftp_request(conn, SFTP_EXTENDED);
	sftp_add_text(packet, "posix-rename@openssh.com");
	sftp_add_text(packet, from);
	sftp_add_text(packet, to);
	return sftp_ask(conn, SFTP_STATUS, "rename a new file to", to);
}

int sftp_sync(struct sftp_conn *conn, const struct sftp_handle *handle)
{
	struct sftp_packet *packet;

	if (!conn->fsync)
		return 0;
	packet = sftp_request(conn, SFTP_EXTENDED);
	sftp_add_text(packet, "fsync@openssh.com");
	add_handle(packet, handle);
	return sftp_ask(conn, SFTP_STATUS, "sync", "a new file");
}

/* OpenSSH opens a folder as it does a file, and syncs it; where a server does not there is no other way, and it fails only
 * if it has to be durable. */
int sftp_sync_folder(struct sftp_conn *conn, const char *path)
{
	struct sftp_handle handle;

	int rc = conn->fsync ? sftp_open(conn, path, SFTP_FLAG_READ, &handle) : 0;
	if (rc || !conn->fsync)
		return conn->broken ? -ECONNRESET : conn->durable ? rc : 0;
	rc = sftp_sync(conn, &handle);
	if (!conn->broken)
		sftp_close(conn, &handle);
	return conn->broken ? -ECONNRESET : conn->durable ? rc : 0;
}

static int make_folder(struct sftp_conn *conn, const char *path)
{
	struct sftp_packet *packet = sftp_request(conn, SFTP_MKDIR);

	sftp_add_text(packet, path);
	sftp_add_mode(packet, FOLDER_MODE);
	return sftp_ask(conn, SFTP_STATUS, "make the folder", path);
}

/* path is cut at slash for its parent. A folder that is there already is refused with an error that does not say so: what
 * lacks then is seen later. */
static int make_and_sync(struct sftp_conn *conn, char *path, char *slash)
{
	int rc = make_folder(conn, path);

	if (rc)
		return conn->broken || rc == -EACCES || rc == -ENOSPC ? rc : 0;
	*slash = '\0';
	rc = sftp_sync_folder(conn, path);
	*slash = '/';
	return rc;
}

int sftp_make_folders(struct sftp_conn *conn, const char *root, const char *path)
{
	char *part = anyio_strdup(path), *slash = part ? part + strlen(root) : NULL;
	int rc = part ? 0 : sftp_end_here(conn, -ENOMEM);

	while (!rc && *slash) {
		char *next = slash + 1 + strcspn(slash + 1, "/"), kept = *next;

		*next = '\0';
		rc = make_and_sync(conn, part, slash);
		*next = kept;
		slash = next;
	}
	anyio_free(part);
	return rc;
}

static int read_names(
	struct sftp_conn *conn, int (*each)(void *arg, const struct sftp_entry *entry), void *arg)
{
	struct sftp_entry entry;
	int rc = 0, next;

	if (conn->reply.count == 0)
		return sftp_strange(conn, "a list goes on with nothing");
	while (!rc && (next = sftp_next(&conn->reply, &entry)) != 0)
		rc = next < 0 ? sftp_strange(conn, "a list ends too early") : each(arg, &entry);
	return rc;
}

int sftp_read_folder(struct sftp_conn *conn, const char *path,
	int (*each)(void *arg, const struct sftp_entry *entry), void *arg)
{
	struct sftp_handle handle;
	bool at_end = false;
	int rc;

	sftp_add_text(sftp_request(conn, SFTP_OPENDIR), path);
	rc = sftp_ask(conn, SFTP_HANDLE, "list", path);
	if (rc)
		return rc;
	take_handle(conn, &handle);
	while (!rc && !at_end) {
		add_handle(sftp_request(conn, SFTP_READDIR), &handle);
		rc = sftp_ask(conn, SFTP_NAME, "list", path);
		at_end = conn->reply.type == SFTP_STATUS && conn->reply.status == SFTP_EOF;
		if (!rc)
			rc = read_names(conn, each, arg);
		else if (at_end && !conn->broken)
			rc = 0;
	}
	if (!conn->broken)
		sftp_close(conn, &handle);
	return rc;
}

int sftp_if_full(struct sftp_conn *conn, int rc, const char *path)
{
	struct remote_why *why = conn->why, unused;
	struct sftp_packet *packet;
	int asked;

	if (rc != -EREMOTEIO || !conn->statvfs || conn->broken)
		return rc;
	packet = sftp_request(conn, SFTP_EXTENDED);
	sftp_add_text(packet, "statvfs@openssh.com");
	sftp_add_text(packet, path);
	conn->why = &unused;
	asked = sftp_ask(conn, SFTP_EXTENDED_REPLY, "look at", path);
	conn->why = why;
	if (asked || !sftp_is_full(&conn->reply))
		return rc;
	return explain(why, -ENOSPC, "free some room there", "%s is full", conn->endpoint);
}
