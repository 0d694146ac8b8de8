/*
 * SHA-256 of several texts at once on x86-64. One text alone cannot fill the processor: each round
 * waits for the one before it. Two texts through the SHA extensions, their rounds interleaved, run
 * in each other's gaps; without the extensions, eight texts share the eight words of an AVX2
 * register. The code is compiled for its processor function by function and called only after
 * works() has said yes.
 */
#include "engine.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define INLINE(features) __attribute__((target(features), always_inline)) static inline

/*
 * The SHA extensions, two lanes.
 */
#define SHA_NI "sha,sse4.1,ssse3"

enum { NI_LANES = 2 };

struct ni_lane {
	__m128i abef, cdgh;
	__m128i w[4]; /* the last sixteen words of the message schedule */
};

static int ni_works(void)
{
	unsigned a, b, c, d;

	return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
		b >> 29 & 1;
}

INLINE(SHA_NI) void ni_load(struct ni_lane *lane, const uint32_t state[8])
{
	__m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
	__m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);

	lane->abef = _mm_alignr_epi8(cdab, efgh, 8);
	lane->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

INLINE(SHA_NI) void ni_store(const struct ni_lane *lane, uint32_t state[8])
{
	__m128i feba = _mm_shuffle_epi32(lane->abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(lane->cdgh, 0xb1);

	_mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Words 4i to 4i+3 of the schedule: read for the first four groups, computed for the rest. */
INLINE(SHA_NI) void ni_schedule(struct ni_lane *lane, const uint8_t *data, int i)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i *w = lane->w, last = w[(i + 3) & 3];

	if (i < 4) {
		w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), swap);
		return;
	}
	__m128i sum = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
	sum = _mm_add_epi32(sum, _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
	w[i & 3] = _mm_sha256msg2_epu32(sum, last);
}

INLINE(SHA_NI) void ni_four_rounds(struct ni_lane *lane, int i)
{
	__m128i k = _mm_loadu_si128((const __m128i *)(sha256_constants + 4 * i));
	__m128i wk = _mm_add_epi32(lane->w[i & 3], k);

	lane->cdgh = _mm_sha256rnds2_epu32(lane->cdgh, lane->abef, wk);
	lane->abef = _mm_sha256rnds2_epu32(lane->abef, lane->cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

__attribute__((target(SHA_NI))) static void ni_fold(
	uint32_t (*states)[8], const uint8_t *const *data, size_t blocks)
{
	struct ni_lane lanes[NI_LANES];

	for (int l = 0; l < NI_LANES; l++)
		ni_load(&lanes[l], states[l]);
	for (size_t b = 0; b < blocks; b++) {
		__m128i abef[NI_LANES], cdgh[NI_LANES];
		for (int l = 0; l < NI_LANES; l++) {
			abef[l] = lanes[l].abef;
			cdgh[l] = lanes[l].cdgh;
		}
#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			for (int l = 0; l < NI_LANES; l++) {
				ni_schedule(&lanes[l], data[l] + b * SHA256_BLOCK, i);
				ni_four_rounds(&lanes[l], i);
			}
		}
		for (int l = 0; l < NI_LANES; l++) {
			lanes[l].abef = _mm_add_epi32(lanes[l].abef, abef[l]);
			lanes[l].cdgh = _mm_add_epi32(lanes[l].cdgh, cdgh[l]);
		}
	}
	for (int l = 0; l < NI_LANES; l++)
		ni_store(&lanes[l], states[l]);
}

const struct sha256_engine sha256_engine_ni = { "sha-ni", NI_LANES, NI_LANES, ni_works, ni_fold };

/*
 * AVX2, eight lanes: word i of every text in one register.
 */
#define AVX2 "avx2"

enum { AVX2_LANES = 8 };

static int avx2_works(void)
{
	return __builtin_cpu_supports("avx2");
}

INLINE(AVX2) __m256i add(__m256i a, __m256i b)
{
	return _mm256_add_epi32(a, b);
}

INLINE(AVX2) __m256i rotate(__m256i x, int n)
{
	return _mm256_or_si256(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - n));
}

INLINE(AVX2) __m256i xor3(__m256i a, __m256i b, __m256i c)
{
	return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}

