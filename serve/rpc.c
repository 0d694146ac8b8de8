/*
 * Kubo's RPC: who may call, which command, and the small ones by name. Rules first: no browser of a
 * foreign origin, the secret when there is one, POST only (but for the page of metrics); only then is
 * anything looked at.
 */
#include "crowd.h"
#include "options.h"

#include <errno.h>
#include <jansson.h>
#include <kit/call.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "/api/v0/";

static const struct {
	const char *name;
	int (*run)(struct rpc_request *request);
} bulk[] = {
	{ "add", rpc_add },
	{ "block/get", rpc_block_get },
	{ "block/put", rpc_block_put },
	{ "cat", rpc_cat },
	{ "dag/export", rpc_dag_export },
	{ "dag/get", rpc_dag_get },
	{ "dag/import", rpc_dag_import },
	{ "dag/put", rpc_dag_put },
	{ "get", rpc_get },
	{ "wal/export", rpc_wal_export },
};

const char *rpc_command(const struct http_connection *http)
{
	size_t len = sizeof(prefix) - 1;

	return http->path + (strncmp(http->path, prefix, len) ? 0 : len);
}

/* ---- Errors and streams ---- */

int rpc_fail_text(struct rpc_request *request, int code, const char *text)
{
	if (code == ANYIO_CANCELLED)
		return code;
	if (request->http->answered)
		return http_end(request->http, text, code);
	char *message = kit_json_text(text);
	json_t *error = !message ? NULL
				 : json_pack("{s:s, s:i, s:s, s:i}", "Message", message, "Code", 0,
					   "Type", "error", "Errno", code);
	char *body = error ? json_dumps(error, JSON_COMPACT) : NULL;
	int rc = http_reply(request->http, 500, "application/json",
		body ? body : "{\"Message\":\"error\",\"Code\":0,\"Type\":\"error\"}");
	free(body);
	json_decref(error);
	free(message);
	return rc;
}

int rpc_fail(struct rpc_request *request, int code)
{
	const char *text = kit_error_text(request->node),
		   *arg = http_param(request->http, "arg", 0);
	char named[900];

	if (!text || !*text)
		text = anyio_error_text(code);
	/* What failed may be a block far below the path that was asked for. */
	if (arg && !http_param(request->http, "arg", 1) && strlen(arg) < 300 &&
		!strstr(text, arg)) {
		snprintf(named, sizeof(named), "%s: %s", arg, text);
		text = named;
	}
	return rpc_fail_text(request, code, text);
}

const char *rpc_arg(struct rpc_request *request)
{
	const char *arg = http_param(request->http, "arg", 0),
		   *more = http_param(request->http, "arg", 1);
	char text[400];

	if (arg && *arg && !more)
		return arg;
	if (more)
		snprintf(text, sizeof(text),
			"%.80s: one argument is taken, and '%.200s' is a second one; ask for it by itself\n",
			request->command, more);
	http_reply(request->http, 400, "text/plain",
		more ? text : "argument \"ipfs-path\" is required\n");
	return NULL;
}

int rpc_stream_write(void *arg, const void *data, size_t len)
{
	struct rpc_stream *stream = arg;
	int rc = 0;

	if (!stream->begun)
		rc = http_answer(stream->request->http, 200, stream->type,
			stream->headers ? stream->headers : "");
	stream->begun = true;
	return rc ? rc : http_write(stream->request->http, data, len);
}

int rpc_stream_end(struct rpc_stream *stream, int rc)
{
	if (rc)
		return rpc_fail(stream->request, rc);
	if (!stream->begun)
		rc = http_answer(stream->request->http, 200, stream->type,
			stream->headers ? stream->headers : "");
	return rc ? rc : http_end(stream->request->http, NULL, 0);
}

/* ---- Small commands ---- */

/* A piece of an answer, or its end. A piece that is long, being one value, waits for its turn. */
static int on_answer(void *arg, const char *json, size_t len)
{
	struct rpc_stream *stream = arg;
	size_t held = 0;

	if (!len)
		return rpc_stream_write(stream, "\n", 1);
	int rc = kit_room_hold(stream->request->room, &held, len);
	if (!rc)
		rc = rpc_stream_write(stream, json, len);
	kit_room_hold(stream->request->room, &held, 0);
	return rc;
}

