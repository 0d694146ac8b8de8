/* The clients of the API together: the places they take, and the memory their answers hold. */
#ifndef SERVE_CROWD_H
#define SERVE_CROWD_H

#include "rpc.h"

struct client;

struct crowd {
	struct serve_rpc *rpc;
	struct kit_room *room; /* for what waits in memory to be taken by clients */
	bool resting;          /* a task waits to give the memory back that malloc keeps */
	struct client *first;
	size_t count, most;       /* places taken, and all there are */
	size_t peak;              /* places taken since memory went back last */
	size_t leaving;           /* clients told to give way that have not gone yet */
	struct anyio_lock turn;   /* the newcomer who waits for a place; the others wait for this */
	struct anyio_event freed; /* a place */
};

/* -ENOMEM. Close it when no client is left; also after a failure. */
int crowd_open(struct crowd *crowd, struct serve_rpc *rpc);
void crowd_close(struct crowd *crowd);

/* Accepts and serves, each client in a task of group, until cancelled. */
int crowd_accept(
	struct crowd *crowd, struct anyio_listener *listener, struct anyio_task_group *group);

#endif
