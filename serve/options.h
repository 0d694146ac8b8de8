/*
 * The options of a request, which are its query's parameters: those Kubo has, by command. What would
 * change the answer and is not done here is refused by name rather than passed over; what Kubo does
 * not know either is passed over, as Kubo does.
 */
#ifndef SERVE_OPTIONS_H
#define SERVE_OPTIONS_H

#include "rpc.h"

/* Gives the parameters their long names, and flags "true" or "false". True when all can be done; else
 * it has been answered which cannot, and *rc is the result of that. */
bool options_check(struct rpc_request *request, int *rc);

#endif
