/* CAR files: the public fixtures in every way of cutting them, what we write, and malformed ones. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <ipld/car.h>
#include <ipld/dag_cbor.h>
#include <multiformats/varint.h>

/* Blocks that come in pieces, put together. */
struct gathered {
	struct car_event block;
	uint8_t *data;
	size_t have;
};

static void gather(struct gathered *gathered, const struct car_event *event,
	void (*see)(void *arg, const struct car_event *event), void *arg)
{
	if (event->kind == CAR_HEADER) {
		see(arg, event);
		return;
	}
	if (event->kind == CAR_BLOCK) {
		assert_null(gathered->data);
		gathered->block = *event;
		gathered->data = malloc(event->len + 1);
		gathered->have = 0;
	} else {
		assert_non_null(gathered->data);
		assert_true(event->have > 0);
	}
	assert_true(event->have <= gathered->block.len - gathered->have);
	memcpy(gathered->data + gathered->have, event->data, event->have);
	gathered->have += event->have;
	if (gathered->have < gathered->block.len)
		return;
	gathered->block.data = gathered->data;
	see(arg, &gathered->block);
	free(gathered->data);
	gathered->data = NULL;
}

/* Reads a CAR in pieces of at most piece bytes, each in a heap buffer of its own so that a pointer
 * kept too long is found out. Returns the reader's error or what finish says. */
static int read_car(const uint8_t *data, size_t len, size_t piece, bool zeros_end, bool in_pieces,
	void (*see)(void *arg, const struct car_event *event), void *arg)
{
	struct gathered gathered = { 0 };
	struct car_reader *reader;
	struct car_event event;
	int rc = 0;

	assert_int_equal(car_reader_new(&reader, zeros_end), 0);
	if (in_pieces)
		car_reader_in_pieces(reader);
	for (size_t at = 0; at < len && rc >= 0; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		uint8_t *copy = malloc(n);
		const uint8_t *p = copy;

		memcpy(copy, data + at, n);
		while ((rc = car_reader_next(reader, &p, &n, &event)) == 1)
			gather(&gathered, &event, see, arg);
		assert_true(rc < 0 || n == 0);
		free(copy);
	}
	assert_true(in_pieces || !gathered.data);
	if (rc >= 0)
		rc = car_reader_finish(reader);
	assert_true(rc < 0 || !gathered.data);
	free(gathered.data);
	car_reader_free(reader);
	return rc;
}

/* A fixture's JSON description, and how far we are in it. */
struct expect {
	json_t *json;
	size_t blocks, roots;
	bool header;
};

static const char *json_cid(json_t *link)
{
	return json_string_value(json_object_get(link, "/"));
}

static void see_fixture(void *arg, const struct car_event *event)
{
	struct expect *expect = arg;
	json_t *header = json_object_get(expect->json, "header");
	json_t *roots = json_object_get(header, "roots");
	struct mf_cid known[8];

	if (event->kind == CAR_HEADER) {
		assert_false(expect->header);
		expect->header = true;
		assert_int_equal(event->header.root_count, json_array_size(roots));
		assert_int_equal(
			car_header_roots(&event->header, known, 8), event->header.root_count);
		for (size_t i = 0; i < event->header.root_count; i++)
			assert_cid(&known[i], json_cid(json_array_get(roots, i)));
		return;
	}
	json_t *block = json_array_get(json_object_get(expect->json, "blocks"), expect->blocks++);
	assert_non_null(block);
	assert_cid(&event->cid, json_cid(json_object_get(block, "cid")));
	assert_int_equal(event->len, json_integer_value(json_object_get(block, "blockLength")));
	assert_int_equal(event->section_at, json_integer_value(json_object_get(block, "offset")));
	assert_int_equal(event->data_at, json_integer_value(json_object_get(block, "blockOffset")));
	assert_int_equal(ipld_block_verify(&event->cid, event->data, event->len), 0);
}

