/* Well-formed UTF-8: no surrogates, nothing overlong, at most U+10FFFF. Pure. */
#ifndef IPLD_UTF8_H
#define IPLD_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the character at p, 1 to 4, or 0 when it is malformed; left is how many may be read, at
 * least 1. */
size_t ipld_utf8_next(const uint8_t *p, size_t left);

/* Whether all of it is. */
bool ipld_utf8_valid(const uint8_t *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif
