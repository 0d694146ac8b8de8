/* A repo whose segments were cut short, taken away or put back from another time. */
#include "support.h"
#include "../inner.h"
#include <sys/stat.h>
#include <unistd.h>

static int read_some(struct store *store, int count)
{
	int there = 0;

	for (int i = 0; i < count; i++)
		there += test_get(store, i, i % 5 ? 700 : 30000) == 0;
	return there;
}

/* The first block that cannot be had, or -1. */
static int first_lost(struct store *store, int count)
{
	for (int i = 0; i < count; i++)
		if (test_get(store, i, i % 5 ? 700 : 30000) < 0)
			return i;
	return -1;
}

static const char *explain(struct store *store, int i)
{
	static char text[160];
	uint8_t *data = malloc(30000);
	struct mf_cid cid;

	test_block(i, i % 5 ? 700 : 30000, data, &cid);
	store_explain(store, &cid, text, sizeof(text));
	free(data);
	return text;
}

/* The faults that are left. */
static long accept_loss(struct store *store)
{
	struct store_verify_options options = { .accept_loss = true };
	struct store_verify_result result;
	int rc = store_verify(store, &options, &result);

	return rc < 0 ? rc : result.accepted == 0 ? -ENODATA : (long)result.faults;
}

static int pin_block(struct store *store, int i)
{
	uint8_t *data = malloc(30000);
	struct mf_cid cid;
	store_ticket ticket = 0;

	test_block(i, i % 5 ? 700 : 30000, data, &cid);
	free(data);
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_RECURSIVE, &ticket));
	return store_sync(store, ticket);
}

static int count_pins(struct store *store)
{
	struct store_state_cursor cursor = { 0 };
	struct store_pin pin;
	int count = 0, rc;

	while ((rc = store_pin_next(store, &cursor, &pin)) > 0)
		count++;
	return rc < 0 ? rc : count;
}

/* By operations: the simulation has such a disk too. */
static int cut_file(const char *path, uint64_t len)
{
	int fd = anyio_open(path, O_RDWR, 0);

	if (fd < 0)
		return fd;
	int rc = anyio_ftruncate(fd, len);
	anyio_close(fd);
	return rc;
}

static int64_t size_of(const char *path)
{
	struct stat st;
	int fd = anyio_open(path, O_RDONLY, 0), rc;

	if (fd < 0)
		return fd;
	rc = anyio_fstat(fd, &st);
	anyio_close(fd);
	return rc < 0 ? rc : (int64_t)st.st_size;
}

static int is_only_read(struct store *store, const struct store_recovery *recovery)
{
	store_ticket ticket = 0;

	CHECK(recovery->read_only && recovery->gaps == 1 && recovery->cut == 0);
	CHECK(strstr(recovery->text, "segments/00000001.car"));
	CHECK_RC(-EUCLEAN, test_put(store, 9999, 700, &ticket));
	CHECK_RC(-EUCLEAN, store_checkpoint(store));
	CHECK_RC(2, count_pins(store));
	return 0;
}

/* The only segment cut at any place, or gone: what was acknowledged is no tail to be cut. */
enum { GONE = 0, BUT_ONE = 100 };
static int share;

