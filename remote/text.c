#include "text.h"

#include <anyio/memory.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int make_room(struct text *text, size_t more)
{
	size_t cap = text->cap ? text->cap : 256;
	char *chars;

	while (cap <= text->len + more)
		cap *= 2;
	if (cap == text->cap)
		return 0;
	chars = anyio_realloc(text->chars, cap);
	if (!chars)
		return text->rc = -ENOMEM;
	text->chars = chars;
	text->cap = cap;
	return 0;
}

void text_add(struct text *text, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (text->rc || make_room(text, (size_t)len))
		return;
	va_start(args, format);
	vsnprintf(text->chars + text->len, (size_t)len + 1, format, args);
	va_end(args);
	text->len += (size_t)len;
}

static int is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		(c && strchr("-._~", c));
}

void text_add_encoded(struct text *text, const char *bytes, int keep_slashes)
{
	for (; *bytes; bytes++)
		if (is_unreserved((unsigned char)*bytes) || (keep_slashes && *bytes == '/'))
			text_add(text, "%c", *bytes);
		else
			text_add(text, "%%%02X", (unsigned char)*bytes);
}

void text_add_escaped(struct text *text, const char *chars)
{
	for (; *chars; chars++)
		switch (*chars) {
		case '&': text_add(text, "&amp;"); break;
		case '<': text_add(text, "&lt;"); break;
		case '>': text_add(text, "&gt;"); break;
		default: text_add(text, "%c", *chars);
		}
}

void text_free(struct text *text)
{
	anyio_free(text->chars);
	*text = (struct text){ 0 };
}