static int call(void *arg)
{
	struct rpc_request *request = arg;
	struct http_connection *http = request->http;
	struct rpc_stream stream = { .request = request, .type = "application/json" };
	struct kit_call_option *options = anyio_calloc(http->param_count + 1, sizeof(*options));
	const char **args = anyio_calloc(http->param_count + 1, sizeof(*args));
	size_t arg_count = 0, option_count = 0;
	int rc = options && args ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < http->param_count; i++) {
		const struct http_param *param = &http->params[i];
		if (!strcmp(param->name, "arg"))
			args[arg_count++] = param->value;
		else
			options[option_count++] =
				(struct kit_call_option){ param->name, param->value };
	}
	struct kit_call it = { .command = request->command,
		.args = args,
		.options = options,
		.answer = on_answer,
		.arg = &stream,
		.pieces = true };
	if (!rc)
		rc = kit_call_run(request->node, &it);
	anyio_free(options);
	anyio_free(args);
	if (rc == -ENOSYS && !http->answered)
		return http_reply(http, 404, "text/plain", "404 page not found\n");
	return rpc_stream_end(&stream, rc);
}

/* For what has no end of its own: when the service is asked to stop it is over. */
static int call_until_stop(struct rpc_request *request)
{
	int rc = anyio_service_until_stop(request->service, call, request);

	return rc || request->http->ended
		? rc
		: rpc_fail_text(request, ANYIO_STOPPED, "the node is shutting down");
}

/* ---- Who may call ---- */

static bool origin_allowed(const struct serve_rpc *rpc, const char *origin)
{
	for (const char *const *allowed = rpc->origins; allowed && *allowed; allowed++) {
		size_t len = strlen(*allowed);
		if (!strcmp(*allowed, "*") || !strcmp(*allowed, origin))
			return true;
		/* A referer is an origin with a path behind it. */
		if (!strncmp(*allowed, origin, len) && origin[len] == '/')
			return true;
	}
	return false;
}

static bool same_text(const char *a, const char *b)
{
	size_t len = strlen(b);

	return strlen(a) == len && sodium_memcmp(a, b, len) == 0;
}

static bool secret_given(const struct serve_rpc *rpc, const char *authorization)
{
	char decoded[512];
	size_t len = 0;

	if (!strncasecmp(authorization, "Bearer ", 7))
		return same_text(authorization + 7, rpc->secret);
	if (strncasecmp(authorization, "Basic ", 6))
		return false;
	if (sodium_base642bin((unsigned char *)decoded, sizeof(decoded) - 1, authorization + 6,
		    strlen(authorization + 6), NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL))
		return false;
	decoded[len] = 0;
	return same_text(decoded, rpc->secret);
}

/* A page that was rebound to our address by DNS still names its own host. */
static bool host_allowed(const struct serve_rpc *rpc, const char *host)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "[::1]", "ipfs" };
	size_t len = strlen(host);
	const char *colon = strrchr(host, ':');

	if (rpc->secret || !*host)
		return true;
	if (colon && !strchr(colon, ']'))
		len = (size_t)(colon - host);
	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
		if (strlen(local[i]) == len && !strncasecmp(local[i], host, len))
			return true;
	struct anyio_address address;
	char name[64];
	if (len >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)len, host);
	return anyio_address_parse(&address, name, 0) == 0;
}

