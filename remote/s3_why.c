/*
 * What an S3 store answers when it does not do what was asked, and what libcurl says when it does not answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "library.h"
#include "s3.h"

/* ---- an answer that is no success ---- */

/* By S3's codes first: what the status alone does not tell apart. */
static const struct {
	const char *code;
	int rc;
	bool passing;
	const char *what, *hint;
} codes[] = {
	{ "NoSuchBucket", -ENXIO, false, "there is no such bucket",
		"create it, or name another one" },
	{ "NoSuchKey", -ENOENT, false, "there is no such object", NULL },
	{ "NoSuchUpload", -ENOENT, false, "there is no such upload", NULL },
	{ "InvalidAccessKeyId", -EACCES, false, "the store does not know the key",
		"check AWS_ACCESS_KEY_ID or the file of credentials" },
	{ "XAdminUserNotFound", -EACCES, false, "the store does not know the key",
		"check AWS_ACCESS_KEY_ID or the file of credentials" }, /* versitygw */
	{ "SignatureDoesNotMatch", -EACCES, false,
		"the secret is not the one that belongs to the key",
		"check AWS_SECRET_ACCESS_KEY or the file of credentials; then region and endpoint" },
	{ "AccessDenied", -EACCES, false, "these credentials may not do that",
		"give them the right to get, put, delete and list in this bucket" },
	{ "ExpiredToken", -EACCES, false, "the session token has expired", "get a new one" },
	{ "InvalidToken", -EACCES, false, "the session token is not accepted",
		"get a new one, or unset AWS_SESSION_TOKEN" },
	{ "RequestTimeTooSkewed", -ESTALE, false,
		"this machine's clock and the store's differ too much",
		"set the clock: 'timedatectl set-ntp true'" },
	{ "InvalidBucketName", -EINVAL, false, "no bucket can have that name", NULL },
	{ "EntityTooSmall", -EINVAL, false, "a part is smaller than the store allows",
		"set a larger part size: 5 MiB at least" },
	{ "EntityTooLarge", -EFBIG, false, "it is larger than the store takes at once",
		"set a smaller part size" },
	{ "BadDigest", -EBADMSG, false, "what arrived is not what was sent", "try again" },
	{ "XAmzContentSHA256Mismatch", -EBADMSG, false, "what arrived is not what was announced",
		"did the file change while it was sent? try again" },
	{ "QuotaExceeded", -ENOSPC, false, "the store is full", "free some room there" },
	{ "SlowDown", -EBUSY, true, "the store asks for fewer requests", NULL },
	{ "RequestTimeout", -ETIMEDOUT, true, "the store has waited too long for us", NULL },
};

static int elsewhere(const struct place *place, const struct http_result *result,
	const struct answer *answer, struct remote_why *why)
{
	const char *region = answer->region[0] ? answer->region : result->region;
	const char *to = answer->endpoint[0] ? answer->endpoint : result->location;
	char hint[400];

	if (region[0] && strcmp(region, place->region) != 0) {
		snprintf(hint, sizeof(hint), "set the region to %s", region);
		return explain(why, -EREMCHG, hint, "bucket %s is in region %s, not in %s",
			place->bucket, region, place->region);
	}
	snprintf(hint, sizeof(hint), "set the endpoint to where it is%s%s", to[0] ? ": " : "", to);
	return explain(
		why, -EREMCHG, hint, "bucket %s is not at %s", place->bucket, place->endpoint);
}

static int by_code(size_t i, const struct place *place, const struct http_result *result,
	const struct answer *answer, struct remote_why *why)
{
	if (codes[i].rc == -ESTALE)
		return explain(why, codes[i].rc, codes[i].hint, "%s: %s says it is %s",
			codes[i].what, place->endpoint,
			result->date[0] ? result->date : "another time");
	return explain(why, codes[i].rc, codes[i].hint, "%s (%s, bucket %s: %s)", codes[i].what,
		place->endpoint, place->bucket, answer->code);
}

static int by_status(const struct place *place, const struct http_result *result,
	const struct answer *answer, enum verdict *verdict, struct remote_why *why)
{
	long status = result->status;
	int rc = -EREMOTEIO;
	const char *hint = NULL;

	if (status == 401 || status == 403) {
		rc = -EACCES;
		hint = "check key and secret, the clock, and what they may do in this bucket";
	} else if (status == 404 && !answer->code[0]) {
		rc = -ENOENT; /* a code that is not known may be about anything */
	} else if (status == 416) {
		rc = -ERANGE;
	} else if (status == 429 || status == 503) {
		rc = -EBUSY;
	} else if (status == 507) {
		rc = -ENOSPC;
	}
	if (status == 408 || status == 429 || (status >= 500 && status != 501 && status != 507))
		*verdict = VERDICT_PASSING;
	return explain(why, rc, hint, "%s answers %ld%s%s%s%s (bucket %s)", place->endpoint, status,
		answer->code[0] ? " " : "", answer->code, answer->message[0] ? ": " : "",
		answer->message, place->bucket);
}

int judge_status(const struct place *place, const struct http_result *result,
	const struct answer *answer, enum verdict *verdict, struct remote_why *why)
{
	*verdict = VERDICT_DONE;
	if (result->status / 100 == 3 || !strcmp(answer->code, "AuthorizationHeaderMalformed") ||
		!strcmp(answer->code, "PermanentRedirect"))
		return elsewhere(place, result, answer, why);
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (!strcmp(answer->code, codes[i].code)) {
			*verdict = codes[i].passing ? VERDICT_PASSING : VERDICT_DONE;
			return by_code(i, place, result, answer, why);
		}
	/* 200 with an error inside: what ended an upload has failed at the store. */
	if (answer->is_error && result->status == 200)
		*verdict = VERDICT_PASSING;
	return by_status(place, result, answer, verdict, why);
}

/* ---- no answer ---- */

int judge_curl(const struct place *place, int code, const char *says, enum verdict *verdict,
	struct remote_why *why)
{
	*verdict = VERDICT_PASSING;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return explain(why, -EHOSTUNREACH,
			"is the store running there, and the endpoint right?",
			"no connection to %s: %s", place->endpoint, says);
	case CURLE_SSL_CONNECT_ERROR:
		return explain(why, -EHOSTUNREACH,
			"does that port speak TLS? else begin it with http://",
			"no connection to %s: %s", place->endpoint, says);
	case CURLE_OPERATION_TIMEDOUT:
		return explain(why, -ETIMEDOUT, "is it, or the network, overloaded?",
			"%s has fallen silent: %s", place->endpoint, says);
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SEND_FAIL_REWIND:
		return explain(why, -ECONNRESET, NULL, "the connection to %s broke: %s",
			place->endpoint, says);
	default: break;
	}
	*verdict = VERDICT_FINAL;
	switch (code) {
	case CURLE_OUT_OF_MEMORY: return -ENOMEM;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return explain(why, -EKEYREJECTED,
			"name the file of certificates that it is signed by",
			"the certificate of %s is not trusted: %s", place->endpoint, says);
	default:
		return explain(why, -EPROTO,
			"is this the address of an S3 store, with http or https as it is there?",
			"%s is not understood: %s", place->endpoint, says);
	}
}
