/*
 * Bytes wait in the buffer until a call can be answered whole, and are taken out in the same moment as
 * it is. Hence whatever cuts a call off has nothing to put back; but for large reads, which go past
 * the buffer straight to the caller: room to take them back in is made before each is received.
 *
 * The buffer exists exactly while something is in it, or is about to be.
 */
#include <errno.h>
#include <string.h>
#include <anyio/reader.h>
#include "../core/core.h"

struct reader {
	struct anyio_stream view; /* the reader as a stream */
	struct anyio_stream *stream;
	uint8_t *buffer;
	size_t start, end, capacity;
	size_t size;                     /* bytes to ask the stream for */
	const struct anyio_task *inside; /* NULL: nobody */
	bool closed;
};
_Static_assert(sizeof(struct reader) <= sizeof(struct anyio_reader), "reader fits");

static const struct anyio_stream_ops view_ops;

static struct reader *reader_of(struct anyio_reader *reader)
{
	return (struct reader *)reader;
}

static size_t reader_held(const struct reader *reader)
{
	return reader->end - reader->start;
}

static void reader_drop(struct reader *reader)
{
	anyio_free(reader->buffer);
	reader->buffer = NULL;
	reader->start = reader->end = reader->capacity = 0;
}

static void reader_consume(struct reader *reader, size_t count)
{
	reader->start += count;
	if (reader->start == reader->end)
		reader_drop(reader);
}

/* Moves count bytes of what is held. */
static void reader_take(struct reader *reader, void *out, size_t count)
{
	if (count > 0)
		memcpy(out, reader->buffer + reader->start, count);
	reader_consume(reader, count);
}

/* Room for that many bytes behind what is held. */
static bool reader_reserve(struct reader *reader, size_t room)
{
	size_t held = reader_held(reader), capacity = 2 * reader->capacity;
	uint8_t *buffer;

	if (reader->capacity - reader->end >= room)
		return true;
	if (reader->capacity - held >= room) {
		memmove(reader->buffer, reader->buffer + reader->start, held);
	} else {
		if (room > SIZE_MAX / 4 - held)
			return false;
		if (capacity < held + room)
			capacity = held + room;
		buffer = anyio_malloc(capacity);
		if (buffer == NULL)
			return false;
		if (held > 0)
			memcpy(buffer, reader->buffer + reader->start, held);
		anyio_free(reader->buffer);
		reader->buffer = buffer;
		reader->capacity = capacity;
	}
	reader->start = 0;
	reader->end = held;
	return true;
}

/* What was just received behind what is held; none is room that was not needed. */
static void reader_received(struct reader *reader, size_t count)
{
	reader->end += count;
	if (reader->start == reader->end)
		reader_drop(reader);
}

static int reader_enter(struct reader *reader)
{
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	if (reader->closed)
		return ANYIO_CLOSED;
	if (reader->inside)
		return ANYIO_BUSY;
	reader->inside = anyio_current_task();
	return 0;
}

static ssize_t reader_leave(struct reader *reader, ssize_t rc)
{
	reader->inside = NULL;
	if (!reader->closed)
		return rc;
	reader_drop(reader);
	return rc < 0 ? ANYIO_CLOSED : rc;
}

static void *borrow_tail(void *arg, size_t *size)
{
	struct reader *reader = arg;

	if (!reader_reserve(reader, reader->size))
		return NULL;
	*size = reader->capacity - reader->end;
	return reader->buffer + reader->end;
}

static ssize_t reader_fill(struct reader *reader)
{
	ssize_t n = anyio_stream_receive_lazy(reader->stream, borrow_tail, reader);

	reader_received(reader, n > 0 ? (size_t)n : 0);
	return n;
}

/* Until at least that many are held: 1, 0 at the end, or a negative code. */
static ssize_t reader_fill_to(struct reader *reader, size_t least)
{
	ssize_t n = 1;

	if (reader_held(reader) >= least)
		anyio_pass();
	while (n > 0 && reader_held(reader) < least)
		n = reader_fill(reader);
	return n > 0 ? 1 : n;
}

/* A large read, past the buffer. */
struct past {
	struct reader *reader;
	uint8_t *at; /* behind what is held */
	size_t got, size;
};

static void *borrow_past(void *arg, size_t *size)
{
	struct past *past = arg;

	if (!reader_reserve(past->reader, past->size))
		return NULL;
	*size = past->size;
	return past->at;
}

