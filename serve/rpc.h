/* What the RPC's files share: a request being answered, and how errors are told. */
#ifndef SERVE_RPC_H
#define SERVE_RPC_H

#include "http.h"
#include <serve/serve.h>

struct rpc_request {
	struct serve_rpc *rpc;
	struct anyio_service *service;
	struct kit_node *node;
	struct http_connection *http;
	struct kit_room *room; /* for what waits in memory to be taken by clients */
	const char *command;   /* "pin/ls" */
	bool trusted;          /* a request on this connection had the secret */
};

/* Answers one request: who may call, then the command. */
int rpc_answer(struct rpc_request *request);

/* The page of metrics, which is no command: whether it is asked for, and its answer. */
bool rpc_is_metrics(const struct http_connection *http);
int rpc_metrics(struct rpc_request *request);

/* Runs answer in a task named after the command, for as long as its caller is there; ANYIO_BROKEN when it
 * went. */
int rpc_while_there(struct rpc_request *request, int (*answer)(struct rpc_request *request));

/* "pin/ls", or whatever else was asked for: a stranger's text. */
const char *rpc_command(const struct http_connection *http);

/* Answers 500 with Kubo's {Message, Code, Type}; once an answer has begun, its trailer. The first tells
 * what the node said, and the argument it was about. */
int rpc_fail(struct rpc_request *request, int code);
int rpc_fail_text(struct rpc_request *request, int code, const char *text);

/* The only "arg", or NULL after having answered that it is missing, or that there is a second one. */
const char *rpc_arg(struct rpc_request *request);

/* A body streamed as the answer: begins it with its first byte. */
struct rpc_stream {
	struct rpc_request *request;
	const char *type, *headers;
	bool begun;
};
int rpc_stream_write(void *stream, const void *data, size_t len);
int rpc_stream_end(struct rpc_stream *stream, int rc);

/* The request's body, as multipart_open wants it; arg is the http_connection. */
ssize_t rpc_read_body(void *arg, void *buffer, size_t size);
struct multipart;
/* Opens the request's multipart body at its first part; answers when there is none, but not when it is
 * ANYIO_CANCELLED: nothing was answered then. */
int rpc_open_part(struct rpc_request *request, struct multipart *parts);
/* A whole part in memory, to be given back by rpc_part_free, also after a failure. */
struct rpc_part {
	char *data;
	size_t len, held; /* held: of the room */
	const char *why;  /* it was refused, for the caller; NULL: nothing to say but the code */
};
/* At most 2 MiB, else -EMSGSIZE. More than KIT_ROOM_SMALL of it waits for its turn in the room. */
int rpc_part_read(struct rpc_request *request, struct multipart *parts, struct rpc_part *part);
void rpc_part_free(struct rpc_request *request, struct rpc_part *part);

/* The bulk commands; each answers and returns 0, or a negative code when the connection is lost. */
int rpc_add(struct rpc_request *request);
int rpc_block_get(struct rpc_request *request);
int rpc_block_put(struct rpc_request *request);
int rpc_cat(struct rpc_request *request);
int rpc_dag_export(struct rpc_request *request);
int rpc_dag_get(struct rpc_request *request);
int rpc_dag_import(struct rpc_request *request);
int rpc_dag_put(struct rpc_request *request);
int rpc_get(struct rpc_request *request);
int rpc_wal_export(struct rpc_request *request);

#endif
