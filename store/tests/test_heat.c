/* Heat: against the plain sum over all uses, on a clock of the test's own; and in a repo, over ends of all kinds. */
#include "support.h"
#include "../heat_table.h"

#include <float.h>
#include <math.h>
#include <multiformats/multihash.h>

#define DAY (24 * 3600 * ANYIO_SECOND)
enum { ROOTS = 60, USES = 20000 };

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % below;
}

static struct mf_cid root_of(uint32_t n)
{
	struct mf_cid cid;

	mf_cid_of(&cid, 1, MF_CODEC_DAG_PB, &n, sizeof(n));
	return cid;
}

/* ---- every use, written down ---- */

struct past {
	struct {
		uint32_t root;
		enum store_heat_kind kind;
		anyio_time at;
	} uses[USES];
	size_t count;
};

static double summed(const struct past *past, uint32_t root, anyio_time half_life, anyio_time now)
{
	double sum = 0;

	for (size_t i = 0; i < past->count; i++)
		if (past->uses[i].root == root)
			sum += (past->uses[i].kind == STORE_HEAT_READ ? 1.0 : 0.25) *
				pow(2, -((double)(now - past->uses[i].at) / (double)half_life));
	return sum;
}

static void use(struct heat_table *table, struct past *past, uint32_t root, anyio_time now)
{
	enum store_heat_kind kind = draw(3) ? STORE_HEAT_READ : STORE_HEAT_WANT;
	struct mf_cid cid = root_of(root);

	past->uses[past->count].root = root;
	past->uses[past->count].kind = kind;
	past->uses[past->count++].at = now;
	assert_true(heat_table_add(table, &cid, kind, false, now));
}

static void assert_near(double is, double should)
{
	if (!(fabs(is - should) <= 1e-9 * should))
		fail_msg("%.17g, not %.17g", is, should);
}

static void heat_is_the_sum_of_all_uses(void **state)
{
	static const anyio_time half_lives[] = { ANYIO_SECOND, 3600 * ANYIO_SECOND, DAY,
		365 * DAY };
	struct past *past = calloc(1, sizeof(*past));
	struct heat_table table;

	for (size_t h = 0; h < sizeof(half_lives) / sizeof(*half_lives); h++) {
		anyio_time now = 1790000000 * ANYIO_SECOND;
		random_state = h + 1;
		past->count = 0;
		heat_table_init(&table, STORE_HEAT_ROOTS, half_lives[h]);
		for (int i = 0; i < USES / 10; i++) {
			use(&table, past, draw(ROOTS), now);
			now += draw(1000) * (half_lives[h] / 20000);
		}
		for (uint32_t root = 0; root < ROOTS; root++) {
			struct mf_cid cid = root_of(root);
			assert_near(heat_table_of(&table, &cid, now),
				summed(past, root, half_lives[h], now));
		}
		heat_table_free(&table);
	}
	free(past);
}

static void assert_sorted(const struct store_heat_root *roots, size_t count, int sign)
{
	for (size_t i = 1; i < count; i++) {
		assert_true(sign * roots[i - 1].order >= sign * roots[i].order);
		assert_true(sign * roots[i - 1].heat >= sign * roots[i].heat * (1 - 1e-9));
	}
}

