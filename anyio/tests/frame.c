#include "frame.h"

int large_frame(void *arg)
{
	char array[48 << 10];
	array[0] = 1;
	/* Somebody may look at all of it: it cannot be made smaller. */
	__asm__ volatile("" : : "r"(array) : "memory");
	return array[0] == 1 ? 0 : -1;
}
