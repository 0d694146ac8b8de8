/*
 * One transfer: libcurl's callbacks, which never wait, and the task that performs it, which does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http.h"
#include "library.h"
#include "why.h"

enum { EXPECT_FROM = 1 << 20 };
static const anyio_time names_are_good = 60 * ANYIO_SECOND;

void transfer_end(struct transfer *transfer, int rc)
{
	if (!transfer->rc)
		transfer->rc = rc;
	anyio_event_set(&transfer->wake);
}

/* ---- callbacks ---- */

static size_t on_body(char *out, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t n = transfer->body_len - transfer->body_at;

	if (n == 0 && transfer->place == transfer->request->size)
		return 0;
	if (n == 0) {
		transfer->paused |= CURLPAUSE_SEND;
		anyio_event_set(&transfer->wake);
		return CURL_READFUNC_PAUSE;
	}
	n = n < size * count ? n : size * count;
	memcpy(out, transfer->body + transfer->body_at, n);
	transfer->body_at += n;
	transfer->result->sent += n;
	return n;
}

/* When a kept connection turns out to be dead, libcurl begins anew on another one. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct transfer *transfer = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->request->size)
		return CURL_SEEKFUNC_FAIL;
	transfer->place = (uint64_t)offset;
	transfer->body_len = transfer->body_at = 0;
	transfer->turn++;
	return CURL_SEEKFUNC_OK;
}

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t n = size * count;

	if (n > transfer->answer_cap - transfer->answer_len) {
		transfer->paused |= CURLPAUSE_RECV;
		anyio_event_set(&transfer->wake);
		return CURL_WRITEFUNC_PAUSE;
	}
	memcpy(transfer->answer + transfer->answer_len, data, n);
	transfer->answer_len += n;
	anyio_event_set(&transfer->wake);
	return n;
}

static void keep(char *out, size_t cap, const char *value, size_t len)
{
	while (len && (*value == ' ' || *value == '\t' || *value == '"'))
		value++, len--;
	while (len && strchr(" \t\r\n\"", value[len - 1]))
		len--;
	snprintf(out, cap, "%.*s", (int)(len < cap ? len : cap - 1), value);
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct http_result *result = ((struct transfer *)arg)->result;
	const struct {
		const char *name;
		char *out;
		size_t cap;
	} headers[] = { { "etag:", result->etag, sizeof(result->etag) },
		{ "date:", result->date, sizeof(result->date) },
		{ "location:", result->location, sizeof(result->location) },
		{ "content-range:", result->range, sizeof(result->range) },
		{ "x-amz-bucket-region:", result->region, sizeof(result->region) } };
	size_t len = size * count;

	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		size_t name = strlen(headers[i].name);

		if (len > name && !strncasecmp(line, headers[i].name, name))
			keep(headers[i].out, headers[i].cap, line + name, len - name);
	}
	return len;
}

/* ---- the task's side ---- */

static void go_on(struct http *http, struct transfer *transfer, int paused)
{
	if (!(transfer->paused & paused) || transfer->done)
		return;
	transfer->paused &= ~paused;
	curl.easy_pause(transfer->easy, transfer->paused);
	http_harvest(http);
}

static int fill_body(struct transfer *transfer)
{
	const struct http_request *request = transfer->request;
	uint64_t left = request->size - transfer->place;
	unsigned turn = transfer->turn;
	ssize_t n;

	if (left == 0)
		return 0;
	n = request->body->read(request->body->arg, transfer->body,
		left < HTTP_BUFFER ? (size_t)left : HTTP_BUFFER, request->begin + transfer->place);
	if (n <= 0)
		return n ? (int)n : ANYIO_INCOMPLETE_READ;
	if (turn != transfer->turn)
		return fill_body(transfer);
	transfer->place += (uint64_t)n;
	transfer->body_len = (size_t)n;
	transfer->body_at = 0;
	return 0;
}

static bool has_succeeded(struct transfer *transfer)
{
	curl.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->result->status);
	return transfer->result->status >= 200 && transfer->result->status < 300;
}

