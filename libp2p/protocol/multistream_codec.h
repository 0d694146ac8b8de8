/* Messages of multistream-select (libp2p/specs connections): varint(length) text "\n". Pure. */
#ifndef LIBP2P_MULTISTREAM_CODEC_H
#define LIBP2P_MULTISTREAM_CODEC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define P2P_MULTISTREAM_HEADER  "/multistream/1.0.0"
#define P2P_MULTISTREAM_REFUSAL "na"

enum {
	P2P_MULTISTREAM_TEXT_MAX = 1023, /* longest text without its newline, bytes */
	P2P_MULTISTREAM_MESSAGE_MAX = 2 + P2P_MULTISTREAM_TEXT_MAX + 1,
};

/* Appends one message. Returns its length; -EMSGSIZE for a text too long, -ENOSPC. */
ssize_t p2p_multistream_encode(const char *text, uint8_t *out, size_t cap);

/* Reads one message from the front of data. Returns the bytes it took, with *text and *text_len
 * (the newline left out) pointing into data; -EAGAIN when data ends inside; -EPROTO for a length of
 * 0 or over the limit, or no newline at the end. */
ssize_t p2p_multistream_decode(
	const uint8_t *data, size_t len, const char **text, size_t *text_len);

#endif
