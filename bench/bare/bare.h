/* The same work as bench/runtime does, as small as it can be: what the machine allows. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>
#include <stdint.h>

double now(void);  /* nanoseconds */
double used(void); /* of the processor */
_Noreturn void die(const char *what);
int listen_here(void); /* on a port of loopback, which it prints */
void no_delay(int fd);

/* tasks.c */
int switches(void);
int spawns(int count);
int handovers(void);
int contexts(void);
int pthreads(void);
/* loops.c, each an echo server */
int echo_epoll(void);
int echo_uring(void);
int echo_uv(void);
/* load.c */
int load(int port, int connections, int size, double seconds);
int sink(void);
int pour(int port, double seconds);
/* calls.c */
int calls_uv(void);
int timers_uv(int count);
int touch(int count);

#endif
