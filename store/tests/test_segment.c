/* The bytes of the log, and reading them back whatever happened to them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../scan.h"

static struct segment_keys keys;

/* A segment written into memory. */
struct image {
	uint8_t bytes[1 << 16];
	size_t len;
	struct segment_sum sum;
	uint64_t start, sequence;
};

static void add_record(struct image *image, struct segment_record *record)
{
	record->segment = 7;
	record->offset = image->len;
	record->sequence = image->sequence;
	image->len += segment_record_encode(&keys, record, image->bytes + image->len);
}

static void image_start(struct image *image)
{
	struct segment_record record = { .kind = SEGMENT_RECORD_SEGMENT };

	memset(image, 0, sizeof(*image));
	memcpy(image->bytes, segment_header, SEGMENT_HEADER_SIZE);
	image->len = SEGMENT_HEADER_SIZE;
	image->sequence = 1;
	add_record(image, &record);
	image->start = image->len;
	segment_sum_start(&image->sum, &keys);
}

static size_t add_block(struct image *image, const void *data, size_t len)
{
	struct mf_cid cid;
	size_t at = image->len;

	mf_cid_of(&cid, 1, MF_CODEC_RAW, data, len);
	size_t head = segment_section_encode(&cid, len, image->bytes + at);
	segment_sum_add(&image->sum, image->bytes + at, head);
	memcpy(image->bytes + at + head, data, len);
	image->len += head + len;
	return at;
}

static void add_commit(struct image *image)
{
	struct segment_record record = { .kind = SEGMENT_RECORD_COMMIT };

	record.commit.start = image->start;
	record.commit.synced = image->sequence - 1;
	record.commit.count = image->sum.count;
	segment_sum_get(&image->sum, record.commit.heads);
	add_record(image, &record);
	image->sequence++;
	image->start = image->len;
	segment_sum_start(&image->sum, &keys);
}

struct seen {
	int blocks, commits, intact, lost, segments;
	uint64_t lost_from, lost_to, tail;
};

/* Scans with windows of at most step bytes beyond what is asked for. */
static struct seen scan_image(const uint8_t *bytes, size_t len, size_t step)
{
	struct seen seen = { 0 };
	struct scan scan;
	struct scan_event event;
	uint64_t from = 0;
	size_t there = 0;
	unsigned turns = 0;

	scan_start(&scan, &keys, 7, len);
	for (;;) {
		uint8_t *window = malloc(there + 1); /* exact, so that a sanitizer sees overreach */

		memcpy(window, bytes + from, there);
		scan_next(&scan, window, from, there, &event);
		free(window);
		assert_true(turns++ < 100000);
		switch (event.what) {
		case SCAN_MORE:
			assert_true(event.len > 0 && event.offset + event.len <= len);
			from = event.offset;
			there = event.len + step < len - from ? event.len + step : len - from;
			break;
		case SCAN_BLOCK: seen.blocks++; break;
		case SCAN_LOST:
			seen.lost++;
			seen.lost_from = event.offset;
			seen.lost_to = event.offset + event.len;
			break;
		case SCAN_RECORD:
			seen.commits += event.record.kind == SEGMENT_RECORD_COMMIT;
			seen.intact += event.intact;
			seen.segments += event.record.kind == SEGMENT_RECORD_SEGMENT;
			break;
		case SCAN_END: seen.tail = scan.tail; return seen;
		}
	}
}

static const char text[] = "a block of text that is a little longer than a record's head";

static void header_is_a_car_with_the_empty_identity_root(void **state)
{
	static const uint8_t expected[] = { 0x19, 0xa2, 0x65, 'r', 'o', 'o', 't', 's', 0x81, 0xd8,
		0x2a, 0x45, 0x00, 0x01, 0x55, 0x00, 0x00, 0x67, 'v', 'e', 'r', 's', 'i', 'o', 'n',
		0x01 };

	assert_int_equal(sizeof(expected), SEGMENT_HEADER_SIZE);
	assert_memory_equal(segment_header, expected, sizeof(expected));
}

