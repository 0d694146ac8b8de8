/*
 * What went wrong, as a code and as a text with the next step.
 */
#include "why.h"

#include <stdarg.h>
#include <stdio.h>

static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

int explain(struct remote_why *why, int rc, const char *hint, const char *format, ...)
{
	va_list args;

	if (!why)
		return rc;
	va_start(args, format);
	vsnprintf(why->what, sizeof(why->what), format, args);
	va_end(args);
	snprintf(why->hint, sizeof(why->hint), "%s", hint ? hint : "");
	make_printable(why->what);
	make_printable(why->hint);
	return rc;
}
