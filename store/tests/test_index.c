/*
 * The index can be thrown away, so nothing that stands in its files may matter: whatever they hold,
 * the repo opens, and every block is there.
 */
#include "support.h"
#include "../inner.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <multiformats/multihash.h>
#include <sys/stat.h>
#include <unistd.h>
#include "index.h"
#include "index_pages.h"

enum { BLOCKS = 1500, PAGE = 4096 };

static const char *index_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/index/%s", test_repo, name);
	return path;
}

/* A file whole, or written whole. */
static uint8_t *load(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	struct stat st;

	if (!file)
		return NULL;
	fstat(fileno(file), &st);
	uint8_t *bytes = malloc(st.st_size + 1);
	*len = fread(bytes, 1, st.st_size, file);
	fclose(file);
	return bytes;
}

static int save(const char *path, const void *bytes, size_t len)
{
	unlink(path); /* it may be open */
	FILE *file = fopen(path, "wb");

	CHECK(file && fwrite(bytes, 1, len, file) == len);
	return fclose(file);
}

static size_t length_of(uint64_t i)
{
	return 20 + i % 50;
}

/* Puts blocks in many checkpoints, pins some and unpins others, so that the index has pages of
 * every kind, and free ones. */
static int fill(struct store *store, uint64_t first, uint64_t end)
{
	store_ticket ticket = 0;

	for (uint64_t i = first; i < end; i++) {
		struct mf_cid cid;
		uint8_t data[100];

		test_block(i, length_of(i), data, &cid);
		CHECK_RC(0, test_put(store, i, length_of(i), &ticket));
		if (i % 3 == 0)
			CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
		if (i % 90 == 89)
			CHECK_RC(0, store_checkpoint(store));
		if (i % 6 == 0)
			CHECK_RC(0, store_pin_remove(store, &cid, &ticket));
	}
	return store_checkpoint(store);
}

static int all_there(struct store *store, uint64_t end)
{
	for (uint64_t i = 0; i < end; i++) {
		struct mf_cid cid;
		uint8_t data[100];

		test_block(i, length_of(i), data, &cid);
		CHECK(store_has(store, &cid) == 1);
		if (i % 7 == 0)
			CHECK_RC(0, test_get(store, i, length_of(i)));
		CHECK(store_pin_get(store, &cid) ==
			(i % 3 == 0 && i % 6 != 0 ? STORE_PIN_DIRECT : STORE_PIN_NONE));
	}
	return 0;
}

static uint64_t state;

static uint64_t draw(uint64_t below)
{
	state = state * 6364136223846793005 + 1442695040888963407;
	return (state >> 33) % below;
}

/* Spoils a copy of the file in one of the ways a disk, a hand or a program may. */
static size_t spoil(uint8_t *bytes, size_t len, uint64_t way)
{
	size_t pages = len / PAGE, page = draw(pages);

	switch (way % 8) {
	case 0: bytes[draw(len)] ^= 1 << draw(8); break;
	case 1: /* heads of pages */
		for (int i = 0; i < 8; i++)
			bytes[draw(pages) * PAGE + draw(40)] = draw(256);
		break;
	case 2:
		for (size_t i = 0; i < PAGE; i++)
			bytes[page * PAGE + i] = draw(256);
		break;
	case 3: memcpy(bytes + page * PAGE, bytes + draw(pages) * PAGE, PAGE); break;
	case 4: /* the meta pages */ bytes[draw(2) * PAGE + 16 + draw(136)] = draw(256); break;
	case 5: return draw(len);
	case 6: memset(bytes + page * PAGE, 0, PAGE); break;
	default: /* the last nodes of a page: keys, values, free lists */
		for (int i = 0; i < 4; i++)
			bytes[page * PAGE + PAGE - 1 - draw(200)] = draw(256);
	}
	return len;
}

