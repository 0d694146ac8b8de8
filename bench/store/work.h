/*
 * The same work for every store: blocks of one size under their multihashes, 64 written and then
 * acknowledged as durable, read back in a shuffled order. What differs is an engine.
 */
#ifndef BENCH_STORE_WORK_H
#define BENCH_STORE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KEY = 34,  /* 0x12 0x20 and the SHA-256 of a block */
	GROUP = 64 /* blocks written between two syncs */
};

/* A group whose memory begins and ends at multiples of this may go around the page cache. */
enum { ALIGN = 4096, UNCACHED_FROM = 1 << 20 };

struct work {
	const char *dir;
	size_t count, size;    /* blocks, bytes of each */
	uint8_t (*keys)[KEY];  /* of all of them */
	const uint32_t *order; /* in which they are read */
	uint8_t *data;         /* GROUP blocks, one behind the other */
};

/* Whatever fails ends the program by die. */
struct engine {
	const char *name;
	void (*open)(const struct work *work);
	/* Blocks first to first + n, which lie in work->data; durable on return. */
	void (*put)(const struct work *work, size_t first, size_t n);
	/* A block's bytes, which stay until the next get. */
	const uint8_t *(*get)(const struct work *work, size_t number);
	void (*close)(const struct work *work);
	/* Calls body(arg) where the others can be called; NULL: they can be anywhere. */
	int (*run)(int (*body)(void *arg), void *arg);
	bool verifies; /* get has held the bytes against their key already */
	/* Removes every other group, so that the file system has their room again. NULL: that is not measured. */
	void (*halve)(const struct work *work);
};

/* NAME MEASURE DIR COUNT SIZE, NAME an engine's: see work.c. */
int work_main(int argc, char **argv, const struct engine *const *engines);

_Noreturn void die(const char *what);
double now(void); /* seconds */
/* Fills memory with what nothing compresses: the same each time. */
void fill(uint8_t *data, size_t size);
/* Makes a block unlike all others by its first bytes. */
void stamp(uint8_t *block, size_t number);

#endif
