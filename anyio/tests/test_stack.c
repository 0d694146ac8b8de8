/* Free stacks: which is taken first, and how their pages are given back. */
#include "conformance.h"
#include <sys/mman.h>
#include <unistd.h>
#include "../core/loop.h"

enum { MANY = 600, SIZE = 16 << 10, A_PASS = 256 };

static char *top_page(const struct stack *stack)
{
	return stack->low + stack->size - sysconf(_SC_PAGESIZE);
}

static bool has_pages(const struct stack *stack)
{
	unsigned char there = 0;

	CHECK_RC(mincore(top_page(stack), 1, &there), 0);
	return there & 1;
}

static void take_all(struct stack_pool *pool, struct stack **stacks)
{
	for (size_t i = 0; i < MANY; i++)
		CHECK_RC(stack_take(pool, SIZE, &stacks[i]), 0);
}

static void use_and_give(struct stack_pool *pool, struct stack *stack)
{
	*top_page(stack) = 1;
	stack_give(pool, stack);
}

/* A pass takes the longest unused, and goes on where the last one was: a stack that has its pages is
 * taken before one that has not. */
static int cold_stacks_give_their_pages_back(void *arg)
{
	struct stack_pool pool = { 0 };
	struct stack *stacks[MANY], *stack;

	take_all(&pool, stacks);
	for (size_t i = 0; i < MANY; i++)
		use_and_give(&pool, stacks[i]);
	/* All were in use a moment ago. */
	CHECK(stack_trim(&pool));
	CHECK_RC(pool.dirty, MANY);
	CHECK(!stack_trim(&pool));
	CHECK_RC(pool.dirty, MANY - A_PASS);
	for (size_t i = 0; i < MANY; i++)
		CHECK(has_pages(stacks[i]) == (i >= A_PASS));
	CHECK_RC(stack_take(&pool, SIZE, &stack), 0);
	CHECK(stack == stacks[MANY - 1] && has_pages(stack));
	use_and_give(&pool, stack);
	CHECK(!stack_trim(&pool));
	/* The one that was taken meanwhile is warm. */
	CHECK(stack_trim(&pool));
	CHECK_RC(pool.dirty, 1);
	CHECK(has_pages(stack));
	CHECK(stack_trim(&pool));
	CHECK_RC(pool.dirty, 0);
	for (size_t i = 0; i < MANY; i++)
		CHECK(!has_pages(stacks[i]));
	stack_pool_close(&pool);
	return 0;
}

/* Those without pages are as good as new ones, in whatever order they come and go. */
static int stacks_without_pages_are_used_again(void *arg)
{
	struct stack_pool pool = { 0 };
	struct stack *stacks[MANY];
	const struct slab *slabs;

	take_all(&pool, stacks);
	slabs = pool.slabs;
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < MANY; i++)
			use_and_give(&pool, stacks[i * 7 % MANY]);
		CHECK_RC(pool.dirty, MANY);
		for (int pass = 0; pass < round; pass++)
			stack_trim(&pool);
		take_all(&pool, stacks);
		CHECK_RC(pool.dirty, 0);
		CHECK_RC(pool.taken, MANY);
		CHECK(pool.slabs == slabs);
	}
	for (size_t i = 0; i < MANY; i++)
		stack_give(&pool, stacks[i]);
	stack_pool_close(&pool);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(cold_stacks_give_their_pages_back, 0),
		CONFORM(stacks_without_pages_are_used_again, 0),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
