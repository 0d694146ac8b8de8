/*
 * One HTTP/1.1 connection, as straight-line code: read a request's head, read its body as it is
 * wanted, write an answer whose body is sent in chunks. http_parser does the parsing.
 *
 * Bounds: head 32 KiB, HTTP_HEAD_TIME, 1,024 query parameters. A body is never kept, so it has no bound.
 * A client may send its body and take its answer as slowly as it likes, or pause, until others wait
 * for what it holds. So that one who moves a byte now and then holds nothing longer than one who moves
 * none, standing still is counted as a debt: it grows while the client keeps us waiting, and each byte
 * moved, either way, takes off its share of a second at HTTP_RATE.
 */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include <anyio/anyio.h>
#include <http_parser.h>
#include <kit/kit.h>

#define HTTP_STANDSTILL (5 * ANYIO_SECOND)
#define HTTP_HEAD_TIME  (10 * ANYIO_SECOND)
#define HTTP_IDLE_MAX   (120 * ANYIO_SECOND) /* between requests */

enum {
	HTTP_HEAD_MAX = 32 << 10,
	HTTP_BUFFER = 64 << 10,
	HTTP_PARAMS_MAX = 1024, /* 16 KiB of them, while the request is answered */
	HTTP_RATE = 64 << 10,   /* bytes a second that keep a client from owing time */
};

struct http_param {
	char *name, *value; /* decoded, inside the head's storage */
};

struct http_connection {
	struct anyio_stream *stream;
	http_parser parser;
	char *buffer;             /* HTTP_BUFFER bytes while a request is read; NULL between them */
	size_t body_at, body_len; /* decoded body bytes waiting in buffer */
	size_t rest_at, rest_len; /* bytes of the next request, behind this one's in buffer */
	bool head_done, message_done;

	/* The request. Strings lie in head; absent ones are "". */
	char *head;
	size_t head_used;
	char *url, *path;
	char *origin, *referer, *authorization, *content_type, *host, *fetch_site, *expect;
	struct http_param *params; /* param_count of them */
	size_t param_count;
	size_t header_start, value_start;
	int failure; /* HTTP status when the head was refused */

	/* The answer. */
	bool answered, ended, keep_alive; /* begun, whole, another may follow */
	const char *allow_origin; /* a browser's origin that may read the answer; NULL: none */
	uint64_t moved; /* bytes received and sent so far, but for those of the send in progress: */
	size_t sending;
	bool lost; /* a send was cut off: nothing after it would be understood */

	/* Who waits for whom. */
	bool idle;        /* between requests */
	unsigned waits;   /* for the client, now: at most one to receive and one to send */
	anyio_time began; /* idle, or the request's head */
	anyio_time since; /* it owes the time from here on, not counting that of our own work */
	anyio_time busy;  /* from here on we have been at work, when nothing waits for it */

	bool holds_body; /* what came of the request's body is in memory, which others may wait for */
	/* Whether others wait for memory as this connection holds; may be NULL. */
	bool (*wanted)(void *arg);
	void *wanted_arg;
};

/* wanted and its argument may be set afterwards. */
void http_open(struct http_connection *connection, struct anyio_stream *stream);
void http_close(struct http_connection *connection);

/* Waits for a request and reads its head. 0; ANYIO_END_OF_STREAM when the client is done; -EPROTO
 * for what is not HTTP (an answer was sent); -EMSGSIZE for a head or parameters over the bound and
 * -ETIMEDOUT for one that took too long (likewise); -ETIMEDOUT when none came. An idle connection holds
 * no buffer. */
int http_next(struct http_connection *connection);

/* How long the client has stood still, while we wait for it; else 0. */
anyio_time http_standing(const struct http_connection *connection);

/* Whether it has stood still for too long, when others wait for what it holds. */
bool http_must_go(const struct http_connection *connection);

/* The request's body, a read at a time: at least 1 byte, 0 at the end. */
ssize_t http_body(struct http_connection *connection, void *buffer, size_t size);

/* A query parameter, decoded; NULL when absent. at counts those of one name. */
const char *http_param(const struct http_connection *connection, const char *name, size_t at);
/* One that options_check made "true" or "false". */
bool http_flag(const struct http_connection *connection, const char *name, bool dflt);

/* Starts an answer with a chunked body. headers: whole lines with their CRLF, or "". */
int http_answer(
	struct http_connection *connection, int status, const char *type, const char *headers);
/* A piece of its body. */
int http_write(struct http_connection *connection, const void *data, size_t len);
/* Ends it. error, when not NULL, goes out as the trailer X-Stream-Error, as Kubo has it, and code, 0 for none, as X-Stream-Errno
 * before it: the body is not whole. */
int http_end(struct http_connection *connection, const char *error, int code);
/* A whole short answer; to HEAD its head alone. */
int http_reply(struct http_connection *connection, int status, const char *type, const char *text);

/* Whether every % has two digits after it. */
bool http_is_escaped(const char *text);
/* Decodes %XX (and + as space in queries) in place. False when it is malformed or holds a NUL. */
bool http_unescape(char *text, bool query);

#endif
