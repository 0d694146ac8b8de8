/* The cache of blocks: against the algorithm as its paper has it, page by page, and on its own promises. */
#include "../arc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <anyio/testing.h>
#include "../../tests/check.h"

enum { PAGE = 1 << 20, PAGES = 40, KEYS = 200 };

static size_t alive;
static int token;

static void drop(void *value)
{
	assert_ptr_equal(value, &token);
	alive--;
}

static void *get(struct arc *arc, uint32_t key)
{
	return arc_get(arc, (const uint8_t *)&key, sizeof(key));
}

static bool put(struct arc *arc, uint32_t key, uint32_t size)
{
	bool taken = arc_put(arc, (const uint8_t *)&key, sizeof(key), &token, size);

	alive += taken;
	return taken;
}

/* Asks, and puts what is not there. */
static bool ask(struct arc *arc, uint32_t key, uint32_t size)
{
	if (get(arc, key))
		return true;
	put(arc, key, size);
	return false;
}

/* ---- The paper's ARC(c), figure 4, in arrays: [0] is the oldest ---- */

struct list {
	uint32_t keys[4 * PAGES];
	size_t count;
};
struct paper {
	struct list t1, t2, b1, b2;
	size_t p;
};

static int place(const struct list *list, uint32_t key)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->keys[i] == key)
			return (int)i;
	return -1;
}

static uint32_t take(struct list *list, size_t at)
{
	uint32_t key = list->keys[at];

	memmove(list->keys + at, list->keys + at + 1, (--list->count - at) * sizeof(key));
	return key;
}

static void add(struct list *list, uint32_t key)
{
	list->keys[list->count++] = key;
}

static void paper_replace(struct paper *paper, bool in_b2)
{
	struct list *t1 = &paper->t1;

	if (t1->count &&
		(t1->count > paper->p || (in_b2 && t1->count == paper->p) || !paper->t2.count))
		add(&paper->b1, take(t1, 0));
	else
		add(&paper->b2, take(&paper->t2, 0));
}

static bool is_full(const struct paper *paper)
{
	return paper->t1.count + paper->t2.count >= PAGES;
}

static size_t paper_step(size_t here, size_t there)
{
	return there > here ? there / here : 1;
}

static bool paper_ask(struct paper *paper, uint32_t key)
{
	struct list *of = place(&paper->t1, key) >= 0 ? &paper->t1 : &paper->t2;
	int at = place(of, key);

	if (at >= 0) {
		take(of, (size_t)at);
		add(&paper->t2, key);
		return true;
	}
	if ((at = place(&paper->b1, key)) >= 0) {
		paper->p += paper_step(paper->b1.count, paper->b2.count);
		paper->p = paper->p < PAGES ? paper->p : PAGES;
		take(&paper->b1, (size_t)at);
		if (is_full(paper))
			paper_replace(paper, false);
		add(&paper->t2, key);
		return false;
	}
	if ((at = place(&paper->b2, key)) >= 0) {
		size_t less = paper_step(paper->b2.count, paper->b1.count);
		paper->p -= less < paper->p ? less : paper->p;
		take(&paper->b2, (size_t)at);
		if (is_full(paper))
			paper_replace(paper, true);
		add(&paper->t2, key);
		return false;
	}
	/* Case IV: the lists are kept at what they may be, which is the same. */
	if (is_full(paper))
		paper_replace(paper, false);
	while (paper->b1.count && paper->t1.count + paper->b1.count >= PAGES)
		take(&paper->b1, 0);
	while (paper->b2.count &&
		paper->t1.count + paper->t2.count + paper->b1.count + paper->b2.count >= 2 * PAGES)
		take(&paper->b2, 0);
	add(&paper->t1, key);
	return false;
}

static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
	random_state = random_state * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)((random_state >> 33) % below);
}

/* Some keys often, others now and then, and scans. */
static uint32_t next_key(uint32_t *scan)
{
	if (*scan % 50)
		return KEYS + (*scan)++ % 1000;
	if (draw(100) == 0)
		return KEYS + (*scan)++ % 1000;
	return draw(3) ? draw(PAGES / 2) : draw(KEYS);
}

