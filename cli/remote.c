/*
 * HTTP/1.1 over one connection a call. The body is sent by a task of its own while the answer is
 * read, because `add` answers before all has been sent.
 */
#include "remote.h"

#include <errno.h>
#include <http_parser.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	READ_SIZE = 64 << 10,
	ERROR_MAX = 4096,
	CODE_MOST = 100000000,
	/* Of a lot; the daemon's bounds (serve/http.h) are a little above. */
	LOT_HEAD_MAX = 30 << 10,
	LOT_ARGS_MAX = 1000,
};

struct cli_remote {
	char host[256]; /* empty: a UNIX socket at path */
	char path[200];
	uint16_t port;
	char *secret;
	bool offline;
	const char *durability;
	char error[ERROR_MAX];
};

void cli_remote_set(struct cli_remote *remote, bool offline, const char *durability)
{
	remote->offline = offline;
	remote->durability = durability;
}

static int parse_multiaddr(struct cli_remote *remote, const char *text)
{
	char kind[8], host[200];
	unsigned port;
	int end = 0;

	if (!strncmp(text, "/unix/", 6)) {
		if (strlen(text + 5) >= sizeof(remote->path))
			return -EINVAL;
		strcpy(remote->path, text + 5);
		return 0;
	}
	if (sscanf(text, "/%7[a-z0-9]/%199[^/]/tcp/%u%n", kind, host, &port, &end) == 3 && end &&
		(!text[end] || !strcmp(text + end, "/http")) && port <= 65535 &&
		(!strncmp(kind, "ip", 2) || !strncmp(kind, "dns", 3))) {
		strcpy(remote->host, host);
		remote->port = (uint16_t)port;
		return 0;
	}
	return -EINVAL;
}

static int parse_host_port(struct cli_remote *remote, const char *text)
{
	const char *colon;

	if (!strncmp(text, "http://", 7))
		text += 7;
	colon = strrchr(text, ':');
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(remote->host) ||
		strchr(text, '/'))
		return -EINVAL;
	memcpy(remote->host, text, (size_t)(colon - text));
	char *end;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (*end || !port || port > 65535)
		return -EINVAL;
	remote->port = (uint16_t)port;
	return 0;
}

int cli_remote_create(const char *address, const char *secret, struct cli_remote **out)
{
	struct cli_remote *remote = anyio_calloc(1, sizeof(*remote));
	int rc = remote ? 0 : -ENOMEM;

	*out = NULL;
	if (!rc)
		rc = *address == '/' ? parse_multiaddr(remote, address)
				     : parse_host_port(remote, address);
	if (!rc && secret && *secret && !(remote->secret = anyio_strdup(secret)))
		rc = -ENOMEM;
	if (rc)
		anyio_free(remote);
	else
		*out = remote;
	return rc;
}

void cli_remote_free(struct cli_remote *remote)
{
	if (!remote)
		return;
	anyio_free(remote->secret);
	anyio_free(remote);
}

const char *cli_remote_error_text(const struct cli_remote *remote)
{
	return remote->error;
}

int cli_remote_fail(struct cli_remote *remote, int code, const char *text)
{
	snprintf(remote->error, sizeof(remote->error), "%s", text);
	return code;
}

/* ---- Building a request ---- */

struct text {
	char *data;
	size_t used, size;
	bool failed;
};

static void put(struct text *text, const char *data, size_t len)
{
	if (text->used + len + 1 > text->size) {
		size_t size = (text->used + len + 1) * 2;
		char *bigger = anyio_realloc(text->data, size);
		if (!bigger) {
			text->failed = true;
			return;
		}
		text->data = bigger;
		text->size = size;
	}
	memcpy(text->data + text->used, data, len);
	text->used += len;
	text->data[text->used] = 0;
}

static void put_text(struct text *text, const char *data)
{
	put(text, data, strlen(data));
}

static void put_escaped(struct text *text, const char *data)
{
	for (; *data; data++) {
		char hex[4];
		unsigned char c = (unsigned char)*data;
		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			strchr("-_.~", c))
			put(text, data, 1);
		else
			put(text, hex, (size_t)snprintf(hex, sizeof(hex), "%%%02X", c));
	}
}

static void put_arg(struct text *text, const char *arg, bool first)
{
	put_text(text, first ? "?arg=" : "&arg=");
	put_escaped(text, arg);
}