/* Turns eight rows of eight words into eight columns. */
INLINE(AVX2) void transpose(__m256i r[8])
{
	__m256i t[8], u[8];

	for (int i = 0; i < 8; i += 2) {
		t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
	}
	for (int i = 0; i < 8; i += 4) {
		for (int j = 0; j < 2; j++) {
			u[i + 2 * j] = _mm256_unpacklo_epi64(t[i + j], t[i + j + 2]);
			u[i + 2 * j + 1] = _mm256_unpackhi_epi64(t[i + j], t[i + j + 2]);
		}
	}
	for (int i = 0; i < 4; i++) {
		r[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
		r[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
	}
}

INLINE(AVX2) void load_words(__m256i w[16], const uint8_t *const *data, size_t offset)
{
	const __m256i swap =
		_mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));

	for (int half = 0; half < 16; half += 8) {
		for (int l = 0; l < AVX2_LANES; l++) {
			const uint8_t *at = data[l] + offset + 4 * (size_t)half;
			w[half + l] = _mm256_loadu_si256((const __m256i *)at);
			w[half + l] = _mm256_shuffle_epi8(w[half + l], swap);
		}
		transpose(w + half);
	}
}

INLINE(AVX2) __m256i avx2_schedule(__m256i w[16], int i)
{
	__m256i w15 = w[(i + 1) & 15], w2 = w[(i + 14) & 15];
	__m256i s0 = xor3(rotate(w15, 7), rotate(w15, 18), _mm256_srli_epi32(w15, 3));
	__m256i s1 = xor3(rotate(w2, 17), rotate(w2, 19), _mm256_srli_epi32(w2, 10));

	return w[i & 15] = add(add(w[i & 15], s0), add(w[(i + 9) & 15], s1));
}

/* One round on the eight variables a to h, whose names move by one place each round: v[(k - i) & 7]
 * is variable k in round i. */
INLINE(AVX2) void avx2_round(__m256i v[8], __m256i w, int i)
{
	__m256i a = v[-i & 7], b = v[(1 - i) & 7], c = v[(2 - i) & 7];
	__m256i e = v[(4 - i) & 7], f = v[(5 - i) & 7], g = v[(6 - i) & 7];
	__m256i k = _mm256_set1_epi32((int)sha256_constants[i]);
	__m256i s1 = xor3(rotate(e, 6), rotate(e, 11), rotate(e, 25));
	__m256i ch = _mm256_xor_si256(g, _mm256_and_si256(e, _mm256_xor_si256(f, g)));
	__m256i t1 = add(add(add(v[(7 - i) & 7], s1), add(ch, k)), w);
	__m256i s0 = xor3(rotate(a, 2), rotate(a, 13), rotate(a, 22));
	__m256i ab = _mm256_and_si256(a, b), a_or_b = _mm256_or_si256(a, b);
	__m256i maj = _mm256_or_si256(ab, _mm256_and_si256(c, a_or_b));

	v[(3 - i) & 7] = add(v[(3 - i) & 7], t1);
	v[(7 - i) & 7] = add(t1, add(s0, maj));
}

__attribute__((target(AVX2))) static void avx2_fold(
	uint32_t (*states)[8], const uint8_t *const *data, size_t blocks)
{
	__m256i s[8], v[8], w[16];

	for (int l = 0; l < AVX2_LANES; l++)
		s[l] = _mm256_loadu_si256((const __m256i *)states[l]);
	transpose(s);
	for (size_t b = 0; b < blocks; b++) {
		load_words(w, data, b * SHA256_BLOCK);
		for (int i = 0; i < 8; i++)
			v[i] = s[i];
#pragma GCC unroll 64
		for (int i = 0; i < 64; i++)
			avx2_round(v, i < 16 ? w[i] : avx2_schedule(w, i), i);
		for (int i = 0; i < 8; i++)
			s[i] = add(s[i], v[i]);
	}
	transpose(s);
	for (int l = 0; l < AVX2_LANES; l++)
		_mm256_storeu_si256((__m256i *)states[l], s[l]);
}

const struct sha256_engine sha256_engine_avx2 = { "avx2", AVX2_LANES, 4, avx2_works, avx2_fold };

#endif
