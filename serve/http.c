#include "http.h"

#include <errno.h>
#include <kit/call.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char empty[] = "";

/* ---- Standing still ---- */

/* The time of our own work is not the client's. */
static void wait_begins(struct http_connection *c)
{
	if (c->waits++ == 0)
		c->since += anyio_now() - c->busy;
}

static void wait_ends(struct http_connection *c, size_t moved)
{
	anyio_time now = anyio_now(), paid = c->since;

	c->moved += moved;
	paid += (anyio_time)moved * (ANYIO_SECOND / HTTP_RATE);
	c->since = paid < now ? paid : now;
	if (--c->waits == 0)
		c->busy = now;
}

static void start_clock(struct http_connection *c)
{
	c->began = c->since = c->busy = anyio_now();
}

anyio_time http_standing(const struct http_connection *c)
{
	return c->waits ? anyio_now() - c->since : 0;
}

/* ---- Sending ---- */

#define LOOK_EVERY (1 * ANYIO_SECOND)

struct sending {
	struct http_connection *c;
	struct iovec *iov;
	int count;
};

static int send_all(void *arg)
{
	struct sending *sending = arg;

	return anyio_stream_sendv(
		sending->c->stream, sending->iov, sending->count, &sending->c->sending);
}

/* Takes what was sent off the front. */
static void advance(struct sending *sending, size_t count)
{
	for (; sending->count && count >= sending->iov->iov_len; sending->count--)
		count -= sending->iov++->iov_len;
	if (sending->count) {
		sending->iov->iov_base = (char *)sending->iov->iov_base + count;
		sending->iov->iov_len -= count;
	}
}

bool http_must_go(const struct http_connection *c)
{
	return anyio_now() - c->since >= HTTP_STANDSTILL && c->wanted && c->wanted(c->wanted_arg);
}

/* Sends all of it, for as long as it takes; iov is used up. */
static int put(struct http_connection *c, struct iovec *iov, int count)
{
	struct sending sending = { c, iov, count };
	bool begun = false;
	int rc;

	if (c->lost)
		return ANYIO_BROKEN;
	do {
		c->sending = 0;
		wait_begins(c);
		rc = anyio_fail_after(LOOK_EVERY, send_all, &sending);
		size_t sent = c->sending;
		c->sending = 0;
		wait_ends(c, sent);
		begun = begun || sent;
		advance(&sending, sent);
		if (rc == -ETIMEDOUT)
			rc = http_must_go(c) ? ANYIO_BROKEN : 0;
	} while (!rc && sending.count);
	c->lost = rc && (begun || rc != ANYIO_CANCELLED);
	return rc;
}

static int put_bytes(struct http_connection *c, const void *data, size_t len)
{
	struct iovec iov = { (void *)data, len };

	return put(c, &iov, 1);
}

/* ---- Parsing ---- */

/* Appends to the head's storage; strings there are ended when the next one begins. */
static int keep(struct http_connection *c, const char *data, size_t len)
{
	/* Room for two ends of strings beside the bytes. */
	if (c->head_used + len + 4 > HTTP_HEAD_MAX) {
		c->failure = 431;
		return 1;
	}
	memcpy(c->head + c->head_used, data, len);
	c->head_used += len;
	c->head[c->head_used] = 0;
	return 0;
}

static int on_url(http_parser *parser, const char *data, size_t len)
{
	struct http_connection *c = parser->data;

	if (c->url == empty)
		c->url = c->head + c->head_used;
	return keep(c, data, len);
}

static void end_string(struct http_connection *c)
{
	c->head[c->head_used++] = 0;
	c->head[c->head_used] = 0;
}

