/*
 * CAR archives that go out: all below a root as one.
 *
 * Version 2 says at its beginning how long the archive is and where the index begins, and the output may be a pipe:
 * so the DAG is gone through twice, first for its names and sizes, of which the index is made, and then for the
 * blocks.
 */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct exporting {
	struct kit_blocks blocks;
	const struct kit_sink *sink;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	uint64_t done, total;
	struct mf_cid root;
	struct mf_pb_writer head; /* of the archive */
	size_t head_len;
	/* Of version 2. */
	uint64_t end; /* of the archive, as far as it has been measured, or written */
	struct car_index_entry *entries; /* their digests are set when all are there */
	size_t count, room;
	uint8_t *digests;
	size_t digests_used, digests_room;
	bool has_identity;
	bool missing; /* a raw block is not here */
};

static int fail(struct exporting *exporting, int rc)
{
	return kit_fail_code(exporting->blocks.node, rc, "exporting");
}

static int export_block(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	struct exporting *exporting = arg;
	uint8_t prefix[CAR_PREFIX_MAX];
	ssize_t n = car_section_prefix(cid, len, prefix, sizeof(prefix));
	int rc = n < 0 ? (int)n : exporting->sink->write(exporting->sink->arg, prefix, (size_t)n);

	if (!rc)
		rc = exporting->sink->write(exporting->sink->arg, data, len);
	exporting->done += len;
	if (!rc)
		exporting->end += (size_t)n + len;
	if (!rc && exporting->progress)
		exporting->progress(exporting->arg, exporting->done, exporting->total);
	return rc;
}

/* Nothing is written of what cannot be had at all. */
static int export_begin(struct exporting *exporting, struct kit_node *node, const char *path)
{
	struct kit_look look = { 0 };
	struct store_block first;
	int rc = kit_reading_begin(node, path, &exporting->blocks, &exporting->root);

	exporting->blocks.reads = rc == 0;
	if (!rc && !(rc = kit_blocks_get(&exporting->blocks, &exporting->root, &first)))
		store_block_release(&first);
	if (!rc && exporting->progress &&
		!(rc = kit_look(&exporting->blocks, &exporting->root, &look)))
		exporting->total = look.cumulative;
	anyio_free(look.target);
	if (rc)
		return rc;
	exporting->head = mf_pb_write_growing(128);
	car_put_header(&exporting->head, &exporting->root, 1);
	ssize_t len = mf_pb_finish(&exporting->head);
	exporting->head_len = len < 0 ? 0 : (size_t)len;
	return len < 0 ? fail(exporting, (int)len) : 0;
}

/* The archive itself. */
static int export_archive(struct exporting *exporting)
{
	int rc = exporting->sink->write(
		exporting->sink->arg, exporting->head.data, exporting->head_len);

	exporting->end = exporting->head_len;
	if (!rc)
		rc = kit_walk(&exporting->blocks, &exporting->root, export_block, exporting);
	/* The total counted what repeats each time. */
	if (!rc && exporting->progress)
		exporting->progress(exporting->arg, exporting->done, exporting->done);
	return rc;
}

static int export_end(struct exporting *exporting, int rc)
{
	free(exporting->head.data);
	anyio_free(exporting->entries);
	anyio_free(exporting->digests);
	return kit_reading_end(&exporting->blocks, rc);
}

int kit_dag_export(struct kit_node *node, const char *path, const struct kit_sink *sink,
	void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg)
{
	struct exporting exporting = { .sink = sink, .progress = progress, .arg = arg };
	int rc = export_begin(&exporting, node, path);

	if (!rc)
		rc = export_archive(&exporting);
	return export_end(&exporting, rc);
}

/* ---- version 2 ---- */

