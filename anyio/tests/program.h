/*
 * A program that uses all there is, for tests that make things fail: each part returns 0 or the first
 * error, and has given back by then what it took, whatever failed.
 */
#ifndef ANYIO_TESTS_PROGRAM_H
#define ANYIO_TESTS_PROGRAM_H

#include "conformance.h"

/* A folder for its files, made and removed by the caller, outside of any loop. */
extern char program_folder[64];
void program_begin(void);
void program_end(void);

int program_files(void);
int program_streams(void);
int program_datagrams(void);
int program_unix(void);
int program_names(void);
int program_threads(void);
int program_memory(void);
int program_process(void);
int program_signals(void);

/* All of them that this backend can, in turn. */
int program_all(void *arg);

#endif