static void fixtures_are_read_however_cut(void **state)
{
	static const char *const names[] = { "carv1-basic", "carv2-basic" };
	static const size_t pieces[] = { 1, 2, 3, 7, 50, 51, 52, 99, 100, 101, 200, 715, 100000 };

	for (int i = 0; i < 2; i++) {
		char path[1024];
		size_t len;

		snprintf(path, sizeof(path), "%s/car/%s.json", fixtures(), names[i]);
		json_t *json = json_load_file(path, 0, NULL);
		assert_non_null(json);
		uint8_t *car = read_fixture(&len, "%s/car/%s.car", fixtures(), names[i]);
		size_t count = json_array_size(json_object_get(json, "blocks"));
		for (size_t k = 0; k < 2 * sizeof(pieces) / sizeof(pieces[0]); k++) {
			struct expect expect = { .json = json };

			assert_int_equal(read_car(car, len, pieces[k / 2], false, k % 2,
						 see_fixture, &expect),
				0);
			assert_true(expect.header);
			assert_int_equal(expect.blocks, count);
		}
		json_decref(json);
		free(car);
	}
}

static void see_nothing(void *arg, const struct car_event *event)
{
	(*(size_t *)arg)++;
}

/* A CAR of ours: two roots, three blocks. */
static struct mf_pb_writer make_car(void)
{
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct mf_cid roots[2];
	uint8_t prefix[CAR_PREFIX_MAX], bytes[300];

	fill(bytes, sizeof(bytes), 3);
	mf_cid_of(&roots[0], 0, MF_CODEC_DAG_PB, "", 0);
	mf_cid_of(&roots[1], 1, MF_CODEC_RAW, bytes, 300);
	car_put_header(&out, roots, 2);
	for (int i = 0; i < 3; i++) {
		size_t len = i == 0 ? 300 : i == 1 ? 0 : 10;
		struct mf_cid cid;

		mf_cid_of(&cid, 1, MF_CODEC_RAW, bytes, len);
		ssize_t n = car_section_prefix(&cid, len, prefix, sizeof(prefix));
		assert_true(n > 0);
		assert_int_equal(car_section_prefix(&cid, len, prefix, (size_t)n - 1), -ENOSPC);
		mf_pb_put_raw(&out, prefix, (size_t)n);
		mf_pb_put_raw(&out, bytes, len);
	}
	assert_int_equal(out.error, 0);
	return out;
}

static void ours_are_read_back_and_cuts_are_found(void **state)
{
	struct mf_pb_writer car = make_car();
	struct blocks blocks = { 0 };
	size_t events;

	struct mf_cid root = blocks_load_car(&blocks, car.data, car.len);
	assert_cid(&root, "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n");
	assert_int_equal(blocks.count, 3);
	for (size_t len = 0; len < car.len; len++) {
		size_t whole = 0;
		int rc = read_car(car.data, len, 64, false, false, see_nothing, &whole);
		events = 0;
		assert_int_equal(
			read_car(car.data, len, 64, false, true, see_nothing, &events), rc);
		assert_int_equal(events, whole);
		bool between = len && events && rc == 0;

		/* Only a cut between sections can go unnoticed. */
		assert_true(rc == -EBADMSG || between);
	}
	blocks_free(&blocks);
	free(car.data);
}

static void see_ours(void *arg, const struct car_event *event)
{
	size_t *events = arg;

	if (event->kind == CAR_BLOCK)
		assert_int_equal(ipld_block_verify(&event->cid, event->data, event->len), 0);
	++*events;
}

