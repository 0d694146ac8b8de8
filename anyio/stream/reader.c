#include <errno.h>
#include <string.h>
#include "../core/core.h"

void anyio_reader_init(struct anyio_reader *reader, struct anyio_stream *stream, size_t size)
{
	*reader = (struct anyio_reader){ .stream = stream, .size = size == 0 ? 4096 : size };
}

void anyio_reader_destroy(struct anyio_reader *reader)
{
	anyio_free(reader->buffer);
	reader->buffer = NULL;
	reader->start = reader->end = 0;
}

static void *reader_borrow(void *arg, size_t *size)
{
	struct anyio_reader *reader = arg;

	reader->buffer = anyio_malloc(reader->size);
	*size = reader->size;
	return reader->buffer;
}

/* The buffer exists exactly while something is in it: while waiting for the stream there is none,
 * unless the stream cannot wait without. */
static ssize_t reader_fill(struct anyio_reader *reader)
{
	ssize_t n = anyio_stream_receive_lazy(reader->stream, reader_borrow, reader);

	if (n <= 0)
		anyio_reader_destroy(reader);
	else
		reader->end = (size_t)n;
	return n;
}

void anyio_reader_consume(struct anyio_reader *reader, size_t count)
{
	size_t buffered = reader->end - reader->start;

	reader->start += count < buffered ? count : buffered;
	if (reader->start == reader->end)
		anyio_reader_destroy(reader);
}

/* Moves what is buffered, at most size bytes. */
static size_t reader_take(struct anyio_reader *reader, void *buffer, size_t size)
{
	size_t n = reader->end - reader->start;

	if (n > size)
		n = size;
	if (n > 0) {
		memcpy(buffer, reader->buffer + reader->start, n);
		anyio_reader_consume(reader, n);
	}
	return n;
}

ssize_t anyio_reader_receive(struct anyio_reader *reader, void *buffer, size_t size)
{
	int rc;

	if (reader->start == reader->end || size == 0)
		return anyio_stream_receive(reader->stream, buffer, size);
	rc = anyio_checkpoint_if_cancelled();
	if (rc < 0)
		return rc;
	anyio_pass();
	return (ssize_t)reader_take(reader, buffer, size);
}

/* What is missing goes past the buffer when it would fill it anyway. */
int anyio_reader_exactly(struct anyio_reader *reader, void *buffer, size_t size)
{
	uint8_t *at = buffer;
	size_t got = 0;

	while (got < size) {
		bool direct = reader->start == reader->end && size - got >= reader->size;
		ssize_t n = direct ? anyio_stream_receive(reader->stream, at + got, size - got)
				   : anyio_reader_peek(reader, &(const uint8_t *){ NULL });

		if (n < 0)
			return (int)n;
		if (n == 0)
			return got == 0 ? ANYIO_END_OF_STREAM : ANYIO_INCOMPLETE_READ;
		got += direct ? (size_t)n : reader_take(reader, at + got, size - got);
	}
	return 0;
}

ssize_t anyio_reader_until(struct anyio_reader *reader, char delimiter, void *buffer, size_t max)
{
	uint8_t *out = buffer;
	size_t got = 0;

	while (got < max) {
		const uint8_t *data, *found;
		ssize_t n = anyio_reader_peek(reader, &data);
		size_t take;

		if (n < 0)
			return n;
		if (n == 0)
			return got == 0 ? ANYIO_END_OF_STREAM : ANYIO_INCOMPLETE_READ;
		take = (size_t)n < max - got ? (size_t)n : max - got;
		found = memchr(data, delimiter, take);
		if (found != NULL)
			take = (size_t)(found - data) + 1;
		got += reader_take(reader, out + got, take);
		if (found != NULL)
			return (ssize_t)got;
	}
	return ANYIO_DELIMITER_NOT_FOUND;
}

ssize_t anyio_reader_peek(struct anyio_reader *reader, const uint8_t **data)
{
	if (reader->start == reader->end) {
		ssize_t n = reader_fill(reader);

		if (n <= 0)
			return n;
	}
	*data = reader->buffer + reader->start;
	return (ssize_t)(reader->end - reader->start);
}
