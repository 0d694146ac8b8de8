/* What stores answer, well and badly: as one piece, and byte by byte, with the same outcome. */
#include <errno.h>

#include "../../tests/check.h"
#include "answer.h"
#include "library.h"

struct seen {
	int count, end_at;
	struct answer_entry last;
	uint64_t sizes;
};

static int see(void *arg, const struct answer_entry *entry)
{
	struct seen *seen = arg;

	seen->last = *entry;
	seen->sizes += entry->size;
	return ++seen->count == seen->end_at ? -EINTR : 0;
}

static int feed_by(struct answer *answer, const char *text, size_t len, size_t step)
{
	int rc = answer_begin(answer);

	assert_int_equal(rc, 0);
	for (size_t at = 0; !rc && at < len; at += step)
		rc = answer_feed(answer, text + at, len - at < step ? len - at : step);
	if (!rc)
		rc = answer_finish(answer);
	answer_end(answer);
	return rc;
}

static int feed(struct answer *answer, struct seen *seen, const char *text)
{
	struct seen again = *seen, once = *seen;
	int rc;

	answer->each = see;
	answer->arg = &again;
	rc = feed_by(answer, text, strlen(text), 1);
	answer->arg = &once;
	assert_int_equal(feed_by(answer, text, strlen(text), strlen(text) + 1), rc);
	assert_int_equal(once.count, again.count);
	*seen = once;
	return rc;
}

static const char list[] =
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
	"<Prefix>p/</Prefix><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>"
	"<Contents><Key>p/a&amp;&lt;b&#33;</Key><ETag>&quot;e&quot;</ETag><Size>7</Size>"
	"<Owner><ID>me</ID></Owner></Contents>"
	"<Contents><Size>9000000000</Size><Key>p/c</Key></Contents>"
	"<CommonPrefixes><Prefix>p/d/</Prefix></CommonPrefixes></ListBucketResult>";

static void test_list(void **state)
{
	struct answer answer = { 0 };
	struct seen seen = { 0 };

	assert_int_equal(feed(&answer, &seen, list), 0);
	assert_int_equal(seen.count, 2);
	assert_true(seen.sizes == 9000000007 && answer.truncated && !answer.is_error);
	assert_string_equal(seen.last.key, "p/c");
	seen = (struct seen){ .end_at = 1 };
	assert_int_equal(feed(&answer, &seen, list), -EINTR);
	assert_string_equal(seen.last.key, "p/a&<b!");
	assert_int_equal(seen.count, 1);
}

static void test_uploads(void **state)
{
	struct answer answer = { 0 };
	struct seen seen = { 0 };

	assert_int_equal(
		feed(&answer, &seen,
			"<ListMultipartUploadsResult><UploadIdMarker>x</UploadIdMarker><Upload>"
			"<Key>k</Key><UploadId>u/1</UploadId><Initiator><ID>i</ID></Initiator>"
			"</Upload></ListMultipartUploadsResult>"),
		0);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.last.upload, "u/1");
	assert_string_equal(answer.upload, "");
	assert_int_equal(
		feed(&answer, &seen,
			"<s3:InitiateMultipartUploadResult xmlns:s3=\"x\"><s3:UploadId>u2</s3:UploadId>"
			"</s3:InitiateMultipartUploadResult>"),
		0);
	assert_string_equal(answer.upload, "u2");
}

static void test_error(void **state)
{
	struct answer answer = { 0 };
	struct seen seen = { 0 };

	assert_int_equal(
		feed(&answer, &seen,
			"<Error><Code>PermanentRedirect</Code><Message>go away</Message>"
			"<Region>eu-west-1</Region><Endpoint>s3.eu-west-1.example</Endpoint></Error>"),
		0);
	assert_true(answer.is_error);
	assert_string_equal(answer.code, "PermanentRedirect");
	assert_string_equal(answer.region, "eu-west-1");
	assert_string_equal(answer.endpoint, "s3.eu-west-1.example");
	assert_int_equal(feed(&answer, &seen, ""), 0);
	assert_false(answer.is_error);
	assert_string_equal(answer.code, "");
}

