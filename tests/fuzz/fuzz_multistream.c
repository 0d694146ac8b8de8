/* multistream-select messages: what decodes encodes to the same bytes; what is cut is asked for again. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libp2p/protocol/multistream_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[P2P_MULTISTREAM_MESSAGE_MAX];
	char copy[P2P_MULTISTREAM_TEXT_MAX + 1];
	const char *text;
	size_t len;
	ssize_t n;

	while ((n = p2p_multistream_decode(data, size, &text, &len)) > 0) {
		assert((size_t)n <= size && len <= P2P_MULTISTREAM_TEXT_MAX);
		if (!memchr(text, 0, len)) {
			memcpy(copy, text, len);
			copy[len] = 0;
			assert(p2p_multistream_encode(copy, again, sizeof again) == n);
			assert(memcmp(again, data, (size_t)n) == 0);
		}
		data += n;
		size -= (size_t)n;
	}
	assert(n == -EPROTO || (n == -EAGAIN && size < P2P_MULTISTREAM_MESSAGE_MAX));
	return 0;
}
