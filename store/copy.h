/*
 * Bytes of one open file into another, without their passing through here where the kernel can do that: shared with it
 * where the file system can (reflink), or copied by it; through here where it refuses, into what is no file, and in a
 * simulation.
 */
#ifndef STORE_COPY_H
#define STORE_COPY_H

#include <stdint.h>
#include <sys/types.h>

struct copy {
	int from, to; /* to -1: write takes them */
	off_t at;     /* in from; it moves */
	off_t to_at; /* in to, which is a regular file then; -1: wherever that is now, as of a pipe */
	uint64_t len;                                          /* what is left */
	int (*write)(void *arg, const void *data, size_t len); /* 0 or a code, which ends it */
	/* Called now and then with bytes copied by then; non-zero ends it with that value. May be NULL. */
	int (*progress)(void *arg, uint64_t done);
	void *arg;
};

/* Copies all of it. -ESTALE: from has become shorter; or what reading or writing gave. */
int copy_bytes(struct copy *copy);

#endif
