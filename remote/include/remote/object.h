/*
 * A store of named objects on another machine: any S3-compatible one, or a folder of an SFTP server; or a folder of this
 * one, on another disk.
 *
 * A remote belongs to one loop. Every call below that takes one and may wait is made from a task of it, is
 * cancelled as any other wait, and takes its deadline from the scopes around it; any number of tasks may call at
 * once. Nothing blocks the loop: what it waits for are sockets.
 *
 * What may pass is tried again, with growing pauses: broken connections, 429 and 5xx. After several such in
 * a row the store counts as down, and calls are refused at once, -EHOSTDOWN, until a pause is over and one call,
 * alone, has got through.
 *
 * Errors, besides each call's own: -EACCES (the store refuses the credentials, or these may not do that), -ENXIO (no
 * such bucket or folder), -ESTALE (the clocks differ too much), -EREMCHG (it is elsewhere: another region or
 * endpoint), -EKEYREJECTED (its certificate, or its host key, is not trusted), -EHOSTUNREACH (no connection),
 * -ECONNRESET (it broke), -ETIMEDOUT (the store fell silent), -EHOSTDOWN, -EBUSY (it asks for fewer requests),
 * -EREMOTEIO (it failed), -ENOSPC (it is full), -EPROTO (what it says is neither S3 nor SFTP), -ENOPKG (libcurl, expat
 * or libssh2 is not installed), -EPERM (others may read the key's file), -ENOKEY (there is no key in it that can be
 * used), ANYIO_CLOSED (run has ended), ANYIO_CANCELLED, -ENOMEM. A call that fails fills *why, which may be NULL; but
 * not for the last three, nor for what the caller's own functions return.
 */
#ifndef REMOTE_OBJECT_H
#define REMOTE_OBJECT_H

#include <anyio/run.h>
#include <remote/credentials.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct remote;

enum {
	REMOTE_NAME_MAX = 1024,   /* bytes of prefix and name together */
	REMOTE_ETAG_MAX = 128,    /* bytes of an etag, the NUL included */
	REMOTE_CHECKSUM_SIZE = 32 /* a SHA-256 */
};

/* All zero is the default where there is one. Everything is copied. */
struct remote_options {
	const char *
		endpoint; /* "https://host", "http://host": S3; "sftp://host"; or with ":port". No path, no user. "file://" */
	const char *prefix; /* begins every name, as "node-7/"; NULL: nothing. One node's alone */

	/* S3's. */
	const char *bucket; /* it has to exist; asked for by path, not as a part of the host name */
	const char *region; /* NULL: "us-east-1" */
	struct remote_credentials credentials; /* SFTP's too */
	const char *ca_file;                   /* certificates to trust, PEM; NULL: the system's */
	uint64_t
		part_size; /* bytes; what is larger is sent in parts; 0: 16 MiB. S3 wants 5 MiB at least */

	/* SFTP's, and of this machine. It has to exist. SFTP: a relative one begins where the user lands. */
	const char *folder;

	/* SFTP's. The files are read, on a worker thread, at each connection. */
	const char *user;
	const char *
		key_file; /* a private key without a passphrase, its owner's alone; NULL: the password counts */
	const char *known_hosts; /* the keys of hosts, as OpenSSH keeps them */

	bool durable; /* a put is refused by -EOPNOTSUPP where the server has no fsync@openssh.com; else what is put there may not
	               * survive the server's power being cut */

	anyio_time idle; /* a connection that nobody wants for so long is closed; 0: 60 s */

	unsigned connections; /* at a time; further requests wait; 0: 64, SFTP: 8 */
	unsigned attempts;    /* of one request, the first included; 0: 5 */
	anyio_time pause; /* before the second attempt, at most; doubles, up to 20 s; 0: 200 ms */
	/* An attempt fails when less has moved so long: S3 1 KiB a second, else one byte; whole seconds; 0: 30 s. */
	anyio_time silence;
	unsigned failures; /* in a row, after which the store counts as down; 0: 5 */
	anyio_time down;   /* how long it does at first; doubles, up to 5 min; 0: 5 s */
};

