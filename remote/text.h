/* A text that grows: addresses, headers, the list of an upload's parts. The first failure sticks. */
#ifndef REMOTE_TEXT_H
#define REMOTE_TEXT_H

#include <stddef.h>

/* All zero is an empty one; chars is NULL until something was added. */
struct text {
	char *chars; /* ends with a NUL */
	size_t len, cap;
	int rc; /* 0 or -ENOMEM */
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As a URL, and SigV4, has it: all but A-Z a-z 0-9 - . _ ~, and slashes where they are to be kept, as %XX. */
void text_add_encoded(struct text *text, const char *bytes, int keep_slashes);
/* As XML has it. */
void text_add_escaped(struct text *text, const char *chars);
void text_free(struct text *text);

#endif
