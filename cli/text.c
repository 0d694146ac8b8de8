/*
 * What strangers wrote, on its way to a person. A name, an agent version or a daemon's sentence may
 * hold what a terminal obeys, or what makes a line read as another one.
 */
#include "cli.h"

#include <errno.h>
#include <ipld/utf8.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t character(const uint8_t *p, size_t n)
{
	uint32_t value = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		value = value << 6 | (p[i] & 0x3f);
	return value;
}

/* Controls (C0, DEL, C1), marks and overrides of direction, separators of lines. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
		(c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x206f);
}

void cli_put_safe(FILE *out, const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + len;

	while (p < end) {
		size_t n = ipld_utf8_next(p, (size_t)(end - p));
		uint32_t c = n ? character(p, n) : *p;
		if (n && !is_unsafe(c))
			fwrite(p, 1, n, out);
		else
			fprintf(out, n > 1 ? "\\u%04X" : "\\x%02X", (unsigned)c);
		p += n ? n : 1;
	}
}

void cli_note(const char *format, ...)
{
	char line[8192];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	cli_put_safe(stderr, line, strlen(line));
	fputc('\n', stderr);
}

void cli_print_text(const char *text)
{
	if (!text)
		return;
	if (isatty(1))
		cli_put_safe(stdout, text, strlen(text));
	else
		fputs(text, stdout);
}

int cli_put_json(FILE *out, json_t *value)
{
	bool terminal = out == stderr || isatty(fileno(out));
	char *text = value ? json_dumps(value,
				     JSON_COMPACT | JSON_ENCODE_ANY | kit_json_digits(value) |
					     (terminal ? JSON_ENSURE_ASCII : 0))
			   : NULL;

	json_decref(value);
	if (!text)
		return -ENOMEM;
	for (const char *c = text; *c; c++) {
		if (terminal && *c == 0x7f)
			fputs("\\u007f", out);
		else
			fputc(*c, out);
	}
	fputc('\n', out);
	free(text);
	return 0;
}

json_t *cli_json_text(const char *bytes)
{
	char *text = kit_json_text(bytes);
	json_t *value = text ? json_string_nocheck(text) : NULL;

	free(text);
	return value;
}
