/* Putting, getting, syncing, looking over. */
#include "support.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t lengths[] = { 0, 1, 100, 16384, 16385, 65536, 262144 };
enum { LENGTHS = sizeof(lengths) / sizeof(*lengths) };

static int blocks_come_back(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < LENGTHS; i++) {
		CHECK_RC(-ENOENT, test_get(store, i, lengths[i]));
		CHECK_RC(0, test_put(store, i, lengths[i], &ticket));
		CHECK_RC(0, test_get(store, i, lengths[i])); /* not yet synced */
	}
	CHECK_RC(0, store_sync(store, ticket));
	for (int i = 0; i < LENGTHS; i++)
		CHECK_RC(0, test_get(store, i, lengths[i]));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < LENGTHS; i++)
		CHECK_RC(0, test_get(store, i, lengths[i]));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int any_cid_of_the_hash_finds_it(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;
	struct store_block block;
	struct mf_cid cid;

	CHECK_RC(0, test_open(&store, NULL));
	mf_cid_of(&cid, 0, MF_CODEC_DAG_PB, "abc", 3);
	CHECK_RC(0, store_has(store, &cid));
	CHECK_RC(-ENOENT, store_size(store, &cid));
	CHECK_RC(0, store_put(store, &cid, "abc", 3, 0, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(1, store_has(store, &cid));
	mf_cid_of(&cid, 1, MF_CODEC_RAW, "abc", 3);
	CHECK_RC(1, store_has(store, &cid));
	CHECK_RC(3, store_size(store, &cid));
	CHECK_RC(0, store_get(store, &cid, &block));
	CHECK(block.len == 3 && memcmp(block.data, "abc", 3) == 0);
	CHECK(mf_cid_equal(&block.cid, &cid));
	store_block_release(&block);

	/* Present already: nothing is written. */
	struct store_stat before, after;
	store_stat(store, &before);
	CHECK_RC(0, store_put(store, &cid, "abc", 3, 0, &ticket));
	store_stat(store, &after);
	CHECK(before.segment_bytes == after.segment_bytes && after.blocks == 1 && after.bytes == 3);
	return store_close(store);
}

static int identity_cids_carry_their_block(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;
	struct store_block block;
	struct mf_cid cid = {
		.codec = MF_CODEC_RAW, .hash = 0, .version = 1, .digest_len = 5, .digest = "hello"
	};
	int result;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(1, store_has(store, &cid));
	CHECK_RC(5, store_size(store, &cid));
	CHECK_RC(0, store_put(store, &cid, "hello", 5, 0, &ticket));
	CHECK(ticket == 0);
	CHECK_RC(0, store_get(store, &cid, &block));
	CHECK(block.len == 5 && memcmp(block.data, "hello", 5) == 0);
	store_block_release(&block);
	CHECK_RC(0, store_get_many(store, &cid, 1, &block, &result));
	CHECK(result == 0 && block.len == 5);
	store_block_release(&block);
	return store_close(store);
}

static int the_gate_keeps_out_what_does_not_match(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;
	struct store_block blocks[2] = { 0 };
	struct store_stat stat;
	static uint8_t big[(2 << 20) + 1];

	CHECK_RC(0, test_open(&store, NULL));
	blocks[0] = (struct store_block){ .data = "good", .len = 4 };
	mf_cid_of(&blocks[0].cid, 1, MF_CODEC_RAW, "good", 4);
	blocks[1] = (struct store_block){ .data = "evil", .len = 4 };
	mf_cid_of(&blocks[1].cid, 1, MF_CODEC_RAW, "what", 4);
	CHECK_RC(-EBADMSG, store_put_many(store, blocks, 2, 0, &ticket));
	store_stat(store, &stat);
	CHECK(stat.blocks == 0);
	blocks[1].cid.hash = 0xd5; /* md5 */
	blocks[1].cid.digest_len = 16;
	CHECK_RC(-EPROTONOSUPPORT, store_put_many(store, blocks, 2, 0, &ticket));
	mf_cid_of(&blocks[1].cid, 1, MF_CODEC_RAW, big, sizeof(big));
	blocks[1].data = big;
	blocks[1].len = sizeof(big);
	CHECK_RC(-EMSGSIZE, store_put_many(store, blocks, 2, 0, &ticket));
	CHECK_RC(-EMSGSIZE, store_put_many(store, blocks, 2, STORE_VERIFIED, &ticket));
	blocks[1].len--;
	mf_cid_of(&blocks[1].cid, 1, MF_CODEC_RAW, big, sizeof(big) - 1);
	CHECK_RC(0, store_put_many(store, blocks, 2, 0, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int many_at_once_in_any_order(void *arg)
{
	enum { COUNT = 300 };
	struct store *store;
	store_ticket ticket = 0;
	struct mf_cid *cids = calloc(COUNT, sizeof(*cids));
	struct store_block *blocks = calloc(COUNT, sizeof(*blocks));
	int *results = calloc(COUNT, sizeof(*results));
	uint8_t *data = malloc(COUNT * 3000);

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < COUNT; i++) {
		test_block(i % 290, 100 + i % 290 * 97 % 2900, data + i * 3000, &blocks[i].cid);
		blocks[i].data = data + i * 3000;
		blocks[i].len = 100 + i % 290 * 97 % 2900;
	}
	CHECK_RC(0, store_put_many(store, blocks, COUNT, 0, &ticket));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < COUNT; i++)
			cids[i] = blocks[(i * 7 + round) % COUNT].cid;
		mf_cid_of(&cids[5], 1, MF_CODEC_RAW, "absent", 6);
		struct store_block *out = calloc(COUNT, sizeof(*out));
		CHECK_RC(0, store_get_many(store, cids, COUNT, out, results));
		for (int i = 0; i < COUNT; i++) {
			const struct store_block *in = &blocks[(i * 7 + round) % COUNT];
			CHECK_RC(i == 5 ? -ENOENT : 0, results[i]);
			CHECK(i == 5 ? !out[i].data
				     : out[i].len == in->len &&
						memcmp(out[i].data, in->data, in->len) == 0);
			store_block_release(&out[i]);
		}
		free(out);
		CHECK_RC(0, store_sync(store, ticket));
	}
	struct store_stat stat;
	store_stat(store, &stat);
	CHECK(stat.blocks == 290);
	free(cids);
	free(blocks);
	free(results);
	free(data);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int segments_roll_and_checkpoints_follow(void *arg)
{
	struct store *store;
	struct store_stat stat;
	store_ticket ticket = 0;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 400; i++)
		CHECK_RC(0, test_put(store, i, i % 3 ? 1000 : 20000, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	store_stat(store, &stat);
	CHECK(stat.blocks == 400 && stat.segments == 3);
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.scanned == 0 && recovery.blocks == 0 && !recovery.rebuilt);
	for (int i = 0; i < 400; i++)
		CHECK_RC(0, test_get(store, i, i % 3 ? 1000 : 20000));
	store_stat(store, &stat);
	CHECK(stat.blocks == 400 && stat.segments == 3);
	return store_close(store);
}

struct mending {
	struct store *store;
	bool done;
};

/* A reader of a damaged block, who puts it back when he is the first to find out. */
static int read_and_mend(void *arg)
{
	struct mending *mending = arg;
	struct store *store = mending->store;
	struct store_block block;
	struct mf_cid cid;
	store_ticket ticket = 0;
	uint8_t data[1000];
	int result;

	test_block(1, sizeof(data), data, &cid);
	CHECK_RC(0, store_get_many(store, &cid, 1, &block, &result));
	if (result == 0)
		store_block_release(&block);
	if (result != -EBADMSG || mending->done)
		return 0;
	mending->done = true;
	CHECK_RC(0, test_put(store, 1, sizeof(data), &ticket));
	return store_sync(store, ticket);
}

/* Two read it at once: the second one's bad news is of the old place, not of the new one. */
static int a_mended_block_stays(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put(store, 1, 1000, &ticket));
	CHECK_RC(0, store_close(store));
	test_flip(test_segment(1), 300);
	CHECK_RC(0, test_open(&store, NULL));
	struct mending mending = { .store = store };
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 8; i++)
		anyio_start_soon(&group, read_and_mend, &mending, "reader");
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK(mending.done);
	CHECK_RC(0, test_get(store, 1, 1000));
	return store_close(store);
}

struct writer {
	struct store *store;
	int id;
};

static int write_some(void *arg)
{
	const struct writer *writer = arg;

	for (int i = 0; i < 20; i++) {
		store_ticket ticket = 0;
		size_t len = i % 4 ? 500 : 30000;

		/* Every block is put by two of them. */
		CHECK_RC(0, test_put(writer->store, writer->id / 2 * 1000 + i, len, &ticket));
		CHECK(ticket > 0 || i > 0);
		CHECK_RC(0, test_get(writer->store, writer->id / 2 * 1000 + i, len));
		CHECK_RC(0, store_sync(writer->store, ticket));
		CHECK_RC(0, test_get(writer->store, writer->id / 2 * 1000 + i, len));
	}
	return 0;
}

static int many_tasks_share_the_log(void *arg)
{
	struct store *store;
	struct writer writers[20];
	struct store_stat stat;

	CHECK_RC(0, test_open(&store, NULL));
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 20; i++) {
		writers[i] = (struct writer){ store, i };
		anyio_start_soon(&group, write_some, &writers[i], "writer");
	}
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	store_stat(store, &stat);
	CHECK(stat.blocks == 200);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int put_for_ever(void *arg)
{
	const struct writer *writer = arg;
	store_ticket ticket = 0;
	int rc = 0;

	for (int i = 0; rc == 0; i++) {
		rc = test_put(writer->store, writer->id * 100000 + i, i % 3 ? 900 : 40000, &ticket);
		if (rc == 0)
			rc = store_sync(writer->store, ticket);
	}
	return rc;
}

static int cancelled_writers_leave_it_whole(void *arg)
{
	struct store *store;
	struct writer writers[6];

	CHECK_RC(0, test_open(&store, NULL));
	for (int round = 0; round < 10; round++) {
		ANYIO_TASK_GROUP(group);
		for (int i = 0; i < 6; i++) {
			writers[i] = (struct writer){ store, round * 6 + i };
			anyio_start_soon(&group, put_for_ever, &writers[i], "writer");
		}
		CHECK_RC(0, anyio_sleep((round * 700 + 100) * ANYIO_MICROSECOND));
		anyio_task_group_cancel(&group, "enough");
		CHECK_RC(0, anyio_task_group_exit(&group, 0));
	}
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* As of a process that was killed: of the file, and of the folder. */
static int a_lock_that_is_let_go_is_waited_for(void)
{
	struct store_options no_wait = { .no_wait = true };
	struct store *store;

	for (uint64_t at = 1; at <= 2; at++) {
		anyio_fault_set_call("flock", at, -EWOULDBLOCK);
		CHECK_RC(-EBUSY, store_open(test_repo, &no_wait, &store, NULL));
		anyio_fault_set_call("flock", at, -EWOULDBLOCK);
		CHECK_RC(0, store_open(test_repo, NULL, &store, NULL));
		CHECK(anyio_fault_count(ANYIO_FAULT_CALL) > at);
		anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

static int a_repo_is_opened_once_and_only_in_its_version(void *arg)
{
	struct store_options options = { 0 };
	struct store_recovery recovery;
	struct store *store, *other;
	char path[96];

	CHECK_RC(-ENOENT, store_open(test_repo, &options, &store, &recovery));
	CHECK(strstr(recovery.text, test_repo));
	CHECK_RC(-ENOENT, store_open("/nonexistent/repo", &options, &store, &recovery));
	options.create = true;
	CHECK_RC(-ENOENT, store_open("/nonexistent/repo", &options, &store, &recovery));
	CHECK_RC(0, store_open(test_repo, &options, &store, &recovery));
	CHECK_RC(-EBUSY, store_open(test_repo, &options, &other, &recovery));
	CHECK(strstr(recovery.text, "in use"));
	options.no_wait = true;
	CHECK_RC(-EBUSY, store_open(test_repo, &options, &other, &recovery));
	CHECK_RC(0, store_close(store));
	options.no_wait = false;
	CHECK_RC(0, a_lock_that_is_let_go_is_waited_for());

	struct stat st;
	snprintf(path, sizeof(path), "%s/secret", test_repo);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600 && st.st_size == 32);
	CHECK(truncate(path, 31) == 0);
	CHECK_RC(-EKEYREJECTED, store_open(test_repo, &options, &store, &recovery));
	CHECK(strstr(recovery.text, "damaged"));

	snprintf(path, sizeof(path), "%s/version", test_repo);
	FILE *file = fopen(path, "w");
	fputs("99\n", file);
	fclose(file);
	CHECK_RC(-EPROTO, store_open(test_repo, &options, &store, &recovery));
	CHECK(strstr(recovery.text, "99"));
	return 0;
}

static int a_closed_repo_is_a_car_file(void *arg)
{
	struct store *store;
	uint8_t start[26];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, store_close(store));
	FILE *file = fopen(test_segment(1), "rb");
	CHECK(file && fread(start, 1, sizeof(start), file) == sizeof(start));
	fclose(file);
	CHECK(start[0] == 25 && memcmp(start + 3, "roots", 5) == 0);
	return 0;
}

ON_BACKENDS(blocks_come_back)
ON_BACKENDS(any_cid_of_the_hash_finds_it)
ON_BACKENDS(identity_cids_carry_their_block)
ON_BACKENDS(the_gate_keeps_out_what_does_not_match)
ON_BACKENDS(many_at_once_in_any_order)
ON_BACKENDS(segments_roll_and_checkpoints_follow)
ON_BACKENDS(a_mended_block_stays)
ON_BACKENDS(many_tasks_share_the_log)
ON_BACKENDS(cancelled_writers_leave_it_whole)
ON_BACKENDS(a_repo_is_opened_once_and_only_in_its_version)
ON_BACKENDS(a_closed_repo_is_a_car_file)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_come_back),
		cmocka_unit_test(test_any_cid_of_the_hash_finds_it),
		cmocka_unit_test(test_identity_cids_carry_their_block),
		cmocka_unit_test(test_the_gate_keeps_out_what_does_not_match),
		cmocka_unit_test(test_many_at_once_in_any_order),
		cmocka_unit_test(test_segments_roll_and_checkpoints_follow),
		cmocka_unit_test(test_a_mended_block_stays),
		cmocka_unit_test(test_many_tasks_share_the_log),
		cmocka_unit_test(test_cancelled_writers_leave_it_whole),
		cmocka_unit_test(test_a_repo_is_opened_once_and_only_in_its_version),
		cmocka_unit_test(test_a_closed_repo_is_a_car_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