static void the_order_stays_as_time_goes_by(void **state)
{
	struct past *past = calloc(1, sizeof(*past));
	struct store_heat_root hot[ROOTS + 1], cold[ROOTS], later[ROOTS];
	struct heat_table table;
	anyio_time now = DAY;

	random_state = 5;
	heat_table_init(&table, STORE_HEAT_ROOTS, DAY);
	for (uint32_t i = 0; i < 3000; i++, now += draw(100) * ANYIO_SECOND)
		use(&table, past, i < ROOTS ? i : draw(1 + draw(ROOTS)), now);
	assert_int_equal(heat_table_pick(&table, true, hot, ROOTS + 1, now), ROOTS);
	assert_sorted(hot, ROOTS, 1);
	assert_int_equal(heat_table_pick(&table, false, cold, ROOTS, now), ROOTS);
	assert_sorted(cold, ROOTS, -1);
	for (int i = 0; i < ROOTS; i++)
		assert_true(mf_cid_equal(&hot[i].cid, &cold[ROOTS - 1 - i].cid));
	/* Seven of them are the first seven, of either kind, whenever one asks. */
	for (int days = 0; days < 3; days++, now += DAY) {
		assert_int_equal(heat_table_pick(&table, true, later, 7, now), 7);
		for (int i = 0; i < 7; i++) {
			assert_true(mf_cid_equal(&later[i].cid, &hot[i].cid));
			assert_near(later[i].heat, ldexp(hot[i].heat, -days));
		}
	}
	assert_int_equal(heat_table_pick(&table, false, later, 7, now - 3 * DAY), 7);
	assert_int_equal(heat_table_pick(&table, true, later, 0, now), 0);
	/* What has less than the floor is not told. */
	assert_int_equal(heat_table_pick(&table, true, later, ROOTS, now + 60 * DAY), 0);
	heat_table_free(&table);
	free(past);
}

/* A newcomer takes the place of whoever is coldest by the plain sum. */
static void the_coldest_gives_way(void **state)
{
	enum { MOST = 20 };
	struct past *past = calloc(1, sizeof(*past));
	struct heat_table table;
	bool here[ROOTS] = { false };
	size_t count = 0, bytes = 0, gone = 0;
	anyio_time now = DAY;

	random_state = 11;
	heat_table_init(&table, MOST, DAY);
	for (int i = 0; i < 3000; i++, now += (1 + draw(3000)) * ANYIO_SECOND) {
		uint32_t root = draw(1 + draw(ROOTS)), coldest = ROOTS;
		for (uint32_t j = 0; j < ROOTS; j++)
			if (here[j] &&
				(coldest == ROOTS ||
					summed(past, j, DAY, now) <
						summed(past, coldest, DAY, now)))
				coldest = j;
		if (!here[root] && count == MOST) {
			here[coldest] = false;
			gone++;
			/* It comes back, if it does, with nothing. */
			for (size_t j = 0; j < past->count; j++)
				if (past->uses[j].root == coldest)
					past->uses[j].root = ROOTS;
		}
		count += !here[root] && count < MOST;
		here[root] = true;
		use(&table, past, root, now);
		assert_int_equal(table.count, count);
		for (uint32_t j = 0; j < ROOTS; j++) {
			struct mf_cid cid = root_of(j);
			assert_true((heat_table_of(&table, &cid, now) > 0) == here[j]);
		}
		if (i == 1500)
			bytes = table.bytes;
	}
	assert_true(gone > 100 && bytes && table.bytes == bytes);
	heat_table_free(&table);
	assert_int_equal(table.bytes, 0);
	free(past);
}

static void memory_is_bounded_and_counted(void **state)
{
	struct heat_table table;
	struct mf_cid cid;

	heat_table_init(&table, STORE_HEAT_ROOTS, DAY);
	for (uint32_t i = 0; i < STORE_HEAT_ROOTS + 20000; i++) {
		cid = root_of(i);
		assert_true(heat_table_add(&table, &cid, STORE_HEAT_READ, false, i));
	}
	assert_int_equal(table.count, STORE_HEAT_ROOTS);
	assert_int_equal(table.slot_count, STORE_HEAT_ROOTS);
	assert_true(table.bytes > STORE_HEAT_ROOTS * 100u && table.bytes < STORE_HEAT_ROOTS * 160u);
	/* The first ones went, for they are the coldest by a little. */
	cid = root_of(19999);
	assert_true(heat_table_of(&table, &cid, DAY) == 0);
	cid = root_of(20000);
	assert_true(heat_table_of(&table, &cid, DAY) > 0);
	heat_table_free(&table);
}

/* ---- clocks ---- */

static bool is_sane(double heat, double most)
{
	return isfinite(heat) && heat >= 0 && heat <= most;
}

