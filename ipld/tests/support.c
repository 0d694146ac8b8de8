#include "support.h"
#include "../../tests/fixtures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ipld/block.h>
#include <ipld/car.h>
#include <ipld/unixfs_read.h>

const char *fixtures(void)
{
	static char dir[4096];

	fixture_path("", dir, sizeof(dir));
	return dir;
}

int ipld_exit(int failed)
{
	return fixtures_exit(failed);
}

uint8_t *read_fixture(size_t *len, const char *format, ...)
{
	char path[1024];
	size_t cap = 1 << 16;
	uint8_t *data = malloc(cap);
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("cannot read %s", path);
	*len = 0;
	for (size_t n; (n = fread(data + *len, 1, cap - *len, file)) > 0;) {
		*len += n;
		if (*len == cap)
			data = realloc(data, cap *= 2);
	}
	fclose(file);
	return data;
}

struct mf_cid cid_of(const char *text)
{
	struct mf_cid cid;

	if (mf_cid_parse(&cid, text, strlen(text)) < 0)
		fail_msg("not a CID: %s", text);
	return cid;
}

void assert_cid(const struct mf_cid *cid, const char *text)
{
	char got[MF_CID_TEXT_MAX];

	assert_true(mf_cid_format(cid, got, sizeof(got)) > 0);
	assert_string_equal(got, text);
}

size_t unhex(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;

	for (unsigned byte; n < cap && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
		out[n] = (uint8_t)byte;
	return n;
}

int blocks_put(void *arg, const struct mf_cid *cid, const void *block, size_t len)
{
	struct blocks *blocks = arg;

	assert_int_equal(ipld_block_verify(cid, block, len), 0);
	blocks->items = realloc(blocks->items, (blocks->count + 1) * sizeof(*blocks->items));
	struct stored *item = &blocks->items[blocks->count++];
	item->cid = *cid;
	item->len = len;
	item->data = malloc(len + 1);
	if (len)
		memcpy(item->data, block, len);
	return 0;
}

const struct stored *blocks_get(const struct blocks *blocks, const struct mf_cid *cid)
{
	for (size_t i = 0; i < blocks->count; i++) {
		if (mf_cid_equal(&blocks->items[i].cid, cid))
			return &blocks->items[i];
	}
	return NULL;
}

void blocks_free(struct blocks *blocks)
{
	for (size_t i = 0; i < blocks->count; i++)
		free(blocks->items[i].data);
	free(blocks->items);
	*blocks = (struct blocks){ 0 };
}

struct mf_cid blocks_load_car(struct blocks *blocks, const uint8_t *data, size_t len)
{
	struct mf_cid root = { 0 };
	struct car_reader *reader;
	struct car_event event;
	int rc;

	assert_int_equal(car_reader_new(&reader, false), 0);
	while ((rc = car_reader_next(reader, &data, &len, &event)) == 1) {
		if (event.kind == CAR_BLOCK)
			blocks_put(blocks, &event.cid, event.data, event.len);
		else if (event.header.root_count)
			car_header_roots(&event.header, &root, 1);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(car_reader_finish(reader), 0);
	car_reader_free(reader);
	return root;
}

void fill(uint8_t *out, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		out[i] = (uint8_t)(seed >> 56);
	}
}

int read_range(const struct blocks *blocks, const struct mf_cid *root, uint64_t offset,
	uint64_t length, struct got *got)
{
	struct unixfs_reader *reader;
	struct mf_pb_view bytes;
	struct mf_cid cid, window[2];
	int rc = 0;

	*got = (struct got){ .data = malloc(1) };
	assert_int_equal(unixfs_reader_new(&reader, root, offset, length), 0);
	while (rc == 0 && unixfs_reader_want(reader, &cid)) {
		const struct stored *block = blocks_get(blocks, &cid);

		assert_in_range(unixfs_reader_window(reader, window, 2, NULL, NULL), 1, 2);
		assert_true(mf_cid_equal(&window[0], &cid));
		if (!block) {
			rc = -ENOENT;
			break;
		}
		rc = unixfs_reader_feed(reader, block->data, block->len, &bytes);
		if (rc == 0 && bytes.len) {
			got->data = realloc(got->data, got->len + bytes.len);
			memcpy(got->data + got->len, bytes.data, bytes.len);
			got->len += bytes.len;
		}
		got->blocks++;
	}
	unixfs_reader_free(reader);
	return rc;
}
