/* Field numbers of the UnixFS message. Private to ipld. */
#ifndef IPLD_UNIXFS_PRIVATE_H
#define IPLD_UNIXFS_PRIVATE_H

#include <stddef.h>

enum { UNIXFS_PREFIX_MAX = 4 }; /* "3FF" and its NUL */

/* Writes the prefix of a slot's link name: its position in upper case hexadecimal. */
void unixfs_slot_prefix(char out[UNIXFS_PREFIX_MAX], size_t slot, size_t prefix_len);

enum unixfs_field {
	UNIXFS_FIELD_TYPE = 1,
	UNIXFS_FIELD_DATA = 2,
	UNIXFS_FIELD_FILESIZE = 3,
	UNIXFS_FIELD_BLOCKSIZES = 4,
	UNIXFS_FIELD_HASH = 5,
	UNIXFS_FIELD_FANOUT = 6,
	UNIXFS_FIELD_MODE = 7,
	UNIXFS_FIELD_MTIME = 8,
};

#endif
