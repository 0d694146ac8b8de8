/* Text and JSON: names are any bytes, JSON is not; doubles are written as they were typed. */
#include <kit/call.h>

#include <ipld/utf8.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_LEAST = 15, DIGITS_MOST = 17 };

char *kit_json_text(const char *bytes)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t left = strlen(bytes);
	char *text = malloc(left * (sizeof(replacement) - 1) + 1), *out = text;

	if (!text)
		return NULL;
	while (left) {
		size_t n = ipld_utf8_next((const uint8_t *)bytes, left);
		size_t size = n ? n : sizeof(replacement) - 1;
		memcpy(out, n ? bytes : replacement, size);
		out += size;
		bytes += n ? n : 1;
		left -= n ? n : 1;
	}
	*out = 0;
	return text;
}

static int digits_of(double number)
{
	char text[40];
	int digits = DIGITS_LEAST;

	while (digits < DIGITS_MOST) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
		digits++;
	}
	return digits;
}

static int most(int a, int b)
{
	return a > b ? a : b;
}

/* As deep as jansson itself goes, at most. */
static int digits_in(const json_t *value)
{
	int digits = DIGITS_LEAST;
	const char *key;
	json_t *inner;
	size_t i;

	if (json_is_real(value))
		return digits_of(json_real_value(value));
	if (json_is_array(value))
		json_array_foreach (value, i, inner)
			digits = most(digits, digits_in(inner));
	if (json_is_object(value))
		json_object_foreach ((json_t *)value, key, inner)
			digits = most(digits, digits_in(inner));
	return digits;
}

size_t kit_json_digits(const json_t *value)
{
	return JSON_REAL_PRECISION((size_t)digits_in(value));
}