/* 0, or an answer has been sent and *rc is its result. */
static bool refused(struct rpc_request *request, int *rc)
{
	struct http_connection *http = request->http;
	const struct serve_rpc *rpc = request->rpc;

	*rc = 0;
	if (rpc->secret && !request->trusted)
		request->trusted = secret_given(rpc, http->authorization);
	if (*http->origin && origin_allowed(rpc, http->origin))
		http->allow_origin = http->origin;
	if ((*http->origin && !origin_allowed(rpc, http->origin)) ||
		(*http->referer && !*http->origin && !origin_allowed(rpc, http->referer)) ||
		(!strcasecmp(http->fetch_site, "cross-site") && !*http->origin &&
			!*http->referer)) {
		*rc = http_reply(http, 403, "text/plain",
			"403 - Forbidden: this origin is not in api.origins of the node's config\n");
	} else if (!host_allowed(rpc, http->host)) {
		*rc = http_reply(http, 403, "text/plain",
			"403 - Forbidden: Host is a name; without api.secret this API is asked for as localhost or by its address\n");
	} else if (rpc->secret && http->parser.method != HTTP_OPTIONS &&
		!secret_given(rpc, http->authorization)) {
		*rc = http_reply(http, 401, "text/plain",
			"401 - Unauthorized: this API wants api.secret of the node's config as Authorization: Bearer SECRET\n");
	} else if (http->parser.method == HTTP_OPTIONS && *http->origin) {
		*rc = http_reply(http, 204, "text/plain", "");
	} else {
		return false;
	}
	return true;
}

/* The same for what nobody may ask for. */
static bool misplaced(struct http_connection *http, int *rc)
{
	unsigned method = http->parser.method;
	bool page = rpc_is_metrics(http);

	if (page && method != HTTP_GET && method != HTTP_HEAD)
		*rc = http_reply(http, 405, "text/plain", "405 - Method Not Allowed: use GET\n");
	else if (!page && method != HTTP_POST)
		*rc = http_reply(http, 405, "text/plain", "405 - Method Not Allowed: use POST\n");
	else if (!page && rpc_command(http) == http->path)
		*rc = http_reply(http, 404, "text/plain", "404 page not found\n");
	else
		return false;
	return true;
}

static int run(void *arg)
{
	struct rpc_request *request = arg;

	for (size_t i = 0; i < sizeof(bulk) / sizeof(*bulk); i++)
		if (!strcmp(bulk[i].name, request->command))
			return bulk[i].run(request);
	return strcmp(request->command, "ping") ? call(request) : call_until_stop(request);
}

/* The timeout is the caller's: what is not done by then is not looked for any longer. */
static int run_in_time(struct rpc_request *request)
{
	const char *time = http_param(request->http, "timeout", 0),
		   *arg = http_param(request->http, "arg", 0);
	anyio_time timeout;
	char text[400];

	if (!time || kit_time_parse(time, &timeout))
		return run(request);
	int rc = anyio_fail_after(timeout, run, request);
	if (rc != -ETIMEDOUT || request->http->ended)
		return rc;
	snprintf(text, sizeof(text),
		"timed out: %.40s %.200s was not done in the %.40s that timeout= gives it (context deadline exceeded)",
		request->command, arg ? arg : "", time);
	return rpc_fail_text(request, rc, text);
}

int rpc_answer(struct rpc_request *request)
{
	int rc;

	if (refused(request, &rc) || misplaced(request->http, &rc))
		return rc;
	if (rpc_is_metrics(request->http))
		return rpc_metrics(request);
	request->command = rpc_command(request->http);
	if (!options_check(request, &rc))
		return rc;
	if (!strcmp(request->command, "shutdown") && request->rpc->shutdown) {
		rc = http_reply(request->http, 200, "text/plain", "");
		request->rpc->shutdown(request->rpc->arg);
		return rc;
	}
	kit_ask_nobody(request->node,
		http_flag(request->http, "offline", false) ||
			http_flag(request->http, "local", false));
	anyio_time within = 0;
	const char *durability = http_param(request->http, "durability", 0);
	if (durability)
		kit_durability_parse(durability, &within);
	kit_durable_within(request->node, within);
	return run_in_time(request);
}

/* ---- Listening ---- */

struct listening {
	struct anyio_listener *listener;
	struct anyio_task_group *accepting;
	struct crowd *crowd;
};

static int accept_clients(void *arg)
{
	struct listening *listening = arg;

	return crowd_accept(listening->crowd, listening->listener, listening->accepting);
}

static int listen_at(
	struct serve_rpc *rpc, const char *text, struct anyio_listener **listener, char *real)
{
	struct anyio_address address;
	char kind[4], host[64];
	unsigned port;
	int end = 0, rc;

