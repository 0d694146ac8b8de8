/*
 * What a store answers is read the same however it is cut: same outcome, same entries. The first byte says how long
 * the pieces are.
 */
#include <stdlib.h>
#include <string.h>

#include "remote/answer.h"
#include "remote/library.h"

struct digest {
	uint64_t value;
	unsigned entries;
};

static void mix(struct digest *digest, const char *text)
{
	for (; *text; text++)
		digest->value = (digest->value ^ (uint8_t)*text) * 0x100000001b3u;
	digest->value *= 31;
}

static int take(void *arg, const struct answer_entry *entry)
{
	struct digest *digest = arg;

	if (!entry->key[0] || entry->size > INT64_MAX)
		abort();
	mix(digest, entry->key);
	mix(digest, entry->upload);
	digest->value += entry->size;
	return ++digest->entries == 1000 ? 1 : 0;
}

static int read_by(const uint8_t *data, size_t size, size_t piece, struct digest *digest)
{
	static struct answer answer;
	int rc;

	answer.each = take;
	answer.arg = digest;
	rc = answer_begin(&answer);
	for (size_t at = 0; !rc && at < size; at += piece)
		rc = answer_feed(&answer, data + at, size - at < piece ? size - at : piece);
	if (!rc)
		rc = answer_finish(&answer);
	answer_end(&answer);
	if (rc)
		return rc;
	mix(digest, answer.code);
	mix(digest, answer.message);
	mix(digest, answer.upload);
	mix(digest, answer.etag);
	digest->value += answer.truncated + 2 * answer.is_error;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest whole = { 0 }, cut = { 0 };
	int rc;

	if (size == 0 || size > ANSWER_TOKEN_MAX || library_load(NULL))
		return 0;
	rc = read_by(data + 1, size - 1, size, &whole);
	if (read_by(data + 1, size - 1, 1 + data[0] % 64, &cut) != rc ||
		whole.entries != cut.entries || whole.value != cut.value)
		abort();
	return 0;
}
