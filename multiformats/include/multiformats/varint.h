/*
 * Unsigned varints (https://github.com/multiformats/unsigned-varint): seven bits a byte, least
 * significant first, the shortest form only, at most nine bytes (63 bits) when reading.
 *
 * Pure functions over bytes; any thread; nothing is allocated.
 */
#ifndef MULTIFORMATS_VARINT_H
#define MULTIFORMATS_VARINT_H

#include <stddef.h>
#include <stdint.h>

#include <multiformats/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	MF_VARINT_READ_MAX = 9,   /* longest form the reader accepts, bytes */
	MF_VARINT_WRITE_MAX = 10, /* longest form the writer makes (values over 63 bits) */
};

/* Reads one varint from the front of p. Returns the bytes it took (1 to 9); -EAGAIN when p ends
 * inside a varint that is well formed so far, so a stream reader may wait for more (a reader of
 * whole messages takes it for malformed); -EINVAL for a form that is not the shortest or is longer
 * than nine bytes. *out is written only on success. */
MF_API int mf_varint_decode(const uint8_t *p, size_t len, uint64_t *out);

/* Writes the shortest form. Returns its length, 1 to 10. Values over 63 bits are written in ten
 * bytes for protobuf's sake; mf_varint_decode refuses those. */
MF_API int mf_varint_encode(uint64_t value, uint8_t out[MF_VARINT_WRITE_MAX]);

/* Length of the shortest form, 1 to 10. */
MF_API int mf_varint_size(uint64_t value);

#ifdef __cplusplus
}
#endif
#endif