static void a_clock_may_jump(void **state)
{
	static const anyio_time half_lives[] = { 1, ANYIO_SECOND, DAY, INT64_MAX };
	static const anyio_time jumps[] = { -DAY, 0, DAY, -1, 100 * 365 * DAY, -280 * 365 * DAY, 1,
		INT64_MIN, INT64_MAX, ANYIO_SECOND };
	struct mf_cid cid = root_of(1), other = root_of(2);
	struct store_heat_root root;
	struct heat_table table;

	for (size_t h = 0; h < sizeof(half_lives) / sizeof(*half_lives); h++) {
		heat_table_init(&table, 2, half_lives[h]);
		anyio_time now = 20000 * DAY;
		double before = 0;
		for (uint32_t i = 0; i < 1000; i++) {
			anyio_time jump = jumps[draw(sizeof(jumps) / sizeof(*jumps))];
			bool used = draw(2);
			if (__builtin_add_overflow(now, jump, &now))
				now = jump;
			double heat = heat_table_of(&table, &cid, now);
			/* Time never makes it more. */
			assert_true(is_sane(heat, before));
			if (used)
				heat_table_add(&table, &cid, STORE_HEAT_READ, false, now);
			heat_table_add(&table, &other, STORE_HEAT_WANT, false, now);
			assert_near(heat_table_of(&table, &cid, now), heat + used);
			before = heat + used;
			size_t count = heat_table_pick(&table, true, &root, 1, now);
			assert_true(count == 1 && isfinite(root.order) && root.unused >= 0);
		}
		heat_table_free(&table);
	}
}

static void a_clock_set_back_stands_still(void **state)
{
	struct mf_cid cid = root_of(1);
	struct heat_table table;

	heat_table_init(&table, 2, DAY);
	heat_table_add(&table, &cid, STORE_HEAT_READ, false, 100 * DAY);
	assert_near(heat_table_of(&table, &cid, 101 * DAY), 0.5);
	assert_near(heat_table_of(&table, &cid, 3 * DAY), 0.5);
	/* And goes on from there at once. */
	assert_near(heat_table_of(&table, &cid, 4 * DAY), 0.25);
	heat_table_free(&table);
}

/* ---- which roots ---- */

static void versions_are_one_and_the_same(void **state)
{
	struct mf_cid cid = root_of(1), old = cid, raw = cid, identity;
	struct store_heat_root root;
	struct heat_table table;

	old.version = 0;
	raw.codec = MF_CODEC_RAW;
	identity = (struct mf_cid){ .version = 1, .codec = MF_CODEC_RAW, .hash = MF_HASH_IDENTITY };
	heat_table_init(&table, 10, DAY);
	assert_false(heat_table_add(&table, &old, STORE_HEAT_READ, true, 0));
	assert_true(heat_table_add(&table, &old, STORE_HEAT_READ, false, 0));
	assert_true(heat_table_add(&table, &cid, STORE_HEAT_READ, true, 0));
	assert_false(heat_table_add(&table, &raw, STORE_HEAT_READ, true, 0));
	assert_false(heat_table_add(&table, &identity, STORE_HEAT_READ, false, 0));
	assert_int_equal(heat_table_pick(&table, true, &root, 1, 0), 1);
	assert_true(mf_cid_equal(&root.cid, &old) && root.counts[STORE_HEAT_READ] == 2);
	assert_true(heat_table_of(&table, &cid, 0) == 2 && heat_table_of(&table, &raw, 0) == 0);
	heat_table_free(&table);
}

static void memory_may_fail(void **state)
{
	for (uint64_t at = 1;; at++) {
		struct heat_table table;
		size_t taken = 0;
		heat_table_init(&table, STORE_HEAT_ROOTS, DAY);
		anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		for (uint32_t i = 0; i < 300; i++) {
			struct mf_cid cid = root_of(i);
			taken += heat_table_add(&table, &cid, STORE_HEAT_READ, false, i);
		}
		bool failed = anyio_fault_count(ANYIO_FAULT_MEMORY) >= at;
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		assert_int_equal(taken, failed ? 299 : 300);
		assert_int_equal(table.count, taken);
		heat_table_free(&table);
		if (!failed)
			break;
	}
}