static int hand_over(struct transfer *transfer)
{
	size_t len = transfer->answer_len;
	bool success = has_succeeded(transfer);
	int rc = transfer->request->take
		? transfer->request->take(transfer->request->arg, success, transfer->answer, len)
		: 0;

	if (success)
		transfer->result->received += len;
	transfer->answer_len -= len; /* more may have come meanwhile */
	memmove(transfer->answer, transfer->answer + len, transfer->answer_len);
	return rc;
}

static int drive(struct http *http, struct transfer *transfer)
{
	int rc = 0;

	while (!rc) {
		anyio_event_init(&transfer->wake);
		if (transfer->rc)
			return transfer->rc;
		if (transfer->answer_len) {
			rc = hand_over(transfer);
			if (!rc)
				go_on(http, transfer, CURLPAUSE_RECV);
		} else if (transfer->done) {
			return 0;
		} else if (transfer->paused & CURLPAUSE_SEND) {
			rc = fill_body(transfer);
			if (!rc)
				go_on(http, transfer, CURLPAUSE_SEND);
		} else {
			rc = anyio_event_wait(&transfer->wake);
		}
	}
	return rc;
}

/* ---- setting up ---- */

static int add_line(void *list, const char *line)
{
	struct curl_slist **at = list, *longer = curl.slist_append(*at, line);

	if (!longer)
		return -ENOMEM;
	*at = longer;
	return 0;
}

static void set_method(CURL *easy, const struct http_request *request)
{
	if (!strcmp(request->method, "HEAD")) {
		curl.easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (request->body) {
		curl.easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl.easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->size);
		/* Whether a store wants the body is worth waiting for only when that is large. */
		curl.easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS,
			request->size > EXPECT_FROM ? 1000L : 1L);
		curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	} else if (strcmp(request->method, "GET") != 0) {
		curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	}
	if (request->range)
		curl.easy_setopt(easy, CURLOPT_RANGE, request->range);
}

static void set_connection(CURL *easy, const struct http_options *options)
{
	long silence = (long)(options->silence / ANYIO_SECOND);

	curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl.easy_setopt(easy, CURLOPT_PROXY, "");
	curl.easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl.easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl.easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl.easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)HTTP_BUFFER);
	curl.easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)HTTP_BUFFER);
	curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, silence < 10 ? silence : 10L);
	curl.easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, HTTP_RATE_LEAST);
	curl.easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, silence);
	if (options->ca_file)
		curl.easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
	if (!options->user || !options->user[0])
		return;
	curl.easy_setopt(easy, CURLOPT_AWS_SIGV4, options->sigv4);
	curl.easy_setopt(easy, CURLOPT_USERNAME, options->user);
	curl.easy_setopt(easy, CURLOPT_PASSWORD, options->password);
}

static void set_callbacks(CURL *easy, struct transfer *transfer)
{
	curl.easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->result->says);
	curl.easy_setopt(easy, CURLOPT_READFUNCTION, on_body);
	curl.easy_setopt(easy, CURLOPT_READDATA, transfer);
	curl.easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl.easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
	curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
	curl.easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl.easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
}

/* The options that copy what they are given fail without memory; the address is looked at last, and shows it. */
static int set_up(struct http *http, struct transfer *transfer)
{
	const struct http_request *request = transfer->request;
	CURL *easy;
	int rc = 0;

	transfer->answer_cap = request->body ? HTTP_BUFFER_SMALL : HTTP_BUFFER;
	transfer->answer = anyio_malloc(transfer->answer_cap);
	if (request->body)
		transfer->body = anyio_malloc(HTTP_BUFFER);
	transfer->easy = easy = curl.easy_init();
	if (!transfer->answer || (request->body && !transfer->body) || !easy)
		return -ENOMEM;
	for (char *const *header = request->headers; !rc && *header; header++)
		rc = add_line(&transfer->header_list, *header);
	if (!rc && http->resolved[0])
		rc = add_line(&transfer->resolve_list, http->resolved);
	if (rc)
		return rc;
	set_connection(easy, &http->options);
	set_callbacks(easy, transfer);
	set_method(easy, request);
	curl.easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->header_list);
	curl.easy_setopt(easy, CURLOPT_RESOLVE, transfer->resolve_list);
	return curl.easy_setopt(easy, CURLOPT_URL, request->url) ? -ENOMEM : 0;
}

