/* What the measures of the runtime share. Each prints its numbers on one line. */
#ifndef BENCH_RUNTIME_H
#define BENCH_RUNTIME_H

#include <anyio/anyio.h>
#include <stdio.h>

double now(void);       /* nanoseconds */
double used(void);      /* of the processor: what others on the machine take does not count */
double argument(int i); /* of the command line, counted behind the measure's name; 0: none */
uint64_t draw(void);    /* a random number, the same ones in each run */

/* tasks.c */
int switches(void *arg);
int spawns(void *arg);
int parked(void *arg);
/* channel.c */
int handovers(void *arg);
/* cancel.c */
int timeouts(void *arg);
int cancels(void *arg);
/* timers.c */
int timers(void *arg);
int timers_moved(void *arg);
int timers_fired(void *arg);
/* sockets.c */
int echo(void *arg);
int sink(void *arg);
int pour(void *arg);
/* threads.c */
int threads(void *arg);

#endif
