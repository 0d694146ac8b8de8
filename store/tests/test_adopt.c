/* Adoption: a CAR file becomes a segment as it is, or is refused whole; what becomes of it afterwards. */
#include "archives.h"
#include "../inner.h"
#include "../segment_adopted.h"

#include <multiformats/multihash.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int copy_file(const char *from, const char *to)
{
	char command[500];

	snprintf(command, sizeof(command), "cp -a %s %s", from, to);
	return system(command);
}

static int lasts(bool link)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
	struct store_adopt_result result;
	struct store_recovery recovery;
	struct store *store;
	store_ticket ticket = 0;
	int fresh = 0;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 5; i++)
		CHECK_RC(0, test_put(store, i, ARCHIVE_BLOCK, &ticket));
	CHECK_RC(0, archive_adopt(store, &archive, link, &result));
	CHECK(link ? result.how == STORE_ADOPT_LINK : result.how >= STORE_ADOPT_REFLINK);
	CHECK(result.blocks == ARCHIVE_BLOCKS && result.bytes == ARCHIVE_BLOCKS * ARCHIVE_BLOCK);
	CHECK(result.fresh == ARCHIVE_BLOCKS - 5);
	for (int again = 0; again < 4; again++) {
		CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == ARCHIVE_BLOCKS &&
			archive_adopted(store) == 1);
		for (int i = 0; i < ARCHIVE_BLOCKS; i++) {
			static uint8_t data[ARCHIVE_BLOCK];
			struct index_place place;
			struct mf_cid cid;

			test_block(i, ARCHIVE_BLOCK, data, &cid);
			CHECK(index_find(&store->index, &cid, &place) == 1);
			fresh += place.segment == result.segment;
		}
		CHECK(fresh == ARCHIVE_BLOCKS - 5);
		fresh = 0;
		CHECK_RC(0, test_verify(store));
		CHECK_RC(0, test_put(store, 1000 + again, ARCHIVE_BLOCK, &ticket));
		CHECK_RC(0, store_sync(store, ticket));
		/* What is copied is no link any more. */
		if (again == 0 && !link)
			CHECK_RC(0, test_crash(store));
		else if (again < 2)
			CHECK_RC(0, store_close(store));
		if (again == 2)
			CHECK_RC(0, rebuild_index(store, &recovery));
		else if (again < 2)
			CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.damaged == 0 && recovery.gaps == 0 && recovery.ignored == 0);
	}
	return store_close(store);
}

static int an_adopted_file_lasts(void *arg)
{
	CHECK_RC(0, lasts(false));
	return 0;
}

static int a_linked_file_lasts(void *arg)
{
	struct stat before, after;

	CHECK_RC(0, lasts(true));
	CHECK(stat(archive_path("given.car"), &before) == 0 && before.st_nlink == 2);
	CHECK(stat(test_segment(2), &after) == 0 && after.st_ino == before.st_ino);
	return 0;
}

static int on_roots(void *arg, const struct mf_cid *roots, size_t count)
{
	*(size_t *)arg += count;
	return 0;
}

/* Longer than a place in the index can say. */
static int no_file_without_end(void *arg)
{
	struct store *store;
	struct store_adopt_result result;
	int fd = memfd_create("long", MFD_CLOEXEC);

	CHECK_RC(0, test_open(&store, NULL));
	CHECK(fd >= 0 && ftruncate(fd, 1ll << 48) == 0);
	CHECK_RC(-EFBIG, store_adopt(store, fd, NULL, &result));
	close(fd);
	return store_close(store);
}

