/* Text checks shared by the codecs. Private to ipld. */
#ifndef IPLD_UTF8_H
#define IPLD_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the bytes are well-formed UTF-8: no surrogates, nothing overlong, at most U+10FFFF. */
bool ipld_utf8_valid(const uint8_t *text, size_t len);

#endif
