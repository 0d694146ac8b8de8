/*
 * The daemon that has the repo, over its HTTP RPC: each call is a connection of its own, so that
 * several tasks may call at once. Bulk bytes stream both ways at the same time.
 */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <anyio/anyio.h>
#include <jansson.h>
#include <kit/kit.h>

struct cli_remote;

/* address: a multiaddr (/ip4/../tcp/.., /dns../tcp/.., /unix/path) or host:port. secret may be NULL.
 * -EINVAL for an address of another kind; nothing is dialled. */
int cli_remote_create(const char *address, const char *secret, struct cli_remote **remote);
void cli_remote_free(struct cli_remote *remote);
/* Whether the daemon is to ask no peer for what it does not hold; how safe writes are to be before they are
 * acknowledged, NULL: as it thinks best. The text stays the caller's, and there. */
void cli_remote_set(struct cli_remote *remote, bool offline, const char *durability);
/* The daemon's sentence about the last failure, or why it could not be reached. */
const char *cli_remote_error_text(const struct cli_remote *remote);

/* Makes text that sentence and returns code. */
int cli_remote_fail(struct cli_remote *remote, int code, const char *text);

/* A name=value of the query; ends with a NULL name. */
struct cli_remote_query {
	const char *name, *value;
};

struct cli_remote_request {
	const char *command;                  /* "pin/ls" */
	const char *const *args;              /* NULL-terminated; NULL for none */
	const struct cli_remote_query *query; /* may be NULL */
	/* The args may be asked for in lots, one request after the other, since a daemon takes a head of
	 * so many bytes. The answers follow each other. */
	bool in_lots;
	/* Writes the body to sink, chunk by chunk; NULL: an empty body. */
	int (*body)(void *arg, const struct kit_sink *sink);
	void *body_arg;
	const char *content_type; /* of the body */
	struct kit_sink answer;   /* takes the answer's body */
};

/* POSTs it and streams the answer. 0; the daemon's own failure as a negative code (-EREMOTEIO when
 * it has none); -ECONNREFUSED and the like when nobody answers. */
int cli_remote_call(struct cli_remote *remote, const struct cli_remote_request *request);

/* Splits NDJSON or concatenated JSON values out of an answer; each may be NULL: they are of no interest. */
struct cli_remote_lines {
	int (*each)(void *arg, const char *json, size_t len);
	void *arg;
	char *buffer;
	size_t used, size;
};
struct kit_sink cli_remote_lines_sink(struct cli_remote_lines *lines);
/* The rest, and frees the buffer; rc is passed through unless the rest fails. */
int cli_remote_lines_end(struct cli_remote_lines *lines, int rc);

/* A JSON value from the daemon, or NULL: not JSON, or nested deeper than any honest answer, which
 * would overflow the parser's stack. A new reference. */
json_t *cli_remote_json(const char *text, size_t len);

/* As kit_add_paths: sent as multipart/form-data while the tree is walked; "-" among paths is input. */
int cli_remote_add_paths(struct cli_remote *remote, const char *const *paths,
	const struct kit_source *input, const struct kit_add_options *options, struct mf_cid *root);
/* Sends a source as the one file that a command takes; each of its answers goes to each. */
int cli_remote_upload(struct cli_remote *remote, const char *command,
	const struct cli_remote_query *query, const struct kit_source *source,
	int (*each)(void *arg, const char *json, size_t len), void *arg);

#endif
