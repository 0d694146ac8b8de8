/*
 * Three kinds of base. Those whose size is a power of two map groups of bits and run through the
 * data once. 10, 36 and 58 treat the data as one big-endian number, with a zero digit for each
 * leading zero byte. Emoji map a byte to a character and live in emoji.c.
 */
#include <multiformats/multibase.h>

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base.h"

#define DIGITS   "0123456789"
#define UPPER    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER    "abcdefghijklmnopqrstuvwxyz"
#define UPPER_58 "ABCDEFGHJKLMNPQRSTUVWXYZ"
#define LOWER_58 "abcdefghijkmnopqrstuvwxyz"

static const struct base bases[] = {
	{ MF_BASE32, "base32", LOWER "234567", .bits = 5, .any_case = true },
	{ MF_BASE58_BTC, "base58btc", "123456789" UPPER_58 LOWER_58 },
	{ MF_BASE36, "base36", DIGITS LOWER, .any_case = true },
	{ MF_BASE16, "base16", DIGITS "abcdef", .bits = 4, .any_case = true },
	{ MF_BASE64_URL, "base64url", UPPER LOWER DIGITS "-_", .bits = 6 },
	{ MF_BASE64, "base64", UPPER LOWER DIGITS "+/", .bits = 6 },
	{ MF_BASE2, "base2", "01", .bits = 1 },
	{ MF_BASE8, "base8", "01234567", .bits = 3 },
	{ MF_BASE10, "base10", DIGITS },
	{ MF_BASE16_UPPER, "base16upper", DIGITS "ABCDEF", .bits = 4, .any_case = true },
	{ MF_BASE32_UPPER, "base32upper", UPPER "234567", .bits = 5, .any_case = true },
	{ MF_BASE32_PAD, "base32pad", LOWER "234567", .bits = 5, .pad = 8, .any_case = true },
	{ MF_BASE32_PAD_UPPER, "base32padupper", UPPER "234567", .bits = 5, .pad = 8,
		.any_case = true },
	{ MF_BASE32_HEX, "base32hex", DIGITS "abcdefghijklmnopqrstuv", .bits = 5,
		.any_case = true },
	{ MF_BASE32_HEX_UPPER, "base32hexupper", DIGITS "ABCDEFGHIJKLMNOPQRSTUV", .bits = 5,
		.any_case = true },
	{ MF_BASE32_HEX_PAD, "base32hexpad", DIGITS "abcdefghijklmnopqrstuv", .bits = 5, .pad = 8,
		.any_case = true },
	{ MF_BASE32_HEX_PAD_UPPER, "base32hexpadupper", DIGITS "ABCDEFGHIJKLMNOPQRSTUV", .bits = 5,
		.pad = 8, .any_case = true },
	{ MF_BASE32_Z, "base32z", "ybndrfg8ejkmcpqxot1uwisza345h769", .bits = 5 },
	{ MF_BASE36_UPPER, "base36upper", DIGITS UPPER, .any_case = true },
	{ MF_BASE58_FLICKR, "base58flickr", "123456789" LOWER_58 UPPER_58 },
	{ MF_BASE64_PAD, "base64pad", UPPER LOWER DIGITS "+/", .bits = 6, .pad = 4 },
	{ MF_BASE64_URL_PAD, "base64urlpad", UPPER LOWER DIGITS "-_", .bits = 6, .pad = 4 },
	{ MF_BASE256_EMOJI, "base256emoji", NULL, .bits = 8 },
	{ MF_BASE_IDENTITY, "identity", NULL, .bits = 8 },
};

static const struct base *find_base(uint32_t code)
{
	for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
		if (bases[i].code == code)
			return &bases[i];
	return NULL;
}

const char *mf_base_name(uint32_t base)
{
	const struct base *found = find_base(base);

	return found ? found->name : NULL;
}

int mf_base_find(const char *name, uint32_t *base)
{
	for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
		if (strcmp(bases[i].name, name) == 0) {
			*base = bases[i].code;
			return 0;
		}
	}
	return -ENOENT;
}