static char **wanted_header(struct http_connection *c, const char *name)
{
	static const struct {
		const char *name;
		size_t offset;
	} wanted[] = {
		{ "Origin", offsetof(struct http_connection, origin) },
		{ "Referer", offsetof(struct http_connection, referer) },
		{ "Authorization", offsetof(struct http_connection, authorization) },
		{ "Content-Type", offsetof(struct http_connection, content_type) },
		{ "Host", offsetof(struct http_connection, host) },
		{ "Sec-Fetch-Site", offsetof(struct http_connection, fetch_site) },
		{ "Expect", offsetof(struct http_connection, expect) },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (!strcasecmp(name, wanted[i].name))
			return (char **)((char *)c + wanted[i].offset);
	return NULL;
}

static int on_field(http_parser *parser, const char *data, size_t len)
{
	struct http_connection *c = parser->data;

	if (c->head_done)
		return 0; /* trailers interest nobody */
	if (c->header_start == 0 || c->value_start != 0) {
		end_string(c);
		c->header_start = c->head_used;
		c->value_start = 0;
	}
	return keep(c, data, len);
}

static int on_value(http_parser *parser, const char *data, size_t len)
{
	struct http_connection *c = parser->data;

	if (c->head_done)
		return 0;
	if (c->value_start == 0) {
		char **slot = wanted_header(c, c->head + c->header_start);
		end_string(c);
		c->value_start = c->head_used;
		if (slot)
			*slot = c->head + c->head_used;
	}
	return keep(c, data, len);
}

static int on_headers(http_parser *parser)
{
	struct http_connection *c = parser->data;

	c->head_done = true;
	return 0;
}

/* Body bytes are moved to the front of the buffer they came in: they only ever move down. */
static int on_body(http_parser *parser, const char *data, size_t len)
{
	struct http_connection *c = parser->data;

	memmove(c->buffer + c->body_len, data, len);
	c->body_len += len;
	return 0;
}

static int on_complete(http_parser *parser)
{
	struct http_connection *c = parser->data;

	c->message_done = true;
	http_parser_pause(parser, 1);
	return 0;
}

static const http_parser_settings callbacks = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

static void *borrow(void *arg, size_t *size)
{
	struct http_connection *c = arg;

	if (!c->buffer)
		c->buffer = anyio_malloc(HTTP_BUFFER);
	*size = HTTP_BUFFER;
	return c->buffer;
}

static ssize_t receive(struct http_connection *c)
{
	wait_begins(c);
	ssize_t n = anyio_stream_receive_lazy(c->stream, borrow, c);
	wait_ends(c, n > 0 ? (size_t)n : 0);
	return n;
}

/* Reads once, or takes what came behind the last request, and parses it: 0, or a negative code. */
static int feed(struct http_connection *c)
{
	size_t at = c->rest_len ? c->rest_at : 0;
	ssize_t n = c->rest_len ? (ssize_t)c->rest_len : receive(c);

	c->rest_len = c->body_at = c->body_len = 0;
	if (n < 0)
		return (int)n;
	if (n == 0)
		return c->head_used || c->head_done ? ANYIO_INCOMPLETE_READ : ANYIO_END_OF_STREAM;
	size_t used = http_parser_execute(&c->parser, &callbacks, c->buffer + at, (size_t)n);
	if (c->message_done) {
		c->rest_at = at + used;
		c->rest_len = (size_t)n - used;
		return 0;
	}
	return HTTP_PARSER_ERRNO(&c->parser) == HPE_OK ? 0 : -EPROTO;
}

/* ---- The request ---- */

void http_open(struct http_connection *c, struct anyio_stream *stream)
{
	*c = (struct http_connection){ .stream = stream, .idle = true };
	start_clock(c);
}

void http_close(struct http_connection *c)
{
	anyio_free(c->buffer);
	anyio_free(c->head);
	anyio_free(c->params);
	c->buffer = c->head = NULL;
	c->params = NULL;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_is_escaped(const char *text)
{
	while ((text = strchr(text, '%'))) {
		if (hex(text[1]) < 0 || hex(text[2]) < 0)
			return false;
		text += 3;
	}
	return true;
}

bool http_unescape(char *text, bool query)
{
	char *out = text;

	for (; *text; text++) {
		if (*text == '%') {
			int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);
			if (low < 0 || high * 16 + low == 0)
				return false;
			*out++ = (char)(high * 16 + low);
			text += 2;
		} else {
			*out++ = query && *text == '+' ? ' ' : *text;
		}
	}
	*out = 0;
	return true;
}

/* Room for all that the query may hold. */
static int make_params(struct http_connection *c, const char *query)
{
	size_t most = 1;

	for (; (query = strchr(query, '&')); query++)
		most++;
	if (most > HTTP_PARAMS_MAX)
		return -EMSGSIZE;
	c->params = anyio_malloc(most * sizeof(*c->params));
	return c->params ? 0 : -ENOMEM;
}

/* 0, -EPROTO for what is malformed, or what make_params gives. */
static int split_url(struct http_connection *c)
{
	char *query = strchr(c->url, '?');
	int rc = query ? make_params(c, query) : 0;

	if (rc)
		return rc;
	c->path = c->url;
	if (query)
		*query++ = 0;
	while (query && *query) {
		char *end = strchr(query, '&'), *equals;
		if (end)
			*end++ = 0;
		if (*query) {
			equals = strchr(query, '=');
			if (equals)
				*equals++ = 0;
			struct http_param *param = &c->params[c->param_count++];
			*param = (struct http_param){ query, equals ? equals : empty };
			if (!http_unescape(param->name, true) || !http_unescape(param->value, true))
				return -EPROTO;
		}
		query = end;
	}
	return http_unescape(c->path, false) ? 0 : -EPROTO;
}

static void reset(struct http_connection *c)
{
	struct anyio_stream *stream = c->stream;
	char *head = c->head, *buffer = c->buffer;
	size_t rest_at = c->rest_at, rest_len = c->rest_len;

	anyio_free(c->params);
	*c = (struct http_connection){ .stream = stream,
		.head = head,
		.buffer = buffer,
		.rest_at = rest_at,
		.rest_len = rest_len,
		.wanted = c->wanted,
		.wanted_arg = c->wanted_arg,
		.idle = true,
		.url = empty,
		.path = empty,
		.origin = empty,
		.referer = empty,
		.authorization = empty,
		.content_type = empty,
		.host = empty,
		.fetch_site = empty,
		.expect = empty };
	http_parser_init(&c->parser, HTTP_REQUEST);
	c->parser.data = c;
	start_clock(c);
	/* Idle connections give their buffers back. */
	if (!rest_len) {
		anyio_free(c->buffer);
		c->buffer = NULL;
	}
}

static int begin_head(void *http)
{
	return feed(http);
}

static int read_head(void *http)
{
	struct http_connection *c = http;
	int rc = 0;

	while (!c->head_done && rc == 0)
		rc = feed(c);
	return rc;
}

/* Whoever says nothing goes in the end, and whoever says it slowly sooner. */
static int wait_for_head(struct http_connection *c)
{
	int rc = anyio_fail_after(HTTP_IDLE_MAX, begin_head, c);

	c->idle = false;
	if (rc)
		return rc;
	start_clock(c);
	rc = c->head_done ? 0 : anyio_fail_after(HTTP_HEAD_TIME, read_head, c);
	if (rc == -ETIMEDOUT)
		http_reply(c, 408, "text/plain", "the request's head did not come in time\n");
	return rc;
}

static int too_much(struct http_connection *c, int status, const char *what, int bound)
{
	char text[120];

	c->keep_alive = false;
	snprintf(text, sizeof(text), "%s; at most %d%s are taken, so ask for fewer at once\n", what,
		bound, status == 431 ? " KiB" : "");
	http_reply(c, status, "text/plain", text);
	return -EMSGSIZE;
}

int http_next(struct http_connection *c)
{
	if (!c->head && !(c->head = anyio_malloc(HTTP_HEAD_MAX)))
		return -ENOMEM;
	reset(c);
	int rc = wait_for_head(c);
	/* The parser's own bound is higher, but a read may pass both. */
	if (c->failure == 431 || HTTP_PARSER_ERRNO(&c->parser) == HPE_HEADER_OVERFLOW)
		return too_much(c, 431, "the request's head is too long", HTTP_HEAD_MAX >> 10);
	if (rc == -EPROTO || (rc == 0 && c->parser.http_major != 1)) {
		c->keep_alive = false;
		http_reply(c, 400, "text/plain", "this is not an HTTP/1.1 request\n");
		return -EPROTO;
	}
	if (rc)
		return rc;
	c->keep_alive = http_should_keep_alive(&c->parser);
	rc = split_url(c);
	if (rc == -EMSGSIZE)
		return too_much(c, 400, "too many parameters", HTTP_PARAMS_MAX);
	if (rc == -EPROTO) {
		c->keep_alive = false;
		http_reply(c, 400, "text/plain", "malformed address\n");
	}
	return rc;
}

ssize_t http_body(struct http_connection *c, void *buffer, size_t size)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (*c->expect && !c->answered && !strcasecmp(c->expect, "100-continue") &&
		c->body_len == 0) {
		int rc = put_bytes(c, go_on, sizeof(go_on) - 1);
		if (rc)
			return rc;
	}
	c->expect = empty;
	while (c->body_at == c->body_len) {
		if (c->message_done)
			return 0;
		int rc = feed(c);
		if (rc)
			return rc == ANYIO_END_OF_STREAM ? ANYIO_INCOMPLETE_READ : rc;
	}
	size_t n = c->body_len - c->body_at < size ? c->body_len - c->body_at : size;
	memcpy(buffer, c->buffer + c->body_at, n);
	c->body_at += n;
	return (ssize_t)n;
}

