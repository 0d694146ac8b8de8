/* What a key's file shares with a file of credentials. */
#ifndef REMOTE_CREDENTIALS_INNER_H
#define REMOTE_CREDENTIALS_INNER_H

#include <remote/credentials.h>

/* Opens a plain file of this process's user that nobody else may read or write: a descriptor to be closed with close(2), -EPERM,
 * and the errors of open(2). Blocks. */
int credentials_open(const char *path, struct remote_why *why);

#endif
