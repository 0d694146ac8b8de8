/*
 * The multi handle on the loop. Libcurl names a socket and what it waits for there (on_socket), and the next time
 * it wants to be called (on_timer); both are called from within libcurl's functions, so always in some task.
 *
 * A watch is a socket, a side one direction of it with a task of its own. The task ends when the direction is not wanted
 * any more, which it sees when it next wakes; so what is wanted on and off again costs nothing. When libcurl gives the
 * socket up it may close it: the watch is gone, its waits are told, and the last of its tasks frees it.
 */
#include "http.h"

#include <errno.h>
#include <string.h>

#include "library.h"
#include "why.h"

static const anyio_time poll_pause = 10 * ANYIO_MILLISECOND;

struct watch {
	struct http *http;
	curl_socket_t fd;
	int wants; /* CURL_POLL_IN, CURL_POLL_OUT */
	bool gone;
	unsigned tasks;
	struct side {
		struct watch *watch;
		int wants, ready; /* CURL_POLL_x, CURL_CSELECT_x */
		bool runs;
	} sides[2];
};

void http_harvest(struct http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl.multi_info_read(http->multi, &left))) {
		struct transfer *transfer = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		transfer->result->curl = message->data.result;
		transfer->done = true;
		anyio_event_set(&transfer->wake);
	}
}

static void act(struct http *http, curl_socket_t fd, int ready)
{
	int running;

	curl.multi_socket_action(http->multi, fd, ready, &running);
	http_harvest(http);
}

/* ---- sockets ---- */

static void watch_unref(struct watch *watch)
{
	if (watch->gone && watch->tasks == 0)
		anyio_free(watch);
}

static int wait_ready(const struct side *side)
{
	curl_socket_t fd = side->watch->fd;

	return side->wants == CURL_POLL_IN ? anyio_wait_readable(fd) : anyio_wait_writable(fd);
}

static int watch_side(void *arg)
{
	struct side *side = arg;
	struct watch *watch = side->watch;
	int rc = 0;

	while (rc != ANYIO_CANCELLED && !watch->gone && watch->wants & side->wants) {
		rc = wait_ready(side);
		if (rc == ANYIO_CANCELLED || watch->gone || !(watch->wants & side->wants))
			break;
		act(watch->http, watch->fd, side->ready);
		if (rc) /* the system lacks something, so libcurl was let look for itself, as it will be again */
			rc = anyio_sleep(poll_pause);
	}
	side->runs = false;
	watch->tasks--;
	watch_unref(watch);
	return 0;
}

static int watch_start(struct watch *watch)
{
	for (struct side *side = watch->sides; side < watch->sides + 2; side++) {
		int rc;

		if (side->runs || !(watch->wants & side->wants))
			continue;
		rc = watch->http->group ? anyio_try_start_soon(watch->http->group, watch_side, side,
						  "remote socket")
					: ANYIO_CLOSED;
		if (rc)
			return rc;
		side->runs = true;
		watch->tasks++;
	}
	return 0;
}

static struct watch *watch_create(struct http *http, curl_socket_t fd)
{
	struct watch *watch = anyio_calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->http = http;
	watch->fd = fd;
	watch->sides[0] = (struct side){ watch, CURL_POLL_IN, CURL_CSELECT_IN, false };
	watch->sides[1] = (struct side){ watch, CURL_POLL_OUT, CURL_CSELECT_OUT, false };
	if (curl.multi_assign(http->multi, fd, watch)) {
		anyio_free(watch);
		return NULL;
	}
	return watch;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct http *http = arg;
	struct watch *watch = assigned;
	struct transfer *transfer = NULL;
	int rc = -ENOMEM;

	if (what == CURL_POLL_REMOVE) {
		if (!watch)
			return 0;
		watch->gone = true;
		anyio_notify_closing(fd);
		watch_unref(watch);
		return 0;
	}
	if (!watch)
		watch = watch_create(http, fd);
	if (watch) {
		watch->wants = what;
		rc = watch_start(watch);
	}
	/* An error from here would be the end of the multi handle: end the transfer instead. */
	if (rc && !curl.easy_getinfo(easy, CURLINFO_PRIVATE, &transfer) && transfer)
		transfer_end(transfer, rc);
	return 0;
}

/* ---- the timer ---- */

static int on_timer(CURLM *multi, long milliseconds, void *arg)
{
	struct http *http = arg;

	http->due =
		milliseconds < 0 ? ANYIO_FOREVER : anyio_now() + milliseconds * ANYIO_MILLISECOND;
	if (http->timer)
		anyio_cancel_scope_set_deadline(http->timer, http->due);
	return 0;
}

static int wait_until_due(struct http *http)
{
	struct anyio_cancel_scope timer;
	int rc;

	anyio_cancel_scope_init(&timer);
	anyio_cancel_scope_set_deadline(&timer, http->due);
	anyio_cancel_scope_enter(&timer);
	http->timer = &timer;
	rc = anyio_sleep_forever();
	http->timer = NULL;
	return anyio_cancel_scope_exit(&timer, rc);
}

int http_run(struct http *http)
{
	struct transfer *transfer;
	int rc;

	ANYIO_TASK_GROUP(group);
	http->group = &group;
	anyio_event_set(&http->running);
	while ((rc = wait_until_due(http)) == 0) {
		http->due = ANYIO_FOREVER;
		if (http->multi)
			act(http, CURL_SOCKET_TIMEOUT, 0);
	}
	http->ended = true;
	http->group = NULL;
	LIST_FOREACH (transfer, &http->transfers, link)
		transfer_end(transfer, ANYIO_CLOSED);
	anyio_task_group_cancel(&group, "the remote has ended");
	return anyio_task_group_exit(&group, rc);
}

/* ---- life ---- */

void http_init(struct http *http, const struct http_options *options)
{
	*http = (struct http){ .options = *options, .due = ANYIO_FOREVER };
	anyio_event_init(&http->running);
	anyio_lock_init(&http->making);
	LIST_INIT(&http->transfers);
}

static int load_it(void *why)
{
	return library_load(why);
}

static int make_multi(struct http *http)
{
	CURLM *multi = curl.multi_init();

	if (!multi)
		return -ENOMEM;
	curl.multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl.multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
	curl.multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl.multi_setopt(multi, CURLMOPT_TIMERDATA, http);
	curl.multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl.multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)http->options.connections);
	http->multi = multi;
	return 0;
}

int http_begin(struct http *http, struct remote_why *why)
{
	struct remote_why unused;
	int rc = anyio_event_wait(&http->running);

	if (rc == 0)
		rc = http->ended ? ANYIO_CLOSED : anyio_lock_acquire(&http->making);
	if (rc)
		return rc;
	if (!http->multi)
		rc = anyio_to_thread(load_it, why ? why : &unused, NULL);
	if (rc == 0 && !http->multi)
		rc = make_multi(http);
	anyio_lock_release(&http->making);
	return rc ? rc : http->ended ? ANYIO_CLOSED : 0;
}

void http_destroy(struct http *http)
{
	if (!http->multi)
		return;
	/* There may be no loop any more; nobody waits for a socket. */
	curl.multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, NULL);
	curl.multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, NULL);
	curl.multi_cleanup(http->multi);
	http->multi = NULL;
}
