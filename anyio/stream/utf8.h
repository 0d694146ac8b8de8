/*
 * UTF-8, well-formed as Unicode 15 has it (section 3.9, table 3-7). Pure.
 */
#ifndef ANYIO_STREAM_UTF8_H
#define ANYIO_STREAM_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the character data begins with, 1 to 4; 0 when data ends inside it; or minus the length
 * of what is no beginning of a character (a "maximal subpart", 1 to 3 bytes). size is at least 1. */
int anyio_utf8_next(const uint8_t *data, size_t size);

/* How many bytes from the beginning are whole characters. */
size_t anyio_utf8_valid(const uint8_t *data, size_t size);

/* Copies whole characters as long as there are some and they fit. last: no more will follow, so that a
 * character that is cut off is none. What is no character is U+FFFD in replace mode, each maximal
 * subpart one, and else the end: -EILSEQ. In every case *used bytes became *written bytes. */
int anyio_utf8_decode(const uint8_t *in, size_t in_size, bool last, bool replace, char *out,
	size_t out_size, size_t *used, size_t *written);

#endif