/* What is held and what comes behind it, straight to out: 1, 0 at the end, or a negative code. Only what
 * waits for the first byte is worth waiting for without room: after it there is some. */
static ssize_t reader_receive_past(struct reader *reader, uint8_t *out, size_t size)
{
	size_t held = reader_held(reader);
	struct past past = { .reader = reader, .at = out + held, .size = size - held };
	ssize_t n = 1;

	while (n > 0 && past.got < past.size) {
		n = past.got == 0 ? anyio_stream_receive_lazy(reader->stream, borrow_past, &past)
				  : anyio_stream_receive(reader->stream, past.at + past.got,
					    past.size - past.got);
		past.got += n > 0 ? (size_t)n : 0;
	}
	if (n > 0) {
		if (held > 0)
			memcpy(out, reader->buffer + reader->start, held);
		reader_drop(reader);
		return 1;
	}
	if (past.got > 0)
		memcpy(reader->buffer + reader->end, past.at, past.got);
	reader_received(reader, past.got);
	return n;
}

static int ended(const struct reader *reader)
{
	return reader_held(reader) == 0 ? ANYIO_END_OF_STREAM : ANYIO_INCOMPLETE_READ;
}

void anyio_reader_init(struct anyio_reader *public, struct anyio_stream *stream, size_t size)
{
	*reader_of(public) = (struct reader){
		.view.ops = &view_ops,
		.stream = stream,
		.size = size == 0 ? 4096 : size,
	};
}

void anyio_reader_destroy(struct anyio_reader *public)
{
	struct reader *reader = reader_of(public);

	if (reader->inside)
		anyio_die(__FILE__, __LINE__, "a reader was destroyed while task \"%s\" is in it",
			anyio_task_name(reader->inside));
	reader_drop(reader);
}

struct anyio_stream *anyio_reader_stream(struct anyio_reader *public)
{
	return &reader_of(public)->view;
}

size_t anyio_reader_buffered(const struct anyio_reader *public, const uint8_t **data)
{
	const struct reader *reader = (const struct reader *)public;

	if (data != NULL)
		*data = reader->buffer == NULL ? NULL : reader->buffer + reader->start;
	return reader_held(reader);
}

int anyio_reader_feed(struct anyio_reader *public, const void *data, size_t size)
{
	struct reader *reader = reader_of(public);

	if (reader->closed)
		return ANYIO_CLOSED;
	if (reader->inside)
		return ANYIO_BUSY;
	if (size == 0)
		return 0;
	if (!reader_reserve(reader, size))
		return -ENOMEM;
	memcpy(reader->buffer + reader->end, data, size);
	reader->end += size;
	return 0;
}

ssize_t anyio_reader_receive(struct anyio_reader *public, void *buffer, size_t size)
{
	struct reader *reader = reader_of(public);
	size_t held = reader_held(reader);
	ssize_t rc = size == 0 ? -EINVAL : reader_enter(reader);

	if (rc < 0)
		return rc;
	if (held == 0) {
		rc = anyio_stream_receive(reader->stream, buffer, size);
	} else {
		anyio_pass();
		rc = (ssize_t)(held < size ? held : size);
		reader_take(reader, buffer, (size_t)rc);
	}
	return reader_leave(reader, rc);
}

int anyio_reader_receive_exactly(struct anyio_reader *public, void *buffer, size_t size)
{
	struct reader *reader = reader_of(public);
	ssize_t rc = reader_enter(reader);

	if (rc < 0)
		return (int)rc;
	if (size > reader_held(reader) && size - reader_held(reader) >= reader->size) {
		rc = reader_receive_past(reader, buffer, size);
	} else {
		rc = reader_fill_to(reader, size);
		if (rc > 0)
			reader_take(reader, buffer, size);
	}
	if (rc >= 0)
		rc = rc > 0 ? 0 : ended(reader);
	return (int)reader_leave(reader, rc);
}

/* Where the delimiter begins in the first limit bytes of what is held, of which *searched are known to
 * begin none; or -1. */
static ssize_t reader_find(const struct reader *reader, const void *delimiter,
	size_t delimiter_size, size_t limit, size_t *searched)
{
	size_t held = reader_held(reader) < limit ? reader_held(reader) : limit;
	const uint8_t *from, *found;

	if (held < delimiter_size)
		return -1;
	from = reader->buffer + reader->start;
	found = memmem(from + *searched, held - *searched, delimiter, delimiter_size);
	*searched = held - delimiter_size + 1;
	return found == NULL ? -1 : found - from;
}