static int whatever_is_in_the_file_no_block_is_lost(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	size_t len, changed = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, BLOCKS));
	CHECK_RC(0, store_close(store));
	uint8_t *good = load(index_path("data.mdb"), &len), *bad = malloc(len);
	CHECK(good && len > 20 * PAGE);
	for (uint64_t i = 0; i < 160; i++) {
		state = i;
		memcpy(bad, good, len);
		size_t now = spoil(bad, len, i);
		CHECK_RC(0, save(index_path("data.mdb"), bad, now));
		CHECK_RC(0, test_open(&store, &recovery));
		changed += recovery.rebuilt;
		CHECK_RC(0, all_there(store, BLOCKS));
		if (i % 8 == 7) { /* and it can be written */
			CHECK_RC(0, fill(store, BLOCKS, BLOCKS + 90));
			CHECK_RC(0, all_there(store, BLOCKS + 90));
		}
		CHECK_RC(0, store_close(store));
	}
	free(good);
	free(bad);
	CHECK(changed > 40); /* else the spoiling hit pages not in use */
	return 0;
}

static int other_files_of_the_index_do_not_matter(void *arg)
{
	static const char *const names[] = { "lock.mdb", "sealed", "data.mdb" };
	struct store *store;
	uint8_t noise[20000];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, 100));
	CHECK_RC(0, store_close(store));
	for (uint64_t i = 0; i < 30; i++) {
		size_t len = draw(i % 2 ? sizeof(noise) : 100);

		state = i;
		for (size_t j = 0; j < len; j++)
			noise[j] = draw(256);
		CHECK_RC(0, save(index_path(names[i % 3]), noise, len));
		CHECK_RC(0, test_open(&store, NULL));
		CHECK_RC(0, all_there(store, 100));
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

static int rebuilt(void)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, &recovery));
	CHECK_RC(0, store_close(store));
	return recovery.rebuilt;
}

/* What LMDB writes is believed at any time, so that being killed costs no reading of the log. */
static int a_good_file_is_believed_without_its_seal(void *arg)
{
	struct store *store;
	size_t len;

	for (uint64_t i = 0; i < 40; i++) {
		CHECK_RC(0, test_open(&store, NULL));
		CHECK_RC(0, fill(store, i * 50, i * 50 + 50));
		uint8_t *bytes = load(index_path("data.mdb"), &len);
		CHECK(bytes);
		CHECK(test_file_size(index_path("sealed")) == -ENOENT);
		CHECK_RC(0, store_close(store));
		CHECK(test_file_size(index_path("sealed")) > 0);
		if (i % 2) {
			unlink(index_path("sealed"));
			CHECK_RC(0, rebuilt());
		} else {
			CHECK_RC(0, save(index_path("data.mdb"), bytes, len));
			CHECK_RC(0, rebuilt());
		}
		free(bytes);
	}
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, all_there(store, 2000));
	return store_close(store);
}

/* A free list longer than a page, and lists that shrink again. */
static int long_lists_of_free_pages_are_understood(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	test_options.checkpoint_blocks = 1 << 20;
	CHECK_RC(0, test_open(&store, NULL));
	for (uint64_t i = 0; i < 40000; i++)
		CHECK_RC(0, test_put(store, i, 20, &ticket));
	CHECK_RC(0, store_checkpoint(store));
	for (uint64_t i = 40000; i < 50000; i++)
		CHECK_RC(0, test_put(store, i, 20, &ticket));
	CHECK_RC(0, store_checkpoint(store));
	CHECK_RC(0, store_close(store));
	unlink(index_path("sealed"));
	CHECK_RC(0, rebuilt());
	for (uint64_t i = 50000; i < 50040; i++) {
		CHECK_RC(0, test_open(&store, NULL));
		CHECK_RC(0, test_put(store, i, 20, &ticket));
		CHECK_RC(0, store_close(store));
		unlink(index_path("sealed"));
		CHECK_RC(0, rebuilt());
	}
	test_options.checkpoint_blocks = 50;
	return 0;
}

static void numbered(struct mf_cid *cid, uint32_t hash, uint8_t digest_len, int number)
{
	*cid = (struct mf_cid){
		.version = 1, .codec = MF_CODEC_RAW, .hash = hash, .digest_len = digest_len
	};
	memcpy(cid->digest, &number, sizeof(number));
}

/* A put makes room, waits for its bytes to be written, and then enters its blocks. Meanwhile others
 * may find damage, which the index notes: not in the room of the put. */
