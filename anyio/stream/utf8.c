#include "utf8.h"
#include <errno.h>
#include <string.h>

static const char replacement[] = { '\xef', '\xbf', '\xbd' };

static int lead_length(uint8_t lead)
{
	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return -1;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

int anyio_utf8_next(const uint8_t *data, size_t size)
{
	int length = lead_length(data[0]);
	/* The second byte keeps out overlong forms, surrogates and what is past U+10FFFF. */
	uint8_t low = data[0] == 0xe0 ? 0xa0 : data[0] == 0xf0 ? 0x90 : 0x80;
	uint8_t high = data[0] == 0xed ? 0x9f : data[0] == 0xf4 ? 0x8f : 0xbf;

	for (int i = 1; i < length; i++) {
		if ((size_t)i == size)
			return 0;
		if (data[i] < low || data[i] > high)
			return -i;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

size_t anyio_utf8_valid(const uint8_t *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		int next = data[done] < 0x80 ? 1 : anyio_utf8_next(data + done, size - done);

		if (next <= 0)
			break;
		done += (size_t)next;
	}
	return done;
}

int anyio_utf8_decode(const uint8_t *in, size_t in_size, bool last, bool replace, char *out,
	size_t out_size, size_t *used, size_t *written)
{
	*used = *written = 0;
	while (*used < in_size) {
		size_t left = in_size - *used, room = out_size - *written;
		size_t valid = anyio_utf8_valid(in + *used, left < room ? left : room);
		int next;

		if (valid > 0) {
			memcpy(out + *written, in + *used, valid);
			*used += valid;
			*written += valid;
			continue;
		}
		next = anyio_utf8_next(in + *used, left);
		if (next > 0 || (next == 0 && !last))
			break;
		if (!replace)
			return -EILSEQ;
		if (room < sizeof(replacement))
			break;
		memcpy(out + *written, replacement, sizeof(replacement));
		*written += sizeof(replacement);
		*used += next == 0 ? left : (size_t)-next;
	}
	return 0;
}