static int version_2_is_adopted_at_its_data(void *arg)
{
	struct archive inner = archive_make(0, ARCHIVE_BLOCKS), outer = { 0 };
	struct car_v2 v2 = { .data_at = CAR_V2_SIZE + 13, .data_size = inner.len };
	size_t roots = 0;
	struct store_adopt_options options = { .roots = on_roots, .arg = &roots };
	struct store_adopt_result result;
	struct store *store;
	uint8_t bytes[CAR_V2_SIZE];

	v2.index_at = v2.data_at + v2.data_size;
	car_v2_encode(&v2, bytes);
	archive_bytes(&outer, bytes, sizeof(bytes));
	archive_bytes(&outer, "thirteen more", 13);
	archive_bytes(&outer, inner.bytes, inner.len);
	archive_bytes(&outer, "and an index of no use", 22);
	archive_save(&outer, "given.car");
	free(inner.bytes);
	free(outer.bytes);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt_with(store, "given.car", &options, &result));
	CHECK(result.fresh == ARCHIVE_BLOCKS && roots == 1);
	CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == ARCHIVE_BLOCKS);
	CHECK_RC(0, rebuild_index(store, NULL));
	CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == ARCHIVE_BLOCKS);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* One that is refused leaves nothing: no segment, no state, no block. */
static int refused(struct store *store, struct archive *archive, bool link, int code, uint64_t at,
	const struct mf_cid *cid)
{
	struct store_adopt_result result;
	struct store_stat before, after;
	size_t len = archive->len;
	char path[200];
	struct stat st;

	store_stat(store, &before);
	CHECK_RC(code, archive_adopt(store, archive, link, &result));
	store_stat(store, &after);
	CHECK(before.blocks == after.blocks && after.adopted == 0);
	snprintf(
		path, sizeof(path), "%s/segments/%08u.car", test_repo, store->segments.last_number);
	CHECK(access(path, F_OK) != 0);
	CHECK(stat(archive_path("given.car"), &st) == 0 && st.st_nlink == 1 &&
		(size_t)st.st_size == len);
	if (result.at != at)
		print_error("refused at %llu\n", (unsigned long long)result.at);
	CHECK(result.at == at);
	CHECK(result.has_cid == (cid != NULL));
	CHECK(!cid || mf_cid_equal(&result.cid, cid));
	return 0;
}

static int bad_blocks_refuse(struct store *store, bool link)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
	static uint8_t data[IPLD_BLOCK_MAX + 100];
	struct mf_cid cid;
	uint64_t at = archive.len;

	/* Bytes that do not match. */
	mf_cid_of(&cid, 1, MF_CODEC_RAW, "right", 5);
	archive_section(&archive, &cid, "wrong", 5);
	archive_blocks(&archive, ARCHIVE_BLOCKS, 2 * ARCHIVE_BLOCKS, ARCHIVE_BLOCK);
	CHECK_RC(0, refused(store, &archive, link, -EBADMSG, at, &cid));

	/* A hash that may not name blocks. */
	archive = archive_make(0, ARCHIVE_BLOCKS);
	at = archive.len;
	cid = (struct mf_cid){
		.version = 1, .codec = MF_CODEC_RAW, .hash = 0xd5 /* md5 */, .digest_len = 16
	};
	archive_section(&archive, &cid, "data", 4);
	archive_blocks(&archive, ARCHIVE_BLOCKS, 2 * ARCHIVE_BLOCKS, ARCHIVE_BLOCK);
	CHECK_RC(0, refused(store, &archive, link, -EPROTONOSUPPORT, at, &cid));

	/* Of two that are bad, the first is told. */
	archive = archive_make(0, ARCHIVE_BLOCKS);
	at = archive.len;
	mf_cid_of(&cid, 1, MF_CODEC_RAW, "right", 5);
	archive_section(&archive, &cid, "wrong", 5);
	archive_bytes(&archive, "\0", 1);
	CHECK_RC(0, refused(store, &archive, link, -EBADMSG, at, &cid));

	/* Longer than a block may be. */
	archive = archive_make(0, ARCHIVE_BLOCKS);
	at = archive.len;
	mf_cid_of(&cid, 1, MF_CODEC_RAW, data, IPLD_BLOCK_MAX + 1);
	archive_section(&archive, &cid, data, IPLD_BLOCK_MAX + 1);
	return refused(store, &archive, link, -EMSGSIZE, at, &cid);
}