static int damage_noted_meanwhile_takes_nobodys_room(void *arg)
{
	enum { ROOM = 64, DAMAGED = 200 };
	struct index_position position;
	struct index_place place = { .segment = 1, .len = 10, .version = 1 }, found;
	const uint8_t repo[16] = { 0 };
	struct index index;
	struct mf_cid cid;

	CHECK_RC(0, index_open(&index, test_repo, repo, &position));
	CHECK_RC(0, index_reserve(&index, DAMAGED));
	for (int i = 0; i < DAMAGED; i++) {
		numbered(&cid, MF_HASH_SHA2_256, 32, i);
		index_add(&index, &cid, &place);
	}
	index_freeze(&index, &position, &(struct ops_position){ 0 });
	CHECK_RC(0, index_write(&index));
	CHECK_RC(0, index_reserve(&index, ROOM));
	for (int i = 0; i < DAMAGED; i++) {
		numbered(&cid, MF_HASH_SHA2_256, 32, i);
		index_forget(&index, &cid, &place);
		CHECK_RC(0, index_find(&index, &cid, &found));
	}
	const struct table *table = &index.fresh.blocks;
	CHECK(table->count == DAMAGED);
	size_t room = table->room;
	for (int i = 0; i < ROOM; i++) {
		numbered(&cid, MF_HASH_BLAKE3, MF_DIGEST_MAX, i);
		index_add(&index, &cid, &place);
	}
	CHECK(table->room == room && table->used <= room);
	index.suspect = true; /* to be made anew */
	index_close(&index);
	return 0;
}

/* Of any codec, of both versions, to the far end of a file. */
static int what_is_written_is_read(void *arg)
{
	static const struct index_place places[] = {
		{ .offset = 38, .segment = 1, .len = 0, .codec = MF_CODEC_RAW, .version = 1 },
		{ .offset = (1ull << 48) - 1,
			.segment = UINT32_MAX,
			.len = 8 << 20,
			.codec = 0x300539,
			.ordinal = UINT32_MAX,
			.version = 1 },
		{ .offset = 0x123456789abc,
			.segment = 0x01020304,
			.len = 0x456789,
			.codec = MF_CODEC_DAG_PB,
			.ordinal = 0x0a0b0c0d },
		{ .offset = 1ull << 32,
			.segment = 7,
			.len = 1,
			.codec = UINT32_MAX,
			.ordinal = 9,
			.version = 1 },
	};
	enum { PLACES = sizeof(places) / sizeof(*places) };
	struct store *store;
	struct mf_cid cid;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < PLACES; i++) {
		mf_cid_of(&cid, 1, MF_CODEC_RAW, &i, sizeof(i));
		CHECK_RC(0, index_reserve(&store->index, 1));
		index_put(&store->index, &cid, &places[i]);
	}
	CHECK_RC(0, store_checkpoint(store));
	for (int i = 0; i < PLACES; i++) {
		struct index_place found;

		mf_cid_of(&cid, 1, MF_CODEC_RAW, &i, sizeof(i));
		CHECK_RC(1, index_find(&store->index, &cid, &found));
		CHECK(found.offset == places[i].offset && found.segment == places[i].segment &&
			found.len == places[i].len);
		CHECK(found.codec == places[i].codec && found.ordinal == places[i].ordinal &&
			found.version == places[i].version);
	}
	return store_close(store);
}