const char *http_param(const struct http_connection *c, const char *name, size_t at)
{
	for (size_t i = 0; i < c->param_count; i++)
		if (!strcmp(c->params[i].name, name) && at-- == 0)
			return c->params[i].value;
	return NULL;
}

bool http_flag(const struct http_connection *c, const char *name, bool dflt)
{
	const char *value = http_param(c, name, 0);

	if (value)
		kit_truth_parse(value, &dflt);
	return dflt;
}

/* ---- The answer ---- */

static const char *reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 204: return "No Content";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 431: return "Request Header Fields Too Large";
	case 503: return "Service Unavailable";
	}
	return "Internal Server Error";
}

/* What lets a browser's page of an allowed origin read the answer (the Fetch standard, CORS). */
static const char *cors(const struct http_connection *c, char *out, size_t cap)
{
	out[0] = 0;
	if (c->allow_origin)
		snprintf(out, cap,
			"Access-Control-Allow-Origin: %.300s\r\nVary: Origin\r\n"
			"Access-Control-Allow-Methods: POST\r\n"
			"Access-Control-Allow-Headers: Authorization, Content-Type, X-Requested-With\r\n"
			"Access-Control-Expose-Headers: X-Stream-Output, X-Chunked-Output, X-Content-Length\r\n",
			c->allow_origin);
	return out;
}