static void records_round_trip_and_hold_only_in_their_place(void **state)
{
	uint8_t bytes[SEGMENT_RECORD_SECTION_MAX];
	struct segment_record in = { .kind = SEGMENT_RECORD_VOID,
		.segment = 7,
		.offset = 99,
		.sequence = 5 },
			      out;
	struct segment_section section;
	struct segment_keys other = keys;

	in.nothing.segment = 3;
	in.nothing.from = 26;
	in.nothing.to = UINT64_MAX;
	size_t len = segment_record_encode(&keys, &in, bytes);
	ssize_t head = segment_section_decode(&section, bytes, len);
	assert_int_equal(head + section.len, len);
	assert_int_equal(ipld_block_verify(&section.cid, bytes + head, section.len), 0);
	assert_true(segment_record_decode(&keys, &section, bytes + head, 7, 99, &out));
	assert_int_equal(out.kind, SEGMENT_RECORD_VOID);
	assert_int_equal(out.sequence, 5);
	assert_int_equal(out.nothing.segment, 3);
	assert_int_equal(out.nothing.from, 26);
	assert_true(out.nothing.to == UINT64_MAX);

	assert_false(segment_record_decode(&keys, &section, bytes + head, 8, 99, &out));
	assert_false(segment_record_decode(&keys, &section, bytes + head, 7, 98, &out));
	other.record[0] ^= 1;
	assert_false(segment_record_decode(&other, &section, bytes + head, 7, 99, &out));
	for (size_t i = 0; i < section.len; i++) {
		bytes[head + i] ^= 1;
		assert_false(segment_record_decode(&keys, &section, bytes + head, 7, 99, &out));
		bytes[head + i] ^= 1;
	}
}

static void a_fill_has_every_length_that_is_asked_for(void **state)
{
	static uint8_t bytes[SEGMENT_FILL_SECTION_MAX];
	struct segment_record in = { .kind = SEGMENT_RECORD_FILL, .segment = 7 }, out;
	struct segment_section section;
	unsigned none = 0;

	for (size_t len = 1; len <= SEGMENT_ALIGN + 129; len++) {
		in.fill.zeros = segment_fill_zeros(len);
		if (in.fill.zeros == 0) {
			none++;
			assert_true(len < 109 || len == 129);
			continue;
		}
		assert_int_equal(segment_record_encode(&keys, &in, bytes), len);
		ssize_t head = segment_section_decode(&section, bytes, len);
		assert_int_equal(head + section.len, len);
		assert_int_equal(ipld_block_verify(&section.cid, bytes + head, section.len), 0);
		assert_true(segment_record_decode(&keys, &section, bytes + head, 7, 0, &out));
		assert_int_equal(out.fill.zeros, in.fill.zeros);
	}
	assert_int_equal(none, 109);
}

static void sections_are_refused_when_they_cannot_be(void **state)
{
	struct segment_section section;
	uint8_t bytes[SEGMENT_HEAD_MAX];
	struct mf_cid cid;

	mf_cid_of(&cid, 1, MF_CODEC_RAW, "", 0);
	size_t len = segment_section_encode(&cid, 1000, bytes);
	assert_int_equal(segment_section_decode(&section, bytes, len), len);
	assert_int_equal(section.len, 1000);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(segment_section_decode(&section, bytes, i), -EAGAIN);
	assert_int_equal(segment_section_decode(&section, (uint8_t *)"\0\0\0\0", 4), -EINVAL);
	assert_int_equal(
		segment_section_decode(&section, (uint8_t *)"\xff\xff\xff\x7f", 4), -EINVAL);
	assert_int_equal(segment_section_decode(&section, (uint8_t *)"\x05\xff\xff\xff\xff\xff", 6),
		-EINVAL);
	len = segment_section_encode(&cid, IPLD_BLOCK_BIG_MAX + 1, bytes);
	assert_int_equal(segment_section_decode(&section, bytes, len), -EINVAL);
}

static struct image *two_groups(void)
{
	static struct image image;

	image_start(&image);
	add_block(&image, text, sizeof(text));
	add_block(&image, "", 0);
	add_block(&image, text, 3);
	add_commit(&image);
	add_block(&image, text, 20);
	add_commit(&image);
	return &image;
}

static void a_whole_segment_is_read_through_any_window(void **state)
{
	struct image *image = two_groups();

	for (size_t step = 0; step < 400; step += 13) {
		struct seen seen = scan_image(image->bytes, image->len, step);

		assert_int_equal(seen.segments, 1);
		assert_int_equal(seen.blocks, 4);
		assert_int_equal(seen.commits, 2);
		assert_int_equal(seen.intact, 2);
		assert_int_equal(seen.lost, 0);
		assert_int_equal(seen.tail, image->len);
	}
}