static int bad_files_refuse(struct store *store, bool link)
{
	struct archive archive;
	uint8_t bytes[CAR_V2_SIZE];
	uint64_t at,
		absurd[][2] = { { 10, 100 }, { 51, UINT64_MAX }, { UINT64_MAX, 1 },
			{ INT64_MAX, INT64_MAX }, { 51, 1 << 30 }, { 1 << 30, 5 }, { 51, 0 } };

	for (size_t cut = 1; cut < ARCHIVE_BLOCK + 40; cut += 397) {
		archive = archive_make(0, ARCHIVE_BLOCKS);
		struct car_section section;

		at = archive.len - ARCHIVE_BLOCK - 38;
		CHECK_RC(0, car_section_decode(&section, archive.bytes + at, archive.len - at));
		archive.len -= cut;
		bool known = archive.len >= at + section.data_at;
		CHECK_RC(0,
			refused(store, &archive, link, archive.len == at ? 0 : -EBADMSG, at,
				known ? &section.cid : NULL));
	}
	/* Something follows. */
	archive = archive_make(0, ARCHIVE_BLOCKS);
	at = archive.len;
	archive_bytes(&archive, "this is no section, and long enough to be seen as none", 54);
	CHECK_RC(0, refused(store, &archive, link, -EBADMSG, at, NULL));
	/* A section of nothing, and one whose length lies. */
	archive = archive_make(0, ARCHIVE_BLOCKS);
	archive_bytes(&archive, "\0\0\0\0", 4);
	CHECK_RC(0, refused(store, &archive, link, -EBADMSG, at, NULL));
	archive = archive_make(0, ARCHIVE_BLOCKS);
	archive_bytes(&archive, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9);
	CHECK_RC(0, refused(store, &archive, link, -EBADMSG, at, NULL));
	/* No header, none of ours, one that lies. */
	archive = (struct archive){ 0 };
	archive_bytes(&archive, "", 0);
	CHECK_RC(0, refused(store, &archive, link, -EBADMSG, 0, NULL));
	archive = (struct archive){ 0 };
	archive_bytes(&archive, "hello, this is some text", 24);
	CHECK_RC(0, refused(store, &archive, link, -EBADMSG, 0, NULL));
	archive = (struct archive){ 0 };
	archive_bytes(&archive, "\xff\xff\xff\x7f", 4);
	CHECK_RC(0, refused(store, &archive, link, -EMSGSIZE, 0, NULL));

	for (size_t i = 0; i < sizeof(absurd) / sizeof(*absurd); i++) {
		struct car_v2 v2 = { .data_at = absurd[i][0], .data_size = absurd[i][1] };
		struct archive inner = archive_make(0, ARCHIVE_BLOCKS);

		car_v2_encode(&v2, bytes);
		archive = (struct archive){ 0 };
		archive_bytes(&archive, bytes, sizeof(bytes));
		archive_bytes(&archive, inner.bytes, inner.len);
		free(inner.bytes);
		CHECK_RC(0, refused(store, &archive, link, -EBADMSG, i == 6 ? 51 : 0, NULL));
	}
	return 0;
}