/* Makes one; asks nothing of the store. -EINVAL with a reason, -ENOMEM. Any thread. */
int remote_create(
	const struct remote_options *options, struct remote **remote, struct remote_why *why);
/* After run has returned and every call too. Wipes the credentials. */
void remote_free(struct remote *remote);

/* The body of a task: serves the calls' sockets until it is cancelled; calls before it wait for it. Then what is
 * under way gets ANYIO_CLOSED. A folder of this machine needs none of it, and nothing of a call on it is tried
 * again, nor refused: what is mounted again works at the next one. */
int remote_run(void *remote);

/* Where an object's bytes come from: up to size bytes at offset into buffer; may be short; 0 at the end. May be asked for
 * the same bytes again, and must then give the same. May wait. A negative code ends the put. */
struct remote_source {
	ssize_t (*read)(void *arg, void *buffer, size_t size, uint64_t offset);
	void *arg;
	uint64_t size; /* bytes in all */
};

/* Stores size bytes of fd, from offset on, under a name: whole, or not at all. Nobody sees it before it is whole, and
 * what was there before is replaced then. sha256: what they must hash to, else -EBADMSG; NULL: whatever they do. The store is
 * told a checksum of all it is sent, and refuses others. Cut off, it removes the parts that it has sent, which takes up
 * to 10 s more; where the store is not there any more they stay: remote_sweep. -EINVAL for a bad name (SFTP: also
 * for a part between slashes of more than 255 bytes, where all but a-z 0-9 - . _ ~ counts three), -EEXIST (SFTP: it is
 * there, and the server cannot replace a file), ANYIO_INCOMPLETE_READ when the file is too short, -EFBIG, the errors of pread(2). */
int remote_put(struct remote *remote, const char *name, int fd, uint64_t offset, uint64_t size,
	const uint8_t sha256[REMOTE_CHECKSUM_SIZE], struct remote_why *why);
/* The same from anywhere. */
int remote_put_from(struct remote *remote, const char *name, const struct remote_source *source,
	const uint8_t sha256[REMOTE_CHECKSUM_SIZE], struct remote_why *why);

/* Reads up to size bytes at offset: how many, fewer only at the object's end, 0 behind it. -ENOENT. */
ssize_t remote_get(struct remote *remote, const char *name, uint64_t offset, void *buffer,
	size_t size, struct remote_why *why);
/* The same, piece by piece, to take, which may wait; when that returns other than 0 this is what is returned. An
 * attempt that breaks is taken up where it broke; -EBADMSG when the object has changed meanwhile. 0 when all
 * there is of it was taken. */
int remote_get_to(struct remote *remote, const char *name, uint64_t offset, uint64_t size,
	int (*take)(void *arg, const void *data, size_t len), void *arg, struct remote_why *why);

struct remote_head {
	uint64_t size; /* bytes */
	char etag
		[REMOTE_ETAG_MAX]; /* without its quotes; says only whether it is the same as before */
};
/* What is known of an object. -ENOENT. */
int remote_head(
	struct remote *remote, const char *name, struct remote_head *head, struct remote_why *why);

/* Removes it; 0 also when there is none. */
int remote_delete(struct remote *remote, const char *name, struct remote_why *why);

struct remote_entry {
	const char *name; /* without the remote's prefix; valid during the call */
	uint64_t size;    /* bytes */
};
/* Calls each for every object whose name begins with start and is behind after (NULL: from the first), in the order of
 * bytes, a thousand a request. each may wait, and call; other than 0 ends it and is returned. */
int remote_list(struct remote *remote, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg,
	struct remote_why *why);

/* Removes the parts of uploads below the prefix that nobody here is making: what a crash, or a store that was away when a put
 * failed, has left. Returns how many uploads those were. */
int remote_sweep(struct remote *remote, struct remote_why *why);

struct remote_statistics {
	uint64_t requests; /* attempts that were made */
	uint64_t retries;  /* of them, those after the first */
	uint64_t refused;  /* calls, because the store counted as down */
	bool down;         /* it does now; a folder of this machine: its last call failed for it */
	uint64_t sent, received; /* bytes of objects */
};
void remote_stat(const struct remote *remote, struct remote_statistics *out);

#ifdef __cplusplus
}
#endif
#endif