/* ---- what is written down ---- */

static void records_say_what_was(void **state)
{
	struct store_heat_root root = { .cid = root_of(1),
		.heat = 3.7,
		.unused = 5 * ANYIO_SECOND,
		.counts = { 4, UINT64_MAX } },
			       back;
	uint8_t record[HEAT_RECORD_MAX], spoilt[HEAT_RECORD_MAX];
	static const double wrong[] = { 0, -1, NAN, INFINITY, -INFINITY, DBL_MAX };
	anyio_time wall = 20000 * DAY;

	size_t len = heat_record_encode(&root, wall, record);
	assert_true(heat_record_decode(record, len, wall + DAY, &back));
	assert_true(mf_cid_equal(&back.cid, &root.cid) && back.heat == root.heat);
	assert_int_equal(back.unused, DAY + 5 * ANYIO_SECOND);
	assert_memory_equal(back.counts, root.counts, sizeof(root.counts));
	/* By a clock that was set back since it is just now. */
	assert_true(heat_record_decode(record, len, 7, &back));
	assert_int_equal(back.unused, 0);
	for (size_t i = 0; i < len; i++)
		assert_false(heat_record_decode(record, i, wall, &back));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		memcpy(spoilt, record, len);
		memcpy(spoilt + 1, &wrong[i], sizeof(double));
		assert_false(heat_record_decode(spoilt, len, wall, &back));
	}
	memcpy(spoilt, record, len);
	spoilt[16] = 0xff; /* a time that no clock has */
	assert_false(heat_record_decode(spoilt, len, wall, &back));
	memcpy(spoilt, record, len);
	spoilt[0] = 2;
	assert_false(heat_record_decode(spoilt, len, wall, &back));
}

/* As a crash between two batches may leave it. */
static void of_two_records_of_a_root_the_hotter_counts(void **state)
{
	struct store_heat_root root = { .cid = root_of(1), .heat = 2 }, hotter = root, out;
	struct heat_table table;
	size_t slot = 0;

	hotter.heat = 3;
	for (int order = 0; order < 2; order++) {
		heat_table_init(&table, 10, DAY);
		assert_int_equal(heat_table_restore(&table, 1, order ? &root : &hotter, DAY), 0);
		assert_int_equal(heat_table_restore(&table, 4, NULL, DAY), 0);
		assert_int_equal(heat_table_restore(&table, 6, order ? &hotter : &root, DAY), 0);
		assert_int_equal(table.count, 1);
		assert_near(heat_table_of(&table, &root.cid, DAY), 3);
		/* Of the others is written down that there is nothing. */
		slot = 0;
		assert_int_equal(
			heat_table_next_change(&table, &slot, &out, DAY), HEAT_CHANGE_TAKE);
		assert_int_equal(slot, order ? 1 : 4);
		assert_int_equal(
			heat_table_next_change(&table, &slot, &out, DAY), HEAT_CHANGE_TAKE);
		assert_int_equal(slot, order ? 4 : 6);
		assert_int_equal(
			heat_table_next_change(&table, &slot, &out, DAY), HEAT_CHANGE_NONE);
		heat_table_free(&table);
	}
}

/* ---- in a repo ---- */

static struct store *repo;
static struct store_heat *heat;

static int open_both(anyio_time half_life)
{
	CHECK_RC(0, test_open(&repo, NULL));
	return store_heat_open(repo, half_life, &heat);
}

static int close_both(void)
{
	CHECK_RC(0, store_heat_close(heat));
	return store_close(repo);
}

/* The files as they are now are what the next opening finds. */
static int crash_both(void)
{
	char image[80], command[256];

	snprintf(image, sizeof(image), "%s.image", test_repo);
	snprintf(command, sizeof(command), "rm -rf %s; cp -a %s %s", image, test_repo, image);
	CHECK(system(command) == 0);
	CHECK_RC(0, close_both());
	snprintf(command, sizeof(command), "rm -rf %s; mv %s %s", test_repo, image, test_repo);
	CHECK(system(command) == 0);
	return 0;
}