static void test_every_truncation_is_refused(void **state)
{
	struct answer answer = { 0 };
	struct seen seen;

	for (size_t len = 1; len < strlen(list); len++) {
		seen = (struct seen){ 0 };
		answer.each = see;
		answer.arg = &seen;
		assert_int_equal(feed_by(&answer, list, len, 7), -EPROTO);
	}
}

static void test_nonsense_is_refused(void **state)
{
	static const char *const texts[] = { "<html><p>hello</html>", "{\"a\": 1}", "\xff\xfe\xff",
		"<a><b><c><d><e><f><g><h><i/></h></g></f></e></d></c></b></a>",
		"<L><Contents><Key></Key></Contents></L>", "<L><Contents/></L>",
		"<L><Contents><Key>k</Key><Size>-1</Size></Contents></L>",
		"<L><Contents><Key>k</Key><Size>9223372036854775808</Size></Contents></L>",
		"<L><Contents><Key>k</Key><Size>1x</Size></Contents></L>",
		"<L><Contents><Key>k</Key><Size/></Contents></L>", "<L></L><L></L>",
		"<L><Contents><Key>&#0;</Key></Contents></L>" };
	struct answer answer = { 0 };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct seen seen = { 0 };

		assert_int_equal(feed(&answer, &seen, texts[i]), -EPROTO);
		assert_int_equal(seen.count, 0);
	}
}

/* No document type, so no entity of anybody's: neither one that grows nor one that reads a file. */
static void test_entities_are_refused(void **state)
{
	static const char *const texts[] = {
		"<!DOCTYPE L [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
		"<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">]><L><Contents><Key>&c;</Key></Contents></L>",
		"<!DOCTYPE L [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>"
		"<L><Contents><Key>&a;</Key></Contents></L>",
		"<!DOCTYPE L SYSTEM \"http://127.0.0.1:1/x.dtd\"><L/>", "<!DOCTYPE L><L/>",
		"<L><Contents><Key>&other;</Key></Contents></L>"
	};
	struct answer answer = { 0 };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct seen seen = { 0 };

		assert_int_equal(feed(&answer, &seen, texts[i]), -EPROTO);
		assert_int_equal(seen.count, 0);
	}
}

/* begin, then piece again and again. */
static int feed_much(const char *begin, const char *piece, size_t times)
{
	struct answer answer = { 0 };
	int rc = answer_begin(&answer);

	if (!rc)
		rc = answer_feed(&answer, begin, strlen(begin));
	for (size_t i = 0; !rc && i < times; i++)
		rc = answer_feed(&answer, piece, strlen(piece));
	answer_end(&answer);
	return rc;
}

static void test_huge_is_refused(void **state)
{
	char spaces[4097];

	memset(spaces, ' ', sizeof(spaces) - 1);
	spaces[sizeof(spaces) - 1] = '\0';
	assert_int_equal(feed_much("<L><Contents><Key>", "k", ANSWER_TEXT_MAX - 1), 0);
	assert_int_equal(feed_much("<L><Contents><Key>", "k", ANSWER_TEXT_MAX), -EPROTO);
	assert_int_equal(feed_much("<L", spaces, ANSWER_SIZE_MAX / 4096), -EPROTO);
	assert_int_equal(feed_much("<", "n", ANSWER_SIZE_MAX), -EPROTO);
	assert_int_equal(feed_much("<L>", "<x></x>", ANSWER_SIZE_MAX / 7 + 1), -EPROTO);
}

static int load(void **state)
{
	return library_load(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_nonsense_is_refused),
		cmocka_unit_test(test_entities_are_refused),
		cmocka_unit_test(test_huge_is_refused),
	};

	return cmocka_run_group_tests(tests, load, NULL);
}
