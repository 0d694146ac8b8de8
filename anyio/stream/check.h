/* What the checks of the stream contract share: one pair of streams, and tasks that use them. */
#ifndef ANYIO_STREAM_CHECK_H
#define ANYIO_STREAM_CHECK_H

#include <anyio/testing.h>
#include "../core/core.h"

/* One check: s sends and r receives. Returns 0, or a code that ends it. */
struct check {
	struct anyio_stream_maker *maker;
	struct anyio_stream *s, *r;
	uint64_t random;
	uint8_t *block; /* CHECK_BLOCK bytes, of which everything that is sent is made */
	struct iovec *clog;
};
typedef int (*check_fn)(struct check *check);

enum {
	CHECK_BLOCK = 65521, /* a prime, so that sizes and patterns do not meet */
	CHECK_CLOG = 4096,   /* blocks that no stream holds between its ends: 256 MiB */
};

/* Wrong when got is not want: -EPROTO, with the maker told where and what. */
int check_expect(struct check *check, int line, const char *what, int64_t got, int64_t want);
#define EXPECT(check, got, want)                                                                   \
	do {                                                                                       \
		int expect_rc = check_expect(check, __LINE__, #got, got, want);                    \
		if (expect_rc < 0)                                                                 \
			return expect_rc;                                                          \
	} while (0)

uint64_t check_draw(struct check *check, uint64_t below);
/* The byte at a place of what is sent. */
uint8_t check_byte(const struct check *check, uint64_t at);

/* A task that uses one direction, and what came of it. Lies where it began until its group ended. */
struct check_use {
	struct check *check;
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	uint64_t at;       /* how far the sequence has come */
	size_t size;       /* to send, or to receive at most */
	bool lazy;         /* receive with a borrowed buffer, */
	unsigned borrowed; /* so many times */
	ssize_t rc;
	size_t sent;
};

int check_spawn(struct anyio_task_group *group, anyio_task_fn fn, struct check_use *use);
/* Bodies. The next size bytes of the sequence; size 0: the 256 MiB. */
int check_send(void *use);
/* Random pieces, size bytes in all, and nothing more. */
int check_send_pieces(void *use);
/* One receive of at most size bytes, which are compared with the sequence. */
int check_receive(void *use);
/* Receives in random pieces until the sequence has come to size, or if that is 0 to the end. */
int check_receive_all(void *use);

/* check_ends.c */
int check_ends_one_way(struct anyio_stream_maker *maker, bool flipped);
int check_ends_half_closeable(struct anyio_stream_maker *maker, bool flipped);

/* Makes streams, runs fn on them in a minute at most, unmakes them. */
int check_run(struct anyio_stream_maker *maker, bool flipped, check_fn fn);

#endif