/* However it is cut; and bytes that are more than a CID takes are the caller's own, not copies. */
static void blocks_come_in_pieces(void **state)
{
	struct mf_pb_writer car = make_car();
	struct car_reader *reader;
	struct car_event event;
	const uint8_t *p = car.data;
	size_t cut = car.len * 3 / 4, n = cut, events; /* in the first block */

	for (size_t piece = 1; piece <= car.len; piece++) {
		events = 0;
		assert_int_equal(
			read_car(car.data, car.len, piece, false, true, see_ours, &events), 0);
		assert_int_equal(events, 4);
	}
	assert_int_equal(car_reader_new(&reader, false), 0);
	car_reader_in_pieces(reader);
	assert_int_equal(car_reader_next(reader, &p, &n, &event), 1);
	assert_int_equal(car_reader_next(reader, &p, &n, &event), 1);
	assert_int_equal(event.kind, CAR_BLOCK);
	assert_int_equal(event.len, 300);
	assert_true(event.have < 300 && event.data == car.data + event.data_at);
	assert_int_equal(car_reader_next(reader, &p, &n, &event), 1);
	assert_int_equal(event.kind, CAR_MORE);
	assert_true(event.data + event.have == car.data + cut && n == 0);
	assert_int_equal(car_reader_next(reader, &p, &n, &event), 0);
	assert_int_equal(car_reader_finish(reader), -EBADMSG);
	car_reader_free(reader);
	free(car.data);
}

static void headers_match_the_known_bytes(void **state)
{
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct car_header header;
	struct mf_cid empty = cid_of("bafkqaaa"), root;
	uint8_t known[64];
	size_t len = unhex("19"
			   "a2"
			   "65726f6f7473"
			   "81"
			   "d82a45"
			   "0001550000"
			   "6776657273696f6e"
			   "01",
		known, sizeof(known));

	car_put_header(&out, &empty, 1);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, known, len);
	assert_int_equal(car_header_decode(&header, out.data + 1, out.len - 1), 0);
	assert_int_equal(header.root_count, 1);
	car_header_roots(&header, &root, 1);
	assert_true(mf_cid_equal(&root, &empty));
	out.len = 0;
	car_put_header(&out, NULL, 0);
	assert_int_equal(car_header_decode(&header, out.data + 1, out.len - 1), 0);
	assert_int_equal(header.root_count, 0);
	free(out.data);
}

static void many_roots_are_read_at_once(void **state)
{
	enum { MANY = 100000 };
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct mf_cid *roots = calloc(MANY, sizeof(*roots));
	struct car_header header;
	uint64_t len;

	for (int i = 0; i < MANY; i++)
		roots[i] = cid_of("bafkqaaa");
	mf_cid_of(&roots[MANY - 1], 1, MF_CODEC_RAW, "last", 4);
	car_put_header(&out, roots, MANY);
	struct mf_cid last = roots[MANY - 1];
	memset(roots, 0, MANY * sizeof(*roots));
	int n = mf_varint_decode(out.data, out.len, &len);
	assert_int_equal(out.len, (size_t)n + len);
	assert_int_equal(car_header_decode(&header, out.data + n, len), 0);
	assert_int_equal(header.root_count, MANY);
	assert_int_equal(car_header_roots(&header, roots, MANY), MANY);
	assert_true(mf_cid_equal(&roots[MANY - 1], &last));
	assert_int_equal(car_header_roots(&header, roots, 3), 3);
	free(out.data);
	free(roots);
}

static int read_hex(const char *hex, bool zeros_end, size_t *events)
{
	uint8_t bytes[512];
	size_t len = unhex(hex, bytes, sizeof(bytes));

	size_t whole = 0;
	int rc = read_car(bytes, len, 5, zeros_end, false, see_nothing, &whole);

	*events = 0;
	assert_int_equal(read_car(bytes, len, 5, zeros_end, true, see_nothing, events), rc);
	assert_int_equal(*events, whole);
	return rc;
}

#define HEADER  "11a265726f6f7473806776657273696f6e01"
#define PRAGMA  "0aa16776657273696f6e02"
#define ZEROS16 "00000000000000000000000000000000"

