/*
 * An SSH connection with one channel, to the server's SFTP subsystem: bytes out, bytes in.
 *
 * libssh2 works on a socket that never blocks. Whatever is asked of it says LIBSSH2_ERROR_EAGAIN while it has to
 * wait, and which way; then the task that asked waits for the socket, and asks the same again. One task at a time uses a
 * connection, and after an error or a cancellation it is only closed: libssh2 may be in the middle of something.
 * What would block, which is reading files, is done by a worker thread.
 */
#ifndef REMOTE_SSH_H
#define REMOTE_SSH_H

#include <anyio/anyio.h>
#include <stdbool.h>

#include "why.h"

struct ssh_options {
	const char *endpoint; /* for texts */
	const char *host;
	uint16_t port;
	const char *user, *key_file, *known_hosts;
	const char *password; /* where key_file is NULL */
	anyio_time silence;
};

struct ssh;

/* Connects, checks the host's key, says who we are, starts the subsystem. Errors with *why and the verdict:
 * -EHOSTUNREACH, -ETIMEDOUT, -ECONNRESET, -EKEYREJECTED, -EACCES, -EPERM, -ENOKEY, -EPROTO; without:
 * ANYIO_CANCELLED, -ENOMEM. To be closed, from any task of the loop. */
int ssh_open(const struct ssh_options *options, struct ssh **out, enum verdict *verdict,
	struct remote_why *why);
void ssh_close(struct ssh *ssh);

/* All of it: 0, -ECONNRESET, -ETIMEDOUT when no byte has moved for so long, -ENOMEM, ANYIO_CANCELLED. */
int ssh_send(struct ssh *ssh, const void *data, size_t size);
int ssh_receive(struct ssh *ssh, void *buffer, size_t size);

/* What libssh2 said last, for texts. */
const char *ssh_says(struct ssh *ssh);
/* Whether the other side is there, as far as is known without asking. */
bool ssh_is_there(const struct ssh *ssh);

#endif
