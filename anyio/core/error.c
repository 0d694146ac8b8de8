#include "core.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *anyio_error_name(int code)
{
	switch (code) {
	case 0: return "OK";
#define X(name, number, text)                                                                      \
	case ANYIO_##name: return "ANYIO_" #name;
		ANYIO_ERRORS(X)
#undef X
	}
	const char *name = code < 0 && code > -4096 ? strerrorname_np(-code) : NULL;
	return name ? name : "UNKNOWN";
}

const char *anyio_error_text(int code)
{
	switch (code) {
	case 0: return "success";
	case -ETIMEDOUT: return "timed out"; /* the kernel's words are of a connection */
#define X(name, number, text)                                                                      \
	case ANYIO_##name: return text;
		ANYIO_ERRORS(X)
#undef X
	}
	const char *text = code < 0 && code > -4096 ? strerrordesc_np(-code) : NULL;
	return text ? text : "unknown error";
}

/* Formats on the stack and writes by one call: the heap may be what is broken. */
void anyio_die(const char *file, int line, const char *format, ...)
{
	char text[512];
	int at = snprintf(text, sizeof text, "%s:%d: ", file ? file : "?", line);
	va_list args;
	va_start(args, format);
	int more = vsnprintf(text + at, sizeof text - (size_t)at - 1, format, args);
	va_end(args);
	size_t size = (size_t)(at + (more > 0 ? more : 0));
	if (size > sizeof text - 2)
		size = sizeof text - 2;
	text[size++] = '\n';
	ssize_t ignored = write(STDERR_FILENO, text, size);
	(void)ignored;
	abort();
}
