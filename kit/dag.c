/* Single blocks, and CAR archives out and in. */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Blocks ---- */

static int parse_cid(struct kit_node *node, const char *text, struct mf_cid *cid)
{
	const char *rest;
	int rc = kit_path_parse(node, text, cid, &rest);

	return !rc && *rest
		? kit_fail(node, -EINVAL, "'%.100s': a block is named by its CID alone", text)
		: rc;
}

/* The block, and blocks open, to be closed after it was released; on failure both are. */
static int get_block(struct kit_node *node, const char *text, struct mf_cid *cid,
	struct store_block *block, struct kit_blocks *blocks)
{
	node->error[0] = 0;
	kit_blocks_open(blocks, node);
	int rc = parse_cid(node, text, cid);
	if (!rc)
		rc = kit_blocks_get(blocks, cid, block);
	if (!rc && (rc = kit_blocks_sync(blocks)))
		store_block_release(block);
	if (rc)
		kit_blocks_close(blocks);
	return rc;
}

int kit_block_get(struct kit_node *node, const char *text, void **data, size_t *len)
{
	struct kit_blocks blocks;
	struct store_block block;
	struct mf_cid cid;
	int rc = get_block(node, text, &cid, &block, &blocks);

	*data = NULL;
	if (rc)
		return rc;
	*data = malloc(block.len ? block.len : 1);
	*len = block.len;
	if (*data)
		memcpy(*data, block.data, block.len);
	store_block_release(&block);
	kit_blocks_close(&blocks);
	return *data ? 0 : kit_fail_code(node, -ENOMEM, "reading a block");
}

int kit_block_cat(struct kit_node *node, const char *text, const struct kit_sink *sink)
{
	struct kit_blocks blocks;
	struct store_block block;
	struct mf_cid cid;
	int rc = get_block(node, text, &cid, &block, &blocks);

	if (rc)
		return rc;
	rc = sink->write(sink->arg, block.data, block.len);
	store_block_release(&block);
	kit_blocks_close(&blocks);
	return rc;
}

int kit_block_stat(struct kit_node *node, const char *text, struct mf_cid *cid, size_t *len)
{
	struct kit_blocks blocks;
	struct store_block block;
	int rc = get_block(node, text, cid, &block, &blocks);

	if (rc)
		return rc;
	*len = block.len;
	store_block_release(&block);
	kit_blocks_close(&blocks);
	return 0;
}

static int no_link(void *arg, const struct mf_cid *cid)
{
	return 0;
}

int kit_block_put(struct kit_node *node, uint32_t codec, uint32_t hash, int version,
	const void *data, size_t len, bool pin, struct mf_cid *cid)
{
	store_ticket ticket = 0;

	node->error[0] = 0;
	if (len > IPLD_BLOCK_MAX)
		return kit_fail(node, -EMSGSIZE,
			"a block is at most %d bytes; 'ipfs-kit add' splits files", IPLD_BLOCK_MAX);
	if (version == 0 && (codec != MF_CODEC_DAG_PB || hash != MF_HASH_SHA2_256))
		return kit_fail(node, -EINVAL, "a version 0 CID is dag-pb by sha2-256");
	*cid = (struct mf_cid){ .version = (uint8_t)version, .codec = codec, .hash = hash };
	ssize_t digest = mf_hash_digest(hash, data, len, 0, cid->digest);
	if (digest < 0 || !mf_hash_allowed(hash, (size_t)digest))
		return kit_fail(node, -EPROTONOSUPPORT, "this hash function may not name blocks");
	cid->digest_len = (uint8_t)digest;
	if (ipld_links(codec, data, len, no_link, NULL))
		return kit_fail(node, -EBADMSG, "these bytes are not a block of that codec");
	int rc = store_put(node->core->store, cid, data, len, 0, &ticket);
	if (!rc && pin)
		rc = store_pin_add(node->core->store, cid, STORE_PIN_RECURSIVE, &ticket);
	if (!rc)
		rc = store_sync(node->core->store, ticket);
	if (!rc && node->core->bitswap)
		bitswap_have(node->core->bitswap, cid);
	return rc ? kit_fail_code(node, rc, "storing a block") : 0;
}

/* ---- Export ---- */