	if (!strncmp(text, "/unix/", 6)) {
		snprintf(real, sizeof(rpc->addresses[0]), "%s", text);
		return anyio_listen_unix(text + 5, NULL, listener);
	}
	if (sscanf(text, "/%3[ip46]/%63[^/]/tcp/%u%n", kind, host, &port, &end) != 3 || text[end] ||
		port > 65535 || anyio_address_parse(&address, host, (uint16_t)port))
		return -EINVAL;
	bool loopback = address.any.sa_family == AF_INET
		? (ntohl(address.ip4.sin_addr.s_addr) >> 24) == 127
		: IN6_IS_ADDR_LOOPBACK(&address.ip6.sin6_addr);
	if (!loopback && !rpc->secret)
		return -EPERM;
	rc = anyio_listen_address(&address, NULL, listener);
	if (!rc)
		rc = anyio_listener_address(*listener, &address);
	if (!rc)
		snprintf(real, sizeof(rpc->addresses[0]), "/%s/%s/tcp/%u", kind, host,
			ntohs(address.any.sa_family == AF_INET ? address.ip4.sin_port
							       : address.ip6.sin6_port));
	return rc;
}

static int explain(struct serve_rpc *rpc, const char *text, int rc)
{
	const char *why = rc == -EPERM
		? "it is not loopback, and the API rules the node; set api.secret first"
		: rc == -EINVAL
		? "it is not an API address; use /ip4/127.0.0.1/tcp/PORT or /unix/PATH"
		: rc == -EADDRINUSE
		? "the port is in use, perhaps by another daemon; choose one with --api or in api.listen"
		: anyio_error_text(rc);

	snprintf(rpc->error, sizeof(rpc->error), "the API cannot listen on %s: %s", text, why);
	return rc;
}

struct listeners {
	struct crowd crowd;
	size_t count;
	struct listening all[SERVE_LISTEN_MAX];
};

/* Listens on all of them, or on none. */
static int listen_all(struct serve_rpc *rpc, struct listeners *listeners)
{
	for (const char *const *text = rpc->listen; *text; text++) {
		size_t at = listeners->count;
		if (at == SERVE_LISTEN_MAX) {
			snprintf(rpc->error, sizeof(rpc->error),
				"api.listen has more than %d addresses", SERVE_LISTEN_MAX);
			return -E2BIG;
		}
		int rc = listen_at(rpc, *text, &listeners->all[at].listener, rpc->addresses[at]);
		if (rc)
			return explain(rpc, *text, rc);
		listeners->count++;
	}
	return 0;
}

static void close_all(struct listeners *listeners)
{
	while (listeners->count)
		anyio_listener_free(listeners->all[--listeners->count].listener);
}

static int accept_all(void *arg)
{
	struct listeners *listeners = arg;
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; !rc && i < listeners->count; i++) {
		listeners->all[i].accepting = &group;
		listeners->all[i].crowd = &listeners->crowd;
		rc = anyio_start_soon(&group, accept_clients, &listeners->all[i], "API listener");
	}
	if (!rc)
		anyio_started(NULL);
	return anyio_task_group_exit(&group, rc);
}

/* The clients outlast the listeners by the grace of the service. */
static int serve(struct anyio_service *service, struct listeners *listeners)
{
	ANYIO_TASK_GROUP(clients);
	listeners->crowd.clients = &clients;
	int rc = anyio_service_until_stop(service, accept_all, listeners);
	close_all(listeners);
	if (!rc)
		crowd_stop(&listeners->crowd);
	return anyio_task_group_exit(&clients, rc);
}

int serve_rpc_run(struct anyio_service *service, void *arg)
{
	struct serve_rpc *rpc = arg;
	struct listeners listeners = { .count = 0 };
	int rc = crowd_open(&listeners.crowd, rpc, service);

	if (!rc)
		rc = listen_all(rpc, &listeners);
	if (!rc)
		rc = serve(service, &listeners);
	close_all(&listeners);
	crowd_close(&listeners.crowd);
	return rc;
}