/* Until the delimiter is held: where it begins. */
static ssize_t reader_fill_until(
	struct reader *reader, const void *delimiter, size_t delimiter_size, size_t max)
{
	size_t limit = max > SIZE_MAX - delimiter_size ? SIZE_MAX : max + delimiter_size;
	size_t searched = 0;

	if (reader_held(reader) > 0)
		anyio_pass();
	for (;;) {
		ssize_t n = reader_find(reader, delimiter, delimiter_size, limit, &searched);

		if (n >= 0)
			return n;
		if (reader_held(reader) >= limit)
			return ANYIO_DELIMITER_NOT_FOUND;
		n = reader_fill(reader);
		if (n <= 0)
			return n < 0 ? n : ended(reader);
	}
}

ssize_t anyio_reader_receive_until(struct anyio_reader *public, const void *delimiter,
	size_t delimiter_size, void *buffer, size_t max)
{
	struct reader *reader = reader_of(public);
	ssize_t rc = delimiter_size == 0 ? -EINVAL : reader_enter(reader);

	if (rc < 0)
		return rc;
	rc = reader_fill_until(reader, delimiter, delimiter_size, max);
	if (rc >= 0) {
		reader_take(reader, buffer, (size_t)rc);
		reader_consume(reader, delimiter_size);
	}
	return reader_leave(reader, rc);
}

ssize_t anyio_reader_peek(struct anyio_reader *public, size_t least, const uint8_t **data)
{
	struct reader *reader = reader_of(public);
	ssize_t rc = reader_enter(reader);

	if (rc < 0)
		return rc;
	rc = reader_fill_to(reader, least);
	if (rc >= 0)
		rc = (ssize_t)anyio_reader_buffered(public, data);
	/* What it points at is gone once it is closed. */
	return reader_leave(reader, reader->closed ? ANYIO_CLOSED : rc);
}

void anyio_reader_consume(struct anyio_reader *public, size_t count)
{
	struct reader *reader = reader_of(public);
	size_t held = reader_held(reader);

	reader_consume(reader, count < held ? count : held);
}

static struct reader *view_reader(const struct anyio_stream *stream)
{
	return anyio_container(stream, struct reader, view);
}

static ssize_t view_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	return anyio_reader_receive((struct anyio_reader *)view_reader(stream), buffer, size);
}

static ssize_t view_receive_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg)
{
	struct reader *reader = view_reader(stream);
	size_t held = reader_held(reader), size;
	ssize_t rc = reader_enter(reader);
	void *buffer;

	if (rc < 0)
		return rc;
	if (held == 0)
		return reader_leave(reader, anyio_stream_receive_lazy(reader->stream, borrow, arg));
	anyio_pass();
	buffer = borrow(arg, &size);
	rc = buffer == NULL ? -ENOMEM : (ssize_t)(held < size ? held : size);
	if (rc > 0)
		reader_take(reader, buffer, (size_t)rc);
	return reader_leave(reader, rc);
}

static int view_sendv(struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	return anyio_stream_sendv(view_reader(stream)->stream, iov, count, sent);
}

static int view_send_eof(struct anyio_stream *stream)
{
	return anyio_stream_send_eof(view_reader(stream)->stream);
}

/* Who is inside drops the buffer when it comes out. */
static void view_closed(struct reader *reader)
{
	reader->closed = true;
	if (!reader->inside)
		reader_drop(reader);
}

static void view_close(struct anyio_stream *stream)
{
	view_closed(view_reader(stream));
	anyio_stream_close(view_reader(stream)->stream);
}

static void view_abort(struct anyio_stream *stream)
{
	view_closed(view_reader(stream));
	anyio_stream_abort(view_reader(stream)->stream);
}

static ssize_t view_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size)
{
	return anyio_stream_attribute(view_reader(stream)->stream, which, out, size);
}

static const struct anyio_stream_ops view_ops = {
	.receive = view_receive,
	.receive_lazy = view_receive_lazy,
	.sendv = view_sendv,
	.send_eof = view_send_eof,
	.close = view_close,
	.abort = view_abort,
	.attribute = view_attribute,
};
