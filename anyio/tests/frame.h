#ifndef ANYIO_TESTS_FRAME_H
#define ANYIO_TESTS_FRAME_H

/* A task that writes to the low end of a frame of 48 KiB; compiled without stack clash protection. */
int large_frame(void *arg);

#endif
