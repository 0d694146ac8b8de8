/* What multibase.c and emoji.c share. */
#ifndef MULTIFORMATS_PRIVATE_BASE_H
#define MULTIFORMATS_PRIVATE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct base {
	uint32_t code; /* the prefix, a code point */
	const char *name;
	const char *alphabet; /* NULL for identity and emoji */
	uint8_t bits;         /* a digit holds; 0: the size is no power of two */
	uint8_t pad;          /* text is padded to a multiple of so many characters; 0: it is not */
	bool any_case;        /* digits may be read in either case */
};

/* One character. Encoding returns its length, 1 to 4; decoding too, or 0 for malformed UTF-8. */
size_t utf8_encode(uint32_t code, char out[4]);
size_t utf8_decode(const char *text, size_t len, uint32_t *code);

/* Base256emoji without prefix or NUL. -EINVAL, -ENOSPC. */
ssize_t emoji_encode(const uint8_t *data, size_t len, char *out, size_t cap);
ssize_t emoji_decode(const char *text, size_t len, uint8_t *out, size_t cap);

#endif