static void add(uint32_t root, int times)
{
	struct mf_cid cid = root_of(root);

	while (times-- > 0)
		store_heat_add(heat, &cid, STORE_HEAT_READ);
}

/* How much it has, the moments since left out. */
static long heat_of(uint32_t root)
{
	struct mf_cid cid = root_of(root);

	return lround(store_heat_of(heat, &cid));
}

static uint64_t sequence(void)
{
	struct store_wal_status status;

	store_wal_status(repo, &status);
	return status.durable.sequence;
}

static int it_is_taken_up_again(void *arg)
{
	struct store_heat_stat stat;
	struct store_heat_root root;

	CHECK_RC(0, open_both(DAY));
	for (uint32_t i = 0; i < 300; i++)
		add(i, 1 + (int)i % 7);
	CHECK_RC(0, close_both());
	CHECK_RC(0, open_both(DAY));
	store_heat_stat(heat, &stat);
	CHECK(stat.roots == 300 && stat.bytes > 300 * 100);
	for (uint32_t i = 0; i < 300; i++)
		CHECK(heat_of(i) == 1 + (long)i % 7);
	CHECK(store_heat_hottest(heat, &root, 1) == 1 && root.counts[STORE_HEAT_READ] == 7 &&
		root.counts[STORE_HEAT_WANT] == 0);
	/* Nothing new: nothing is written. */
	uint64_t before = sequence();
	CHECK_RC(0, store_heat_save(heat));
	CHECK(sequence() == before);
	add(5, 1);
	CHECK_RC(0, store_heat_save(heat));
	CHECK(sequence() > before);
	return close_both();
}
ON_BACKENDS(it_is_taken_up_again)

static int a_crash_takes_what_came_since(void *arg)
{
	CHECK_RC(0, open_both(DAY));
	add(1, 5);
	add(2, 3);
	CHECK_RC(0, store_heat_save(heat));
	add(1, 5);
	add(3, 1);
	CHECK_RC(0, crash_both());
	CHECK_RC(0, open_both(DAY));
	CHECK(heat_of(1) == 5 && heat_of(2) == 3 && heat_of(3) == 0);
	add(1, 1);
	CHECK_RC(0, close_both());
	CHECK_RC(0, open_both(DAY));
	CHECK(heat_of(1) == 6);
	return close_both();
}
ON_BACKENDS(a_crash_takes_what_came_since)

static int what_is_pinned_or_known_counts(void *arg)
{
	struct mf_cid pinned = root_of(1), known = root_of(2), other = root_of(3);
	struct store_heat_root roots[3];
	store_ticket ticket = 0;

	CHECK_RC(0, open_both(DAY));
	CHECK_RC(0, store_pin_add(repo, &pinned, STORE_PIN_RECURSIVE, &ticket));
	store_heat_add(heat, &known, STORE_HEAT_READ);
	store_heat_add_known(heat, &pinned, STORE_HEAT_WANT);
	store_heat_add_known(heat, &known, STORE_HEAT_WANT);
	store_heat_add_known(heat, &other, STORE_HEAT_WANT);
	CHECK(store_heat_hottest(heat, roots, 3) == 2);
	CHECK(mf_cid_equal(&roots[0].cid, &known) && mf_cid_equal(&roots[1].cid, &pinned));
	CHECK(store_heat_coldest(heat, roots, 1) == 1 && mf_cid_equal(&roots[0].cid, &pinned));
	return close_both();
}
ON_BACKENDS(what_is_pinned_or_known_counts)

static int a_slot_is_written(uint8_t slot)
{
	uint8_t key[4] = { slot }, start;

	return store_state_get(repo, STORE_SPACE_HEAT, key, sizeof(key), &start, 1, NULL) > 0;
}

