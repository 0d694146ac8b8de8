#include "multistream.h"

#include <errno.h>
#include <string.h>

#include <multiformats/varint.h>

struct message {
	char text[P2P_MULTISTREAM_MESSAGE_MAX + 1]; /* NUL-terminated */
};

/* Two bytes first: every message has as many, its length may have one or two. One longer than most bytes
 * is not waited for. */
static int receive_message(struct anyio_stream *stream, size_t most, struct message *message)
{
	uint8_t bytes[P2P_MULTISTREAM_MESSAGE_MAX];
	const char *text;
	uint64_t size;
	size_t len, have = 2;
	int n, rc = anyio_stream_receive_exactly(stream, bytes, have);

	if (rc < 0)
		return rc;
	n = mf_varint_decode(bytes, have, &size);
	if (n < 0 || size == 0 || (size_t)n + size > most)
		return -EPROTO;
	if ((size_t)n + size > have)
		rc = anyio_stream_receive_exactly(stream, bytes + have, (size_t)n + size - have);
	if (rc < 0)
		return rc;
	if (p2p_multistream_decode(bytes, (size_t)n + size, &text, &len) < 0 ||
		memchr(text, 0, len))
		return -EPROTO;
	memcpy(message->text, text, len);
	message->text[len] = 0;
	return 0;
}

static int send_message(struct anyio_stream *stream, const char *text)
{
	uint8_t out[P2P_MULTISTREAM_MESSAGE_MAX];
	ssize_t n = p2p_multistream_encode(text, out, sizeof out);

	return n < 0 ? (int)n : anyio_stream_send(stream, out, (size_t)n);
}

/* The header and the first proposal go out together. */
static int send_opening(struct anyio_stream *stream, const char *protocol)
{
	uint8_t out[2 * P2P_MULTISTREAM_MESSAGE_MAX];
	ssize_t n = p2p_multistream_encode(P2P_MULTISTREAM_HEADER, out, sizeof out);
	ssize_t m = p2p_multistream_encode(protocol, out + n, sizeof out - (size_t)n);

	return m < 0 ? (int)m : anyio_stream_send(stream, out, (size_t)(n + m));
}

/* What is no peer (HTTP, SSH) greets with letters, which read as the length of a longer message. */
static int receive_header(struct anyio_stream *stream)
{
	struct message message;
	int rc = receive_message(stream, 1 + sizeof P2P_MULTISTREAM_HEADER, &message);

	if (rc == 0 && strcmp(message.text, P2P_MULTISTREAM_HEADER) != 0)
		rc = -EPROTO;
	return rc;
}

/* 1 accepted, 0 refused. */
static int receive_answer(struct anyio_stream *stream, const char *protocol)
{
	struct message message;
	int rc = receive_message(stream, P2P_MULTISTREAM_MESSAGE_MAX, &message);

	if (rc < 0)
		return rc;
	if (strcmp(message.text, protocol) == 0)
		return 1;
	return strcmp(message.text, P2P_MULTISTREAM_REFUSAL) == 0 ? 0 : -EPROTO;
}

int p2p_multistream_select(struct anyio_stream *stream, const char *const *protocols, size_t count)
{
	int rc;

	for (size_t i = 0; i < count; i++) {
		if (i > 0) {
			rc = send_message(stream, protocols[i]);
		} else {
			rc = send_opening(stream, protocols[0]);
			if (rc == 0)
				rc = receive_header(stream);
		}
		if (rc == 0)
			rc = receive_answer(stream, protocols[i]);
		if (rc != 0)
			return rc < 0 ? rc : (int)i;
	}
	return -EPROTONOSUPPORT;
}

int p2p_multistream_answer(struct anyio_stream *stream,
	const void *(*find)(void *arg, const char *id), void *arg, const void **found)
{
	struct message message;
	int rc = send_message(stream, P2P_MULTISTREAM_HEADER);

	if (rc == 0)
		rc = receive_header(stream);
	for (int i = 0; rc == 0 && i < P2P_MULTISTREAM_PROPOSALS_MAX; i++) {
		rc = receive_message(stream, P2P_MULTISTREAM_MESSAGE_MAX, &message);
		if (rc < 0)
			break;
		*found = find(arg, message.text);
		rc = send_message(stream, *found ? message.text : P2P_MULTISTREAM_REFUSAL);
		if (rc == 0 && *found)
			return 0;
	}
	return rc < 0 ? rc : -EPROTONOSUPPORT;
}
