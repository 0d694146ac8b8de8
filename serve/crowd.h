/* The clients of the API together: the places they take, and the memory their answers hold. */
#ifndef SERVE_CROWD_H
#define SERVE_CROWD_H

#include "rpc.h"

struct client;

struct crowd {
	struct serve_rpc *rpc;
	struct anyio_service *service;
	struct anyio_task_group *clients; /* their tasks */
	struct kit_room *room;            /* for what waits in memory to be taken by clients */
	bool resting; /* a task waits to give the memory back that malloc keeps */
	struct client *first;
	size_t count, most;       /* places taken, and all there are */
	size_t peak;              /* places taken since memory went back last */
	size_t leaving;           /* clients told to give way that have not gone yet */
	struct anyio_lock turn;   /* the newcomer who waits for a place; the others wait for this */
	struct anyio_event freed; /* a place */
};

/* -ENOMEM. Close it when no client is left; also after a failure. */
int crowd_open(struct crowd *crowd, struct serve_rpc *rpc, struct anyio_service *service);
void crowd_close(struct crowd *crowd);

/* Accepts until cancelled, and serves each client in a task of crowd->clients until it is done, or the
 * service is asked to stop and the client's request is answered. accepting: the caller's group, for what
 * ends with it. */
int crowd_accept(
	struct crowd *crowd, struct anyio_listener *listener, struct anyio_task_group *accepting);
/* The service was asked to stop and accepts no more: tells the clients, and who runs the node. */
void crowd_stop(struct crowd *crowd);

#endif
