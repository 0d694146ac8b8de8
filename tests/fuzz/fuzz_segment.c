/*
 * The log's scanner over segments that the input writes and then hurts: a script of blocks,
 * records, raw bytes and flips. Whatever it is, the scan ends, goes only forward, stays inside its
 * windows, and what it takes for a record is one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/scan.h"
#include "store/segment_adopted.h"
#include "store/segment_remote.h"

enum { IMAGE_MAX = 1 << 16, NUMBER = 3 };

struct script {
	const uint8_t *at, *end;
};

static unsigned next(struct script *script)
{
	return script->at < script->end ? *script->at++ : 0;
}

struct image {
	uint8_t bytes[IMAGE_MAX];
	size_t len;
	uint64_t start, sequence;
	struct segment_sum sum;
};

static struct segment_keys keys;

static void add_block(struct image *image, unsigned len, unsigned fill)
{
	uint8_t data[256];
	struct mf_cid cid;

	memset(data, (int)fill, len);
	mf_cid_of(&cid, 1, MF_CODEC_RAW, data, len);
	size_t head = segment_section_encode(&cid, len, image->bytes + image->len);
	segment_sum_add(&image->sum, image->bytes + image->len, head);
	memcpy(image->bytes + image->len + head, data, len);
	image->len += head + len;
}

static void add_record(struct image *image, unsigned kind, unsigned sequence)
{
	struct segment_record record = { .kind = kind,
		.segment = NUMBER,
		.offset = image->len,
		.sequence = image->sequence + sequence };

	if (kind == SEGMENT_RECORD_COMMIT) {
		record.commit.start = image->start;
		record.commit.count = image->sum.count;
		segment_sum_get(&image->sum, record.commit.heads);
	}
	size_t len = segment_record_encode(&keys, &record, image->bytes + image->len);
	if (kind == SEGMENT_RECORD_VOID) {
		struct segment_section section;

		segment_sum_add(&image->sum, image->bytes + image->len,
			(size_t)segment_section_decode(&section, image->bytes + image->len, len));
	}
	image->len += len;
	if (kind == SEGMENT_RECORD_COMMIT) {
		image->sequence++;
		image->start = image->len;
		segment_sum_start(&image->sum, &keys);
	}
}

static void write_image(struct script *script, struct image *image)
{
	memcpy(image->bytes, segment_header, SEGMENT_HEADER_SIZE);
	image->len = image->start = SEGMENT_HEADER_SIZE;
	image->sequence = 1;
	segment_sum_start(&image->sum, &keys);
	while (script->at < script->end && image->len < IMAGE_MAX - 1024) {
		unsigned op = next(script);

		switch (op % 8) {
		case 0: add_block(image, next(script), next(script)); break;
		case 1: add_record(image, SEGMENT_RECORD_COMMIT, op / 8 % 4); break;
		case 2: add_record(image, SEGMENT_RECORD_VOID, op / 8 % 2); break;
		case 3: add_record(image, SEGMENT_RECORD_VOID, 0); break;
		case 4: add_record(image, SEGMENT_RECORD_SEGMENT, op / 8 % 2); break;
		case 5: image->bytes[image->len++] = (uint8_t)next(script); break;
		case 6: {
			size_t at = next(script) << 8 | next(script);
			image->bytes[at % image->len] ^= (uint8_t)next(script);
			break;
		}
		case 7: image->len -= op / 8 < image->len ? op / 8 : 0; break;
		}
	}
}

static void check_record(const struct image *image, const struct scan_event *event)
{
	uint8_t again[SEGMENT_RECORD_SECTION_MAX];
	size_t len = segment_record_encode(&keys, &event->record, again);

	if (len != event->len || memcmp(again, image->bytes + event->offset, len) != 0)
		abort();
}

static void scan(const struct image *image, size_t extra)
{
	struct scan scan;
	struct scan_event event = { 0 };
	uint64_t from = 0, done = SEGMENT_HEADER_SIZE;
	size_t there = 0, asked = 0;

	scan_start(&scan, &keys, NUMBER, image->len);
	do {
		uint8_t *window = malloc(there + 1); /* exact, for the sanitizer */

		memcpy(window, image->bytes + from, there);
		scan_next(&scan, window, from, there, &event);
		free(window);
		if (event.what == SCAN_MORE) {
			if (event.len == 0 || event.offset + event.len > image->len ||
				++asked > 4 * IMAGE_MAX)
				abort();
			from = event.offset;
			there = event.len + extra < image->len - from ? event.len + extra
								      : image->len - from;
		} else if (event.what != SCAN_END) {
			if (event.offset != done || event.offset + event.len > image->len)
				abort();
			done += event.len;
			if (event.what == SCAN_RECORD)
				check_record(image, &event);
		}
	} while (event.what != SCAN_END);
	if (scan.tail > done || scan.tail < SEGMENT_HEADER_SIZE)
		abort();
}

/* As an adopted segment: sections alone, one behind the other up to the end or to what is none. */
static void scan_plain(const struct image *image)
{
	struct scan scan;
	struct scan_event event = { 0 };
	uint64_t from = 0, done = SEGMENT_HEADER_SIZE;
	size_t there = 0;
	bool lost = false;

	scan_start_plain(&scan, &keys, NUMBER, image->len, SEGMENT_HEADER_SIZE);
	do {
		uint8_t *window = malloc(there + 1);

		memcpy(window, image->bytes + from, there);
		scan_next(&scan, window, from, there, &event);
		free(window);
		if (event.what == SCAN_MORE) {
			from = event.offset;
			there = event.len;
		} else if (event.what != SCAN_END) {
			if (event.what == SCAN_RECORD || lost || event.offset != done)
				abort();
			lost = event.what == SCAN_LOST;
			done += event.len;
		}
	} while (event.what != SCAN_END);
	if (done != image->len)
		abort();
}

/* What the state says of one is read as it was written. */
static void read_state(const uint8_t *data, size_t size)
{
	struct segment_adopted adopted;
	uint8_t again[SEGMENT_ADOPTED_SIZE];

	if (segment_adopted_decode(&adopted, data, size) < 0)
		return;
	if (segment_adopted_encode(&adopted, again) != size || memcmp(again, data, size) != 0)
		abort();
}

static void read_remote(const uint8_t *data, size_t size)
{
	struct segment_remote remote;
	uint8_t again[SEGMENT_REMOTE_MAX];

	if (segment_remote_decode(&remote, data, size) == 0 &&
		(segment_remote_encode(&remote, again) != size || memcmp(again, data, size) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[SEGMENT_SECRET_SIZE] = { 7 };
	static struct image image;
	struct script script = { data, data + size };

	if (image.len == 0 && sodium_init() < 0)
		abort();
	segment_keys_derive(&keys, secret);
	size_t extra = next(&script) * 16;
	write_image(&script, &image);
	if (image.len > SEGMENT_HEADER_SIZE)
		scan(&image, extra);
	if (image.len > SEGMENT_HEADER_SIZE)
		scan_plain(&image);
	read_state(data, size);
	read_remote(data, size);
	return 0;
}