struct exporting {
	struct kit_blocks blocks;
	const struct kit_sink *sink;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	uint64_t done, total;
};

static int export_block(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	struct exporting *exporting = arg;
	uint8_t prefix[CAR_PREFIX_MAX];
	ssize_t n = car_section_prefix(cid, len, prefix, sizeof(prefix));
	int rc = n < 0 ? (int)n : exporting->sink->write(exporting->sink->arg, prefix, (size_t)n);

	if (!rc)
		rc = exporting->sink->write(exporting->sink->arg, data, len);
	exporting->done += len;
	if (!rc && exporting->progress)
		exporting->progress(exporting->arg, exporting->done, exporting->total);
	return rc;
}

int kit_dag_export(struct kit_node *node, const char *path, const struct kit_sink *sink,
	void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg)
{
	struct exporting exporting = { .sink = sink, .progress = progress, .arg = arg };
	struct mf_pb_writer head = mf_pb_write_growing(128);
	struct kit_look look = { 0 };
	struct store_block first;
	struct mf_cid root;
	int rc;

	node->error[0] = 0;
	kit_blocks_open(&exporting.blocks, node);
	rc = kit_path_walk(&exporting.blocks, path, &root);
	/* Nothing is written of what cannot be had at all. */
	if (!rc && !(rc = kit_blocks_get(&exporting.blocks, &root, &first)))
		store_block_release(&first);
	if (!rc && progress && !(rc = kit_look(&exporting.blocks, &root, &look)))
		exporting.total = look.cumulative;
	anyio_free(look.target);
	if (!rc) {
		car_put_header(&head, &root, 1);
		ssize_t len = mf_pb_finish(&head);
		rc = len < 0 ? kit_fail_code(node, (int)len, "exporting")
			     : sink->write(sink->arg, head.data, (size_t)len);
	}
	free(head.data);
	if (!rc)
		rc = kit_walk(&exporting.blocks, &root, export_block, &exporting);
	if (!rc)
		rc = kit_blocks_sync(&exporting.blocks);
	kit_blocks_close(&exporting.blocks);
	return rc;
}

/* ---- Import: sections are gathered so that many are hashed and written at once. ---- */

enum { IMPORT_READ = 256 << 10, IMPORT_BYTES = 8 << 20, IMPORT_BLOCKS = 512 };

struct importing {
	struct kit_node *node;
	const struct kit_import_options *options;
	struct car_reader *reader;
	struct store_block *blocks;
	uint8_t *data;
	size_t count, used;
	struct kit_imported taken;
	uint64_t bytes; /* of the archive */
	struct mf_cid *roots;
	int *pins; /* what pinning each root gave */
	size_t root_count;
	store_ticket ticket;
};

static int import_flush(struct importing *importing)
{
	int rc = importing->count ? store_put_many(importing->node->core->store, importing->blocks,
					    importing->count, 0, &importing->ticket)
				  : 0;

	for (size_t i = 0; !rc && importing->node->core->bitswap && i < importing->count; i++)
		bitswap_have(importing->node->core->bitswap, &importing->blocks[i].cid);
	importing->taken.blocks += importing->count;
	importing->taken.bytes += importing->used;
	importing->count = importing->used = 0;
	return rc ? kit_fail_code(importing->node, rc, "importing") : 0;
}

static int import_header(struct importing *importing, const struct car_header *header)
{
	importing->roots = anyio_malloc(
		(header->root_count ? header->root_count : 1) * sizeof(*importing->roots));
	importing->pins = anyio_calloc(header->root_count + 1, sizeof(*importing->pins));
	if (!importing->roots || !importing->pins)
		return kit_fail_code(importing->node, -ENOMEM, "importing");
	importing->root_count = header->root_count;
	car_header_roots(header, importing->roots, header->root_count);
	return 0;
}

static int import_event(struct importing *importing, const struct car_event *event)
{
	int rc = 0;

	if (event->kind == CAR_HEADER)
		return import_header(importing, &event->header);
	if (event->cid.hash == MF_HASH_IDENTITY)
		return 0; /* carries its own bytes */
	if (event->len > IMPORT_BYTES - importing->used || importing->count == IMPORT_BLOCKS)
		rc = import_flush(importing);
	if (rc)
		return rc;
	memcpy(importing->data + importing->used, event->data, event->len);
	importing->blocks[importing->count++] = (struct store_block){
		.cid = event->cid, .data = importing->data + importing->used, .len = event->len
	};
	importing->used += event->len;
	return 0;
}

