/*
 * SFTP's packets (draft-ietf-secsh-filexfer-02, version 3, as OpenSSH speaks it): requests into bytes, replies out of
 * them. Pure. What is read points into the bytes it was read from; every length is held against what is there.
 */
#ifndef REMOTE_SFTP_PACKET_H
#define REMOTE_SFTP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SFTP_PIECE = 32 << 10,       /* bytes of a file in one packet: what every server takes */
	SFTP_PACKET_MAX = 256 << 10, /* bytes of a reply: OpenSSH's own limit */
	SFTP_HANDLE_MAX = 256
};

enum sftp_type {
	SFTP_INIT = 1,
	SFTP_VERSION = 2,
	SFTP_OPEN = 3,
	SFTP_CLOSE = 4,
	SFTP_READ = 5,
	SFTP_WRITE = 6,
	SFTP_LSTAT = 7,
	SFTP_FSTAT = 8,
	SFTP_FSETSTAT = 10,
	SFTP_OPENDIR = 11,
	SFTP_READDIR = 12,
	SFTP_REMOVE = 13,
	SFTP_MKDIR = 14,
	SFTP_STAT = 17,
	SFTP_RENAME = 18,
	SFTP_STATUS = 101,
	SFTP_HANDLE = 102,
	SFTP_DATA = 103,
	SFTP_NAME = 104,
	SFTP_ATTRS = 105,
	SFTP_EXTENDED = 200,
	SFTP_EXTENDED_REPLY = 201
};

enum sftp_status {
	SFTP_OK = 0,
	SFTP_EOF = 1,
	SFTP_NO_SUCH_FILE = 2,
	SFTP_PERMISSION_DENIED = 3,
	SFTP_FAILURE = 4,
	SFTP_BAD_MESSAGE = 5,
	SFTP_OP_UNSUPPORTED = 8,
	/* Of later versions, which some servers say too. */
	SFTP_NO_SPACE = 14,
	SFTP_QUOTA = 15
};

enum { SFTP_FLAG_READ = 1, SFTP_FLAG_WRITE = 2, SFTP_FLAG_CREATE = 8, SFTP_FLAG_EXCLUSIVE = 32 };

/* ---- requests ---- */

/* A packet that is being put together, in the caller's bytes. */
struct sftp_packet {
	uint8_t *bytes;
	size_t cap, len;
	bool full; /* it does not fit */
};

/* Begins with its type, and an id but for INIT, whose version stands there. */
void sftp_begin(struct sftp_packet *packet, enum sftp_type type, uint32_t id);
void sftp_add_u32(struct sftp_packet *packet, uint32_t value);
void sftp_add_u64(struct sftp_packet *packet, uint64_t value);
void sftp_add_bytes(
	struct sftp_packet *packet, const void *bytes, size_t len); /* with their length */
void sftp_add_text(struct sftp_packet *packet, const char *text);
/* Attributes: permissions alone. */
void sftp_add_mode(struct sftp_packet *packet, unsigned mode);
/* Attributes: when it was read and changed, in seconds. */
void sftp_add_times(struct sftp_packet *packet, uint32_t seconds);
/* Fills in the length of the whole. */
void sftp_end(struct sftp_packet *packet);

/* ---- replies ---- */

struct sftp_bytes {
	const uint8_t *at;
	size_t len;
};

enum sftp_kind { SFTP_KIND_UNKNOWN, SFTP_KIND_FILE, SFTP_KIND_FOLDER, SFTP_KIND_OTHER };
struct sftp_attrs {
	bool has_size, has_times;
	uint64_t size;
	uint32_t changed; /* seconds */
	enum sftp_kind kind;
};

struct sftp_reply {
	uint8_t type;
	uint32_t id; /* of VERSION: the version */
	uint32_t status;
	struct sftp_bytes bytes; /* STATUS: its text; HANDLE, DATA: it; EXTENDED_REPLY: all of it */
	struct sftp_bytes names; /* NAME: the entries that are left */
	uint32_t count;          /* of them */
	struct sftp_attrs attrs;
	bool posix_rename, fsync, statvfs; /* VERSION: what the server has of OpenSSH's */
};

/* A packet without its length. 0 or -EPROTO. Of types that are not known only type and id. */
int sftp_parse(const uint8_t *bytes, size_t len, struct sftp_reply *reply);

struct sftp_entry {
	struct sftp_bytes name; /* as the server has it: any bytes */
	struct sftp_attrs attrs;
};
/* The next entry of a NAME: 1, 0 when there is none, -EPROTO. */
int sftp_next(struct sftp_reply *reply, struct sftp_entry *entry);

/* Of statvfs@openssh.com's reply: whether the file system has no block, or no inode, left for us. */
bool sftp_is_full(const struct sftp_reply *reply);

#endif