static void malformed_cars_are_refused(void **state)
{
	static const struct {
		const char *hex;
		int error;
	} bad[] = {
		{ "", -EBADMSG }, { "00", -EBADMSG },                   /* empty header */
		{ "ffffffff07", -EMSGSIZE },                            /* huge header */
		{ "818040", -EMSGSIZE },                                /* header just over 1 MiB */
		{ "ffffffffffffffffff01", -EBADMSG },                   /* varint of ten bytes */
		{ "8000", -EBADMSG },                                   /* varint padded */
		{ "0aa16776657273696f6e01", -EBADMSG },                 /* no roots */
		{ "11a265726f6f7473806776657273696f6e03", -EBADMSG },   /* version 3 */
		{ "11a265726f6f7473016776657273696f6e01", -EBADMSG },   /* roots no list */
		{ "12a265726f6f747381016776657273696f6e01", -EBADMSG }, /* a root no link */
		{ "1aa265726f6f74739bffffffffffffffff6776657273696f6e01",
			-EBADMSG },                                         /* 2^64-1 roots */
		{ "14a361610065726f6f7473806776657273696f6e01", -EBADMSG }, /* another key */
		{ HEADER "00", -EBADMSG },                                  /* empty section */
		{ HEADER "818080808001", -EMSGSIZE },                       /* huge section */
		{ HEADER "ffffffffffffffff7f", -EMSGSIZE },
		{ HEADER "0155", -EBADMSG },       /* section too short for a CID */
		{ HEADER "0401550000", 0 },        /* identity CID, empty block */
		{ HEADER "040155ff00", -EBADMSG }, /* digest past the section */
		{ PRAGMA, -EBADMSG }, { PRAGMA ZEROS16 ZEROS16 ZEROS16, -EBADMSG }, /* data at 0 */
		{ PRAGMA ZEROS16 "3300000000000000"
				 "0000000000000000"
				 "0000000000000000",
			-EBADMSG },
		{ PRAGMA ZEROS16 "3300000000000000"
				 "ffffffffffffffff"
				 "0000000000000000",
			-EBADMSG },
		{ PRAGMA ZEROS16 "ffffffffffffffff"
				 "1200000000000000"
				 "0000000000000000",
			-EBADMSG },
		{ PRAGMA ZEROS16 "3300000000000000"
				 "1200000000000000"
				 "0000000000000000" HEADER,
			0 },
		{ PRAGMA ZEROS16 "3400000000000000"
				 "1200000000000000"
				 "0000000000000000"
				 "ff" HEADER "aabbcc",
			0 }, /* padding, index */
		{ PRAGMA ZEROS16 "3300000000000000"
				 "1100000000000000"
				 "0000000000000000" HEADER,
			-EBADMSG }, /* header past the payload */
		{ PRAGMA ZEROS16 "3300000000000000"
				 "1300000000000000"
				 "0000000000000000" HEADER "0401550000",
			-EBADMSG }, /* section past the payload */
		{ PRAGMA ZEROS16 "3300000000000000"
				 "0b00000000000000"
				 "0000000000000000" PRAGMA,
			-EBADMSG }, /* version 2 inside version 2 */
	};
	size_t events;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int rc = read_hex(bad[i].hex, false, &events);

		if (rc != bad[i].error)
			fail_msg("%s: %d, not %d", bad[i].hex, rc, bad[i].error);
	}
	assert_int_equal(read_hex(HEADER "0401550000"
					 "0000000000",
				 true, &events),
		0);
	assert_int_equal(events, 2);
}

static void sections_are_outlined(void **state)
{
	struct car_section section;
	struct mf_cid cid;
	uint8_t bytes[CAR_PREFIX_MAX];

	mf_cid_of(&cid, 1, MF_CODEC_RAW, "x", 1);
	ssize_t n = car_section_prefix(&cid, IPLD_BLOCK_MAX, bytes, sizeof(bytes));
	for (size_t len = 0; len < (size_t)n; len++)
		assert_int_equal(car_section_decode(&section, bytes, len), -EAGAIN);
	assert_int_equal(car_section_decode(&section, bytes, (size_t)n), 0);
	assert_true(mf_cid_equal(&section.cid, &cid));
	assert_int_equal(section.data_at, n);
	assert_int_equal(section.data_len, IPLD_BLOCK_MAX);
	n = car_section_prefix(&cid, IPLD_BLOCK_MAX + 1, bytes, sizeof(bytes));
	assert_int_equal(car_section_decode(&section, bytes, (size_t)n), -EMSGSIZE);
}

