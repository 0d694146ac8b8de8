/*
 * The key and the secret that an S3 store asks for, and the password that an SFTP server does. They come from the
 * environment or from a file of their owner's alone, never from a URL or a command line, and nothing here ever prints
 * them.
 */
#ifndef REMOTE_CREDENTIALS_H
#define REMOTE_CREDENTIALS_H

#include <remote/why.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { REMOTE_SECRET_MAX = 4096 }; /* bytes of one value, the NUL included */

/* All empty: requests to S3 are not signed. Plain values: wipe them when done. */
struct remote_credentials {
	char key[256];                   /* AWS_ACCESS_KEY_ID */
	char secret[256];                /* AWS_SECRET_ACCESS_KEY */
	char session[REMOTE_SECRET_MAX]; /* AWS_SESSION_TOKEN; empty: none */
	char password[256];              /* SFTP_PASSWORD; empty: none */
};

/* Those of the environment. -ENOENT when neither key, secret nor password is set, -EINVAL when only one of key and secret
 * is, or when one is too long or holds what no header may, or a password a control character. Any
 * thread that sees the environment unchanged. */
int remote_credentials_environment(struct remote_credentials *out, struct remote_why *why);

/* Those of a file: lines of "aws_access_key_id = KEY", "aws_secret_access_key = SECRET", and perhaps
 * "aws_session_token = TOKEN"; or "sftp_password = PASSWORD", which begins and ends with no space; a '#' or ';' in
 * front makes a line a comment, and of sections only "[default]" counts. It must be a plain file of this process's
 * user that nobody else may read or write: -EPERM. -EINVAL and the errors of open(2). Blocks: from a worker
 * thread, or before the loop. */
int remote_credentials_file(
	struct remote_credentials *out, const char *path, struct remote_why *why);

/* Overwrites them. */
void remote_credentials_wipe(struct remote_credentials *credentials);

#ifdef __cplusplus
}
#endif
#endif
