/*
 * SHA-256 of sixteen texts at once with AVX-512: word i of every text in one register, rotations and
 * three-way logic in one instruction each. Called only after works() has said yes.
 */
#include "engine.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX512 "avx512f,avx512bw"
#define INLINE __attribute__((target(AVX512), always_inline)) static inline
/* The instructions take constants, which an inline function's arguments are not without optimizing. */
#define ROTATE(x, n)    _mm512_ror_epi32(x, n)
#define XOR3(a, b, c)   _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define CHOOSE(e, f, g) _mm512_ternarylogic_epi32(e, f, g, 0xca)
#define MAJOR(a, b, c)  _mm512_ternarylogic_epi32(a, b, c, 0xe8)

enum { LANES = 16 };

/* The processors that came before VBMI2 lower their clock for such code, and win little by it. */
static int works(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vbmi2");
}

INLINE __m512i add(__m512i a, __m512i b)
{
	return _mm512_add_epi32(a, b);
}

/* Turns sixteen rows of sixteen words into sixteen columns. */
INLINE void transpose(__m512i r[16])
{
	__m512i t[16];

	for (int i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
	}
	for (int i = 0; i < 16; i += 4) {
		r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
		r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
		r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
		r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
	}
	for (int i = 0; i < 4; i++) {
		__m512i a = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
		__m512i b = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
		__m512i c = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
		__m512i d = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);

		t[i] = _mm512_shuffle_i32x4(a, c, 0x88);
		t[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
		t[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
		t[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
	}
	for (int i = 0; i < 16; i++)
		r[i] = t[i];
}

INLINE void load_words(__m512i w[16], const uint8_t *const *data, size_t offset)
{
	const __m512i swap =
		_mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));

	for (int l = 0; l < LANES; l++)
		w[l] = _mm512_shuffle_epi8(_mm512_loadu_si512(data[l] + offset), swap);
	transpose(w);
}

INLINE __m512i schedule(__m512i w[16], int i)
{
	__m512i w15 = w[(i + 1) & 15], w2 = w[(i + 14) & 15];
	__m512i s0 = XOR3(ROTATE(w15, 7), ROTATE(w15, 18), _mm512_srli_epi32(w15, 3));
	__m512i s1 = XOR3(ROTATE(w2, 17), ROTATE(w2, 19), _mm512_srli_epi32(w2, 10));

	return w[i & 15] = add(add(w[i & 15], s0), add(w[(i + 9) & 15], s1));
}

/* One round on the eight variables a to h, whose names move by one place each round: v[(k - i) & 7]
 * is variable k in round i. */
INLINE void round_of(__m512i v[8], __m512i w, int i)
{
	__m512i a = v[-i & 7], b = v[(1 - i) & 7], c = v[(2 - i) & 7];
	__m512i e = v[(4 - i) & 7], f = v[(5 - i) & 7], g = v[(6 - i) & 7];
	__m512i k = _mm512_set1_epi32((int)sha256_constants[i]);
	__m512i s1 = XOR3(ROTATE(e, 6), ROTATE(e, 11), ROTATE(e, 25));
	__m512i t1 = add(add(add(v[(7 - i) & 7], s1), add(CHOOSE(e, f, g), k)), w);
	__m512i s0 = XOR3(ROTATE(a, 2), ROTATE(a, 13), ROTATE(a, 22));

	v[(3 - i) & 7] = add(v[(3 - i) & 7], t1);
	v[(7 - i) & 7] = add(t1, add(s0, MAJOR(a, b, c)));
}

/* Sixteen states of eight words fill half the columns. */
INLINE void load_states(__m512i s[16], uint32_t (*states)[8])
{
	for (int l = 0; l < LANES; l++)
		s[l] = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)states[l]));
	transpose(s);
}

INLINE void store_states(__m512i s[16], uint32_t (*states)[8])
{
	transpose(s);
	for (int l = 0; l < LANES; l++)
		_mm256_storeu_si256((__m256i *)states[l], _mm512_castsi512_si256(s[l]));
}

__attribute__((target(AVX512))) static void fold(
	uint32_t (*states)[8], const uint8_t *const *data, size_t blocks)
{
	__m512i s[16], v[8], w[16];

	load_states(s, states);
	for (size_t b = 0; b < blocks; b++) {
		load_words(w, data, b * SHA256_BLOCK);
		for (int i = 0; i < 8; i++)
			v[i] = s[i];
#pragma GCC unroll 64
		for (int i = 0; i < 64; i++)
			round_of(v, i < 16 ? w[i] : schedule(w, i), i);
		for (int i = 0; i < 8; i++)
			s[i] = add(s[i], v[i]);
	}
	for (int i = 8; i < 16; i++)
		s[i] = _mm512_setzero_si512();
	store_states(s, states);
}

const struct sha256_engine sha256_engine_avx512 = { "avx512", LANES, 9, works, fold };

#endif
