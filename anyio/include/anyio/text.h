/*
 * Text streams: AnyIO's TextStream. Text is UTF-8, and what is received is whole characters, however the
 * bytes were cut on their way. Receiving goes by a reader (anyio/reader.h), whose rules and
 * errors hold here: what a call does not return is kept, and a call that was cut off can be made
 * again.
 *
 * What is no UTF-8 is -EILSEQ in strict mode, received as U+FFFD in replace mode (one for each maximal
 * subpart, as Unicode recommends). After -EILSEQ nothing was taken: the next call says the same, and
 * the bytes can be had from the reader.
 */
#ifndef ANYIO_TEXT_H
#define ANYIO_TEXT_H

#include <anyio/reader.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of what is no UTF-8. */
enum anyio_text_errors { ANYIO_TEXT_STRICT, ANYIO_TEXT_REPLACE };

/* Caller's storage, never moved. */
struct anyio_text {
	uint64_t opaque[24];
};

/* The stream stays its owner's. */
ANYIO_API void anyio_text_init(
	struct anyio_text *text, struct anyio_stream *stream, enum anyio_text_errors errors);
/* Drops what is buffered. Nobody may be inside: it stops the program and names the task. */
ANYIO_API void anyio_text_destroy(struct anyio_text *text);
/* The reader below: for who goes on with bytes where the text ended. */
ANYIO_API struct anyio_reader *anyio_text_reader(struct anyio_text *text);

/* At least one whole character and a NUL behind, which is not counted: how many bytes, 0 at the end. Of
 * what is well-formed before something that is not, nothing is withheld. -EINVAL when size, the room
 * of buffer, is less than 5. */
ANYIO_API ssize_t anyio_text_receive(struct anyio_text *text, char *buffer, size_t size);
/* A line without its end, which is LF or CR LF, and a NUL behind, which is not counted: how many bytes,
 * which may be 0. The last line may end with the stream; then ANYIO_END_OF_STREAM.
 * ANYIO_DELIMITER_NOT_FOUND when it does not fit: nothing was taken. -EINVAL when size is 0. */
ANYIO_API ssize_t anyio_text_receive_line(struct anyio_text *text, char *buffer, size_t size);

/* Sends all of it, as anyio_stream_send. In strict mode -EILSEQ when it is no UTF-8: nothing was sent. */
ANYIO_API int anyio_text_send(struct anyio_text *text, const char *data, size_t size);

#ifdef __cplusplus
}
#endif
#endif
