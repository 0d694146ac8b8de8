/*
 * The buffered reader: AnyIO's BufferedByteStream. It takes from a stream as much as comes and gives
 * out as much as is asked for.
 *
 * Not a byte is lost: what a call does not return it keeps. Cut off by a cancellation, an error or the
 * end, a call has taken nothing out, and made again it gives what it would have given. Whatever
 * is buffered is memory of the reader's; one that waits with nothing buffered holds none (where
 * the stream can wait without a buffer, see receive_lazy).
 *
 * Every call but init, destroy, buffered, consume and feed is a checkpoint. One task at a time: ANYIO_BUSY.
 * ANYIO_CLOSED after the reader's own stream was closed. Else the errors of the stream, and -ENOMEM.
 */
#ifndef ANYIO_READER_H
#define ANYIO_READER_H

#include <anyio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Caller's storage, never moved. */
struct anyio_reader {
	uint64_t opaque[16];
};

/* size: bytes to ask the stream for at a time; 0: 4096. The stream stays its owner's. */
ANYIO_API void anyio_reader_init(
	struct anyio_reader *reader, struct anyio_stream *stream, size_t size);
/* Drops what is buffered. Nobody may be inside: it stops the program and names the task. */
ANYIO_API void anyio_reader_destroy(struct anyio_reader *reader);

/* The reader as a stream, in its storage: receives what is buffered first, sends by the stream below,
 * whose attributes it has; closing (and freeing, which does no more) closes that one, whose
 * owner frees it still. */
ANYIO_API struct anyio_stream *anyio_reader_stream(struct anyio_reader *reader);

/* What is buffered; *data (may be NULL) is valid until the next call. Never waits. */
ANYIO_API size_t anyio_reader_buffered(const struct anyio_reader *reader, const uint8_t **data);
/* Appends a copy to what is buffered, as if it had been received. ANYIO_BUSY while a task is inside.
 * Never waits. */
ANYIO_API int anyio_reader_feed(struct anyio_reader *reader, const void *data, size_t size);

/* At least 1 byte and at most size, 0 at the end. -EINVAL when size is 0. */
ANYIO_API ssize_t anyio_reader_receive(struct anyio_reader *reader, void *buffer, size_t size);
/* Exactly size bytes: 0, or ANYIO_INCOMPLETE_READ when the stream ends before them; then what there was
 * can still be received. ANYIO_END_OF_STREAM when there was nothing. */
ANYIO_API int anyio_reader_receive_exactly(struct anyio_reader *reader, void *buffer, size_t size);
/* Copies what comes before delimiter, of delimiter_size bytes, and takes both. Returns how many there
 * were before it, which may be 0. ANYIO_DELIMITER_NOT_FOUND when there are more than max, the room
 * of buffer; ANYIO_INCOMPLETE_READ and ANYIO_END_OF_STREAM as above. -EINVAL for an empty delimiter. */
ANYIO_API ssize_t anyio_reader_receive_until(struct anyio_reader *reader, const void *delimiter,
	size_t delimiter_size, void *buffer, size_t max);
/* Waits until at least `least` bytes are buffered and shows what is there: how many, fewer only at the
 * end. Takes none; *data is valid until the next call. */
ANYIO_API ssize_t anyio_reader_peek(
	struct anyio_reader *reader, size_t least, const uint8_t **data);
/* Takes count bytes, or all if there are fewer, of what is buffered. */
ANYIO_API void anyio_reader_consume(struct anyio_reader *reader, size_t count);

#ifdef __cplusplus
}
#endif
#endif
