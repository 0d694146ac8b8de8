#include "support.h"
#include "../inner.h"

#include <ftw.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

char test_repo[64];
char test_index[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void run_body(anyio_task_fn body)
{
	const char *const *names = anyio_backends_available();

	for (; *names; names++) {
		struct anyio_options options = { .backend = *names };

		strcpy(test_repo, "/tmp/store-test-XXXXXX");
		assert_non_null(mkdtemp(test_repo));
		int rc = anyio_run(body, NULL, &options);
		remove_tree(test_repo);
		assert_int_equal(rc, 0);
	}
}

void simulated_start(void)
{
	anyio_sim_disk_reset();
	strcpy(test_repo, "/sim/repo");
	/* No crash of a simulation reaches the index, so its syncs need no disk. */
	strcpy(test_index,
		access("/dev/shm", W_OK) == 0 ? "/dev/shm/store-index-XXXXXX"
					      : "/tmp/store-index-XXXXXX");
	assert_non_null(mkdtemp(test_index));
}

void simulated_end(void)
{
	remove_tree(test_index);
	test_index[0] = 0;
}

int run_simulated(anyio_task_fn body, void *arg, uint64_t seed, const struct anyio_sim_options *sim)
{
	struct anyio_options options = {
		.backend = "sim", .seeded = true, .seed = seed, .sim = sim
	};

	return anyio_run(body, arg, &options);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* The last blocks that were made, by number and length: a model asks for the same few hundred all the time, and making and
 * hashing them was half of its work. */
struct made {
	uint64_t n;
	size_t len;
	struct mf_cid cid;
	uint8_t *data;
};

enum { MADE = 1024, MADE_LENGTH_MAX = TEST_BLOCK_MAX };

static void make_block(uint64_t n, size_t len, uint8_t *out, struct mf_cid *cid)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = mix(n ^ (uint64_t)len << 40 ^ i / 8);

		memcpy(out + i, &word, len - i < 8 ? len - i : 8);
	}
	mf_cid_of(cid, 1, MF_CODEC_RAW, out, len);
}

void test_block(uint64_t n, size_t len, uint8_t *out, struct mf_cid *cid)
{
	static struct made all[MADE];
	struct made *made = &all[mix(n ^ (uint64_t)len << 40) % MADE];

	if (len > MADE_LENGTH_MAX) {
		make_block(n, len, out, cid);
		return;
	}
	if (!made->data || made->n != n || made->len != len) {
		free(made->data);
		*made = (struct made){ .n = n, .len = len, .data = malloc(len + 1) };
		make_block(n, len, made->data, &made->cid);
	}
	memcpy(out, made->data, len);
	*cid = made->cid;
}

uint64_t (*test_room)(void *arg);
void *test_room_arg;

/* By the name it has where files may be large (_FILE_OFFSET_BITS). */
int __real_statvfs64(const char *path, struct statvfs *out);
int __wrap_statvfs64(const char *path, struct statvfs *out);

int __wrap_statvfs64(const char *path, struct statvfs *out)
{
	if (!test_room)
		return __real_statvfs64(path, out);
	uint64_t room = test_room(test_room_arg);
	*out = (struct statvfs){ .f_blocks = 1, .f_bavail = room, .f_frsize = 1 };
	if (room == TEST_ROOM_UNTOLD)
		*out = (struct statvfs){ .f_frsize = 1 };
	return 0;
}

struct store_options test_options = { .create = true,
	.segment_bytes = 1 << 20,
	.group_bytes = 200000,
	.checkpoint_blocks = 50,
	.compact_bytes = 1 };

int test_open(struct store **store, struct store_recovery *recovery)
{
	struct store_options options = test_options;
	struct store_recovery ignored;

	if (test_index[0])
		options.index_dir = test_index;
	if (!recovery)
		recovery = &ignored;
	int rc = store_open(test_repo, &options, store, recovery);
	if (rc < 0 && rc != -ENOMEM && rc != -EIO && rc != -ENOSPC && rc != -EMFILE)
		print_error("open: %s: %s\n", anyio_error_name(rc), recovery->text);
	return rc;
}

int test_put(struct store *store, uint64_t n, size_t len, store_ticket *ticket)
{
	/* So that a block of TEST_BULK bytes is bulk. */
	uint8_t *data =
		aligned_alloc(STORE_BULK_ALIGN, (len / STORE_BULK_ALIGN + 1) * STORE_BULK_ALIGN);
	struct mf_cid cid;

	test_block(n, len, data, &cid);
	int rc = store_put(store, &cid, data, len, n & 1 ? STORE_VERIFIED : 0, ticket);
	memset(data, 0xee, len); /* it is the caller's again */
	free(data);
	return rc;
}

int test_get(struct store *store, uint64_t n, size_t len)
{
	uint8_t *data = malloc(len + 1);
	struct store_block block;
	struct mf_cid cid;

	test_block(n, len, data, &cid);
	int rc = store_get(store, &cid, &block);
	if (rc == 0) {
		if (block.len != len || memcmp(block.data, data, len) != 0)
			rc = -EILSEQ;
		store_block_release(&block);
	}
	free(data);
	return rc;
}

int test_put_tree(struct store *store, uint64_t first, int count, size_t len, struct mf_cid *root,
	store_ticket *ticket)
{
	uint8_t node[20 * (MF_CID_BYTES_MAX + 4)] = { 0 }, *data = malloc(len);
	size_t used = 0;
	int rc = 0;

	for (int i = 0; i < count && rc == 0; i++) {
		struct mf_cid cid;

		test_block(first + i, len, data, &cid);
		rc = store_put(store, &cid, data, len, 0, ticket);
		/* PBLink with a hash only, by hand. */
		size_t n = mf_cid_encode(&cid, node + used + 4, MF_CID_BYTES_MAX);
		memcpy(node + used, (uint8_t[]){ 0x12, n + 2, 0x0a, n }, 4);
		used += 4 + n;
	}
	free(data);
	mf_cid_of(root, 1, MF_CODEC_DAG_PB, node, used);
	return rc < 0 ? rc : store_put(store, root, node, used, 0, ticket);
}