static int the_clock_goes_by(void *arg)
{
	add(1, 2);
	add(2, 1);
	CHECK_RC(0, anyio_sleep(250 * ANYIO_SECOND));
	CHECK(!a_slot_is_written(0));
	CHECK_RC(0, anyio_sleep(60 * ANYIO_SECOND));
	CHECK(a_slot_is_written(0) && a_slot_is_written(1));
	/* Without use there is nothing to write, however long. */
	uint64_t before = sequence();
	CHECK_RC(0, anyio_sleep(8 * 3600 * ANYIO_SECOND));
	CHECK(sequence() == before && a_slot_is_written(0));
	/* What has grown cold goes with the next saving. */
	add(3, 1);
	CHECK_RC(0, anyio_sleep(301 * ANYIO_SECOND));
	CHECK(!a_slot_is_written(0) && !a_slot_is_written(1) && a_slot_is_written(2));
	add(4, 1);
	CHECK_RC(0, anyio_sleep(301 * ANYIO_SECOND));
	CHECK(a_slot_is_written(0) && !a_slot_is_written(1));
	return 0;
}

static int it_is_written_now_and_then(void *arg)
{
	CHECK_RC(0, open_both(3600 * ANYIO_SECOND));
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon(&group, store_heat_tend, heat, "heat");
	if (rc == 0)
		rc = the_clock_goes_by(NULL);
	anyio_task_group_cancel(&group, "seen enough");
	CHECK_RC(0, anyio_task_group_exit(&group, rc));
	return close_both();
}

static void test_it_is_written_now_and_then(void **state)
{
	simulated_start();
	assert_int_equal(run_simulated(it_is_written_now_and_then, NULL, 1, NULL), 0);
	simulated_end();
}

/* The next saving does what one could not. */
static int a_refused_write_is_made_up_for(void *arg)
{
	CHECK_RC(0, open_both(DAY));
	add(1, 4);
	anyio_fault_set_sticky(ANYIO_FAULT_WRITE, 1, -ENOSPC);
	CHECK_RC(-ENOSPC, store_heat_save(heat));
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	add(2, 1);
	CHECK_RC(0, close_both());
	CHECK_RC(0, open_both(DAY));
	CHECK(heat_of(1) == 4 && heat_of(2) == 1);
	return close_both();
}

static void test_a_refused_write_is_made_up_for(void **state)
{
	simulated_start();
	assert_int_equal(run_simulated(a_refused_write_is_made_up_for, NULL, 1, NULL), 0);
	simulated_end();
}

static int memory_may_fail_in_a_repo(void *arg)
{
	CHECK_RC(0, open_both(DAY));
	for (uint32_t i = 0; i < 100; i++)
		add(i, 1);
	CHECK_RC(0, close_both());
	CHECK_RC(0, test_open(&repo, NULL));
	int rc = -ENOMEM;
	for (uint64_t at = 1; rc; at++) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		rc = store_heat_open(repo, DAY, &heat);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK(rc == 0 || (rc == -ENOMEM && !heat));
	}
	CHECK(heat_of(99) == 1);
	return close_both();
}
ON_BACKENDS(memory_may_fail_in_a_repo)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(heat_is_the_sum_of_all_uses),
		cmocka_unit_test(the_order_stays_as_time_goes_by),
		cmocka_unit_test(the_coldest_gives_way),
		cmocka_unit_test(memory_is_bounded_and_counted),
		cmocka_unit_test(a_clock_may_jump),
		cmocka_unit_test(a_clock_set_back_stands_still),
		cmocka_unit_test(versions_are_one_and_the_same),
		cmocka_unit_test(memory_may_fail),
		cmocka_unit_test(records_say_what_was),
		cmocka_unit_test(of_two_records_of_a_root_the_hotter_counts),
		cmocka_unit_test(test_it_is_taken_up_again),
		cmocka_unit_test(test_a_crash_takes_what_came_since),
		cmocka_unit_test(test_what_is_pinned_or_known_counts),
		cmocka_unit_test(test_it_is_written_now_and_then),
		cmocka_unit_test(test_a_refused_write_is_made_up_for),
		cmocka_unit_test(test_memory_may_fail_in_a_repo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
