/*
 * GET /debug/metrics/prometheus: what the node counts, for Prometheus, where Kubo has it. Whoever may call a command may
 * ask for it, and nobody else.
 */
#include "rpc.h"

#include <errno.h>
#include <kit/metrics.h>
#include <stdlib.h>
#include <string.h>

/* Its text format's, which is the one that everybody takes. */
static const char type[] = "text/plain; version=0.0.4; charset=utf-8";

struct page {
	char *text;
	size_t len;
};

static int add(void *arg, const struct kit_metric *metric)
{
	struct page *page = arg;
	char *line = kit_metric_text(metric);
	size_t len = line ? strlen(line) : 0;
	char *text = line ? anyio_realloc(page->text, page->len + len + 1) : NULL;

	if (text) {
		memcpy(text + page->len, line, len + 1);
		page->text = text;
		page->len += len;
	}
	free(line);
	return text ? 0 : -ENOMEM;
}

bool rpc_is_metrics(const struct http_connection *http)
{
	return !strcmp(http->path, "/debug/metrics/prometheus");
}

int rpc_metrics(struct rpc_request *request)
{
	struct page page = { 0 };
	size_t held = 0;
	int rc = kit_metrics(request->node, add, &page);

	if (rc) {
		anyio_free(page.text);
		return rpc_fail_text(request, rc, anyio_error_text(rc));
	}
	rc = kit_room_hold(request->room, &held, page.len);
	if (!rc)
		rc = http_reply(request->http, 200, type, page.text);
	kit_room_hold(request->room, &held, 0);
	anyio_free(page.text);
	return rc;
}