static int what_the_index_knows_is_not_cut(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 40, true));
	CHECK_RC(0, pin_block(store, 3));
	CHECK_RC(0, test_put_range(store, 40, 60, true));
	CHECK_RC(0, pin_block(store, 53));
	CHECK_RC(0, store_close(store));
	int64_t size = size_of(test_segment(1));
	CHECK(size > 0);
	int64_t left = share == BUT_ONE ? size - 1 : size * share / 100;
	if (share == GONE)
		CHECK_RC(0, anyio_unlinkat(AT_FDCWD, test_segment(1), 0));
	else
		CHECK_RC(0, cut_file(test_segment(1), left));
	int there = -1;
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK_RC(0, is_only_read(store, &recovery));
		there = read_some(store, 60);
		CHECK(share == BUT_ONE         ? there == 60
				: left < 30000 ? there == 0
					       : there > 0 && there < 60);
		CHECK(test_verify(store) > 0);
		CHECK_RC(0, store_close(store));
		CHECK(size_of(test_segment(1)) == (share ? left : -ENOENT));
		CHECK(size_of(test_segment(2)) == -ENOENT);
	}
	/* Going on with what is left: all of that, and the pins. */
	CHECK_RC(0, test_open(&store, &recovery));
	long faults = accept_loss(store);
	int lost_pins = (test_get(store, 3, 700) < 0) + (test_get(store, 53, 700) < 0);
	CHECK_RC(lost_pins, faults);
	CHECK_RC(there, read_some(store, 60));
	CHECK_RC(0, test_put_range(store, 100, 120, true));
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0, store_close(store));
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && recovery.gaps == 0 && !recovery.text[0]);
		CHECK_RC(2, count_pins(store));
		CHECK_RC(lost_pins, test_verify(store));
		CHECK_RC(there, read_some(store, 60));
		CHECK_RC(0, test_get_range(store, 100, 120));
		if (again == 0)
			CHECK_RC(0, rebuild_index(store, &recovery));
		CHECK_RC(0, recovery.damaged);
		if (again == 0) /* pins whose records are lost with the segment */
			CHECK_RC(0, pin_block(store, 3));
		if (again == 0)
			CHECK_RC(0, pin_block(store, 53));
	}
	/* What was lost can be put again. */
	CHECK_RC(0, test_put_range(store, 0, 60, true));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* Behind a segment that lost its end, and the index's position with it, the log goes on in another. */
static int what_lies_behind_a_short_segment_is_read(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	size_t often = test_options.checkpoint_blocks;

	test_options.checkpoint_blocks = 1000000;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 40, true));
	CHECK_RC(0, store_checkpoint(store));
	CHECK_RC(0, test_put_range(store, 40, 300, true));
	CHECK_RC(0, pin_block(store, 299));
	CHECK(size_of(test_segment(2)) > 0);
	CHECK_RC(0, test_crash(store));
	test_options.checkpoint_blocks = often;
	CHECK_RC(0, cut_file(test_segment(1), 100000));
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && recovery.gaps == 1 && recovery.cut == 0);
		CHECK_RC(0, test_get_range(store, 0, 10));
		CHECK_RC(0, test_get_range(store, 250, 300));
		CHECK_RC(1, count_pins(store));
		CHECK_RC(0, test_put_range(store, 400 + again, 401 + again, true));
		CHECK_RC(1, test_verify(store));
		CHECK_RC(0, again ? store_close(store) : test_crash(store));
		CHECK(size_of(test_segment(1)) == 100000);
	}
	return 0;
}