static void cut_anywhere_it_ends_at_the_last_commit(void **state)
{
	struct image *image = two_groups();
	uint64_t ends[3] = { 0 };
	struct seen whole = scan_image(image->bytes, image->len, 100);

	ends[2] = whole.tail;
	ends[1] = image->len - 1;
	ends[1] = scan_image(image->bytes, image->len - 1, 100).tail;
	assert_true(ends[1] < ends[2]);
	ends[0] = scan_image(image->bytes, ends[1] - 1, 100).tail;
	for (size_t len = ends[0]; len <= image->len; len++) {
		uint64_t tail = scan_image(image->bytes, len, 50).tail;

		assert_int_equal(tail,
			len >= ends[2]           ? ends[2]
				: len >= ends[1] ? ends[1]
						 : ends[0]);
	}
}

static void a_flipped_byte_never_hides_what_follows_its_group(void **state)
{
	struct image *image = two_groups();
	struct seen cut = scan_image(image->bytes, image->len - 1, 100);

	for (size_t i = SEGMENT_HEADER_SIZE; i < cut.tail; i++) {
		image->bytes[i] ^= 0x55;
		struct seen seen = scan_image(image->bytes, image->len, 64);

		assert_int_equal(seen.tail, image->len);
		assert_true(seen.commits >= 1);
		image->bytes[i] ^= 0x55;
	}
}

static void a_broken_length_is_skipped_to_the_next_record(void **state)
{
	static struct image image;

	image_start(&image);
	add_block(&image, text, sizeof(text));
	size_t at = add_block(&image, text, 30);
	add_block(&image, text, 31);
	uint64_t commit = image.len;
	add_commit(&image);
	add_block(&image, text, 32);
	add_commit(&image);
	image.bytes[at] = 0;
	struct seen seen = scan_image(image.bytes, image.len, 0);
	assert_int_equal(seen.lost, 1);
	assert_int_equal(seen.lost_from, at);
	assert_int_equal(seen.lost_to, commit);
	assert_int_equal(seen.blocks, 2);
	assert_int_equal(seen.commits, 2);
	assert_int_equal(seen.intact, 1);
}

static void a_fetched_copy_of_a_record_is_only_a_block(void **state)
{
	static struct image image;
	struct segment_section section;

	image_start(&image);
	add_block(&image, text, sizeof(text));
	uint64_t commit = image.len;
	add_commit(&image);
	/* Somebody gives us our own commit as a block: the same section, at another place. */
	uint8_t copy[SEGMENT_RECORD_SECTION_MAX];
	size_t len = image.len - commit;
	memcpy(copy, image.bytes + commit, len);
	ssize_t head = segment_section_decode(&section, copy, len);
	add_block(&image, copy + head, section.len);
	add_block(&image, text, 11);
	add_commit(&image);
	struct seen seen = scan_image(image.bytes, image.len, 0);
	assert_int_equal(seen.blocks, 3);
	assert_int_equal(seen.commits, 2);
	assert_int_equal(seen.intact, 2);
	assert_int_equal(seen.lost, 0);
}

static void an_older_record_behind_the_end_is_not_believed(void **state)
{
	static struct image old, image;

	/* An attempt that failed wrote further than the one that came after it. */
	image_start(&old);
	add_block(&old, text, 60);
	add_block(&old, text, 50);
	add_commit(&old);
	image_start(&image);
	image.sequence = 2;
	add_block(&image, text, 5);
	add_commit(&image);
	assert_true(image.len < old.len);
	memcpy(image.bytes + image.len, old.bytes + image.len, old.len - image.len);
	struct seen seen = scan_image(image.bytes, old.len, 0);
	assert_int_equal(seen.commits, 1);
	assert_int_equal(seen.tail, image.len);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_is_a_car_with_the_empty_identity_root),
		cmocka_unit_test(records_round_trip_and_hold_only_in_their_place),
		cmocka_unit_test(a_fill_has_every_length_that_is_asked_for),
		cmocka_unit_test(sections_are_refused_when_they_cannot_be),
		cmocka_unit_test(a_whole_segment_is_read_through_any_window),
		cmocka_unit_test(cut_anywhere_it_ends_at_the_last_commit),
		cmocka_unit_test(a_flipped_byte_never_hides_what_follows_its_group),
		cmocka_unit_test(a_broken_length_is_skipped_to_the_next_record),
		cmocka_unit_test(a_fetched_copy_of_a_record_is_only_a_block),
		cmocka_unit_test(an_older_record_behind_the_end_is_not_believed),
	};
	uint8_t secret[SEGMENT_SECRET_SIZE] = { 1, 2, 3 };

	if (sodium_init() < 0)
		return 1;
	segment_keys_derive(&keys, secret);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