static int what_is_bad_is_refused_whole(void *arg)
{
	struct store_recovery recovery;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	for (int link = 0; link < 2; link++) {
		CHECK_RC(0, bad_blocks_refuse(store, link));
		CHECK_RC(0, bad_files_refuse(store, link));
	}
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.ignored == 0 && recovery.gaps == 0);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int big_blocks_come_when_asked_for(void *arg)
{
	static uint8_t data[IPLD_BLOCK_BIG_MAX + 8];
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
	struct store_adopt_options options = { .big = true };
	struct store_adopt_result result;
	struct store_block block;
	struct store *store;
	struct mf_cid cid, most, more;

	test_block(500, IPLD_BLOCK_MAX + 1, data, &cid);
	archive_section(&archive, &cid, data, IPLD_BLOCK_MAX + 1);
	test_block(501, IPLD_BLOCK_BIG_MAX, data, &most);
	archive_section(&archive, &most, data, IPLD_BLOCK_BIG_MAX);
	archive_blocks(&archive, ARCHIVE_BLOCKS, 2 * ARCHIVE_BLOCKS, ARCHIVE_BLOCK);
	CHECK_RC(0, test_open(&store, NULL));
	archive_save(&archive, "given.car");
	CHECK_RC(0, archive_adopt_with(store, "given.car", &options, &result));
	CHECK(result.fresh == 2 * ARCHIVE_BLOCKS + 2);
	for (int again = 0; again < 2; again++) {
		CHECK(archive_there(store, 0, 2 * ARCHIVE_BLOCKS) == 2 * ARCHIVE_BLOCKS);
		CHECK_RC(0, store_get(store, &most, &block));
		CHECK(block.len == IPLD_BLOCK_BIG_MAX);
		store_block_release(&block);
		CHECK(store_size(store, &cid) == IPLD_BLOCK_MAX + 1);
		CHECK_RC(0, test_verify(store));
		if (again == 0)
			CHECK_RC(0, rebuild_index(store, NULL));
	}
	/* There is an end to it. */
	test_block(502, IPLD_BLOCK_BIG_MAX + 1, data, &more);
	archive_section(&archive, &more, data, IPLD_BLOCK_BIG_MAX + 1);
	archive_save(&archive, "given.car");
	free(archive.bytes);
	CHECK_RC(-EMSGSIZE, archive_adopt_with(store, "given.car", &options, &result));
	CHECK(mf_cid_equal(&result.cid, &more));
	return store_close(store);
}

static int what_is_here_already_takes_no_file(void *arg)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS),
		       same = archive_make(0, ARCHIVE_BLOCKS);
	struct archive empty = { 0 };
	struct store_adopt_result result;
	struct store_recovery recovery;
	struct mf_cid identity;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, false, &result));
	CHECK_RC(0, archive_adopt(store, &same, true, &result));
	CHECK(result.how == STORE_ADOPT_NOTHING && result.blocks == ARCHIVE_BLOCKS &&
		result.fresh == 0);
	CHECK(archive_adopted(store) == 1);
	/* A block that carries itself is none of the store's. */
	archive_header(&empty, NULL);
	mf_cid_decode(&identity, (const uint8_t *)"\x01\x55\x00\x03\x61\x62\x63", 7);
	archive_section(&empty, &identity, "abc", 3);
	CHECK_RC(0, archive_adopt(store, &empty, false, &result));
	CHECK(result.how == STORE_ADOPT_NOTHING && result.blocks == 0);
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.ignored == 0 && archive_adopted(store) == 1);
	return store_close(store);
}