struct written {
	uint8_t bytes[4096];
	size_t len;
};

static int write_down(void *arg, const void *data, size_t len)
{
	struct written *written = arg;

	memcpy(written->bytes + written->len, data, len);
	written->len += len;
	return 0;
}

static void beginnings_of_version_2_are_told(void **state)
{
	struct car_v2 v2 = { .data_at = 51, .data_size = 448, .index_at = 499 }, again;
	uint8_t bytes[CAR_V2_SIZE];
	size_t len;
	uint8_t *car = read_fixture(&len, "%s/car/carv2-basic.car", fixtures());

	car_v2_encode(&v2, bytes);
	assert_memory_equal(bytes, car, CAR_V2_SIZE);
	assert_int_equal(car_v2_decode(&again, bytes), 0);
	assert_true(again.data_at == 51 && again.data_size == 448 && again.index_at == 499);
	assert_false(again.fully_indexed);
	v2.fully_indexed = true;
	car_v2_encode(&v2, bytes);
	assert_int_equal(bytes[11], 0x80);
	assert_int_equal(car_v2_decode(&again, bytes), 0);
	assert_true(again.fully_indexed);
	v2.data_at = 50;
	car_v2_encode(&v2, bytes);
	assert_int_equal(car_v2_decode(&again, bytes), -EBADMSG);
	v2.data_at = UINT64_MAX;
	car_v2_encode(&v2, bytes);
	assert_int_equal(car_v2_decode(&again, bytes), -EBADMSG);
	bytes[10] = 3;
	assert_int_equal(car_v2_decode(&again, bytes), -EBADMSG);
	assert_false(car_is_v2(car, 10));
	free(car);
}

/* Takes down where the sections of an archive are. */
static size_t list_sections(const uint8_t *car, size_t len, struct car_index_entry *entries)
{
	size_t count = 0;
	uint64_t head;
	size_t at = (size_t)mf_varint_decode(car, len, &head);

	for (at += head; at < len; count++) {
		struct car_section section;

		assert_int_equal(car_section_decode(&section, car + at, len - at), 0);
		entries[count] = (struct car_index_entry){ .at = at,
			.hash = section.cid.hash,
			.digest = car + at + section.data_at - section.cid.digest_len,
			.digest_len = section.cid.digest_len };
		at += section.data_at + section.data_len;
	}
	return count;
}

struct read_back {
	struct car_index_entry entries[20];
	size_t count;
};

static int take_entry(void *arg, const struct car_index_entry *entry)
{
	struct read_back *back = arg;

	if (back->count == 20)
		return -E2BIG;
	back->entries[back->count++] = *entry;
	return 0;
}

/* Whole, it is what was written; cut anywhere, or longer, it is none. */
static void check_read_back(
	const struct written *written, const struct car_index_entry *entries, size_t count)
{
	struct read_back back = { .count = 0 };

	assert_int_equal(car_index_read(written->bytes, written->len, take_entry, &back), 0);
	assert_int_equal(back.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_true(back.entries[i].at == entries[i].at &&
			back.entries[i].hash == entries[i].hash &&
			back.entries[i].digest_len == entries[i].digest_len);
		assert_memory_equal(
			back.entries[i].digest, entries[i].digest, entries[i].digest_len);
	}
	for (size_t len = 0; len < written->len; len++) {
		back.count = 0;
		assert_int_equal(car_index_read(written->bytes, len, take_entry, &back), -EBADMSG);
	}
	back.count = 0;
	assert_int_equal(
		car_index_read(written->bytes, written->len + 1, take_entry, &back), -EBADMSG);
	back.count = count ? 20 : 0;
	assert_int_equal(car_index_read(written->bytes, written->len, take_entry, &back),
		count ? -E2BIG : 0);
}

