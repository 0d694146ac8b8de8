/*
 * multipart/form-data (RFC 7578, RFC 2046) read as a stream: a part's head, then its bytes a read at a
 * time. Nothing of a part is kept. Bounds: a part's head 8 KiB, the boundary 70 bytes.
 */
#ifndef SERVE_MULTIPART_H
#define SERVE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { MULTIPART_BUFFER = 64 << 10, MULTIPART_HEAD_MAX = 8 << 10 };

struct multipart {
	ssize_t (*read)(void *arg, void *buffer, size_t size);
	void *arg;
	char *buffer; /* MULTIPART_BUFFER bytes */
	size_t start, end;
	char boundary[80]; /* "\r\n--" and the boundary */
	size_t boundary_len;
	bool in_part, ended, first;
	/* The current part. */
	char type[128];      /* content type without parameters, lower case; "" when absent */
	char filename[4096]; /* unescaped as in a query; "" when absent */
	char name[256];
};

/* content_type is the request's header. -EINVAL when it is not multipart with a boundary, -ENOMEM. */
int multipart_open(struct multipart *multipart, const char *content_type,
	ssize_t (*read)(void *arg, void *buffer, size_t size), void *arg);
void multipart_close(struct multipart *multipart);

/* The next part's head; what is left of the last part is skipped. 1, 0 after the last one; -EPROTO for
 * malformed input, or read's error. */
int multipart_next(struct multipart *multipart);

/* Bytes of the current part: at least 1, 0 at its end, -EPROTO when the input ends inside it. */
ssize_t multipart_read(void *multipart, void *buffer, size_t size);

#endif
