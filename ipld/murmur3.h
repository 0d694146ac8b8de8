/* The hash of HAMT directories: the first 64 bits of MurmurHash3 x64-128, seed 0, as a big-endian
 * number. Private to ipld. */
#ifndef IPLD_MURMUR3_H
#define IPLD_MURMUR3_H

#include <stddef.h>
#include <stdint.h>

uint64_t ipld_murmur3(const void *data, size_t len);

#endif
