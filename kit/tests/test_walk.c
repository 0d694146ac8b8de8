/* Walks of a DAG made to be expensive: what they visit, what they hold, and that others go on. */
#include "support.h"

#include <sys/resource.h>

enum {
	LINKS = 200000, /* of a block: nearly 2 MiB of them */
	LINK_BYTES = 8,
	LEVELS = 6,
	HELD_MAX = 32 << 20,
};

/* A dag-cbor list of links: the first to what first says, all others to the empty identity block. */
static int put_wide(struct scene *scene, const struct mf_cid *first, struct mf_cid *cid)
{
	static const uint8_t link[LINK_BYTES] = { 0xd8, 0x2a, 0x45, 0, 1, 0x55, 0, 0 };
	uint8_t *data = malloc(5 + 64 + LINKS * LINK_BYTES);
	size_t len = 5;

	CHECK(data);
	memcpy(data, (const uint8_t[]){ 0x9a, 0, LINKS >> 16, LINKS >> 8 & 0xff, LINKS & 0xff }, 5);
	if (first) {
		memcpy(data + len, (const uint8_t[]){ 0xd8, 0x2a, 0x58, 37, 0 }, 5);
		len += 5 + (size_t)mf_cid_encode(first, data + len + 5, 36);
	}
	for (int i = first ? 1 : 0; i < LINKS; i++, len += LINK_BYTES)
		memcpy(data + len, link, LINK_BYTES);
	int rc = kit_block_put(
		scene->node, MF_CODEC_DAG_CBOR, MF_HASH_SHA2_256, 1, data, len, false, cid);
	free(data);
	return rc;
}

static int pin(struct scene *scene, const struct mf_cid *root)
{
	char text[MF_CID_TEXT_MAX];
	struct mf_cid pinned;

	mf_cid_format(root, text, sizeof(text));
	return kit_pin_add(scene->node, text, true, &pinned);
}

/* ---- Memory ---- */

static long peak(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss * 1024;
}

static int check_memory(struct scene *scene)
{
	struct mf_cid cid;

	for (int i = 0; i < LEVELS; i++)
		CHECK_RC(0, put_wide(scene, i ? &cid : NULL, &cid));
	long before = peak();
	CHECK_RC(0, pin(scene, &cid));
	CHECK(peak() - before < HELD_MAX);
	return 0;
}

static void test_repeated_links_cost_nothing(void **state)
{
	scene_run(check_memory);
}

/* ---- Turns ---- */

struct turns {
	unsigned count; /* of another task */
	int writes;
	unsigned before, after; /* the links of the first block are followed */
	bool done;
};

static int count_turns(void *arg)
{
	struct turns *turns = arg;
	int rc = 0;

	while (!rc && !turns->done) {
		turns->count++;
		rc = anyio_checkpoint();
	}
	return rc;
}

/* An archive is written as a header, and a prefix and the bytes of each block. */
static int note_turns(void *arg, const void *data, size_t len)
{
	struct turns *turns = arg;

	if (++turns->writes == 3)
		turns->before = turns->count;
	else if (turns->writes == 4)
		turns->after = turns->count;
	return 0;
}

/* Nothing is read between the two: the second block is an empty one that its CID holds. */
static int check_turns(struct scene *scene)
{
	struct turns turns = { 0 };
	struct kit_sink sink = { .write = note_turns, .arg = &turns };
	char text[MF_CID_TEXT_MAX];
	struct mf_cid cid;
	int rc;

	CHECK_RC(0, put_wide(scene, NULL, &cid));
	mf_cid_format(&cid, text, sizeof(text));
	ANYIO_TASK_GROUP(group);
	rc = anyio_start_soon(&group, count_turns, &turns, "turns");
	if (!rc)
		rc = kit_dag_export(scene->node, text, &sink, NULL, NULL);
	turns.done = true;
	rc = anyio_task_group_exit(&group, rc);
	CHECK_RC(0, rc);
	CHECK(turns.writes == 5);
	CHECK(turns.after - turns.before >= LINKS / 4096);
	return 0;
}

static void test_others_go_on_beside_many_links(void **state)
{
	scene_run(check_turns);
}

/* ---- Order ---- */

static int append_node(
	struct scene *scene, const struct mf_cid *links, int count, struct mf_cid *cid)
{
	uint8_t data[256] = { (uint8_t)(0x80 + count) };
	size_t len = 1;

	for (int i = 0; i < count; i++) {
		memcpy(data + len, (const uint8_t[]){ 0xd8, 0x2a, 0x58, 37, 0 }, 5);
		len += 5 + (size_t)mf_cid_encode(&links[i], data + len + 5, 36);
	}
	return kit_block_put(
		scene->node, MF_CODEC_DAG_CBOR, MF_HASH_SHA2_256, 1, data, len, false, cid);
}

static int write_bytes(void *arg, const void *data, size_t len)
{
	return bytes_append(arg, data, len);
}

/* Each block once, where depth first meets it first: b below a, though the root names it too. */
static int check_order(struct scene *scene)
{
	struct mf_cid a, b, c, root;
	struct bytes car;
	char text[MF_CID_TEXT_MAX];
	const struct mf_cid *order[] = { &root, &a, &b, &c };
	size_t at = 0;

	CHECK_RC(0,
		kit_block_put(scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 1, "b", 1, false, &b));
	CHECK_RC(0,
		kit_block_put(scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 1, "c", 1, false, &c));
	CHECK_RC(0, append_node(scene, &b, 1, &a));
	CHECK_RC(0, append_node(scene, (const struct mf_cid[]){ a, c, b, a, c }, 5, &root));
	mf_cid_format(&root, text, sizeof(text));
	bytes_init(&car);
	struct kit_sink sink = { .write = write_bytes, .arg = &car };
	CHECK_RC(0, kit_dag_export(scene->node, text, &sink, NULL, NULL));
	at = 1 + car.data[0];
	for (int i = 0; i < 4; i++) {
		uint8_t bytes[36];
		/* The root's section is over 127 bytes long: its length takes two. */
		size_t head = car.data[at] & 0x80 ? 2 : 1;
		size_t len = head == 2 ? (car.data[at] & 0x7fu) | (size_t)car.data[at + 1] << 7
				       : car.data[at];
		mf_cid_encode(order[i], bytes, sizeof(bytes));
		CHECK(at + head + len <= car.len);
		CHECK(!memcmp(car.data + at + head, bytes, sizeof(bytes)));
		at += head + len;
	}
	CHECK(at == car.len);
	bytes_free(&car);
	return 0;
}

static void test_each_block_once_depth_first(void **state)
{
	scene_run(check_order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeated_links_cost_nothing),
		cmocka_unit_test(test_others_go_on_beside_many_links),
		cmocka_unit_test(test_each_block_once_depth_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
