/* Heat of a node that several use at once; what it is: store/tests/test_heat.c. */
#include "support.h"

#include "../node.h"

enum { ROOTS = 5000, READERS = 3 };

/* So many roots that others have turns while they are taken up. */
static int heat_many(struct scene *scene)
{
	struct mf_cid cid;

	CHECK_RC(0, kit_heat_open(scene->node->core));
	for (int i = 0; i < ROOTS; i++) {
		mf_cid_of(&cid, 1, MF_CODEC_RAW, &i, sizeof(i));
		store_heat_add(scene->node->core->heat, &cid, STORE_HEAT_READ);
	}
	return 0;
}

static int read_one(void *arg)
{
	struct kit_node *node = arg;
	static const char text[] = "all read this";
	struct mf_cid cid;
	int rc;

	mf_cid_of(&cid, 1, MF_CODEC_RAW, text, sizeof(text));
	rc = kit_heat_open(node->core);
	if (!rc)
		store_heat_add(node->core->heat, &cid, STORE_HEAT_READ);
	return rc;
}

static int check_readers(struct scene *scene)
{
	struct store_heat_root hottest;

	CHECK_RC(0, heat_many(scene));
	CHECK_RC(0, scene_reopen(scene));
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < READERS; i++)
		CHECK_RC(0, anyio_start_soon(&group, read_one, scene->node, "reader"));
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK_RC(1, store_heat_hottest(scene->node->core->heat, &hottest, 1));
	CHECK(hottest.heat > READERS - 0.5);
	return 0;
}

static void readers_that_come_together_count_all(void **state)
{
	scene_run(check_readers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_that_come_together_count_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