static void pages_are_kept_as_the_paper_has_it(void **state)
{
	uint64_t capacity = (uint64_t)PAGES * (PAGE + ARC_COST);
	size_t hits = 0;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct paper *paper = calloc(1, sizeof(*paper));
		struct arc arc;
		uint32_t scan = 0;

		random_state = seed;
		arc_init(&arc, capacity, drop);
		for (int i = 0; i < 20000; i++) {
			uint32_t key = next_key(&scan);
			bool hit = paper_ask(paper, key);

			if (ask(&arc, key, PAGE) != hit)
				fail_msg("seed %llu, request %d: the paper's is a %s",
					(unsigned long long)seed, i, hit ? "hit" : "miss");
			hits += hit;
		}
		arc_free(&arc);
		free(paper);
		assert_int_equal(alive, 0);
	}
	assert_true(hits > 100000);
}

static void bytes_are_bounded(void **state)
{
	struct arc arc;
	uint64_t most = 0;

	random_state = 7;
	arc_init(&arc, 1 << 20, drop);
	for (int i = 0; i < 200000; i++) {
		uint32_t key = draw(20000), size = draw(4) ? draw(600) : draw(200000);

		if (draw(20) == 0)
			arc_remove(&arc, (const uint8_t *)&key, sizeof(key));
		else
			ask(&arc, key, size);
		most = arc_bytes(&arc) > most ? arc_bytes(&arc) : most;
		assert_true(arc_bytes(&arc) <= 1 << 20);
		assert_int_equal(alive, arc.lists[ARC_T1].count + arc.lists[ARC_T2].count);
	}
	assert_true(most > 900000);
	arc_free(&arc);
	assert_int_equal(alive, 0);
}

static void a_scan_takes_nothing_that_is_used(void **state)
{
	struct arc arc;

	arc_init(&arc, 1 << 20, drop);
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t key = 0; key < 100; key++)
			ask(&arc, key, 4096);
	for (uint32_t key = 1000; key < 100000; key++)
		ask(&arc, key, 4096);
	for (uint32_t key = 0; key < 100; key++)
		assert_true(get(&arc, key) != NULL);
	arc_free(&arc);
}

static void what_is_too_long_is_not_taken(void **state)
{
	struct arc arc;

	arc_init(&arc, 1 << 20, drop);
	assert_false(put(&arc, 1, 1 << 18));
	assert_true(put(&arc, 1, 1 << 10));
	assert_false(put(&arc, 1, 1 << 10)); /* it is there */
	arc_free(&arc);
	arc_init(&arc, 0, drop);
	assert_false(put(&arc, 1, 0));
	assert_null(get(&arc, 1));
	arc_free(&arc);
	assert_int_equal(alive, 0);
}

static void another_size_takes_effect_at_once(void **state)
{
	struct arc arc;

	arc_init(&arc, 1 << 20, drop);
	for (uint32_t key = 0; key < 300; key++) {
		ask(&arc, key, 5000);
		if (key % 3)
			ask(&arc, key, 5000);
	}
	arc_resize(&arc, 1 << 18);
	assert_true(arc_bytes(&arc) <= 1 << 18 && arc_bytes(&arc) > 1 << 17);
	assert_int_equal(alive, arc.lists[ARC_T1].count + arc.lists[ARC_T2].count);
	for (uint32_t key = 0; key < 300; key++)
		ask(&arc, key, 5000);
	assert_true(arc_bytes(&arc) <= 1 << 18);
	arc_resize(&arc, 0);
	assert_int_equal(alive, 0);
	assert_false(put(&arc, 1, 10));
	arc_free(&arc);
}

/* Without memory nothing is kept, or found by longer ways, and nothing is lost. */
static void memory_may_run_out(void **state)
{
	for (uint64_t at = 1; at < 40; at++) {
		struct arc arc;

		arc_init(&arc, 1 << 20, drop);
		anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		for (uint32_t key = 0; key < 500; key++)
			ask(&arc, key % 300, 1000);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		for (uint32_t key = 0; key < 300; key++)
			ask(&arc, key, 1000);
		for (uint32_t key = 0; key < 300; key++)
			assert_non_null(get(&arc, key));
		arc_free(&arc);
		assert_int_equal(alive, 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_kept_as_the_paper_has_it),
		cmocka_unit_test(bytes_are_bounded),
		cmocka_unit_test(a_scan_takes_nothing_that_is_used),
		cmocka_unit_test(what_is_too_long_is_not_taken),
		cmocka_unit_test(another_size_takes_effect_at_once),
		cmocka_unit_test(memory_may_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
