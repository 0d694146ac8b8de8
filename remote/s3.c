/*
 * One thing asked of an S3 store: the request, its attempts, and what becomes of the answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "remote.h"

/* ---- the request ---- */

static void add_url(struct text *url, const struct remote *remote, const struct s3_call *call)
{
	text_add(url, "%s/", remote->endpoint);
	text_add_encoded(url, remote->bucket, 0);
	if (call->key) {
		text_add(url, "/");
		text_add_encoded(url, call->key, 1);
	}
	if (call->query)
		text_add(url, "?%s", call->query);
}

static void add_digest(struct text *line, const struct s3_call *call)
{
	uint8_t nothing[MF_SHA256_SIZE];
	const uint8_t *digest = call->digest;

	if (!call->body) {
		mf_sha256(NULL, 0, nothing);
		digest = nothing;
	}
	text_add(line, "x-amz-content-sha256: ");
	for (size_t i = 0; i < MF_SHA256_SIZE; i++)
		text_add(line, "%02x", digest[i]);
}

/* The texts that a request points into, for one attempt. */
struct wording {
	struct text url, digest, session;
	char range[48];
};

static int word(struct wording *wording, struct http_request *request, const struct remote *remote,
	const struct s3_call *call)
{
	char **header = request->headers;
	uint64_t first = call->begin + call->taken;

	add_url(&wording->url, remote, call);
	add_digest(&wording->digest, call);
	request->method = call->method;
	request->url = wording->url.chars;
	if (remote->credentials.key[0])
		*header++ = wording->digest.chars;
	if (remote->credentials.session[0]) {
		text_add(
			&wording->session, "x-amz-security-token: %s", remote->credentials.session);
		*header++ = wording->session.chars;
	}
	if (call->body) {
		request->body = call->body;
		request->begin = call->begin;
		request->size = call->size;
	}
	if (call->ranged) {
		snprintf(wording->range, sizeof(wording->range), "%" PRIu64 "-%" PRIu64, first,
			call->begin + call->size - 1);
		request->range = wording->range;
	}
	return wording->url.rc       ? wording->url.rc
		: wording->digest.rc ? wording->digest.rc
				     : wording->session.rc;
}

static void forget(struct wording *wording)
{
	text_free(&wording->url);
	text_free(&wording->digest);
	if (wording->session.chars)
		explicit_bzero(wording->session.chars, wording->session.len);
	text_free(&wording->session);
}

/* ---- the answer ---- */

/* Whether what comes is what was asked for, and goes on with what came before. */
static int check_range(struct s3_call *call, struct remote_why *why)
{
	const struct http_result *result = &call->result;
	uint64_t first = call->begin + call->taken;
	bool fits = result->status == 206 ? !strncmp(result->range, "bytes ", 6) &&
			strtoull(result->range + 6, NULL, 10) == first
					  : first == 0;

	if (!fits)
		return explain(why, -EPROTO, "is there a proxy between that strips Range?",
			"the store was asked for a part of an object and sends another");
	if (call->etag[0] && strcmp(call->etag, result->etag) != 0)
		return explain(why, -EBADMSG, "read it again from its beginning",
			"the object has changed while it was read");
	snprintf(call->etag, sizeof(call->etag), "%s", result->etag);
	return 0;
}

/* An attempt, and what its callbacks need. */
struct attempt {
	struct s3_call *call;
	struct remote_why *why;
	bool begun; /* something of the object has come */
};

static int take_object(struct attempt *attempt, const void *data, size_t len)
{
	struct s3_call *call = attempt->call;
	int rc = attempt->begun ? 0 : check_range(call, attempt->why);

	attempt->begun = true;
	if (!rc && len > call->size - call->taken)
		rc = explain(attempt->why, -EPROTO, NULL,
			"the store sends more of an object than it was asked for");
	if (rc)
		return rc;
	call->taken += len;
	return call->take(call->arg, data, len);
}

static int take(void *arg, bool success, const void *data, size_t len)
{
	struct attempt *attempt = arg;
	struct s3_call *call = attempt->call;
	int rc;

	if (success && call->take)
		return take_object(attempt, data, len);
	rc = answer_feed(&call->answer, data, len);
	if (success && rc == -EPROTO)
		explain(attempt->why, rc, "is this the address of an S3 store?",
			"what the store answers is not S3's XML");
	return success ? rc : 0; /* of an error that is none of S3's the status says enough */
}

