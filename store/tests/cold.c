#include "cold.h"

#include <sys/stat.h>
#include <unistd.h>

struct cold_place place;

static void object_path(const char *object, char out[200])
{
	snprintf(out, 200, "%s/%s", place.dir, object);
}

void take_image(void)
{
	char command[400];

	if (!place.images)
		return;
	snprintf(command, sizeof(command), "cp -a %s %s.image%d", test_repo, test_repo,
		place.image_count++);
	if (system(command) != 0)
		abort();
}

static int ask(void)
{
	place.calls++;
	return place.before ? place.before() : 0;
}

static ssize_t read_object(void *arg, const char *object, uint64_t offset, void *buffer, size_t len)
{
	char path[200];
	int rc = ask();

	if (rc == 0)
		rc = place.hold ? anyio_event_wait(place.hold) : place.fail_read;
	if (rc < 0)
		return rc;
	take_image();
	place.reads++;
	object_path(object, path);
	FILE *file = fopen(path, "r");
	if (!file)
		return -ENOENT;
	fseek(file, (long)offset, SEEK_SET);
	/* Short, as a tier may be. */
	size_t n = fread(buffer, 1, len > 5000 ? 5000 : len, file);
	fclose(file);
	return (ssize_t)n;
}

static int write_object(void *arg, const char *object, const struct store_tier_source *source)
{
	uint8_t buffer[700];
	char path[200];
	int rc = ask();

	take_image();
	if (rc < 0 || place.fail_write)
		return rc < 0 ? rc : place.fail_write;
	object_path(object, path);
	FILE *file = fopen(path, "w");
	for (uint64_t at = 0; at < source->size;) {
		ssize_t n = source->read(source->arg, buffer, sizeof(buffer), at);

		if (n <= 0 || (n > 0 && (size_t)n > sizeof(buffer))) {
			fclose(file);
			return n < 0 ? (int)n : -EPROTO;
		}
		if (place.spoil && at + (size_t)n > source->size / 2)
			buffer[0] ^= 1;
		fwrite(buffer, 1, (size_t)n, file);
		at += (size_t)n;
	}
	fclose(file);
	take_image();
	return 0;
}

static int remove_object(void *arg, const char *object)
{
	char path[200];
	int rc = ask();

	take_image();
	if (rc < 0 || place.fail_remove)
		return rc < 0 ? rc : place.fail_remove;
	object_path(object, path);
	return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static const char *why(void *arg)
{
	return place.fail_read || place.fail_write ? "the disk is not plugged in; plug it in"
						   : NULL;
}

static int ready(void *arg)
{
	return place.fail_ready;
}

static const struct store_tier verbs = { read_object, write_object, remove_object, why, NULL,
	ready };

int attach(struct store *store)
{
	return store_tier_attach(store, "cold", &verbs);
}

int objects(void)
{
	struct anyio_names names;
	int count = anyio_listdir(AT_FDCWD, place.dir, &names) < 0 ? -1 : (int)names.count;

	anyio_names_free(&names);
	return count;
}

const char *only_object(void)
{
	static char path[200];
	struct anyio_names names;

	if (anyio_listdir(AT_FDCWD, place.dir, &names) == 0 && names.count == 1)
		object_path(names.names[0], path);
	anyio_names_free(&names);
	return path;
}

int begin(struct store **store)
{
	place = (struct cold_place){ 0 };
	snprintf(place.dir, sizeof(place.dir), "%s.tier", test_repo);
	CHECK(mkdir(place.dir, 0755) == 0);
	test_options.segment_bytes = 30000;
	CHECK_RC(0, test_open(store, NULL));
	return attach(*store);
}

int end(struct store *store)
{
	char command[200];

	CHECK_RC(0, store_close(store));
	snprintf(command, sizeof(command), "rm -rf %s", place.dir);
	return system(command);
}

int open_again(struct store **store)
{
	struct store_recovery recovery;

	CHECK_RC(0, test_open(store, &recovery));
	CHECK(recovery.gaps == 0 && recovery.damaged == 0 && !recovery.read_only);
	return attach(*store);
}

int put_trees(struct store *store, struct mf_cid roots[TREES])
{
	store_ticket ticket = 0;

	for (int i = 0; i < TREES; i++) {
		CHECK_RC(0, test_put_tree(store, 100 * i, LEAVES, LEN, &roots[i], &ticket));
		CHECK_RC(0, store_pin_add(store, &roots[i], STORE_PIN_RECURSIVE, &ticket));
	}
	return store_sync(store, ticket);
}

void leaves_of(int tree, struct mf_cid *out)
{
	uint8_t data[LEN];

	for (int i = 0; i < LEAVES; i++)
		test_block(100 * tree + i, LEN, data, &out[i]);
}

int demote(struct store *store, int tree, struct store_move_result *result)
{
	struct mf_cid cids[LEAVES];

	leaves_of(tree, cids);
	return store_demote(store, "cold", cids, LEAVES, NULL, result);
}

int promote(struct store *store, int tree, struct store_move_result *result)
{
	struct mf_cid cids[LEAVES];

	leaves_of(tree, cids);
	return store_promote(store, cids, LEAVES, NULL, result);
}

int there(struct store *store)
{
	int count = 0;

	for (int tree = 0; tree < TREES; tree++)
		for (int i = 0; i < LEAVES; i++)
			count += test_get(store, 100 * tree + i, LEN) == 0;
	return count;
}

int collect(struct store *store, struct store_collect_result *result)
{
	struct store_collect_options options = { .dead_percent = 1 };

	return store_collect(store, &options, result);
}

int cold_leaves(struct store *store)
{
	int count = 0;

	for (int tree = 0; tree < TREES; tree++) {
		struct mf_cid cids[LEAVES];
		char tier[STORE_TIER_NAME_MAX + 1];

		leaves_of(tree, cids);
		for (int i = 0; i < LEAVES; i++)
			count += store_where(store, &cids[i], tier) == 1 &&
				strcmp(tier, "cold") == 0;
	}
	return count;
}