static int add_entry(struct exporting *exporting, const struct mf_cid *cid)
{
	size_t len = cid->digest_len;
	int rc = anyio_grow(&exporting->entries, &exporting->room, exporting->count + 1,
		sizeof(*exporting->entries));

	if (!rc)
		rc = anyio_grow(&exporting->digests, &exporting->digests_room,
			exporting->digests_used + len, 1);
	if (rc)
		return fail(exporting, rc);
	memcpy(exporting->digests + exporting->digests_used, cid->digest, len);
	exporting->digests_used += len;
	exporting->entries[exporting->count++] = (struct car_index_entry){
		.at = exporting->end, .hash = cid->hash, .digest_len = (uint8_t)len
	};
	return 0;
}

/* Blocks that carry themselves need no index to be found, and the index has no room for them. */
static int measure_block(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	struct exporting *exporting = arg;
	uint8_t prefix[CAR_PREFIX_MAX];
	int rc = 0;

	if (!data && !len) {
		ssize_t size = store_size(exporting->blocks.node->core->store, cid);
		if (size == -ENOENT) {
			exporting->missing = true;
			size = 0;
		}
		if (size < 0)
			return fail(exporting, (int)size);
		len = (size_t)size;
	}
	ssize_t n = car_section_prefix(cid, len, prefix, sizeof(prefix));
	if (n < 0)
		return fail(exporting, (int)n);
	if (cid->hash == MF_HASH_IDENTITY)
		exporting->has_identity = true;
	else
		rc = add_entry(exporting, cid);
	exporting->end += (size_t)n + len;
	return rc;
}

static int measure(struct exporting *exporting)
{
	exporting->count = exporting->digests_used = 0;
	exporting->missing = exporting->has_identity = false;
	exporting->end = exporting->head_len;
	return kit_walk_names(&exporting->blocks, &exporting->root, measure_block, exporting);
}

/* What is not here is fetched first: how long it is, nobody else can say. */
static int measure_all(struct exporting *exporting)
{
	int rc = measure(exporting);

	if (!rc && exporting->missing) {
		rc = kit_walk(&exporting->blocks, &exporting->root, NULL, NULL);
		if (!rc)
			rc = measure(exporting);
		if (!rc && exporting->missing)
			rc = fail(exporting, -ENOENT);
	}
	for (size_t i = 0, at = 0; !rc && i < exporting->count; i++) {
		exporting->entries[i].digest = exporting->digests + at;
		at += exporting->entries[i].digest_len;
	}
	return rc;
}

static void sort(void *arg, size_t index)
{
	struct exporting *exporting = arg;

	car_index_sort(exporting->entries, exporting->count);
}

static int export_indexed(struct exporting *exporting)
{
	const struct kit_sink *sink = exporting->sink;
	struct car_index_out out = { sink->write, sink->arg };
	uint8_t begin[CAR_V2_SIZE];
	int rc = measure_all(exporting);
	uint64_t size = exporting->end;
	struct car_v2 v2 = { .data_at = CAR_V2_SIZE,
		.data_size = size,
		.index_at = CAR_V2_SIZE + size,
		.fully_indexed = !exporting->has_identity };

	if (rc)
		return rc;
	car_v2_encode(&v2, begin);
	/* Millions take their time. */
	rc = anyio_cpu_map(sort, exporting, 1);
	if (rc == -EAGAIN) {
		sort(exporting, 0);
		rc = 0;
	}
	if (!rc)
		rc = sink->write(sink->arg, begin, sizeof(begin));
	if (!rc)
		rc = export_archive(exporting);
	/* Blocks that are the same whatever happens can only be more or fewer. */
	if (!rc && exporting->end != size)
		rc = kit_fail(exporting->blocks.node, -EAGAIN,
			"blocks came or went while the archive was written; export it again");
	return rc ? rc : car_index_write(&out, exporting->entries, exporting->count);
}

int kit_dag_export_indexed(struct kit_node *node, const char *path, const struct kit_sink *sink,
	void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg)
{
	struct exporting exporting = { .sink = sink, .progress = progress, .arg = arg };
	int rc = export_begin(&exporting, node, path);

	if (!rc)
		rc = export_indexed(&exporting);
	return export_end(&exporting, rc);
}