/* A block's key is not its multihash where that is a SHA-256's, and must be no other's. */
static int every_kind_of_hash_has_a_key_of_its_own(void *arg)
{
	static const struct {
		uint32_t code;
		uint8_t len;
	} kinds[] = {
		{ MF_HASH_SHA2_256, 32 },
		{ MF_HASH_SHA2_256, 29 },
		{ MF_HASH_SHA2_256, 30 }, /* 32 bytes as a multihash */
		{ MF_HASH_SHA2_256, 31 },
		{ MF_HASH_SHA1, 20 },
		{ MF_HASH_SHA2_512, 64 },
		{ 0xb21b, 27 }, /* BLAKE2b */
		{ 0xb21c, 28 }, /* also 32 */
		{ 0xb21d, 29 },
	};
	enum { KINDS = sizeof(kinds) / sizeof(*kinds) };
	struct store *store;
	struct mf_cid cids[KINDS];
	struct index_key key = { 0 };
	struct index_place place = { .segment = 1, .codec = MF_CODEC_RAW, .version = 1 };
	bool met[KINDS] = { false };
	struct index_block blocks[3];
	ssize_t count = 0;
	int next = 0;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < KINDS; i++) {
		cids[i] = (struct mf_cid){ .version = 1,
			.codec = MF_CODEC_RAW,
			.hash = kinds[i].code,
			.digest_len = kinds[i].len };
		/* All the same bytes, and zeros at the end: only kind and length tell them apart. */
		memset(cids[i].digest, 0x12, kinds[i].len - 2);
		place.offset = i + 1;
		CHECK_RC(0, index_reserve(&store->index, 1));
		index_add(&store->index, &cids[i], &place);
	}
	CHECK_RC(0, store_checkpoint(store));
	for (int i = 0; i < KINDS; i++) {
		/* One by one, and some at a time. */
		if (i == next)
			next += (count = index_next_blocks(
					 &store->index, &key, blocks, i < 2 ? 1 : 3));
		CHECK(count > 0 && i < next);
		struct index_block *block = &blocks[count - (next - i)];
		place = block->place;
		CHECK(place.offset >= 1 && place.offset <= KINDS && !met[place.offset - 1]);
		met[place.offset - 1] = true;
		CHECK(mf_cid_equal(&block->cid, &cids[place.offset - 1]));
		CHECK_RC(1, index_find(&store->index, &block->cid, &place));
	}
	CHECK(next == KINDS && index_next_blocks(&store->index, &key, blocks, 3) == 0);
	return store_close(store);
}

/* ---- A large tree, which two threads look over ---- */

enum {
	LARGE = 60000,
	KEY_AT = 8,
	FLAGS_AT = 10,
	BRANCH = 1,
	LOWER_AT = 12,
	UPPER_AT = 14,
	NODES_AT = 16
};

static int count_entry(void *arg, enum index_table table, const uint8_t *key, size_t key_len,
	const uint8_t *value, size_t len)
{
	*(size_t *)arg += table == INDEX_BLOCKS;
	return 0;
}

/* Looks over a file with these bytes, and with a hole behind them; *first and *later: blocks that came with either argument. */
static int look_over(const uint8_t *bytes, size_t len, size_t *first, size_t *later)
{
	const off_t hole = (off_t)1 << 43;
	char path[128];

	*first = *later = 0;
	snprintf(path, sizeof(path), "%s/spoiled", test_repo);
	CHECK_RC(0, save(path, bytes, len));
	int fd = open(path, O_RDWR);
	CHECK(fd >= 0 && (ftruncate(fd, hole) == 0 || errno == EFBIG));
	int rc = index_pages_check(fd, count_entry, (void *[]){ first, later });
	close(fd);
	return rc;
}

/* The root of the table of blocks: its record stands behind its name in the file, and ends with the entries and this page. */
static uint8_t *root_of(uint8_t *bytes, size_t len)
{
	const char name[] = "blocks";
	size_t record[6];

	for (uint8_t *at = bytes; (at = memmem(at, bytes + len - at, name, strlen(name)));) {
		at += strlen(name);
		if (at + sizeof(record) > bytes + len)
			break;
		memcpy(record, at, sizeof(record));
		if (record[4] == LARGE)
			return bytes + record[5] * PAGE;
	}
	return NULL;
}

static uint16_t u16_at(const uint8_t *page, size_t at)
{
	uint16_t value;

	memcpy(&value, page + at, sizeof(value));
	return value;
}

static uint8_t *node_of(uint8_t *page, size_t i)
{
	return page + u16_at(page, NODES_AT + 2 * i);
}

/* Moves the start of a node into the one that lies before it. */
static void overlap(uint8_t *page, size_t i)
{
	uint16_t at = u16_at(page, NODES_AT + 2 * i) - 2;

	memmove(page + at, page + at + 2, KEY_AT + 32 + 18);
	memcpy(page + NODES_AT + 2 * i, &at, sizeof(at));
}