/* What comes behind the arguments. */
static void put_rest(struct text *text, const struct cli_remote *remote,
	const struct cli_remote_request *request, char separator)
{
	for (const struct cli_remote_query *q = request->query; q && q->name; q++) {
		if (!q->value)
			continue;
		put(text, &separator, 1);
		put_escaped(text, q->name);
		put_text(text, "=");
		put_escaped(text, q->value);
		separator = '&';
	}
	if (remote->offline) {
		put(text, &separator, 1);
		put_text(text, "offline=true");
		separator = '&';
	}
	if (remote->durability) {
		put(text, &separator, 1);
		put_text(text, "durability=");
		put_escaped(text, remote->durability);
	}
	put_text(text, " HTTP/1.1\r\nHost: ");
	put_text(text, remote->host[0] ? remote->host : "localhost");
	put_text(text, "\r\nUser-Agent: ipfs-kit\r\nConnection: close\r\n");
	if (remote->secret) {
		put_text(text, "Authorization: Bearer ");
		put_text(text, remote->secret);
		put_text(text, "\r\n");
	}
	if (request->body) {
		put_text(text, "Transfer-Encoding: chunked\r\nContent-Type: ");
		put_text(text, request->content_type);
		put_text(text, "\r\n\r\n");
	} else {
		put_text(text, "Content-Length: 0\r\n\r\n");
	}
}

/* The request for args, or for those of them that one lot holds; how many. */
static size_t put_head(struct text *text, const struct cli_remote *remote,
	const struct cli_remote_request *request, const char *const *args)
{
	struct text rest = { 0 };
	size_t count = 0, before;

	put_rest(&rest, remote, request, args && *args ? '&' : '?');
	put_text(text, "POST /api/v0/");
	put_text(text, request->command);
	for (; args && args[count]; count++) {
		before = text->used;
		put_arg(text, args[count], !count);
		bool full = count == LOT_ARGS_MAX || text->used + rest.used > LOT_HEAD_MAX;
		if (request->in_lots && count && full) {
			text->used = before;
			break;
		}
	}
	put(text, rest.data, rest.used);
	text->failed |= rest.failed;
	anyio_free(rest.data);
	return count;
}

/* ---- One call ---- */

struct call {
	struct cli_remote *remote;
	const struct cli_remote_request *request;
	const char *const *args; /* that are still to be asked for */
	size_t count;            /* of them that this call asks for */
	struct anyio_stream *stream;
	http_parser parser;
	int failure; /* of the answer's sink */
	bool done;
	char field
		[32]; /* the name of a header or trailer; Kubo reports late errors in X-Stream-Error */
	bool field_whole; /* its value has begun */
	bool stream_error;
	int stream_code; /* of X-Stream-Errno, ours, which comes before it; 0: none */
	size_t error_used;
};

static int send_chunk(void *arg, const void *data, size_t len)
{
	struct call *call = arg;
	char head[24];
	struct iovec iov[3] = { { head, 0 }, { (void *)data, len }, { "\r\n", 2 } };

	if (len == 0)
		return 0;
	iov[0].iov_len = (size_t)snprintf(head, sizeof(head), "%zx\r\n", len);
	return anyio_stream_sendv(call->stream, iov, 3, NULL);
}

static int send_body(void *arg)
{
	struct call *call = arg;
	struct kit_sink sink = { send_chunk, call };
	int rc = call->request->body(call->request->body_arg, &sink);

	if (rc == 0)
		rc = anyio_stream_send(call->stream, "0\r\n\r\n", 5);
	/* A daemon that refused early has said why in its answer, which is being read. */
	return rc == -EPIPE || rc == -ECONNRESET || rc == ANYIO_BROKEN || rc == ANYIO_CLOSED ? 0
											     : rc;
}

static void keep_error(struct call *call, const char *data, size_t len)
{
	size_t room = ERROR_MAX - 1 - call->error_used;

	memcpy(call->remote->error + call->error_used, data, len < room ? len : room);
	call->error_used += len < room ? len : room;
	call->remote->error[call->error_used] = 0;
}

static int on_body(http_parser *parser, const char *data, size_t len)
{
	struct call *call = parser->data;

	if (parser->status_code != 200)
		keep_error(call, data, len);
	else
		call->failure = call->request->answer.write(call->request->answer.arg, data, len);
	return call->failure != 0;
}

/* In as many pieces as it is read in. */
static int on_header_field(http_parser *parser, const char *data, size_t len)
{
	struct call *call = parser->data;
	size_t used = call->field_whole ? 0 : strlen(call->field);

	snprintf(call->field + used, sizeof(call->field) - used, "%.*s", (int)len, data);
	call->field_whole = false;
	return 0;
}