static int judge(struct remote *remote, struct s3_call *call, int rc, enum verdict *verdict,
	struct remote_why *why)
{
	struct place place = { remote->endpoint, remote->bucket, remote->region };
	const struct http_result *result = &call->result;

	if (rc) {
		*verdict = rc == -EHOSTUNREACH ? VERDICT_PASSING : VERDICT_FINAL;
		return rc;
	}
	if (result->curl)
		return judge_curl(&place, result->curl, result->says, verdict, why);
	*verdict = VERDICT_DONE;
	if (result->status / 100 == 2 && !call->answer.is_error)
		return 0;
	return judge_status(&place, result, &call->answer, verdict, why);
}

static int ask_once(
	struct remote *remote, struct s3_call *call, enum verdict *verdict, struct remote_why *why)
{
	struct wording wording = { 0 };
	struct attempt attempt = { call, why, false };
	struct http_request request = { .take = take, .arg = &attempt };
	int rc = answer_begin(&call->answer);

	if (!rc)
		rc = word(&wording, &request, remote, call);
	if (!rc)
		rc = http_perform(&remote->http, &request, &call->result, why);
	if (!rc && !call->result.curl && call->result.status / 100 == 2 &&
		answer_finish(&call->answer))
		rc = explain(why, -EPROTO, NULL, "the store's answer ends too early");
	answer_end(&call->answer);
	forget(&wording);
	remote->statistics.sent += call->body ? call->result.sent : 0;
	remote->statistics.received += call->take ? call->result.received : 0;
	return judge(remote, call, rc, verdict, why);
}

/* ---- attempts ---- */

static int refuse(struct remote *remote, struct remote_why *why)
{
	anyio_time left = remote->breaker.until - anyio_now();

	remote->statistics.refused++;
	return explain(why, -EHOSTDOWN, "see why the earlier requests failed",
		"%s has failed again and again; it is asked again in %lld s", remote->endpoint,
		(long long)(left > 0 ? (left + ANYIO_SECOND - 1) / ANYIO_SECOND : 0));
}

/* What an attempt says about whether the store is there. Of our own ends (cancelled, without memory, a caller that has
 * had enough) nothing. */
static enum breaker_outcome outcome_of(int rc, enum verdict verdict)
{
	if (verdict == VERDICT_PASSING)
		return BREAKER_FAILED;
	return verdict == VERDICT_DONE || rc == 0 ? BREAKER_ANSWERED : BREAKER_UNKNOWN;
}

static int ask(struct remote *remote, struct s3_call *call, int entered, enum verdict *verdict,
	struct remote_why *why)
{
	int rc;

	remote->statistics.requests++;
	remote->statistics.retries += call->made++ > 0;
	rc = ask_once(remote, call, verdict, why);
	breaker_leave(&remote->breaker, entered, outcome_of(rc, *verdict), anyio_now());
	return rc;
}

int s3_perform(struct remote *remote, struct s3_call *call, struct remote_why *why)
{
	struct retry retry = { .attempts = remote->attempts,
		.pause = remote->pause,
		.random = remote->random += 0x9e3779b97f4a7c15 };
	struct remote_why unused;
	anyio_time pause = 0;
	int rc = http_open(&remote->http, why ? why : &unused);

	for (enum verdict verdict = VERDICT_PASSING; pause != ANYIO_FOREVER;) {
		int entered = rc && !call->made ? rc : breaker_enter(&remote->breaker, anyio_now());

		if (entered == -EHOSTDOWN)
			return call->made ? rc : refuse(remote, why);
		if (entered < 0)
			return rc;
		rc = ask(remote, call, entered, &verdict, why ? why : &unused);
		if (verdict != VERDICT_PASSING)
			return rc;
		pause = retry_next(&retry, call->result.wait);
		if (pause != ANYIO_FOREVER && anyio_sleep(pause) != 0)
			return ANYIO_CANCELLED;
	}
	return rc;
}
