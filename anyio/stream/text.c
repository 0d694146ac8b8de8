/*
 * The bytes of a character that is not there yet wait in the reader: no state but its.
 */
#include <errno.h>
#include <string.h>
#include <anyio/text.h>
#include "../core/core.h"
#include "utf8.h"

struct text {
	struct anyio_reader reader;
	struct anyio_stream *stream;
	bool replace;
};
_Static_assert(sizeof(struct text) <= sizeof(struct anyio_text), "text fits");

static struct text *text_of(struct anyio_text *text)
{
	return (struct text *)text;
}

void anyio_text_init(
	struct anyio_text *text, struct anyio_stream *stream, enum anyio_text_errors errors)
{
	text_of(text)->stream = stream;
	text_of(text)->replace = errors == ANYIO_TEXT_REPLACE;
	anyio_reader_init(&text_of(text)->reader, stream, 0);
}

void anyio_text_destroy(struct anyio_text *text)
{
	anyio_reader_destroy(&text_of(text)->reader);
}

struct anyio_reader *anyio_text_reader(struct anyio_text *text)
{
	return &text_of(text)->reader;
}

ssize_t anyio_text_receive(struct anyio_text *public, char *buffer, size_t size)
{
	struct text *text = text_of(public);
	size_t least = 1;

	if (size < 5)
		return -EINVAL;
	for (;;) {
		const uint8_t *data;
		size_t used, written;
		ssize_t n = anyio_reader_peek(&text->reader, least, &data);
		int rc;

		if (n <= 0)
			return n;
		rc = anyio_utf8_decode(data, (size_t)n, (size_t)n < least, text->replace, buffer,
			size - 1, &used, &written);
		anyio_reader_consume(&text->reader, used);
		buffer[written] = '\0';
		if (written > 0)
			return (ssize_t)written;
		if (rc < 0)
			return rc;
		least = (size_t)n + 1;
	}
}

/* Takes the first length bytes as a line, and those that end it. */
static ssize_t text_take_line(struct text *text, const uint8_t *data, size_t length, size_t ending,
	char *buffer, size_t size)
{
	size_t used, written;
	int rc = anyio_utf8_decode(
		data, length, true, text->replace, buffer, size - 1, &used, &written);

	if (rc < 0)
		return rc;
	if (used < length)
		return ANYIO_DELIMITER_NOT_FOUND;
	buffer[written] = '\0';
	anyio_reader_consume(&text->reader, length + ending);
	return (ssize_t)written;
}

ssize_t anyio_text_receive_line(struct anyio_text *public, char *buffer, size_t size)
{
	struct text *text = text_of(public);
	size_t searched = 0;

	if (size == 0)
		return -EINVAL;
	for (;;) {
		const uint8_t *data, *end;
		ssize_t n = anyio_reader_peek(&text->reader, searched + 1, &data);
		size_t length;

		if (n <= 0)
			return n < 0 ? n : ANYIO_END_OF_STREAM;
		if ((size_t)n == searched)
			return text_take_line(text, data, (size_t)n, 0, buffer, size);
		end = memchr(data + searched, '\n', (size_t)n - searched);
		length = end == NULL ? (size_t)n : (size_t)(end - data);
		if (end != NULL && length > 0 && end[-1] == '\r')
			return text_take_line(text, data, length - 1, 2, buffer, size);
		if (end != NULL)
			return text_take_line(text, data, length, 1, buffer, size);
		/* No byte becomes less than one, and only the last may be the CR. */
		if (length > size)
			return ANYIO_DELIMITER_NOT_FOUND;
		searched = length;
	}
}

/* Each byte becomes three at the most. */
static int text_send_replaced(struct text *text, const uint8_t *data, size_t size)
{
	char *out = size > SIZE_MAX / 3 ? NULL : anyio_malloc(3 * size);
	size_t used, written;
	int rc;

	if (out == NULL)
		return -ENOMEM;
	anyio_utf8_decode(data, size, true, true, out, 3 * size, &used, &written);
	rc = anyio_stream_send(text->stream, out, written);
	anyio_free(out);
	return rc;
}

int anyio_text_send(struct anyio_text *public, const char *data, size_t size)
{
	struct text *text = text_of(public);

	if (anyio_utf8_valid((const uint8_t *)data, size) == size)
		return anyio_stream_send(text->stream, data, size);
	return text->replace ? text_send_replaced(text, (const uint8_t *)data, size) : -EILSEQ;
}
