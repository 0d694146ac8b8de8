/* UTF-8: what comes out is UTF-8, however the bytes were cut, and agrees with a reading by code points. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "anyio/stream/utf8.h"

/* Whether data begins with a character, by its code point: the shortest form of one that is none of a
 * surrogate. Its length, or 0. */
static int by_code_point(const uint8_t *data, size_t size)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	int length = data[0] < 0x80  ? 1
		: data[0] >> 5 == 6  ? 2
		: data[0] >> 4 == 14 ? 3
		: data[0] >> 3 == 30 ? 4
				     : 0;
	uint32_t point = length == 1 ? data[0] : data[0] & (0x7fU >> length);

	if ((size_t)length > size)
		return 0;
	for (int i = 1; i < length; i++) {
		if (data[i] >> 6 != 2)
			return 0;
		point = point << 6 | (data[i] & 0x3f);
	}
	return point < least[length] || point > 0x10ffff || point >> 11 == 27 ? 0 : length;
}

/* Decodes in pieces, those of a reader that gets at most piece bytes more each time. */
static size_t in_pieces(const uint8_t *data, size_t size, size_t piece, char *out, size_t cap)
{
	size_t from = 0, to = 0, total = 0, used, written;

	while (from < size) {
		to = size - to < piece ? size : to + piece;
		assert(anyio_utf8_decode(data + from, to - from, to == size, true, out + total,
			       cap - total, &used, &written) == 0);
		from += used;
		total += written;
		assert(to - from < 4);
	}
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cap = 3 * size + 1, valid = anyio_utf8_valid(data, size), used, written, total;
	char *whole = malloc(cap), *pieces = malloc(cap);
	int rc;

	if (!whole || !pieces)
		abort();
	for (size_t i = 0; i < size; i++) {
		int next = anyio_utf8_next(data + i, size - i);

		assert(next >= -3 && next <= 4);
		assert((next > 0 ? next : 0) == by_code_point(data + i, size - i));
	}
	rc = anyio_utf8_decode(data, size, true, false, whole, cap, &used, &written);
	assert(rc == (valid == size ? 0 : -EILSEQ) && used == valid && written == valid);
	assert(memcmp(whole, data, valid) == 0);
	rc = anyio_utf8_decode(data, size, true, true, whole, cap, &used, &total);
	assert(rc == 0 && used == size && total >= size);
	assert(anyio_utf8_valid((const uint8_t *)whole, total) == total);
	for (size_t piece = 1; piece < 6; piece++) {
		assert(in_pieces(data, size, piece, pieces, cap) == total);
		assert(memcmp(whole, pieces, total) == 0);
	}
	/* With less room it stops before what does not fit. */
	for (size_t room = 0; room < total && room < 16; room++) {
		rc = anyio_utf8_decode(data, size, true, true, pieces, room, &used, &written);
		assert(rc == 0 && written <= room && room - written < 4 && used < size);
		assert(memcmp(whole, pieces, written) == 0);
	}
	free(whole);
	free(pieces);
	return 0;
}