/* What the fixture has is an index by digest, of one hash function: ours says which, and is the same behind it. */
static void an_index_is_the_known_bytes(void **state)
{
	static const uint8_t before[] = { 0x81, 0x08, 1, 0, 0, 0, 0x12, 0, 0, 0, 0, 0, 0, 0 };
	struct car_index_entry entries[20];
	struct written written = { .len = 0 };
	struct car_index_out out = { write_down, &written };
	size_t len;
	uint8_t *car = read_fixture(&len, "%s/car/carv2-basic.car", fixtures());
	size_t count = list_sections(car + 51, 448, entries);

	car_index_sort(entries, count);
	assert_int_equal(car_index_write(&out, entries, count), 0);
	assert_int_equal(written.len, sizeof(before) + len - 499);
	assert_memory_equal(written.bytes, before, sizeof(before));
	assert_memory_equal(written.bytes + sizeof(before), car + 499, len - 499);
	check_read_back(&written, entries, count);
	free(car);

	/* Of nothing. */
	written.len = 0;
	assert_int_equal(car_index_write(&out, entries, 0), 0);
	assert_int_equal(written.len, 6);
	assert_memory_equal(written.bytes, "\x81\x08\0\0\0\0", 6);
	check_read_back(&written, entries, 0);

	/* By hash function, by length of digest, by digest, and by place. */
	struct car_index_entry mixed[] = {
		{ .at = 5, .hash = 0x13, .digest = (const uint8_t *)"bb", .digest_len = 2 },
		{ .at = 4, .hash = 0x12, .digest = (const uint8_t *)"b", .digest_len = 1 },
		{ .at = 3, .hash = 0x12, .digest = (const uint8_t *)"aa", .digest_len = 2 },
		{ .at = 2, .hash = 0x12, .digest = (const uint8_t *)"b", .digest_len = 1 },
		{ .at = 1, .hash = 0x12, .digest = (const uint8_t *)"a", .digest_len = 1 },
	};
	static const char expected[] = "\x81\x08\2\0\0\0"
				       "\x12\0\0\0\0\0\0\0\2\0\0\0"
				       "\x09\0\0\0\x1b\0\0\0\0\0\0\0"
				       "a\1\0\0\0\0\0\0\0"
				       "b\2\0\0\0\0\0\0\0"
				       "b\4\0\0\0\0\0\0\0"
				       "\x0a\0\0\0\x0a\0\0\0\0\0\0\0"
				       "aa\3\0\0\0\0\0\0\0"
				       "\x13\0\0\0\0\0\0\0\1\0\0\0"
				       "\x0a\0\0\0\x0a\0\0\0\0\0\0\0"
				       "bb\5\0\0\0\0\0\0\0";
	written.len = 0;
	car_index_sort(mixed, 5);
	assert_int_equal(car_index_write(&out, mixed, 5), 0);
	assert_int_equal(written.len, sizeof(expected) - 1);
	assert_memory_equal(written.bytes, expected, sizeof(expected) - 1);
	check_read_back(&written, mixed, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixtures_are_read_however_cut),
		cmocka_unit_test(ours_are_read_back_and_cuts_are_found),
		cmocka_unit_test(blocks_come_in_pieces),
		cmocka_unit_test(headers_match_the_known_bytes),
		cmocka_unit_test(many_roots_are_read_at_once),
		cmocka_unit_test(malformed_cars_are_refused),
		cmocka_unit_test(sections_are_outlined),
		cmocka_unit_test(beginnings_of_version_2_are_told),
		cmocka_unit_test(an_index_is_the_known_bytes),
	};

	return ipld_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