enum { ALL = 24 };

uint64_t test_shared_leaf(int task, int id, int i)
{
	return 5000 + (task * 5 + id * 7 + i * (1 + id % 3)) % ALL;
}

size_t test_shared_length(uint64_t leaf)
{
	return leaf % 4 ? 300 + leaf % 7 * 500 : 20000;
}

/* The root: links with a hash only, by hand. */
size_t test_shared_root(int task, int id, uint8_t *out, struct mf_cid *root)
{
	static uint8_t data[TEST_BLOCK_MAX];
	size_t len = 0;

	for (int i = 0; i < TEST_SHARED; i++) {
		uint64_t leaf = test_shared_leaf(task, id, i);
		struct mf_cid cid;

		test_block(leaf, test_shared_length(leaf), data, &cid);
		size_t n = mf_cid_encode(&cid, out + len + 4, MF_CID_BYTES_MAX);
		memcpy(out + len, (uint8_t[]){ 0x12, n + 2, 0x0a, n }, 4);
		len += 4 + n;
	}
	mf_cid_of(root, task % 2, MF_CODEC_DAG_PB, out, len);
	return len;
}

int test_crash(struct store *store)
{
	char image[80], command[256];

	snprintf(image, sizeof(image), "%s.image", test_repo);
	snprintf(command, sizeof(command), "rm -rf %s; cp -a %s %s", image, test_repo, image);
	CHECK(system(command) == 0);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s; mv %s %s", test_repo, image, test_repo);
	CHECK(system(command) == 0);
	return 0;
}

int test_put_range(struct store *store, int from, int to, bool sync)
{
	store_ticket ticket = 0;

	for (int i = from; i < to; i++)
		CHECK_RC(0, test_put(store, i, i % 5 ? 700 : 30000, &ticket));
	return sync ? store_sync(store, ticket) : 0;
}

int test_get_range(struct store *store, int from, int to)
{
	for (int i = from; i < to; i++)
		CHECK_RC(0, test_get(store, i, i % 5 ? 700 : 30000));
	return 0;
}

static void print_fault(void *arg, const struct store_fault *fault)
{
	char text[MF_CID_TEXT_MAX] = "";

	if (fault->cid)
		mf_cid_format(fault->cid, text, sizeof(text));
	print_message("fault %d at %u:%llu..%llu %s\n", fault->kind, fault->segment,
		(unsigned long long)fault->from, (unsigned long long)fault->to, text);
}

static long verify(struct store *store, bool skip_pins)
{
	struct store_verify_options options = { .fault = print_fault, .skip_pins = skip_pins };
	struct store_verify_result result;
	int rc = store_verify(store, &options, &result);

	return rc < 0 ? rc : (long)result.faults;
}

long test_verify(struct store *store)
{
	return verify(store, false);
}

long test_verify_segments(struct store *store)
{
	return verify(store, true);
}

const char *test_segment(unsigned number)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/segments/%08u.car", test_repo, number);
	return path;
}

void test_alter(const char *path, long offset, int bits)
{
	FILE *file = fopen(path, "r+b");

	fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET);
	int byte = fgetc(file);
	fseek(file, -1, SEEK_CUR);
	fputc(byte ^ bits, file);
	fclose(file);
}

void test_flip(const char *path, long offset)
{
	test_alter(path, offset, 0x55);
}

long test_file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? -errno : st.st_size;
}

int rebuild_index(struct store *store, struct store_recovery *recovery)
{
	struct store_recovery ignored, *report_to = recovery ? recovery : &ignored;
	int rc = store->broken ? ANYIO_BROKEN : log_sync(store, store->log.sequence);

	*report_to = (struct store_recovery){ .rebuilt = true };
	if (rc < 0)
		return rc;
	log_stop(store);
	store->checkpoint = (struct index_position){ 0 };
	rc = index_clear(&store->index);
	if (rc == 0)
		rc = store_recover(store, report_to);
	return rc < 0 ? rc : store_checkpoint(store);
}

/* Fails the at-th; false when there were not that many. */
static bool fail_at(const struct faulty *faulty, enum anyio_fault_kind kind, uint64_t at, int error,
	bool sticky)
{
	memset(faulty->life, 0, faulty->size);
	test_options = faulty->options;
	simulated_start();
	(sticky ? anyio_fault_set_sticky : anyio_fault_set)(kind, at, error);
	int rc = run_simulated(faulty->live, faulty->life, at, NULL);
	bool reached = anyio_fault_count(kind) >= at;
	anyio_fault_set(kind, 0, 0);
	anyio_sim_disk_crash(at);
	if (rc == 0 || rc == -ENOMEM || rc == error) /* the loop itself may not have come up */
		rc = run_simulated(faulty->look_after, faulty->life, at, NULL);
	simulated_end();
	if (rc != 0)
		print_error("fault %d at %llu, sticky %d, error %s\n", kind, (unsigned long long)at,
			sticky, anyio_error_name(error));
	assert_int_equal(rc, 0);
	if (!reached)
		assert_int_equal(*faulty->error, 0);
	return reached;
}

void fail_each(const struct faulty *faulty, enum anyio_fault_kind kind, int error, bool sticky,
	uint64_t step)
{
	uint64_t at = 1;

	while (fail_at(faulty, kind, at, error, sticky))
		at += step;
	assert_true(at > 10);
}
