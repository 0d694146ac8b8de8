/*
 * One thing asked of an S3 store: the request, its attempts, and what becomes of the answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3.h"

enum { REFUSAL_MOST = 1 << 20 }; /* bytes that come with errors */

/* ---- the request ---- */

static void add_url(struct text *url, const struct s3 *s3, const struct s3_call *call)
{
	text_add(url, "%s/", s3->remote.endpoint);
	text_add_encoded(url, s3->bucket, 0);
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

static int word(struct wording *wording, struct http_request *request, const struct s3 *s3,
	const struct s3_call *call)
{
	char **header = request->headers;
	uint64_t first = call->begin + call->taken;

	add_url(&wording->url, s3, call);
	add_digest(&wording->digest, call);
	request->method = call->method;
	request->url = wording->url.chars;
	if (s3->credentials.key[0])
		*header++ = wording->digest.chars;
	if (s3->credentials.session[0]) {
		text_add(&wording->session, "x-amz-security-token: %s", s3->credentials.session);
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
	/* Of an error that is none of S3's the status says enough, and more than any of them has nobody waits for. */
	call->refused += success ? 0 : len;
	return success ? rc : call->refused > REFUSAL_MOST ? -EPROTO : 0;
}

static int judge(
	struct s3 *s3, struct s3_call *call, int rc, enum verdict *verdict, struct remote_why *why)
{
	struct place place = { s3->remote.endpoint, s3->bucket, s3->region };
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

struct asking {
	struct s3 *s3;
	struct s3_call *call;
};

static int ask_once(void *arg, enum verdict *verdict, anyio_time *wait, struct remote_why *why)
{
	struct s3 *s3 = ((struct asking *)arg)->s3;
	struct s3_call *call = ((struct asking *)arg)->call;
	struct wording wording = { 0 };
	struct attempt attempt = { call, why, false };
	struct http_request request = { .take = take, .arg = &attempt };
	int rc = answer_begin(&call->answer);

	call->made++;
	if (!rc)
		rc = word(&wording, &request, s3, call);
	if (!rc)
		rc = http_perform(&s3->http, &request, &call->result, why);
	if (!rc && !call->result.curl && call->result.status / 100 == 2 &&
		answer_finish(&call->answer))
		rc = explain(why, -EPROTO, NULL, "the store's answer ends too early");
	answer_end(&call->answer);
	forget(&wording);
	s3->remote.statistics.sent += call->body ? call->result.sent : 0;
	s3->remote.statistics.received += call->take ? call->result.received : 0;
	*wait = call->result.wait;
	return judge(s3, call, rc, verdict, why);
}

int s3_perform(struct s3 *s3, struct s3_call *call, struct remote_why *why)
{
	struct asking asking = { s3, call };
	struct remote_why unused;
	int rc = http_begin(&s3->http, why ? why : &unused);

	return rc ? rc : remote_attempt(&s3->remote, ask_once, &asking, why);
}
