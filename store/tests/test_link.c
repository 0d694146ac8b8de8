/* Adoption by link: the file stays somebody else's too, who may do with it what he likes. */
#include "archives.h"

#include <sys/stat.h>
#include <unistd.h>

static int touch(const char *path, time_t seconds)
{
	struct timespec times[2] = { { .tv_sec = seconds }, { .tv_sec = seconds } };

	return utimensat(AT_FDCWD, path, times, 0);
}

/* Changed in place behind our back, with its size and time as they were: each read sees it. */
static int a_link_is_verified_at_each_read(void *arg)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
	struct store_adopt_result result;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	archive_save(&archive, "given.car");
	CHECK(touch(archive_path("given.car"), 1000000) == 0);
	struct store_adopt_options options = { .link = true };
	CHECK_RC(0, archive_adopt_with(store, "given.car", &options, &result));
	CHECK_RC(0, store_close(store));
	test_flip(archive_path("given.car"), archive.len - 10);
	CHECK(touch(archive_path("given.car"), 1000000) == 0);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == ARCHIVE_BLOCKS - 1);
	CHECK_RC(-EBADMSG, test_get(store, ARCHIVE_BLOCKS - 1, ARCHIVE_BLOCK));
	CHECK(test_verify(store) == 1);
	/* It is mended by putting the block. */
	store_ticket ticket = 0;
	CHECK_RC(0, test_put(store, ARCHIVE_BLOCKS - 1, ARCHIVE_BLOCK, &ticket));
	CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == ARCHIVE_BLOCKS);
	CHECK_RC(0, test_verify(store));
	free(archive.bytes);
	return store_close(store);
}

/* One that is not what it was is not believed, and left alone; nothing else suffers. */
static int a_link_that_changed_is_not_believed(void *arg)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS),
		       same = archive_make(0, ARCHIVE_BLOCKS);
	struct store_adopt_result result;
	struct store_verify_options accept = { .accept_loss = true };
	struct store_verify_result verified;
	struct store_recovery recovery;
	struct store *store;
	struct store_collect_options every = { .every = true };
	struct store_collect_result collected;
	struct mf_cid cid;
	static uint8_t data[ARCHIVE_BLOCK];
	char text[200];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 2000, 2010, true));
	CHECK_RC(0, archive_adopt(store, &archive, true, &result));
	uint32_t changed = result.segment;
	test_block(3, ARCHIVE_BLOCK, data, &cid);
	CHECK(!store_explain(store, &cid, text, sizeof(text)));
	CHECK_RC(0, store_close(store));
	CHECK(touch(archive_path("given.car"), 1000000) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1 && !recovery.read_only);
	CHECK(strstr(recovery.text, "was changed since it was adopted") != NULL);
	CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == 0);
	CHECK_RC(0, test_get_range(store, 2000, 2010));
	CHECK_RC(-EBADMSG, test_get(store, 3, ARCHIVE_BLOCK));
	CHECK(store_explain(store, &cid, text, sizeof(text)));
	CHECK(strstr(text, "was changed since it was adopted") != NULL);
	CHECK(store_has(store, &cid) == 0);
	CHECK(test_verify(store) == 1);
	CHECK(test_file_size(archive_path("given.car")) == (long)same.len);
	/* Adopted once more, it is another segment. */
	CHECK_RC(0, archive_adopt(store, &same, false, &result));
	CHECK(result.fresh == ARCHIVE_BLOCKS &&
		archive_there(store, 0, ARCHIVE_BLOCKS) == ARCHIVE_BLOCKS);
	CHECK(test_verify(store) == 1);
	CHECK_RC(0, store_verify(store, &accept, &verified));
	CHECK(test_verify(store) == 0);
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 0 && archive_there(store, 0, ARCHIVE_BLOCKS) == ARCHIVE_BLOCKS);
	CHECK_RC(0, test_verify(store));
	/* Given up, it is nobody's; but who made it may want it. */
	CHECK_RC(0, store_collect(store, &every, &collected));
	CHECK(archive_there(store, 0, ARCHIVE_BLOCKS) == 0);
	CHECK(test_file_size(test_segment(changed)) == (long)same.len);
	CHECK(!store_explain(store, &cid, text, sizeof(text)));
	return store_close(store);
}

static int names_may_be_replaced(void *arg)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS), other = archive_make(50, 90);
	struct store_adopt_result result;
	struct store_recovery recovery;
	struct store *store;

	/* The other name leads elsewhere now: ours does not. */
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, true, &result));
	CHECK_RC(0, store_close(store));
	archive_save(&other, "other.car");
	char from[200];
	strcpy(from, archive_path("other.car"));
	CHECK(rename(from, archive_path("given.car")) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 0 && archive_there(store, 0, ARCHIVE_BLOCKS) == ARCHIVE_BLOCKS);
	CHECK_RC(0, store_close(store));
	/* Ours leads elsewhere, or nowhere. */
	CHECK(rename(archive_path("given.car"), test_segment(result.segment)) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1 && archive_there(store, 0, ARCHIVE_BLOCKS) == 0);
	CHECK_RC(0, store_close(store));
	CHECK(unlink(test_segment(result.segment)) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1 && strstr(recovery.text, "is missing") != NULL);
	CHECK(test_verify(store) == 1);
	free(other.bytes);
	return store_close(store);
}

ON_BACKENDS(a_link_is_verified_at_each_read)
ON_BACKENDS(a_link_that_changed_is_not_believed)
ON_BACKENDS(names_may_be_replaced)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_link_is_verified_at_each_read),
		cmocka_unit_test(test_a_link_that_changed_is_not_believed),
		cmocka_unit_test(test_names_may_be_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