static int on_header_value(http_parser *parser, const char *data, size_t len)
{
	struct call *call = parser->data;

	call->field_whole = true;
	if (strcasecmp(call->field, "X-Stream-Errno") == 0)
		for (size_t i = 0; i < len && call->stream_code > -CODE_MOST; i++)
			if (data[i] >= '0' && data[i] <= '9')
				call->stream_code = call->stream_code * 10 - (data[i] - '0');
	if (strcasecmp(call->field, "X-Stream-Error") == 0) {
		call->stream_error = true;
		keep_error(call, data, len);
	}
	return 0;
}

static int on_complete(http_parser *parser)
{
	((struct call *)parser->data)->done = true;
	return 0;
}

static const http_parser_settings callbacks = {
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

static int read_answer(struct call *call)
{
	char *buffer = anyio_malloc(READ_SIZE);
	int rc = buffer ? 0 : -ENOMEM;

	while (!rc && !call->done) {
		ssize_t n = anyio_stream_receive(call->stream, buffer, READ_SIZE);
		if (n < 0) {
			rc = (int)n;
			break;
		}
		size_t used = http_parser_execute(&call->parser, &callbacks, buffer, (size_t)n);
		if (call->failure)
			rc = call->failure;
		else if (n == 0 && !call->done)
			rc = ANYIO_INCOMPLETE_READ;
		else if (used != (size_t)n && !call->done)
			rc = -EPROTO;
	}
	anyio_free(buffer);
	return rc;
}

static int converse(void *arg)
{
	struct call *call = arg;
	struct text head = { 0 };
	int rc;

	call->count = put_head(&head, call->remote, call->request, call->args);
	rc = head.failed ? -ENOMEM : anyio_stream_send(call->stream, head.data, head.used);
	anyio_free(head.data);
	if (rc)
		return rc;

	ANYIO_TASK_GROUP(group);
	/* Walking a tree of folders takes a deep stack. */
	static const struct anyio_task_options deep = {
		.name = "request body", .stack_size = 1 << 20, .may_fail = true
	};
	if (call->request->body)
		rc = anyio_start_soon_with(&group, send_body, call, &deep);
	if (rc)
		snprintf(call->remote->error, sizeof(call->remote->error),
			"the request cannot be sent: %s", anyio_error_text(rc));
	else
		rc = read_answer(call);
	/* The answer is whole: what is still being sent interests nobody any more. */
	anyio_task_group_cancel(&group, "answered");
	return anyio_task_group_exit(&group, rc);
}

/* A secret that is wrong, or missing. */
static int unauthorized(struct cli_remote *remote)
{
	return cli_remote_fail(remote, -EACCES,
		remote->secret
			? "the daemon's API does not take this secret: it has the api.secret that the config held when "
			  "it was started, or its own --api-auth; give that with --api-auth or in IPFS_KIT_API_AUTH"
			: "the daemon's API wants a secret; give its api.secret with --api-auth or in IPFS_KIT_API_AUTH");
}

/* Turns {Message, Code, Type} into our sentence and a code. */
static int daemon_error(struct cli_remote *remote, unsigned status)
{
	if (status == 401)
		return unauthorized(remote);
	json_t *root = cli_remote_json(remote->error, strlen(remote->error));
	const char *message = json_string_value(json_object_get(root, "Message"));
	int code = status == 400 ? -EINVAL : -EREMOTEIO;

	if (message) {
		const json_t *number = json_object_get(root, "Errno");
		if (json_is_integer(number) && json_integer_value(number) < 0)
			code = (int)json_integer_value(number);
		char *copy = anyio_strdup(message);
		snprintf(remote->error, sizeof(remote->error), "%s", copy ? copy : "out of memory");
		anyio_free(copy);
	} else {
		size_t len = strcspn(remote->error, "\r\n");
		remote->error[len] = 0;
	}
	json_decref(root);
	return code;
}

/* Whether a daemon could be started where this program runs, and would answer there. */
static bool is_here(const struct cli_remote *remote)
{
	return !remote->host[0] || !strcmp(remote->host, "localhost") ||
		!strcmp(remote->host, "::1") || !strncmp(remote->host, "127.", 4);
}

static int dial(struct cli_remote *remote, struct anyio_stream **stream)
{
	char port[8] = "";

	if (remote->host[0])
		snprintf(port, sizeof(port), ":%u", remote->port);
	int rc = remote->host[0] ? anyio_connect_tcp(remote->host, remote->port, stream)
				 : anyio_connect_unix(remote->path, stream);
	if (rc && rc != ANYIO_CANCELLED)
		snprintf(remote->error, sizeof(remote->error), "no daemon answers at %s%s: %s; %s",
			remote->host[0] ? remote->host : remote->path, port,
			rc == -ENOENT && remote->host[0] ? "no host is called that"
							 : anyio_error_text(rc),
			is_here(remote) ? "start one with 'ipfs-kit daemon'"
					: "check the address, and that it runs there");
	/* A socket that is not there is a daemon that does not run. */
	return rc == -ENOENT ? -ECONNREFUSED : rc;
}

static int call_once(struct call *call)
{
	struct cli_remote *remote = call->remote;
	int rc;

	remote->error[0] = 0;
	rc = dial(remote, &call->stream);
	if (rc)
		return rc;
	http_parser_init(&call->parser, HTTP_RESPONSE);
	call->parser.data = call;
	rc = converse(call);
	anyio_stream_free(call->stream);
	if (!rc && (call->parser.status_code != 200 || call->stream_error)) {
		rc = daemon_error(remote, call->parser.status_code);
		return call->stream_code ? call->stream_code : rc;
	}
	if (rc == ANYIO_INCOMPLETE_READ || rc == ANYIO_BROKEN || rc == -ECONNRESET)
		snprintf(remote->error, sizeof(remote->error),
			"the daemon went away before its answer was whole; 'ipfs-kit daemon' starts one again, then run this again");
	if (rc == -EPROTO)
		snprintf(remote->error, sizeof(remote->error),
			"what answers at %s is no daemon of IPFS; check the address",
			remote->host[0] ? remote->host : remote->path);
	return rc;
}

/* What the daemon says is about the lot that failed. */
static void tell_lots_before(struct cli_remote *remote, size_t done, const char *const *args)
{
	char said[ERROR_MAX - 100];
	size_t count = done;

	while (args[count])
		count++;
	snprintf(said, sizeof(said), "%.*s", (int)sizeof(said) - 1, remote->error);
	if (*said)
		snprintf(remote->error, sizeof(remote->error),
			"the first %zu of %zu are done; of those after them: %s", done, count,
			said);
}

int cli_remote_call(struct cli_remote *remote, const struct cli_remote_request *request)
{
	size_t done = 0;
	int rc;

	do {
		struct call call = { .remote = remote,
			.request = request,
			.args = request->args ? request->args + done : NULL };
		rc = call_once(&call);
		done += rc ? 0 : call.count;
	} while (!rc && request->args && request->args[done]);
	if (rc && done)
		tell_lots_before(remote, done, request->args);
	return rc;
}

/* ---- JSON ---- */

json_t *cli_remote_json(const char *text, size_t len)
{
	enum { DEPTH_MAX = 32 };
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted)
			quoted = text[i] == '\\' ? ++i < len : text[i] != '"';
		else if (text[i] == '"')
			quoted = true;
		else if (text[i] == '[' || text[i] == '{')
			depth++;
		else if ((text[i] == ']' || text[i] == '}') && depth)
			depth--;
		if (depth > DEPTH_MAX)
			return NULL;
	}
	return json_loadb(text, len, JSON_DECODE_ANY, NULL);
}