/* values[c] is the digit that character c stands for, or NOT_A_DIGIT. */
enum { NOT_A_DIGIT = 0xff };

static void digit_values(const struct base *base, uint8_t values[256])
{
	memset(values, NOT_A_DIGIT, 256);
	for (uint8_t i = 0; base->alphabet[i]; i++) {
		uint8_t c = (uint8_t)base->alphabet[i];
		values[c] = i;
		if (base->any_case && isalpha(c))
			values[c ^ 0x20] = i;
	}
}

static ssize_t encode_bits(
	const struct base *base, const uint8_t *data, size_t len, char *out, size_t cap)
{
	size_t digits = len / base->bits * 8 + (len % base->bits * 8 + base->bits - 1) / base->bits;
	size_t total = base->pad ? (digits + base->pad - 1) / base->pad * base->pad : digits;
	uint32_t buffer = 0;
	unsigned held = 0;
	size_t n = 0;

	if (len > SSIZE_MAX / 16 || cap < total + 1)
		return -ENOSPC;
	for (size_t i = 0; i < len; i++) {
		buffer = buffer << 8 | data[i];
		for (held += 8; held >= base->bits; held -= base->bits)
			out[n++] = base->alphabet[buffer >> (held - base->bits) &
				((1u << base->bits) - 1)];
	}
	if (held > 0)
		out[n++] = base->alphabet[buffer << (base->bits - held) & ((1u << base->bits) - 1)];
	memset(out + n, '=', total - n);
	out[total] = '\0';
	return (ssize_t)total;
}

/* Takes the padding off text; false when it is not exactly what the base wants. */
static bool strip_padding(const struct base *base, const char *text, size_t *len)
{
	size_t padding = 0;

	if (!base->pad)
		return true;
	if (*len % base->pad != 0)
		return false;
	while (padding < base->pad && padding < *len && text[*len - 1 - padding] == '=')
		padding++;
	*len -= padding;
	return padding < base->pad;
}

static ssize_t decode_bits(
	const struct base *base, const char *text, size_t len, uint8_t *out, size_t cap)
{
	uint8_t values[256];
	uint32_t buffer = 0;
	unsigned held = 0;
	size_t n = 0;

	if (!strip_padding(base, text, &len))
		return -EINVAL;
	digit_values(base, values);
	for (size_t i = 0; i < len; i++) {
		uint8_t digit = values[(uint8_t)text[i]];
		if (digit == NOT_A_DIGIT)
			return -EINVAL;
		buffer = buffer << base->bits | digit;
		held += base->bits;
		if (held < 8)
			continue;
		if (n == cap)
			return -ENOSPC;
		held -= 8;
		out[n++] = (uint8_t)(buffer >> held);
	}
	/* What is left must be the zero bits the encoder filled up with, less than a digit. */
	if (held >= base->bits || (buffer & ((1u << held) - 1)) != 0)
		return -EINVAL;
	return (ssize_t)n;
}

static size_t leading(const uint8_t *data, size_t len, uint8_t what)
{
	size_t n = 0;

	while (n < len && data[n] == what)
		n++;
	return n;
}

/* number = number * factor + add, little-endian digits to the given radix. */
static size_t multiply_add(
	uint8_t *number, size_t used, uint32_t radix, uint32_t factor, uint32_t add)
{
	for (size_t i = 0; i < used; i++) {
		add += number[i] * factor;
		number[i] = (uint8_t)(add % radix);
		add /= radix;
	}
	for (; add > 0; add /= radix)
		number[used++] = (uint8_t)(add % radix);
	return used;
}

