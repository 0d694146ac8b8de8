/*
 * Byte streams. One table of functions under sockets, pipes, secured and multiplexed channels, so
 * that a protocol is written once. One task may receive while another sends; a second receiver or
 * a second sender at a time gets ANYIO_BUSY.
 */
#ifndef ANYIO_STREAM_H
#define ANYIO_STREAM_H

#include <sys/types.h>
#include <sys/uio.h>
#include <anyio/attribute.h>
#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_stream;

/* Called with data waiting: returns a buffer of at least 1 byte and its size in *size, or NULL for
 * -ENOMEM (-EINVAL when the size is 0). What borrowed may still end in an error, and the buffer is the lender's then as ever. */
typedef void *(*anyio_borrow_fn)(void *arg, size_t *size);

/* What a stream is made of. To be called through the functions below. */
struct anyio_stream_ops {
	/* At least 1 byte, 0 at the end, or a negative code. */
	ssize_t (*receive)(struct anyio_stream *stream, void *buffer, size_t size);
	/* The same, but the buffer is asked for only once there is something to read, so that a
	 * waiting reader holds none. NULL: not offered, see anyio_stream_receive_lazy. */
	ssize_t (*receive_lazy)(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg);
	/* Sends all of it: 0, or a negative code. When cut off, *sent (may be NULL) says how many
	 * bytes went out. */
	int (*sendv)(struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent);
	/* No more will be sent; receiving goes on. */
	int (*send_eof)(struct anyio_stream *stream);
	/* Closes at once and never waits. Frees nothing that the owner holds; wakes blocked tasks
	 * with ANYIO_CLOSED, as anyio_stream_close says. Idempotent. */
	void (*close)(struct anyio_stream *stream);
	/* Closes as abort: for muxed streams a reset, for sockets a RST. NULL: as close. */
	void (*abort)(struct anyio_stream *stream);
	/* Releases the object after close. NULL: the owner's storage, nothing to do. */
	void (*destroy)(struct anyio_stream *stream);
	/* As anyio_stream_attribute. A stream over another passes on what it does not know, by
	 * anyio_stream_attribute of that one; a last one says -ENODATA. NULL: has none. */
	ssize_t (*attribute)(const struct anyio_stream *stream, enum anyio_attribute which,
		void *out, size_t size);
};

/* One; its maker's own struct begins with it. */
struct anyio_stream {
	const struct anyio_stream_ops *ops; /* static storage */
};

/* Receives what is there, and waits for something: at least 1 byte and at most size, 0 at the end. Errors of
 * all: ANYIO_CANCELLED, ANYIO_CLOSED, ANYIO_BROKEN, ANYIO_BUSY, and the stream's own. */
ANYIO_API ssize_t anyio_stream_receive(struct anyio_stream *stream, void *buffer, size_t size);
/* The same into a buffer that is asked for only once there is something to read; before that where the
 * stream cannot wait without one. */
ANYIO_API ssize_t anyio_stream_receive_lazy(
	struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg);
/* Exactly size bytes: 0, or ANYIO_INCOMPLETE_READ when the stream ended inside (END_OF_STREAM
 * when it ended before the first byte). Cut off, it has lost what it had received: a reader
 * (anyio/reader.h) has not. */
ANYIO_API int anyio_stream_receive_exactly(struct anyio_stream *stream, void *buffer, size_t size);
/* Sends all of it: 0 or a negative code. */
ANYIO_API int anyio_stream_send(struct anyio_stream *stream, const void *data, size_t size);
/* The same out of count buffers; -EINVAL for a negative count, and for more bytes than an object can have
 * (PTRDIFF_MAX), before one is sent or looked at. When cut off, *sent (may be NULL) says how many bytes went out. */
ANYIO_API int anyio_stream_sendv(
	struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent);
/* No more will be sent; receiving goes on. -EOPNOTSUPP where the stream knows no such thing. */
ANYIO_API int anyio_stream_send_eof(struct anyio_stream *stream);
/* Closes at once and never waits. Who is inside gets ANYIO_CLOSED, unless what it asked for was done before:
 * then that, and ANYIO_CLOSED from the next call on. Where the stream is freed, so that there must be no
 * next call, it gets ANYIO_CLOSED in any case. Idempotent. */
ANYIO_API void anyio_stream_close(struct anyio_stream *stream);
/* The same by a reset, where there is one: the other side sees that it was cut off. */
ANYIO_API void anyio_stream_abort(struct anyio_stream *stream);
/* Closes and destroys. NULL is allowed. */
ANYIO_API void anyio_stream_free(struct anyio_stream *stream);

/* Two connected in-memory streams; capacity bytes each way (0: 64 KiB). Free both. */
ANYIO_API int anyio_stream_pair(size_t capacity, struct anyio_stream *ends[2]);

/* One stream of two halves: sends by one and receives by the other (AnyIO's StapledByteStream). The
 * storage is the caller's, never moved. Closing (and freeing, which does no more) closes both halves,
 * whose owner frees them still. Its end of sending is that of the half, or its closing where that
 * says -EOPNOTSUPP. An attribute that both have is the receiving half's. */
struct anyio_stapled {
	uint64_t opaque[6];
};
/* Makes it, and returns it as a stream in its storage. */
ANYIO_API struct anyio_stream *anyio_staple(
	struct anyio_stapled *stapled, struct anyio_stream *send, struct anyio_stream *receive);

#ifdef __cplusplus
}
#endif
#endif