static int flush_lines(struct cli_remote_lines *lines)
{
	size_t start = 0;
	int rc = 0;

	for (size_t i = 0; i < lines->used && !rc; i++)
		if (lines->buffer[i] == '\n') {
			if (i > start && lines->each)
				rc = lines->each(lines->arg, lines->buffer + start, i - start);
			start = i + 1;
		}
	memmove(lines->buffer, lines->buffer + start, lines->used - start);
	lines->used -= start;
	return rc;
}

static int take_lines(void *arg, const void *data, size_t len)
{
	struct cli_remote_lines *lines = arg;

	if (lines->used + len > lines->size) {
		size_t size = (lines->used + len) * 2;
		char *bigger = size <= 64u << 20 ? anyio_realloc(lines->buffer, size) : NULL;
		if (!bigger)
			return -ENOMEM;
		lines->buffer = bigger;
		lines->size = size;
	}
	memcpy(lines->buffer + lines->used, data, len);
	lines->used += len;
	return flush_lines(lines);
}

struct kit_sink cli_remote_lines_sink(struct cli_remote_lines *lines)
{
	return (struct kit_sink){ take_lines, lines };
}

int cli_remote_lines_end(struct cli_remote_lines *lines, int rc)
{
	if (!rc && lines->used && lines->each)
		rc = lines->each(lines->arg, lines->buffer, lines->used);
	anyio_free(lines->buffer);
	return rc;
}