static int an_older_copy_of_the_segments_is_only_read(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	char command[400];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 10, true));
	CHECK_RC(0, test_crash(store));
	snprintf(command, sizeof(command), "cp -a %s/segments %s/old", test_repo, test_repo);
	CHECK(system(command) == 0);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, pin_block(store, 3));
	CHECK_RC(0, pin_block(store, 4));
	CHECK_RC(0, test_put_range(store, 10, 100, true));
	CHECK_RC(0, store_close(store));
	snprintf(
		command, sizeof(command), "cd %s && mv segments new && mv old segments", test_repo);
	CHECK(system(command) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK_RC(0, is_only_read(store, &recovery));
	CHECK_RC(0, test_get_range(store, 0, 10));
	CHECK_RC(-EBADMSG, test_get(store, 11, 700));
	CHECK(strstr(explain(store, 11), "00000001.car has lost its end"));
	CHECK(test_verify(store) > 0);
	CHECK_RC(0, store_close(store));
	/* The newer one again, and all is well. */
	snprintf(
		command, sizeof(command), "cd %s && mv segments old && mv new segments", test_repo);
	CHECK(system(command) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(!recovery.read_only && recovery.gaps == 0);
	CHECK_RC(0, test_get_range(store, 0, 100));
	CHECK_RC(2, count_pins(store));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* The last commit, where the index ends: nothing shows where the tail begins, so nothing is cut. */
static int a_damaged_end_is_not_cut(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 20, true));
	CHECK_RC(0, pin_block(store, 3));
	CHECK_RC(0, store_close(store));
	long size = test_file_size(test_segment(1));
	test_flip(test_segment(1), -3);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.damaged == 1 && recovery.cut == 0 && !recovery.read_only);
	CHECK(strstr(recovery.text, "segments/00000001.car is damaged"));
	CHECK_RC(0, test_get_range(store, 0, 20));
	CHECK_RC(1, count_pins(store));
	CHECK_RC(0, test_put_range(store, 20, 40, true));
	CHECK_RC(size, test_file_size(test_segment(1)));
	CHECK(test_file_size(test_segment(2)) > 0);
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK_RC(0, test_get_range(store, 0, 40));
	CHECK_RC(1, test_verify(store));
	CHECK_RC(0, accept_loss(store));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, rebuild_index(store, &recovery));
	CHECK_RC(0, recovery.damaged);
	CHECK_RC(0, test_get_range(store, 0, 40));
	CHECK_RC(1, count_pins(store));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int a_missing_segment_is_noticed(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 500, true));
	CHECK_RC(0, store_close(store));
	CHECK(test_file_size(test_segment(3)) > 0);
	CHECK(unlink(test_segment(2)) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1 && !recovery.read_only && strstr(recovery.text, "00000002.car"));
	CHECK_RC(0, test_get(store, 0, 30000));
	int lost = first_lost(store, 500);
	CHECK(lost > 0);
	CHECK_RC(-EBADMSG, test_get(store, lost, lost % 5 ? 700 : 30000));
	CHECK(strstr(explain(store, lost), "segments/00000002.car is missing"));
	CHECK(test_verify(store) == 1);
	/* What is put again is there again. */
	CHECK_RC(0, test_put_range(store, lost, lost + 1, true));
	CHECK_RC(0, test_get(store, lost, lost % 5 ? 700 : 30000));
	CHECK(test_verify(store) == 1);
	/* Once all is, or its loss is accepted, nobody complains. */
	CHECK(accept_loss(store) == 0);
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 0 && !recovery.text[0]);
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, rebuild_index(store, &recovery));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, test_get(store, lost, lost % 5 ? 700 : 30000));
	return store_close(store);
}

/* The whole blocks of the middle segment, and its end cut off. */
static int a_short_segment_keeps_what_is_left(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 500, true));
	CHECK_RC(0, store_close(store));
	long size = test_file_size(test_segment(2));
	CHECK(truncate(test_segment(2), size - 100000) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1 && !recovery.read_only);
	CHECK(test_verify(store) == 1);
	int lost = first_lost(store, 500);
	CHECK(lost > 0);
	CHECK(strstr(explain(store, lost), "00000002.car has lost its end"));
	CHECK(accept_loss(store) == 0);
	CHECK_RC(0, test_verify(store));
	CHECK_RC(-ENOENT, test_get(store, lost, lost % 5 ? 700 : 30000));
	CHECK_RC(0, store_close(store));
	CHECK_RC(size - 100000, test_file_size(test_segment(2)));
	/* Put back, it gives what it has, when it is read again. */
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 0 && !recovery.text[0]);
	CHECK_RC(0, rebuild_index(store, &recovery));
	CHECK(recovery.damaged == 0);
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, test_get_range(store, 0, lost));
	return store_close(store);
}

static int a_segment_that_comes_back_is_read_again(void *arg)
{
	struct store *store;
	char away[160];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 500, true));
	CHECK_RC(0, store_close(store));
	snprintf(away, sizeof(away), "%s/away", test_repo);
	CHECK(rename(test_segment(2), away) == 0);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK(first_lost(store, 500) > 0);
	CHECK(test_verify(store) == 1);
	CHECK_RC(0, store_close(store));
	CHECK(rename(away, test_segment(2)) == 0);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_get_range(store, 0, 500));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* A segment taken away under a store that is open. */
