/*
 * A request is read the same however it is cut, and every body's bytes are those that were sent.
 * The first byte says how long the pieces are. The connection is a stream in memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <anyio/anyio.h>

#include "serve/http.h"

enum { STREAM_BYTES = 1 << 17, REQUESTS_MAX = 50 };

struct input {
	const uint8_t *data;
	size_t size, piece;
	struct anyio_stream *ends[2];
	uint64_t digest; /* of every request's parts */
	unsigned requests;
	int rc;
};

static void mix(struct input *input, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		input->digest = (input->digest ^ (uint8_t)text[i]) * 0x100000001b3u;
	input->digest = (input->digest ^ len) * 0x100000001b3u;
}

static int send_pieces(void *arg)
{
	struct input *input = arg;

	for (size_t at = 0; at < input->size; at += input->piece) {
		size_t n = input->size - at < input->piece ? input->size - at : input->piece;
		if (anyio_stream_send(input->ends[0], input->data + at, n))
			return 0;
	}
	anyio_stream_send_eof(input->ends[0]);
	return 0;
}

/* What is answered interests nobody, but it must not stop the reader. */
static int drop_answers(void *arg)
{
	struct input *input = arg;
	char skipped[4096];

	while (anyio_stream_receive(input->ends[0], skipped, sizeof(skipped)) > 0)
		;
	return 0;
}

static void take_request(struct input *input, struct http_connection *http)
{
	char body[333];
	ssize_t n;
	uint64_t total = 0;

	mix(input, http->path, strlen(http->path));
	mix(input, http->host, strlen(http->host));
	mix(input, http->origin, strlen(http->origin));
	mix(input, http->content_type, strlen(http->content_type));
	mix(input, http->authorization, strlen(http->authorization));
	for (size_t i = 0; i < http->param_count; i++) {
		mix(input, http->params[i].name, strlen(http->params[i].name));
		mix(input, http->params[i].value, strlen(http->params[i].value));
	}
	while ((n = http_body(http, body, sizeof(body))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			input->digest = (input->digest ^ (uint8_t)body[i]) * 0x100000001b3u;
		total += (uint64_t)n;
	}
	mix(input, (char *)&total, n < 0 ? 0 : sizeof(total));
	input->requests++;
	input->rc = (int)n;
}

static int read_requests(void *arg)
{
	struct input *input = arg;
	struct http_connection http;
	int rc;

	http_open(&http, input->ends[1]);
	while (input->requests < REQUESTS_MAX && (rc = http_next(&http)) == 0) {
		take_request(input, &http);
		if (input->rc < 0 || http_reply(&http, 200, "text/plain", "fine") ||
			!http.keep_alive)
			break;
	}
	http_close(&http);
	anyio_stream_free(input->ends[1]);
	return 0;
}

static int converse(void *arg)
{
	struct input *input = arg;
	int rc = anyio_stream_pair(STREAM_BYTES, input->ends);

	if (rc)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, send_pieces, input, "send");
	anyio_start_soon(&group, drop_answers, input, "answers");
	rc = read_requests(input);
	anyio_task_group_cancel(&group, "read");
	rc = anyio_task_group_exit(&group, rc);
	anyio_stream_free(input->ends[0]);
	return rc;
}

static struct input run(const uint8_t *data, size_t size, size_t piece)
{
	struct input input = { .data = data, .size = size, .piece = piece };

	if (anyio_run(converse, &input, NULL))
		abort();
	return input;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 1 << 16)
		return 0;
	/* Cut finely or whole, the first request's head and body are the same. */
	struct input whole = run(data + 1, size - 1, size);
	struct input cut = run(data + 1, size - 1, (size_t)data[0] % 97 + 1);
	if (whole.requests != cut.requests ||
		(whole.rc == 0 && cut.rc == 0 && whole.digest != cut.digest))
		abort();
	return 0;
}