static ssize_t encode_radix(
	const struct base *base, const uint8_t *data, size_t len, char *out, size_t cap)
{
	/* Base 10, the longest, needs 2.41 digits a byte. */
	uint8_t digits[MF_RADIX_BYTES_MAX * 5 / 2];
	uint32_t radix = (uint32_t)strlen(base->alphabet);
	size_t zeros = leading(data, len, 0), used = 0;

	if (len > MF_RADIX_BYTES_MAX)
		return -E2BIG;
	for (size_t i = zeros; i < len; i++)
		used = multiply_add(digits, used, radix, 256, data[i]);
	if (cap < zeros + used + 1)
		return -ENOSPC;
	memset(out, base->alphabet[0], zeros);
	for (size_t i = 0; i < used; i++)
		out[zeros + i] = base->alphabet[digits[used - 1 - i]];
	out[zeros + used] = '\0';
	return (ssize_t)(zeros + used);
}

static ssize_t decode_radix(
	const struct base *base, const char *text, size_t len, uint8_t *out, size_t cap)
{
	uint8_t values[256];
	uint8_t number[MF_RADIX_TEXT_MAX];
	uint32_t radix = (uint32_t)strlen(base->alphabet);
	size_t zeros = leading((const uint8_t *)text, len, (uint8_t)base->alphabet[0]), used = 0;

	if (len > MF_RADIX_TEXT_MAX)
		return -E2BIG;
	digit_values(base, values);
	for (size_t i = zeros; i < len; i++) {
		uint8_t digit = values[(uint8_t)text[i]];
		if (digit == NOT_A_DIGIT)
			return -EINVAL;
		used = multiply_add(number, used, 256, radix, digit);
	}
	if (cap < zeros + used)
		return -ENOSPC;
	if (zeros > 0)
		memset(out, 0, zeros);
	for (size_t i = 0; i < used; i++)
		out[zeros + i] = number[used - 1 - i];
	return (ssize_t)(zeros + used);
}

static ssize_t copy(const void *data, size_t len, void *out, size_t cap)
{
	if (cap < len)
		return -ENOSPC;
	if (len > 0)
		memcpy(out, data, len);
	return (ssize_t)len;
}

ssize_t mf_base_encode(uint32_t code, const uint8_t *data, size_t len, char *out, size_t cap)
{
	const struct base *base = find_base(code);

	if (!base)
		return -EINVAL;
	if (cap == 0)
		return -ENOSPC;
	if (base->alphabet)
		return base->bits ? encode_bits(base, data, len, out, cap)
				  : encode_radix(base, data, len, out, cap);
	ssize_t n = code == MF_BASE256_EMOJI ? emoji_encode(data, len, out, cap - 1)
					     : copy(data, len, out, cap - 1);
	if (n >= 0)
		out[n] = '\0';
	return n;
}

ssize_t mf_base_decode(uint32_t code, const char *text, size_t len, uint8_t *out, size_t cap)
{
	const struct base *base = find_base(code);

	if (!base)
		return -EINVAL;
	if (base->alphabet)
		return base->bits ? decode_bits(base, text, len, out, cap)
				  : decode_radix(base, text, len, out, cap);
	return code == MF_BASE256_EMOJI ? emoji_decode(text, len, out, cap)
					: copy(text, len, out, cap);
}

ssize_t mf_multibase_encode(uint32_t base, const uint8_t *data, size_t len, char *out, size_t cap)
{
	char prefix[4];
	size_t n = utf8_encode(base, prefix);

	if (!find_base(base))
		return -EINVAL;
	if (cap < n)
		return -ENOSPC;
	ssize_t rc = mf_base_encode(base, data, len, out + n, cap - n);
	if (rc < 0)
		return rc;
	memcpy(out, prefix, n);
	return (ssize_t)n + rc;
}

ssize_t mf_multibase_decode(uint32_t *base, const char *text, size_t len, uint8_t *out, size_t cap)
{
	uint32_t code;
	size_t n = utf8_decode(text, len, &code);

	if (n == 0)
		return -EINVAL;
	ssize_t rc = mf_base_decode(code, text + n, len - n, out, cap);
	if (rc >= 0 && base)
		*base = code;
	return rc;
}
