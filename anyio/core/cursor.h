/* Where something that goes through the parts of an iovec stands: a send that was taken in pieces, a copy. */
#ifndef ANYIO_CORE_CURSOR_H
#define ANYIO_CORE_CURSOR_H

#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

/* The current part is never at its end: with left 0 all is done. */
struct anyio_cursor {
	const struct iovec *iov;
	int left;    /* parts, the current one included */
	size_t done; /* bytes of the current one */
};

static inline void anyio_cursor_advance(struct anyio_cursor *cursor, size_t count)
{
	while (cursor->left > 0 && count >= cursor->iov->iov_len - cursor->done) {
		count -= cursor->iov->iov_len - cursor->done;
		cursor->done = 0;
		cursor->iov++;
		cursor->left--;
	}
	cursor->done += count;
}

static inline struct anyio_cursor anyio_cursor_make(const struct iovec *iov, int count)
{
	struct anyio_cursor cursor = { .iov = iov, .left = count };

	anyio_cursor_advance(&cursor, 0);
	return cursor;
}

/* What is left of the current part. */
static inline struct iovec anyio_cursor_part(const struct anyio_cursor *cursor)
{
	return (struct iovec){ (char *)cursor->iov->iov_base + cursor->done,
		cursor->iov->iov_len - cursor->done };
}

/* What is left of all, in room parts at most, without empty ones; how many. */
static inline int anyio_cursor_fill(struct anyio_cursor cursor, struct iovec *out, int room)
{
	int n = 0;

	for (; cursor.left > 0 && n < room; anyio_cursor_advance(&cursor, out[n++].iov_len))
		out[n] = anyio_cursor_part(&cursor);
	return n;
}

/* The next size bytes, or what is left of the current part. */
static inline struct iovec anyio_cursor_take(struct anyio_cursor *cursor, size_t size)
{
	struct iovec run = anyio_cursor_part(cursor);

	if (run.iov_len > size)
		run.iov_len = size;
	anyio_cursor_advance(cursor, run.iov_len);
	return run;
}

/* Copies size bytes from where it stands, or what there is; how many. */
static inline size_t anyio_cursor_get(struct anyio_cursor *cursor, void *to, size_t size)
{
	size_t done = 0;

	while (cursor->left > 0 && done < size) {
		struct iovec run = anyio_cursor_take(cursor, size - done);

		memcpy((char *)to + done, run.iov_base, run.iov_len);
		done += run.iov_len;
	}
	return done;
}

/* The same the other way. */
static inline size_t anyio_cursor_put(struct anyio_cursor *cursor, const void *from, size_t size)
{
	size_t done = 0;

	while (cursor->left > 0 && done < size) {
		struct iovec run = anyio_cursor_take(cursor, size - done);

		memcpy(run.iov_base, (const char *)from + done, run.iov_len);
		done += run.iov_len;
	}
	return done;
}

static inline size_t anyio_iov_size(const struct iovec *iov, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

#endif