static int import_bytes(struct importing *importing, const struct kit_source *source)
{
	uint8_t *buffer = anyio_malloc(IMPORT_READ);
	int rc = buffer ? 0 : kit_fail_code(importing->node, -ENOMEM, "importing");
	ssize_t n = 0;

	while (!rc && (n = source->read(source->arg, buffer, IMPORT_READ)) > 0) {
		const uint8_t *data = buffer;
		size_t len = (size_t)n;
		struct car_event event;
		int more;
		while (!rc && (more = car_reader_next(importing->reader, &data, &len, &event)) != 0)
			rc = more < 0 ? kit_fail(importing->node, more,
						"this is not a well-formed CAR file: %s",
						anyio_error_text(more))
				      : import_event(importing, &event);
		importing->bytes += (uint64_t)n;
		if (!rc && importing->options->progress)
			importing->options->progress(importing->options->arg, importing->bytes, 0);
	}
	if (!rc && n < 0)
		rc = kit_fail_code(importing->node, (int)n, "reading the archive");
	if (!rc && car_reader_finish(importing->reader))
		rc = kit_fail(
			importing->node, -EBADMSG, "the CAR file ends in the middle of something");
	anyio_free(buffer);
	return rc ? rc : import_flush(importing);
}

static int keep_block(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	return 0;
}

/* A root is pinned only when all below it is here: fetching the rest is what pin add is for. */
static int import_roots(struct importing *importing)
{
	const struct kit_import_options *options = importing->options;
	int rc = 0;

	for (size_t i = 0; !rc && !options->no_pin && i < importing->root_count; i++) {
		struct kit_blocks blocks;
		if (importing->roots[i].hash == MF_HASH_IDENTITY)
			continue;
		kit_blocks_open(&blocks, importing->node);
		blocks.offline = true;
		int pin = kit_walk(&blocks, &importing->roots[i], keep_block, NULL);
		kit_blocks_close(&blocks);
		if (!pin)
			pin = store_pin_add(importing->node->core->store, &importing->roots[i],
				STORE_PIN_RECURSIVE, &importing->ticket);
		if (pin == ANYIO_CANCELLED || (pin && !options->root))
			rc = pin == ANYIO_CANCELLED
				? pin
				: kit_fail_code(importing->node, pin, "pinning a root");
		importing->pins[i] = pin;
	}
	return rc;
}

/* Told only when the pins are durable. */
static int report_roots(struct importing *importing)
{
	const struct kit_import_options *options = importing->options;
	int rc = 0;

	for (size_t i = 0; !rc && options->root && !options->no_pin && i < importing->root_count;
		i++)
		if (importing->roots[i].hash != MF_HASH_IDENTITY)
			rc = options->root(options->arg, &importing->roots[i], importing->pins[i]);
	return rc;
}

int kit_dag_import(struct kit_node *node, const struct kit_source *source,
	const struct kit_import_options *options, struct kit_imported *imported)
{
	static const struct kit_import_options none;
	struct importing importing = { .node = node, .options = options ? options : &none };
	int rc = car_reader_new(&importing.reader, false);

	node->error[0] = 0;
	importing.blocks = anyio_malloc(IMPORT_BLOCKS * sizeof(*importing.blocks));
	importing.data = anyio_malloc(IMPORT_BYTES);
	if (rc || !importing.blocks || !importing.data)
		rc = kit_fail_code(node, -ENOMEM, "importing");
	if (!rc)
		rc = import_bytes(&importing, source);
	if (!rc && (rc = store_sync(node->core->store, importing.ticket)))
		kit_fail_code(node, rc, "importing");
	if (!rc)
		rc = import_roots(&importing);
	if (!rc && (rc = store_sync(node->core->store, importing.ticket)))
		kit_fail_code(node, rc, "importing");
	if (!rc)
		rc = report_roots(&importing);
	if (imported)
		*imported = importing.taken;
	car_reader_free(importing.reader);
	anyio_free(importing.blocks);
	anyio_free(importing.data);
	anyio_free(importing.roots);
	anyio_free(importing.pins);
	return rc;
}
