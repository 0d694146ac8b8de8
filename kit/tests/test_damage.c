/* Telling of damage, and how much of it. On a clock that only this moves. */
#include "support.h"

#include <fcntl.h>
#include <unistd.h>

#include "../node.h"

enum { BLOCKS = 40, TOLD_MAX = 32 };

struct hearing {
	struct scene *scene;
	struct kit_network network;
	int count;
	char told[TOLD_MAX][512];
	char cids[BLOCKS][MF_CID_TEXT_MAX];
};

static void hear(void *arg, const char *sentence)
{
	struct hearing *hearing = arg;

	if (hearing->count < TOLD_MAX)
		snprintf(hearing->told[hearing->count], sizeof(hearing->told[0]), "%s", sentence);
	hearing->count++;
}

static int put_blocks(struct hearing *hearing)
{
	char text[40];
	struct mf_cid cid;

	for (int i = 0; i < BLOCKS; i++) {
		int len = snprintf(text, sizeof(text), "what number %02d is made of", i);
		CHECK_RC(0,
			kit_block_put(hearing->scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 1, text,
				(size_t)len, false, &cid));
		mf_cid_format(&cid, hearing->cids[i], sizeof(hearing->cids[i]));
	}
	return 0;
}

static int spoil_blocks(struct hearing *hearing)
{
	static char bytes[1 << 16];
	char path[160];
	int spoilt = 0;

	snprintf(path, sizeof(path), "%s/segments/00000001.car", hearing->scene->repo);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : pread(fd, bytes, sizeof(bytes), 0);
	for (char *at = bytes;
		size > 0 && (at = memmem(at, (size_t)(bytes + size - at), "what number", 11));
		at++, spoilt++)
		if (pwrite(fd, "W", 1, at - bytes) != 1)
			break;
	close(fd);
	CHECK_RC(BLOCKS, spoilt);
	return 0;
}

static int meet(struct hearing *hearing, int from, int to)
{
	size_t len;
	void *data;

	for (int i = from; i < to; i++)
		CHECK_RC(-EUCLEAN,
			kit_block_get(hearing->scene->node, hearing->cids[i], &data, &len));
	return 0;
}

static int is_of(const struct hearing *hearing, int line, int block)
{
	CHECK(strstr(hearing->told[line], hearing->cids[block]));
	CHECK(strstr(hearing->told[line], "is damaged: bytes "));
	CHECK(strstr(
		hearing->told[line], " of segments/00000001.car; 'ipfs-kit repo verify --heal' "));
	return 0;
}

static int hear_of_them(struct hearing *hearing, struct anyio_task_group *group)
{
	CHECK_RC(0, anyio_start(group, kit_tell_damage, &hearing->network, "damage", NULL));
	CHECK_RC(0, meet(hearing, 0, 2));
	CHECK_RC(0, meet(hearing, 0, 2));
	CHECK_RC(2, hearing->count);
	CHECK_RC(0, is_of(hearing, 0, 0));
	CHECK_RC(0, is_of(hearing, 1, 1));
	CHECK_RC(0, anyio_sleep(30 * ANYIO_SECOND));
	CHECK_RC(0, meet(hearing, 2, 22));
	CHECK_RC(10, hearing->count);
	CHECK_RC(0, is_of(hearing, 9, 9));
	/* The minute began with the first. */
	CHECK_RC(0, anyio_sleep(29 * ANYIO_SECOND));
	CHECK_RC(0, meet(hearing, 22, 23));
	CHECK_RC(10, hearing->count);
	CHECK_RC(0, anyio_sleep(2 * ANYIO_SECOND));
	CHECK_RC(11, hearing->count);
	CHECK(!strncmp(hearing->told[10], "13 more blocks were found damaged ", 34));
	/* The next ten, and nothing is told of a minute that had room for all. */
	CHECK_RC(0, meet(hearing, 23, 26));
	CHECK_RC(14, hearing->count);
	CHECK_RC(0, is_of(hearing, 13, 25));
	CHECK_RC(0, anyio_sleep(61 * ANYIO_SECOND));
	CHECK_RC(14, hearing->count);
	CHECK_RC(0, meet(hearing, 26, 37));
	CHECK_RC(24, hearing->count);
	return 0;
}

static int listen_to(struct scene *scene, struct hearing *hearing)
{
	hearing->scene = scene;
	CHECK_RC(0, put_blocks(hearing));
	CHECK_RC(0, spoil_blocks(hearing));
	CHECK_RC(0, scene_reopen(scene));
	hearing->network = (struct kit_network){ .node = scene->node,
		.options = { .tell = hear, .arg = hearing } };
	ANYIO_TASK_GROUP(group);
	int rc = hear_of_them(hearing, &group);
	anyio_task_group_cancel(&group, "heard enough");
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK_RC(0, rc);
	/* An end leaves nothing untold, and then nobody is told. */
	CHECK_RC(25, hearing->count);
	CHECK(!strncmp(hearing->told[24], "1 more block was found damaged ", 31));
	CHECK_RC(0, anyio_sleep(61 * ANYIO_SECOND));
	CHECK_RC(0, meet(hearing, 37, 40));
	CHECK_RC(25, hearing->count);
	return 0;
}

/* A repo that is only read takes nothing from peers. */
static int hear_of_the_end(struct scene *scene, struct hearing *hearing)
{
	const char *path = scene_path(scene, "repo/segments/00000001.car");
	struct stat st;

	hearing->scene = scene;
	CHECK_RC(0, put_blocks(hearing));
	CHECK_RC(0, kit_close(scene->node));
	scene->node = NULL;
	CHECK(stat(path, &st) == 0 && truncate(path, st.st_size / 2) == 0);
	CHECK_RC(0, scene_reopen(scene));
	hearing->network = (struct kit_network){ .node = scene->node,
		.options = { .tell = hear, .arg = hearing } };
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start(&group, kit_tell_damage, &hearing->network, "damage", NULL);
	if (!rc)
		rc = meet(hearing, BLOCKS - 1, BLOCKS);
	anyio_task_group_cancel(&group, "heard it");
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK_RC(0, rc);
	CHECK_RC(1, hearing->count);
	CHECK(strstr(hearing->told[0], hearing->cids[BLOCKS - 1]));
	CHECK(strstr(
		hearing->told[0], "has lost its end, where it lay; 'ipfs-kit repo verify' tells "));
	return 0;
}

static int with_hearing(
	struct scene *scene, int (*body)(struct scene *scene, struct hearing *hearing))
{
	struct hearing *hearing = calloc(1, sizeof(*hearing));

	CHECK(hearing);
	int rc = body(scene, hearing);
	free(hearing);
	return rc;
}

static int check_bound(struct scene *scene)
{
	return with_hearing(scene, listen_to);
}

static int check_the_end(struct scene *scene)
{
	return with_hearing(scene, hear_of_the_end);
}

static void a_rotten_disk_fills_no_log(void **state)
{
	scene_run_mock_clock(check_bound);
}

static void nobody_is_to_be_asked_for_a_repo_that_is_only_read(void **state)
{
	scene_run_mock_clock(check_the_end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rotten_disk_fills_no_log),
		cmocka_unit_test(nobody_is_to_be_asked_for_a_repo_that_is_only_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
