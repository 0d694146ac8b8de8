/* A tier of the model: another machine, which no crash of ours reaches; slow, and at times it takes or removes nothing. */
#include "model.h"
#include "model_tier.h"

#include <errno.h>

enum { OBJECTS = 400, SOME = 30 };

uint64_t met_demoted, met_promoted, met_removed;

static struct object {
	char name[48];
	uint8_t *bytes;
	size_t len;
} objects[OBJECTS];

static struct object *find(const char *name)
{
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i].bytes && strcmp(objects[i].name, name) == 0)
			return &objects[i];
	return NULL;
}

static void forget(struct object *object)
{
	free(object->bytes);
	*object = (struct object){ .bytes = NULL };
}

void model_tier_reset(void)
{
	for (int i = 0; i < OBJECTS; i++)
		forget(&objects[i]);
}

int model_tier_count(void)
{
	int count = 0;

	for (int i = 0; i < OBJECTS; i++)
		count += objects[i].bytes != NULL;
	return count;
}

int model_tier_rot(struct model *model)
{
	size_t from = draw(model, OBJECTS);

	for (size_t i = 0; i < OBJECTS; i++) {
		struct object *object = &objects[(from + i) % OBJECTS];

		if (!object->bytes)
			continue;
		object->bytes[draw(model, object->len)] ^= (uint8_t)(1u << draw(model, 8));
		return 1;
	}
	return 0;
}

static int dawdle(struct model *model)
{
	return draw(model, 3) ? 0 : anyio_sleep(draw(model, 100) * ANYIO_MICROSECOND);
}

static ssize_t read_object(void *arg, const char *name, uint64_t offset, void *buffer, size_t len)
{
	int rc = dawdle(arg);
	const struct object *object = find(name);

	if (rc < 0 || !object)
		return rc < 0 ? rc : -ENOENT;
	if (offset >= object->len)
		return 0;
	if (len > object->len - offset)
		len = object->len - offset;
	if (len > 1 && draw(arg, 4) == 0)
		len /= 2;
	memcpy(buffer, object->bytes + offset, len);
	return (ssize_t)len;
}

/* Nobody sees it before it is whole. */
static int write_object(void *arg, const char *name, const struct store_tier_source *source)
{
	uint8_t *bytes = malloc(source->size);
	uint64_t at = 0;
	int rc = 0;

	while (at < source->size && rc == 0) {
		size_t some = source->size - at < 5000 ? (size_t)(source->size - at) : 5000;
		ssize_t n = source->read(source->arg, bytes + at, some, at);

		rc = n < 0 ? (int)n : n == 0 ? -EPROTO : dawdle(arg);
		at += n > 0 ? (uint64_t)n : 0;
	}
	if (rc == 0 && draw(arg, 6) == 0)
		rc = -ETIMEDOUT;
	/* What is said to have failed may have been done. */
	if (rc == 0 || (rc == -ETIMEDOUT && draw(arg, 2)))
		for (int i = 0; i < OBJECTS; i++) {
			if (objects[i].bytes)
				continue;
			objects[i] = (struct object){ .bytes = bytes, .len = source->size };
			snprintf(objects[i].name, sizeof(objects[i].name), "%s", name);
			return rc;
		}
	free(bytes);
	return rc == 0 ? -ENOSPC : rc;
}

static int remove_object(void *arg, const char *name)
{
	int rc = dawdle(arg);
	struct object *object = find(name);

	if (rc == 0 && draw(arg, 4) == 0)
		rc = -EHOSTDOWN;
	if (rc == 0 && object) {
		forget(object);
		met_removed++;
	}
	return rc;
}

int model_tier_attach(struct model *model)
{
	struct store_tier verbs = { read_object, write_object, remove_object, NULL, model };

	return store_tier_attach(model->store, "cold", &verbs);
}

/* Leaves of one task, or those that trees share. */
static size_t choose(struct model *model, struct mf_cid *cids)
{
	static uint8_t data[TEST_BLOCK_MAX];
	size_t count = 1 + draw(model, SOME);
	int task = (int)draw(model, TASKS);

	for (size_t i = 0; i < count; i++) {
		if (model->collects && draw(model, 2)) {
			uint64_t leaf = test_shared_leaf(
				task, (int)draw(model, TREES), (int)draw(model, TEST_SHARED));
			test_block(leaf, test_shared_length(leaf), data, &cids[i]);
		} else {
			block_name(task, (int)draw(model, IDS), &cids[i]);
		}
	}
	return count;
}

static int move_some(struct model *model)
{
	struct store_move_result result = { 0 };
	struct mf_cid cids[SOME];
	size_t count = choose(model, cids);
	uint64_t how = draw(model, 6), mended;
	int rc;

	if (how < 3) {
		rc = store_demote(model->store, "cold", cids, count, NULL, &result);
		met_demoted += result.blocks;
	} else if (how < 4) {
		rc = store_promote(model->store, cids, count, NULL, &result);
		met_promoted += result.blocks;
	} else if (how < 5) {
		rc = store_tier_tend(model->store, "cold");
	} else {
		rc = store_tier_mend(model->store, "cold", &mended);
	}
	/* It went meanwhile; there is no room; the tier did not want. */
	return rc == -ENOENT || rc == -EDQUOT || (rc == -ENOSPC && test_room) || rc == -EREMOTEIO
		? 0
		: rc;
}

int model_tier_move(void *arg)
{
	struct model *model = arg;
	int rc = 0;

	while (!model->crashed && rc == 0) {
		rc = move_some(model);
		if (rc == 0)
			rc = anyio_sleep(draw(model, 300) * ANYIO_MICROSECOND);
	}
	if (rc < 0 && rc != ANYIO_BROKEN && !model->crashed && !model->faulty) {
		print_error("moving: %s\n", anyio_error_name(rc));
		return rc;
	}
	return 0;
}

int model_tier_tend(struct model *model)
{
	int rc = -EREMOTEIO;

	for (int i = 0; i < 100 && rc == -EREMOTEIO; i++)
		rc = store_tier_tend(model->store, "cold");
	return rc;
}
