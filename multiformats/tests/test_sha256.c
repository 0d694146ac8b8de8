#include <multiformats/sha256.h>

#include "../engine.h"
#include "fixture.h"

/* FIPS 180-2 examples. */
static const struct {
	const char *text, *digest;
} known[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

enum { MILLION = 1000000 };

static const char million_digest[] =
	"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void published_digests(void **state)
{
	uint8_t digest[MF_SHA256_SIZE];
	char *million = malloc(MILLION);

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		mf_sha256(known[i].text, strlen(known[i].text), digest);
		assert_hex(digest, sizeof(digest), known[i].digest);
	}
	memset(million, 'a', MILLION);
	mf_sha256(million, MILLION, digest);
	assert_hex(digest, sizeof(digest), million_digest);
	free(million);
	mf_sha256(NULL, 0, digest);
	assert_hex(digest, sizeof(digest), known[0].digest);
}

static void pieces_make_the_whole(void **state)
{
	uint8_t data[300], whole[MF_SHA256_SIZE], pieces[MF_SHA256_SIZE];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	for (size_t len = 0; len <= sizeof(data); len++) {
		mf_sha256(data, len, whole);
		for (size_t step = 1; step < 140; step += 13) {
			struct mf_sha256 hash;
			mf_sha256_init(&hash);
			for (size_t at = 0; at < len; at += step)
				mf_sha256_update(
					&hash, data + at, step < len - at ? step : len - at);
			mf_sha256_final(&hash, pieces);
			assert_memory_equal(whole, pieces, sizeof(whole));
		}
	}
}

static void check_batch(unsigned engines, const uint8_t *data, size_t n, size_t (*length)(size_t i))
{
	struct mf_sha256_job jobs[64];
	uint8_t digest[MF_SHA256_SIZE];

	for (size_t i = 0; i < n; i++)
		jobs[i] = (struct mf_sha256_job){ .data = data + i, .len = length(i) };
	sha256_many_with(engines, jobs, n);
	for (size_t i = 0; i < n; i++) {
		mf_sha256(data + i, length(i), digest);
		assert_memory_equal(digest, jobs[i].digest, sizeof(digest));
	}
}

static size_t short_lengths(size_t i)
{
	return i * 7 % 200;
}

static size_t mixed_lengths(size_t i)
{
	return i % 3 ? i % 130 : 5000 + i * 64;
}

static size_t equal_lengths(size_t i)
{
	return 4096;
}

static size_t one_long(size_t i)
{
	return i == 1 ? 20000 : 64;
}

static void check_engines(unsigned engines, const uint8_t *data)
{
	for (size_t n = 0; n <= 64; n++) {
		check_batch(engines, data, n, short_lengths);
		check_batch(engines, data, n, mixed_lengths);
		check_batch(engines, data, n, equal_lengths);
		check_batch(engines, data, n, one_long);
	}
}

static void every_engine_gives_the_same_digests(void **state)
{
	static uint8_t data[32768];
	int ran = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i >> 3);
	for (size_t e = 0; sha256_engines[e]; e++) {
		if (!sha256_engines[e]->works()) {
			print_message("this processor has no %s\n", sha256_engines[e]->name);
			continue;
		}
		check_engines(1u << e, data);
		ran++;
	}
	/* And handing over from each to the next. */
	check_engines(sha256_engines_working(), data);
	assert_true(ran > 0);
	print_message("in use: %s\n", mf_sha256_engine());
}

static void a_batch_gives_published_digests(void **state)
{
	struct mf_sha256_job jobs[sizeof(known) / sizeof(*known)];
	size_t n = sizeof(known) / sizeof(*known);

	for (size_t i = 0; i < n; i++)
		jobs[i] = (struct mf_sha256_job){ known[i].text, strlen(known[i].text), { 0 } };
	mf_sha256_many(jobs, n);
	for (size_t i = 0; i < n; i++)
		assert_hex(jobs[i].digest, MF_SHA256_SIZE, known[i].digest);
	mf_sha256_many(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_digests),
		cmocka_unit_test(pieces_make_the_whole),
		cmocka_unit_test(every_engine_gives_the_same_digests),
		cmocka_unit_test(a_batch_gives_published_digests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
