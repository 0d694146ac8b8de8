/* What goes before the bytes of a request and of an answer; both sides are on one machine. */
#ifndef ANYIO_PROCESS_FRAME_H
#define ANYIO_PROCESS_FRAME_H

#include <stddef.h>
#include <stdint.h>

struct frame {
	uint32_t kind;
	int32_t result; /* of an answer */
	/* Of the request. Its answer repeats it, so that none is taken for another's. */
	uint64_t number;
	uint64_t size;
};
enum { FRAME_REQUEST = 0x51795742, FRAME_ANSWER = 0x41795742 };

#define FRAME_MOST_DEFAULT ((size_t)16 << 20)

#endif