static void tear_down(struct transfer *transfer)
{
	if (transfer->easy)
		curl.easy_cleanup(transfer->easy);
	curl.slist_free_all(transfer->header_list);
	curl.slist_free_all(transfer->resolve_list);
	anyio_free(transfer->body);
	anyio_free(transfer->answer);
}

/* ---- names ---- */

static int keep_addresses(struct http *http, const struct anyio_address *addresses, size_t count)
{
	size_t len = (size_t)snprintf(http->resolved, sizeof(http->resolved),
		"+%s:%u:", http->options.host, http->options.port);

	for (size_t i = 0; i < count; i++) {
		char text[64], *end;

		if (anyio_address_format(&addresses[i], text, sizeof(text)) < 0)
			continue;
		end = strrchr(text, ':'); /* its port is in front already */
		*end = '\0';
		if (len + strlen(text) + 2 > sizeof(http->resolved))
			break;
		len += (size_t)sprintf(http->resolved + len, "%s%s", i ? "," : "", text);
	}
	http->resolved_until = anyio_now() + names_are_good;
	return 0;
}

static int resolve(struct http *http, struct remote_why *why)
{
	struct anyio_address numeric, *addresses;
	size_t count;
	int rc;

	if (!anyio_address_parse(&numeric, http->options.host, http->options.port) ||
		(http->resolved[0] && anyio_now() < http->resolved_until))
		return 0;
	rc = anyio_getaddrinfo(
		http->options.host, http->options.port, AF_UNSPEC, &addresses, &count);
	if (rc == ANYIO_CANCELLED || rc == -ENOMEM)
		return rc;
	if (rc)
		return explain(why, -EHOSTUNREACH,
			"check the endpoint's name, and this machine's DNS",
			"the address of %s is not found: %s", http->options.host,
			anyio_error_text(rc));
	rc = keep_addresses(http, addresses, count);
	free(addresses);
	return rc;
}

/* ---- all of it ---- */

static void take_result(struct transfer *transfer)
{
	struct http_result *result = transfer->result;
	curl_off_t wait = 0, length = -1;

	has_succeeded(transfer);
	curl.easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &wait);
	curl.easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	result->wait = wait < 3600 ? wait * ANYIO_SECOND : 3600 * ANYIO_SECOND;
	result->length = length;
	if (result->curl && !result->says[0])
		snprintf(result->says, sizeof(result->says), "%s",
			curl.easy_strerror((CURLcode)result->curl));
}

static int transfer_run(struct http *http, struct transfer *transfer)
{
	int rc = transfer->request->body ? fill_body(transfer) : 0;

	if (rc)
		return rc;
	if (http->ended)
		return ANYIO_CLOSED;
	LIST_INSERT_HEAD(&http->transfers, transfer, link);
	rc = curl.multi_add_handle(http->multi, transfer->easy) ? -ENOMEM : drive(http, transfer);
	LIST_REMOVE(transfer, link);
	if (!rc)
		take_result(transfer);
	curl.multi_remove_handle(http->multi, transfer->easy);
	http_harvest(http);
	return rc;
}

int http_perform(struct http *http, const struct http_request *request, struct http_result *result,
	struct remote_why *why)
{
	struct transfer transfer = { .request = request, .result = result };
	int rc = http_begin(http, why);

	*result = (struct http_result){ .length = -1 };
	if (!rc)
		rc = resolve(http, why);
	if (rc)
		return rc;
	anyio_event_init(&transfer.wake);
	rc = set_up(http, &transfer);
	if (!rc)
		rc = transfer_run(http, &transfer);
	tear_down(&transfer);
	return rc;
}