static int a_segment_may_vanish_meanwhile(void *arg)
{
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 500, true));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, NULL));
	CHECK(unlink(test_segment(2)) == 0);
	struct segment_file *file = segment_set_find(&store->segments, 2);
	if (file->fd >= 0) {
		anyio_close(file->fd);
		file->fd = -1;
		store->segments.open--;
	}
	CHECK(first_lost(store, 500) > 0);
	CHECK(test_verify(store) == 1);
	return store_close(store);
}

/* ---- Being told of it ---- */

struct told {
	struct store *store;
	int count;
	struct mf_cid cid; /* of the last */
	char why[320];
};

static void note(void *arg, const struct mf_cid *cid)
{
	struct told *told = arg;

	told->count++;
	told->cid = *cid;
	store_explain(told->store, cid, told->why, sizeof(told->why));
}

static void cid_of(int i, struct mf_cid *cid)
{
	uint8_t data[700];

	test_block(i, sizeof(data), data, cid);
}

/* Spoils block i, of 700 bytes, where it lies. */
static int spoil(struct store *store, int i, struct mf_cid *cid)
{
	struct index_place place;

	cid_of(i, cid);
	CHECK(store_find(store, cid, &place) == 1);
	test_flip(test_segment(place.segment), (long)place.offset + 50);
	return 0;
}

static int is_told(const struct told *told, int count, const struct mf_cid *cid, const char *why)
{
	CHECK_RC(count, told->count);
	CHECK(mf_cid_equal(&told->cid, cid) && strstr(told->why, why));
	return 0;
}

