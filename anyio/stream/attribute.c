#include <errno.h>
#include <string.h>
#include <anyio/stream.h>
#include "../core/core.h"

ssize_t anyio_attribute_give(void *out, size_t size, const void *value, size_t length)
{
	if (out != NULL && length > size)
		return -ENOSPC;
	if (out != NULL && length > 0)
		memcpy(out, value, length);
	return (ssize_t)length;
}

ssize_t anyio_stream_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size)
{
	if (stream->ops->attribute == NULL)
		return -ENODATA;
	return stream->ops->attribute(stream, which, out, size);
}