static uint32_t child_of(uint8_t *page, size_t i)
{
	uint32_t number;

	memcpy(&number, node_of(page, i), sizeof(number));
	return number;
}

static int fill_large(void)
{
	struct index_position position;
	struct index_place place = { .segment = 1, .len = 10, .version = 1 };
	const uint8_t repo[16] = { 0 };
	struct index index;
	struct mf_cid cid;

	CHECK_RC(0, index_open(&index, test_repo, repo, &position));
	CHECK_RC(0, index_reserve(&index, LARGE));
	for (int i = 0; i < LARGE; i++) {
		mf_cid_of(&cid, 1, MF_CODEC_RAW, &i, sizeof(i));
		index_add(&index, &cid, &place);
	}
	index_freeze(&index, &position, &(struct ops_position){ 0 });
	CHECK_RC(0, index_write(&index));
	index_close(&index);
	return 0;
}

/* What is wrong is found in either half, and between them; and what is far away behind them is not looked for. */
static int both_halves_of_a_large_tree_are_looked_over(void *arg)
{
	char path[128];
	size_t len, first, later;

	CHECK_RC(0, fill_large());
	snprintf(path, sizeof(path), "%s/data.mdb", test_repo);
	uint8_t *good = load(path, &len);
	uint8_t *bad = malloc(len);
	CHECK(good && bad);
	CHECK_RC(0, look_over(good, len, &first, &later));
	CHECK(first + later == LARGE && first > LARGE / 4 && later > LARGE / 4);
	uint8_t *root = root_of(good, len);
	CHECK(root);
	size_t count = (u16_at(root, LOWER_AT) - NODES_AT) / 2, middle = count / 2;
	CHECK(count >= 4);
	root = bad + (root - good);
	for (int way = 0; way < 7; way++) {
		memcpy(bad, good, len);
		if (way < 2) { /* a key of a child's is none any more */
			uint32_t child = child_of(root, way ? middle : middle - 1);
			memset(node_of(bad + child * PAGE, 1) + KEY_AT, way ? 0 : 0xff, 32);
		} else if (way <
			4) { /* the separator of both is before all of one half, or behind all of the other */
			memset(node_of(root, middle) + KEY_AT, way == 2 ? 0 : 0xff, 32);
		} else if (way == 6) { /* one node lies partly in another */
			uint8_t *page = root;
			while (u16_at(page, FLAGS_AT) == BRANCH)
				page = bad + child_of(page, 0) * PAGE;
			bool lowest = node_of(page, 0) == page + u16_at(page, UPPER_AT);
			overlap(page, lowest ? 1 : 0);
		} else { /* a child is met twice, by one or by both */
			uint32_t other = child_of(root, way == 4 ? 0 : middle - 1);
			memcpy(node_of(root, way == 4 ? 1 : middle), &other, sizeof(other));
		}
		CHECK_RC(-EUCLEAN, look_over(bad, len, &first, &later));
	}
	free(good);
	free(bad);
	return 0;
}

ON_BACKENDS(what_is_written_is_read)
ON_BACKENDS(every_kind_of_hash_has_a_key_of_its_own)
ON_BACKENDS(whatever_is_in_the_file_no_block_is_lost)
ON_BACKENDS(other_files_of_the_index_do_not_matter)
ON_BACKENDS(a_good_file_is_believed_without_its_seal)
ON_BACKENDS(long_lists_of_free_pages_are_understood)
ON_BACKENDS(both_halves_of_a_large_tree_are_looked_over)
ON_BACKENDS(damage_noted_meanwhile_takes_nobodys_room)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_every_kind_of_hash_has_a_key_of_its_own),
		cmocka_unit_test(test_whatever_is_in_the_file_no_block_is_lost),
		cmocka_unit_test(test_other_files_of_the_index_do_not_matter),
		cmocka_unit_test(test_a_good_file_is_believed_without_its_seal),
		cmocka_unit_test(test_long_lists_of_free_pages_are_understood),
		cmocka_unit_test(test_both_halves_of_a_large_tree_are_looked_over),
		cmocka_unit_test(test_damage_noted_meanwhile_takes_nobodys_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
