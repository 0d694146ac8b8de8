#include "multistream_codec.h"

#include <errno.h>
#include <string.h>

#include <multiformats/varint.h>

ssize_t p2p_multistream_encode(const char *text, uint8_t *out, size_t cap)
{
	size_t len = strlen(text);
	uint8_t prefix[MF_VARINT_WRITE_MAX];
	size_t n = (size_t)mf_varint_encode(len + 1, prefix);

	if (len > P2P_MULTISTREAM_TEXT_MAX)
		return -EMSGSIZE;
	if (cap < n + len + 1)
		return -ENOSPC;
	memcpy(out, prefix, n);
	memcpy(out + n, text, len);
	out[n + len] = '\n';
	return (ssize_t)(n + len + 1);
}

ssize_t p2p_multistream_decode(const uint8_t *data, size_t len, const char **text, size_t *text_len)
{
	uint64_t size;
	int n = mf_varint_decode(data, len, &size);

	if (n == -EAGAIN && len < 2)
		return -EAGAIN;
	if (n < 0 || size == 0 || size > P2P_MULTISTREAM_TEXT_MAX + 1)
		return -EPROTO;
	if (len - (size_t)n < size)
		return -EAGAIN;
	if (data[(size_t)n + size - 1] != '\n')
		return -EPROTO;
	*text = (const char *)data + n;
	*text_len = size - 1;
	return n + (ssize_t)size;
}