int http_answer(struct http_connection *c, int status, const char *type, const char *headers)
{
	char head[1536], shared[800];
	int len;

	c->answered = true;
	len = snprintf(head, sizeof(head),
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Errno, X-Stream-Error\r\n"
		"%s%s%s\r\n",
		status, reason(status), type, headers, cors(c, shared, sizeof(shared)),
		c->keep_alive ? "" : "Connection: close\r\n");
	int rc = len < (int)sizeof(head) ? put_bytes(c, head, (size_t)len) : -EMSGSIZE;
	/* Cut off before its first byte, it is still to be answered. */
	c->answered = rc != ANYIO_CANCELLED || c->lost;
	return rc;
}

int http_write(struct http_connection *c, const void *data, size_t len)
{
	char head[24];
	struct iovec iov[3] = { { head, 0 }, { (void *)data, len }, { "\r\n", 2 } };

	if (len == 0)
		return 0;
	iov[0].iov_len = (size_t)snprintf(head, sizeof(head), "%zx\r\n", len);
	return put(c, iov, 3);
}

int http_end(struct http_connection *c, const char *error, int code)
{
	char tail[1280];
	size_t n;

	c->ended = true;
	if (!error)
		return put_bytes(c, "0\r\n\r\n", 5);
	c->keep_alive = false;
	n = (size_t)snprintf(
		tail, sizeof(tail) - 8, "0\r\nX-Stream-Errno: %d\r\nX-Stream-Error: ", code);
	for (; *error && n + 8 < sizeof(tail); error++)
		tail[n++] = *error == '\r' || *error == '\n' ? ' ' : *error;
	memcpy(tail + n, "\r\n\r\n", 4);
	return put_bytes(c, tail, n + 4);
}

int http_reply(struct http_connection *c, int status, const char *type, const char *text)
{
	char head[1536], shared[800];
	size_t body = strlen(text);
	struct iovec iov[2] = { { head, 0 }, { (void *)text, body } };
	/* A body would be taken for the next answer. */
	int parts = c->parser.method == HTTP_HEAD ? 1 : 2;

	c->answered = c->ended = true;
	/* A body that was not read would be taken for the next request. */
	if (!c->message_done)
		c->keep_alive = false;
	iov[0].iov_len = (size_t)snprintf(head, sizeof(head),
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n", status,
		reason(status), type, body, cors(c, shared, sizeof(shared)),
		c->keep_alive ? "" : "Connection: close\r\n");
	int rc = put(c, iov, parts);
	c->answered = c->ended = rc != ANYIO_CANCELLED || c->lost;
	return rc;
}
