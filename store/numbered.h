/* Files named by number: NNNNNNNN.car, NNNNNNNN.log. */
#ifndef STORE_NUMBERED_H
#define STORE_NUMBERED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERED_MAX = 16 };

static inline void numbered_name(uint32_t number, const char *ending, char out[NUMBERED_MAX])
{
	snprintf(out, NUMBERED_MAX, "%08u.%s", number, ending);
}

/* The number in such a name, or 0. */
static inline uint32_t numbered_of(const char *name, const char *ending)
{
	char again[NUMBERED_MAX];
	unsigned long number = strtoul(name, NULL, 10);

	if (number == 0 || number > UINT32_MAX)
		return 0;
	numbered_name((uint32_t)number, ending, again);
	return strcmp(name, again) == 0 ? (uint32_t)number : 0;
}

#endif