/* A file that this repo wrote as its own segment, and that it adopts, under the same number at that. */
static int records_of_ours_in_it_are_only_blocks(void *arg)
{
	struct store_adopt_options options = { 0 };
	struct store_adopt_result result;
	struct store_recovery recovery;
	struct store *store;
	struct segment_file *file;
	char repo[64], kept[80], other[200];

	test_options.segment_bytes = 50000;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, store_close(store));
	strcpy(repo, test_repo);
	snprintf(kept, sizeof(kept), "%s-kept", repo);
	snprintf(other, sizeof(other), "%s.car", repo);
	CHECK(copy_file(repo, kept) == 0);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 200, true));
	CHECK_RC(0, store_close(store));
	CHECK(copy_file(test_segment(2), other) == 0);
	strcpy(test_repo + strlen(test_repo), "-kept");

	/* An earlier copy of the repo, which gives it the number that its records say. */
	CHECK_RC(0, test_open(&store, NULL));
	int fd = open(other, O_RDONLY | O_CLOEXEC);
	CHECK_RC(0, store_adopt(store, fd, &options, &result));
	close(fd);
	CHECK(result.segment == 2);
	for (int again = 0; again < 3; again++) {
		file = segment_set_find(&store->segments, 2);
		CHECK(file && file->adopted && store->log.active->number != 2);
		CHECK_RC(0, test_put_range(store, 300 + again * 100, 400 + again * 100, true));
		CHECK_RC(0, test_verify(store));
		if (again == 1)
			CHECK_RC(0, rebuild_index(store, &recovery));
		else
			CHECK_RC(0, test_crash(store));
		if (again != 1)
			CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && recovery.gaps == 0 && recovery.damaged == 0);
		CHECK_RC(0, test_get_range(store, 300, 400 + again * 100));
	}
	/* The repo's own files are not linked. */
	strcpy(other, test_segment(1));
	options.link = true;
	fd = open(other, O_RDONLY | O_CLOEXEC);
	CHECK_RC(-EINVAL, store_adopt(store, fd, &options, &result));
	close(fd);
	CHECK_RC(0, store_close(store));
	strcpy(test_repo, repo);
	snprintf(other, sizeof(other), "rm -rf %s %s.car", kept, repo);
	return system(other);
}

/* What an adoption that was killed leaves: the state says that the number is to go. */
static int what_is_unfinished_goes(void *arg)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
	struct store_recovery recovery;
	struct store *store;
	store_ticket ticket = 0;
	struct stat st;

	CHECK_RC(0, test_open(&store, NULL));
	archive_save(&archive, "given.car");
	free(archive.bytes);
	CHECK_RC(0, store_note_segment(store, 2, SEGMENT_STATE_UNWANTED, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	char from[200];
	strcpy(from, archive_path("given.car"));
	CHECK(link(from, test_segment(2)) == 0);
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.ignored == 0 && access(test_segment(2), F_OK) != 0);
	CHECK(stat(from, &st) == 0 && st.st_nlink == 1);
	CHECK_RC(0, test_put_range(store, 0, 400, true));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	/* The number is not given to another, whom it would hit. */
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 0);
	CHECK_RC(0, test_get_range(store, 0, 400));
	return store_close(store);
}

struct seen {
	int adopted, blocks;
};

static int see(void *arg, const struct store_wal_entry *entry)
{
	struct seen *seen = arg;

	seen->adopted += entry->kind == STORE_WAL_ADOPTED && entry->linked;
	seen->blocks += entry->kind == STORE_WAL_BLOCK;
	return 0;
}

static int an_adopted_file_is_seen_in_the_log(void *arg)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
	struct store_adopt_result result;
	struct store_wal_replay replay;
	struct store_recovery recovery;
	struct store *store;
	struct seen seen = { 0 };

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, true, &result));
	CHECK_RC(0, store_wal_each(store, 0, 0, see, &seen));
	CHECK(seen.adopted == 1 && seen.blocks == ARCHIVE_BLOCKS);
	CHECK_RC(0,
		store_wal_replay(
			store, &(struct store_wal_replay_options){ .all = true }, &replay));
	CHECK(replay.blocks == ARCHIVE_BLOCKS && replay.damaged == 0);
	CHECK_RC(0, store_wal_replay(store, NULL, &replay));
	CHECK(replay.blocks == ARCHIVE_BLOCKS);
	CHECK_RC(0, rebuild_index(store, &recovery));
	CHECK(recovery.blocks == ARCHIVE_BLOCKS);
	CHECK_RC(0, store_wal_replay(store, NULL, &replay));
	CHECK(replay.blocks == 0);
	return store_close(store);
}

