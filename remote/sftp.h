/* What the files of the SFTP kind share. */
#ifndef REMOTE_SFTP_H
#define REMOTE_SFTP_H

#include <sys/queue.h>

#include "remote.h"
#include "sftp_packet.h"
#include "ssh.h"

/* ---- a connection (sftp_conn.c) ---- */

/* One SFTP session, which one task at a time has. Its functions explain what goes wrong, and give a verdict on it. */
struct sftp_conn {
	LIST_ENTRY(sftp_conn) link;
	struct ssh *ssh;
	const char *endpoint;
	bool posix_rename, fsync, statvfs; /* the server has them */
	bool durable;                      /* what is put must be: see remote_options */
	uint32_t next_id;
	unsigned outstanding;   /* requests without a reply */
	bool broken;            /* nothing more can be asked */
	struct sftp_packet out; /* a request being put together */
	uint8_t *in;            /* the reply that came last: */
	size_t in_cap;
	struct sftp_reply reply;
	anyio_time idle_since;
	/* Of the attempt under way. */
	enum verdict *verdict;
	struct remote_why *why;
};

/* folder is to be there: -ENXIO. */
int sftp_conn_open(const struct ssh_options *options, const char *folder, struct sftp_conn **out,
	enum verdict *verdict, struct remote_why *why);
void sftp_conn_close(struct sftp_conn *conn);
/* Whether folder still is there: 0, -ENXIO. */
int sftp_check_folder(struct sftp_conn *conn, const char *folder);

/* An end that is not the server's doing. */
int sftp_end_here(struct sftp_conn *conn, int rc);
/* One that is: it does not keep to the protocol. */
int sftp_strange(struct sftp_conn *conn, const char *what);

/* Begins a request in conn->out; its arguments are added there. */
struct sftp_packet *sftp_request(struct sftp_conn *conn, enum sftp_type type);
/* Sends it. The id that its reply will have is conn->next_id - 1. */
int sftp_send(struct sftp_conn *conn);
/* Receives the next reply into conn->reply, whosever it is. */
int sftp_receive(struct sftp_conn *conn);
/* Sends, and receives its reply, of that type. A status is 0 for OK, else an error, explained by doing and path. */
int sftp_ask(struct sftp_conn *conn, enum sftp_type reply, const char *doing, const char *path);
/* The error of a status that came. */
int sftp_fail(struct sftp_conn *conn, const char *doing, const char *path);

/* ---- what is asked (sftp_ask.c) ---- */

struct sftp_handle {
	uint8_t bytes[SFTP_HANDLE_MAX];
	size_t len;
};

int sftp_open(struct sftp_conn *conn, const char *path, unsigned flags, struct sftp_handle *handle);
int sftp_close(struct sftp_conn *conn, const struct sftp_handle *handle);
int sftp_fstat(struct sftp_conn *conn, const struct sftp_handle *handle, struct sftp_attrs *attrs);
/* Of the path itself (SFTP_LSTAT), or what it leads to (SFTP_STAT). */
int sftp_stat(
	struct sftp_conn *conn, enum sftp_type type, const char *path, struct sftp_attrs *attrs);
int sftp_set_time(struct sftp_conn *conn, const struct sftp_handle *handle, uint32_t seconds);
int sftp_remove(struct sftp_conn *conn, const char *path);
/* In place of what is there, at once. */
int sftp_rename(struct sftp_conn *conn, const char *from, const char *to);
int sftp_sync(struct sftp_conn *conn, const struct sftp_handle *handle);
/* Makes a folder's entries durable where the server lets us open it. */
int sftp_sync_folder(struct sftp_conn *conn, const char *path);
/* Makes a folder and all above it below root, which is there; those that are there stay. */
int sftp_make_folders(struct sftp_conn *conn, const char *root, const char *path);
/* Calls each, which does not wait, for all entries of a folder. */
int sftp_read_folder(struct sftp_conn *conn, const char *path,
	int (*each)(void *arg, const struct sftp_entry *entry), void *arg);
/* Says that a file system is full, where it is: -ENOSPC; else rc as it was explained. */
int sftp_if_full(struct sftp_conn *conn, int rc, const char *path);

/* ---- bytes of files (sftp_move.c) ---- */

/* Hands over size bytes from *offset on, which it moves on by what was taken. -EBADMSG when the file ends before. */
int sftp_read_file(struct sftp_conn *conn, const struct sftp_handle *handle, uint64_t *offset,
	uint64_t size, int (*take)(void *arg, const void *data, size_t len), void *arg);
/* Writes all of source, and hashes it. */
int sftp_write_file(struct sftp_conn *conn, const struct sftp_handle *handle, const char *path,
	const struct remote_source *source, uint8_t sha256[REMOTE_CHECKSUM_SIZE]);

/* ---- the kind (sftp.c, sftp_put.c, sftp_list.c) ---- */

/* A temporary file that a task here is writing, so that a sweep leaves it alone. */
struct sftp_upload {
	LIST_ENTRY(sftp_upload) link;
	char name[40]; /* in the folder of uploads */
};

/* A call under way, to be ended with run. */
struct sftp_call {
	LIST_ENTRY(sftp_call) link;
	struct anyio_cancel_scope scope;
};

struct sftp {
	struct remote remote;
	char *folder, *user, *key_file, *known_hosts;
	char password[sizeof(((struct remote_credentials *)0)->password)];
	char *uploads;        /* path of the folder of temporary files */
	char upload_mark[17]; /* what the names of ours there begin with */
	struct ssh_options ssh;
	struct anyio_event running;
	bool ended, loaded;
	bool durable; /* remote_options.durable */
	struct anyio_lock loading;
	struct anyio_semaphore places;    /* connections that may still be used at a time */
	struct anyio_cancel_scope *timer; /* that run sits in; NULL: not now */
	anyio_time idle_most;
	LIST_HEAD(, sftp_conn) idle; /* the last that was used first */
	LIST_HEAD(, sftp_call) calls;
	LIST_HEAD(, sftp_upload) uploading;
};

/* Calls once with a connection, in attempts. It has the verdict VERDICT_DONE beforehand. */
int sftp_perform(struct sftp *sftp, int (*once)(struct sftp_conn *conn, void *arg), void *arg,
	struct remote_why *why);
/* The path of a key. -EINVAL, -ENOMEM. */
int sftp_path(const struct sftp *sftp, const char *key, struct text *path, struct remote_why *why);
/* What tells two states of a file from each other. */
void sftp_etag(const struct sftp_attrs *attrs, char out[REMOTE_ETAG_MAX]);

int sftp_put(struct remote *remote, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why);
int sftp_sweep(struct remote *remote, struct remote_why *why);
int sftp_list(struct remote *remote, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg,
	struct remote_why *why);

#endif