static int damage_is_told_once(void *arg)
{
	struct store_collect_options all = { .every = true };
	struct store_collect_result result;
	struct told told = { 0 };
	struct store_block block;
	struct mf_cid cid;
	store_ticket ticket = 0;
	int code;

	CHECK_RC(0, test_open(&told.store, NULL));
	CHECK_RC(0, test_put_range(told.store, 0, 60, true));
	CHECK_RC(0, store_close(told.store));
	CHECK_RC(0, test_open(&told.store, NULL));
	store_on_damage(told.store, note, &told);
	for (int again = 0; again < 2; again++) {
		/* The second time of a whole one that was put in its place. */
		CHECK_RC(0, spoil(told.store, 13, &cid));
		CHECK_RC(-EBADMSG, test_get(told.store, 13, 700));
		CHECK_RC(-EBADMSG, test_get(told.store, 13, 700));
		CHECK_RC(0, is_told(&told, 1 + again, &cid, "is damaged: bytes "));
		CHECK_RC(0, test_put(told.store, 13, 700, &ticket));
		CHECK_RC(0, store_sync(told.store, ticket));
		CHECK_RC(0, test_get(told.store, 13, 700));
	}
	CHECK_RC(0, spoil(told.store, 14, &cid));
	CHECK_RC(0, store_get_many(told.store, &cid, 1, &block, &code));
	CHECK_RC(-EBADMSG, code);
	CHECK_RC(0, is_told(&told, 3, &cid, "segments/00000001.car"));
	CHECK_RC(0, spoil(told.store, 16, &cid));
	CHECK_RC(2, test_verify(told.store));
	CHECK_RC(0, is_told(&told, 4, &cid, "segments/00000001.car"));
	/* A collection that would move it. */
	CHECK_RC(0, spoil(told.store, 17, &cid));
	CHECK_RC(0, store_pin_add(told.store, &cid, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(0, store_collect(told.store, &all, &result));
	CHECK_RC(1, result.kept_damaged);
	CHECK_RC(0, is_told(&told, 5, &cid, "segments/00000001.car"));
	store_on_damage(told.store, NULL, NULL);
	CHECK_RC(0, test_put_range(told.store, 100, 105, true));
	CHECK_RC(0, spoil(told.store, 101, &cid));
	CHECK_RC(-EBADMSG, test_get(told.store, 101, 700));
	CHECK_RC(5, told.count);
	return store_close(told.store);
}

static int what_is_lost_is_told_too(void *arg)
{
	struct told told = { 0 };
	struct mf_cid cid;
	char away[160];

	CHECK_RC(0, test_open(&told.store, NULL));
	CHECK_RC(0, test_put_range(told.store, 0, 500, true));
	CHECK_RC(0, store_close(told.store));
	snprintf(away, sizeof(away), "%s/away", test_repo);
	CHECK(rename(test_segment(2), away) == 0);
	CHECK_RC(0, test_open(&told.store, NULL));
	store_on_damage(told.store, note, &told);
	int lost = first_lost(told.store, 500);
	uint8_t *data = malloc(30000);
	test_block(lost, lost % 5 ? 700 : 30000, data, &cid);
	free(data);
	CHECK_RC(0, store_has(told.store, &cid));
	CHECK_RC(0, is_told(&told, 1, &cid, "is lost: segments/00000002.car is missing"));
	return store_close(told.store);
}

static const int shares[] = { GONE, BUT_ONE, 37, 50, 72, 99, 1 };

static void test_what_the_index_knows_is_not_cut(void **state)
{
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		share = shares[i];
		run_body(what_the_index_knows_is_not_cut);
	}
}

/* A length that a bit made longer covers the section behind it, whose block is whole, and is not given up with the other. */
static int a_length_that_changed_hides_one_block(void *arg)
{
	enum { FIRST = 664, SECOND = 27, HEAD = 2 + 36 };
	static uint8_t data[FIRST];
	struct store *store;
	struct store_recovery recovery;
	struct index_place place;
	struct mf_cid cid;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put(store, 1, FIRST, &ticket));
	CHECK_RC(0, test_put(store, 2, SECOND, &ticket));
	CHECK_RC(0, test_put(store, 3, 500, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	test_block(1, FIRST, data, &cid);
	CHECK_RC(1, index_find(&store->index, &cid, &place));
	test_alter(test_segment(place.segment), (long)place.offset - HEAD, 1 + 36 + SECOND);
	CHECK_RC(0, accept_loss(store));
	CHECK(test_get(store, 1, FIRST) == -ENOENT && test_get(store, 2, SECOND) == 0);
	CHECK_RC(0, rebuild_index(store, &recovery));
	CHECK(recovery.damaged == 0);
	CHECK(test_get(store, 2, SECOND) == 0 && test_get(store, 3, 500) == 0);
	return store_close(store);
}

ON_BACKENDS(a_length_that_changed_hides_one_block)
ON_BACKENDS(what_lies_behind_a_short_segment_is_read)
ON_BACKENDS(an_older_copy_of_the_segments_is_only_read)
ON_BACKENDS(a_damaged_end_is_not_cut)
ON_BACKENDS(a_missing_segment_is_noticed)
ON_BACKENDS(a_segment_may_vanish_meanwhile)
ON_BACKENDS(a_segment_that_comes_back_is_read_again)
ON_BACKENDS(a_short_segment_keeps_what_is_left)
ON_BACKENDS(damage_is_told_once)
ON_BACKENDS(what_is_lost_is_told_too)

static void simulated_what_the_index_knows_is_not_cut(void **state)
{
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		share = shares[i];
		simulated_start();
		assert_int_equal(run_simulated(what_the_index_knows_is_not_cut, NULL, i, NULL), 0);
		simulated_end();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_length_that_changed_hides_one_block),
		cmocka_unit_test(test_what_the_index_knows_is_not_cut),
		cmocka_unit_test(simulated_what_the_index_knows_is_not_cut),
		cmocka_unit_test(test_what_lies_behind_a_short_segment_is_read),
		cmocka_unit_test(test_an_older_copy_of_the_segments_is_only_read),
		cmocka_unit_test(test_a_damaged_end_is_not_cut),
		cmocka_unit_test(test_a_missing_segment_is_noticed),
		cmocka_unit_test(test_a_segment_may_vanish_meanwhile),
		cmocka_unit_test(test_a_segment_that_comes_back_is_read_again),
		cmocka_unit_test(test_a_short_segment_keeps_what_is_left),
		cmocka_unit_test(test_damage_is_told_once),
		cmocka_unit_test(test_what_is_lost_is_told_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