/* What lives in it is written again, and its name goes; a file that is linked stays where else it is. */
static int a_collection_takes_adopted_files(void *arg)
{
	static uint8_t data[ARCHIVE_BLOCK];
	struct store_collect_options options = { .dead_percent = 1 };
	struct store_collect_result collected;
	struct store_adopt_result result;
	struct store_recovery recovery;
	struct store *store;
	struct stat st;

	for (int link = 0; link < 2; link++) {
		struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
		store_ticket ticket = 0;
		struct mf_cid cid;

		CHECK_RC(0, test_open(&store, NULL));
		CHECK_RC(0, archive_adopt(store, &archive, link, &result));
		CHECK(result.fresh == ARCHIVE_BLOCKS);
		for (int i = 0; i < 7; i++) {
			test_block(i, ARCHIVE_BLOCK, data, &cid);
			CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
		}
		CHECK_RC(0, store_sync(store, ticket));
		CHECK_RC(0, store_collect(store, &options, &collected));
		CHECK(collected.moved == 7 && collected.dropped == ARCHIVE_BLOCKS - 7);
		CHECK(archive_adopted(store) == 0 && collected.kept_damaged == 0);
		CHECK(access(test_segment(result.segment), F_OK) != 0);
		CHECK(stat(archive_path("given.car"), &st) == 0 && st.st_nlink == 1);
		for (int again = 0; again < 3; again++) {
			CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == 7);
			CHECK_RC(0, test_verify(store));
			CHECK_RC(0, again ? store_close(store) : test_crash(store));
			CHECK_RC(0, test_open(&store, &recovery));
			CHECK(recovery.gaps == 0 && recovery.ignored == 0);
		}
		CHECK_RC(0, rebuild_index(store, NULL));
		CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) >= 7);
		for (int i = 0; i < 7; i++) {
			test_block(i, ARCHIVE_BLOCK, data, &cid);
			CHECK_RC(0, store_pin_remove(store, &cid, &ticket));
		}
		CHECK_RC(0, store_collect(store, &options, &collected));
		CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == 0);
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

/* One that is not what it was is passed over. */
static int a_collection_passes_over_what_changed(void *arg)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
	struct store_collect_options options = { .dead_percent = 1 };
	struct store_collect_result collected;
	struct store_adopt_result result;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, true, &result));
	CHECK_RC(0, store_close(store));
	CHECK(truncate(archive_path("given.car"), 5000) == 0);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 1000, 1020, true));
	CHECK_RC(0, store_collect(store, &options, &collected));
	CHECK(collected.segments > 0 && access(test_segment(result.segment), F_OK) == 0);
	CHECK(test_file_size(archive_path("given.car")) == 5000);
	return store_close(store);
}

ON_BACKENDS(no_file_without_end)
ON_BACKENDS(a_collection_takes_adopted_files)
ON_BACKENDS(a_collection_passes_over_what_changed)
ON_BACKENDS(an_adopted_file_lasts)
ON_BACKENDS(a_linked_file_lasts)
ON_BACKENDS(version_2_is_adopted_at_its_data)
ON_BACKENDS(what_is_bad_is_refused_whole)
ON_BACKENDS(big_blocks_come_when_asked_for)
ON_BACKENDS(what_is_here_already_takes_no_file)
ON_BACKENDS(records_of_ours_in_it_are_only_blocks)
ON_BACKENDS(what_is_unfinished_goes)
ON_BACKENDS(an_adopted_file_is_seen_in_the_log)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_file_without_end),
		cmocka_unit_test(test_a_collection_takes_adopted_files),
		cmocka_unit_test(test_a_collection_passes_over_what_changed),
		cmocka_unit_test(test_an_adopted_file_lasts),
		cmocka_unit_test(test_a_linked_file_lasts),
		cmocka_unit_test(test_version_2_is_adopted_at_its_data),
		cmocka_unit_test(test_what_is_bad_is_refused_whole),
		cmocka_unit_test(test_big_blocks_come_when_asked_for),
		cmocka_unit_test(test_what_is_here_already_takes_no_file),
		cmocka_unit_test(test_records_of_ours_in_it_are_only_blocks),
		cmocka_unit_test(test_what_is_unfinished_goes),
		cmocka_unit_test(test_an_adopted_file_is_seen_in_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
