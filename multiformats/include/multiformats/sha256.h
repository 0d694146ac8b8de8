/*
 * SHA-256, fast: one buffer, many buffers at once, or piece by piece.
 *
 * Any thread; nothing is allocated and nothing can fail. The states are plain values.
 */
#ifndef MULTIFORMATS_SHA256_H
#define MULTIFORMATS_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include <multiformats/export.h>

#ifdef __cplusplus
extern "C" {
/* As in anyio/sync.h: mf_sha256 is a struct and a function. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

enum { MF_SHA256_SIZE = 32 }; /* length of a digest, bytes */

/* One buffer of a batch. The digest may not overlap any data of the batch. */
struct mf_sha256_job {
	const void *data; /* borrowed for the call; may be NULL when len is 0 */
	size_t len;       /* bytes */
	uint8_t digest[MF_SHA256_SIZE];
};

/* An unfinished hash: copy it with = to hash two texts with a common beginning. */
struct mf_sha256 {
	uint32_t state[8];
	uint64_t bytes;    /* taken so far */
	uint8_t block[64]; /* bytes % 64 of them are waiting for the rest of their block */
};

/* Hashes one buffer. */
MF_API void mf_sha256(const void *data, size_t len, uint8_t out[MF_SHA256_SIZE]);

/* Hashes n independent buffers, interleaved where the processor gains by it (lengths may differ;
 * neighbours of like length gain most). Same digests as n calls of mf_sha256. */
MF_API void mf_sha256_many(struct mf_sha256_job *jobs, size_t n);

/* Piece by piece: init, any number of updates, final. A state may be dropped at any time; after
 * final it must be initialised again. */
MF_API void mf_sha256_init(struct mf_sha256 *state);
MF_API void mf_sha256_update(struct mf_sha256 *state, const void *data, size_t len);
MF_API void mf_sha256_final(struct mf_sha256 *state, uint8_t out[MF_SHA256_SIZE]);

/* How many buffers at once mf_sha256_many hashes fastest on this processor: 16 with AVX-512, 2 with
 * the SHA extensions, 8 with AVX2, else 1. */
MF_API size_t mf_sha256_lanes(void);

/* Name of the widest code that this processor runs ("avx512", "sha-ni", "avx2", "libcrypto"), for
 * reports. */
MF_API const char *mf_sha256_engine(void);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif
#endif
