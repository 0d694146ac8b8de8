/*
 * Keys as paths on a server, and back. A key's slashes are its folders; each part between them is one name, in which
 * a-z 0-9 - . _ ~ stand for themselves and all else, capitals too, is %xx, so that no two keys meet on a file
 * system that does not tell case. A '.' in front is %2e: what begins with one is ours and no object. A folder's name ends with
 * '+', which no part has, so that "a" and "a/b" lie beside each other. Pure.
 */
#ifndef REMOTE_SFTP_NAME_H
#define REMOTE_SFTP_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

enum { SFTP_NAME_MAX = 255 }; /* bytes of a file's name: what file systems have */

/* Adds the path of a key, or that of a folder when the key ends with '/' or is empty: without a slash behind it, and
 * nothing for an empty one. -EINVAL when a part is longer than a name may be, -ENOMEM. */
int sftp_name_encode(struct text *path, const char *key);

/* What a name in a folder stands for, as a part of a key; a folder's ends with '/'. out has room for SFTP_NAME_MAX + 1. False
 * for what sftp_name_encode does not write, or what is no part of a key: unprintable bytes, "..". */
bool sftp_name_decode(const void *name, size_t len, char *out);

/* The same of a whole key as one name, its slashes encoded too: its length, 0 when it is too long. */
size_t sftp_name_encode_flat(const char *key, char out[SFTP_NAME_MAX + 4]);
bool sftp_name_decode_flat(const char *name, char *out);

#endif
