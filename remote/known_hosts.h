/*
 * Whether the key that a host shows is the one that is written down for it, in a file as OpenSSH keeps it: by name or by
 * the name's hash, [name]:port for other ports than 22. A key that is marked @revoked is refused for every host;
 * certificates (@cert-authority) and patterns are not known here, so what they would allow is refused.
 */
#ifndef REMOTE_KNOWN_HOSTS_H
#define REMOTE_KNOWN_HOSTS_H

#include <stdint.h>

#include "ssh_library.h"

struct known_hosts {
	const char *host, *file; /* borrowed; the file's path is for the texts */
	uint16_t port;
	const char *text; /* of the file, ends with a NUL; borrowed */
	LIBSSH2_KNOWNHOSTS *hosts;
	char name[280]; /* of the host, as the file has it */
};

/* Reads the text: host, port, file and text are set. 0 or -ENOMEM. To be ended before the session is freed. */
int known_hosts_begin(struct known_hosts *known, LIBSSH2_SESSION *session);
void known_hosts_end(struct known_hosts *known);

/* Tells the session to ask for a key of a kind that is known of the host, where there is one. Before its handshake. */
int known_hosts_prefer(struct known_hosts *known, LIBSSH2_SESSION *session);
/* After it: 0, or -EKEYREJECTED with the key's fingerprint and what to do. */
int known_hosts_check(struct known_hosts *known, LIBSSH2_SESSION *session, struct remote_why *why);

#endif
