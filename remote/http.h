/*
 * libcurl's transfers as tasks of the loop.
 *
 * One multi handle a remote. Its sockets are watched by tasks of http_run's group, two at most a socket, which wait
 * until it is ready and tell libcurl; its one timer is the deadline of a scope that http_run sits in. So all
 * of libcurl runs on the loop's thread, in whichever task has something to tell it, and none of its callbacks waits.
 * A transfer belongs to the task that performs it: callbacks move bytes between libcurl and the transfer's
 * buffer, pause what finds it full or empty, and wake the task, which does whatever may wait.
 *
 * Names are resolved by the runtime and given to libcurl, whose own resolver would block when it is cut off.
 */
#ifndef REMOTE_HTTP_H
#define REMOTE_HTTP_H

#include <anyio/anyio.h>
#include <remote/object.h>
#include <stdbool.h>
#include <sys/queue.h>

enum { HTTP_HEADERS_MAX = 8, HTTP_BUFFER = 128 << 10, HTTP_BUFFER_SMALL = 16 << 10 };
#define HTTP_RATE_LEAST                                                                            \
	1024L /* bytes a second; an attempt that is slower for http_options.silence fails */

struct http_options {
	const char *host; /* as in the URL, an IPv6 address without its brackets */
	uint16_t port;
	const char *user, *password, *sigv4; /* user NULL or empty: nothing is signed */
	const char *ca_file;
	unsigned connections;
	anyio_time silence;
};

struct transfer;
struct http {
	struct http_options options; /* borrowed */
	void *multi;                 /* made at the first request */
	struct anyio_lock making;
	struct anyio_task_group *group; /* while it runs */
	struct anyio_event running;
	bool ended;
	anyio_time due;                   /* libcurl's timer */
	struct anyio_cancel_scope *timer; /* that has it as deadline; NULL: nobody sits in it now */
	LIST_HEAD(, transfer) transfers;
	/* The host's addresses, as libcurl wants them, and until when they are good. */
	char resolved[512];
	anyio_time resolved_until;
};

struct http_request {
	const char *method, *url;
	char *headers[HTTP_HEADERS_MAX];  /* "Name: value", up to a NULL; they are signed */
	const char *range;                /* "first-last"; NULL: all */
	const struct remote_source *body; /* NULL: none. Sent from begin on, size bytes */
	uint64_t begin, size;
	/* Called in the task for each piece of the answer, which may wait; success says whether the status is 2xx.
	 * Other than 0 ends it with that. */
	int (*take)(void *arg, bool success, const void *data, size_t len);
	void *arg;
};

struct http_result {
	int curl;       /* not 0: there was no answer, or not all of it */
	char says[256]; /* what libcurl says about it */
	long status;
	int64_t length;  /* of the body, -1 unknown */
	anyio_time wait; /* that the store asks for, or 0 */
	char etag[REMOTE_ETAG_MAX], date[64], region[64], location[256], range[64]; /* headers */
	uint64_t sent, received; /* bytes of bodies */
};

void http_init(struct http *http, const struct http_options *options);
void http_destroy(struct http *http);
int http_run(struct http *http);

/* One request, one answer. 0 when libcurl is done with it, well or not; what take, or the body's read, returned; ANYIO_CANCELLED;
 * ANYIO_CLOSED; -ENOMEM; with *why -ENOPKG, and -EHOSTUNREACH when the name is not known. */
int http_perform(struct http *http, const struct http_request *request, struct http_result *result,
	struct remote_why *why);

/* ---- between http.c and transfer.c ---- */

struct transfer {
	LIST_ENTRY(transfer) link;
	const struct http_request *request;
	struct http_result *result;
	void *easy, *header_list, *resolve_list;
	struct anyio_event wake;
	int rc;    /* ends it */
	bool done; /* libcurl is */

	/* What was read of the body and libcurl has not taken; filling again while it is empty. */
	uint8_t *body;
	size_t body_len, body_at;
	uint64_t place; /* the next byte to be read, from the request's begin */
	unsigned turn;  /* counts rewinds, so that what was read before one is dropped */
	/* What has come and was not handed over. */
	uint8_t *answer;
	size_t answer_len, answer_cap;
	int paused; /* CURLPAUSE_SEND: libcurl found body empty, CURLPAUSE_RECV: answer full */
};

/* To be called after anything that lets libcurl work: wakes who is done. */
void http_harvest(struct http *http);
/* Makes the multi handle when it is not there. */
int http_begin(struct http *http, struct remote_why *why);
/* Ends it with rc, from anywhere: its task wakes. */
void transfer_end(struct transfer *transfer, int rc);

#endif
