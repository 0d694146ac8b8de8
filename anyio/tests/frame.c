#include "frame.h"

int large_frame(void *arg)
{
	volatile char array[48 << 10];
	array[0] = 1;
	return array[0] == 1 ? 0 : -1;
}
