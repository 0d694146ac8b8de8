/*
 * Signals as a stream: while a receiver is open its signals do nothing else.
 */
#ifndef ANYIO_SIGNAL_H
#define ANYIO_SIGNAL_H

#include <signal.h>
#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_signal_receiver;

/* signals ends with 0. One receiver a signal at a time in a process: -EBUSY. -EINVAL for what cannot
 * be caught, -ENOMEM, -EMFILE. */
ANYIO_API int anyio_signal_open(const int *signals, struct anyio_signal_receiver **receiver);
/* The next signal's number; ANYIO_CLOSED when closed meanwhile, ANYIO_BUSY when another task is
 * receiving. In the simulation none ever comes. */
ANYIO_API int anyio_signal_receive(struct anyio_signal_receiver *receiver);
/* Restores the dispositions; signals that were not read are raised again. A task that receives then is
 * waited for; one that was spawned to, and has not begun, must not find the receiver any more. */
ANYIO_API void anyio_signal_close(struct anyio_signal_receiver *receiver);

#ifdef __cplusplus
}
#endif
#endif
