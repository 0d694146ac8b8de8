/*
 * CAR archives: all below a root as one, and the blocks of one into the store. Of an archive that comes in
 * sections are gathered, so that many are hashed and written at once. A bad one ends the import: what came
 * before it is kept, nothing is pinned.
 */
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/gate.h>
#include <string.h>

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
	int rc = kit_reading_begin(node, path, &exporting.blocks, &root);

	exporting.blocks.reads = rc == 0;
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
	/* The total counted what repeats each time. */
	if (!rc && progress)
		progress(arg, exporting.done, exporting.done);
	return kit_reading_end(&exporting.blocks, rc);
}

/* ---- Import ---- */

enum { IMPORT_READ = 256 << 10, IMPORT_BYTES = 8 << 20, IMPORT_BLOCKS = 512 };

struct importing {
	struct kit_node *node;
	const struct kit_import_options *options;
	struct car_reader *reader;
	struct store_block *blocks;
	uint64_t *places; /* of their sections in the archive */
	uint8_t *data;
	size_t count, used;
	struct kit_imported taken;
	uint64_t bytes; /* of the archive */
	struct mf_cid *roots;
	int *pins; /* what pinning each root gave */
	size_t root_count;
	store_ticket ticket;
};

static int put_gathered(struct importing *importing)
{
	struct kit_core *core = importing->node->core;
	int rc = importing->count ? store_put_many(core->store, importing->blocks, importing->count,
					    0, &importing->ticket)
				  : 0;

	if (rc)
		return rc;
	for (size_t i = 0; core->bitswap && i < importing->count; i++)
		bitswap_have(core->bitswap, &importing->blocks[i].cid);
	importing->taken.blocks += importing->count;
	importing->taken.bytes += importing->used;
	importing->count = importing->used = 0;
	return 0;
}

static const char *why_bad(int rc)
{
	return rc == -EBADMSG            ? "its bytes do not match its CID"
		: rc == -EPROTONOSUPPORT ? "its hash function may not name blocks"
					 : anyio_error_text(rc);
}

/* The store does not tell which of many blocks did not pass. What stands before the bad one stays
 * gathered. */
static int explain_refusal(struct importing *importing, int rc)
{
	char text[MF_CID_TEXT_MAX];
	int results[IMPORT_BLOCKS],
		checked = store_gate_check(importing->blocks, importing->count, results);

	if (checked == ANYIO_CANCELLED)
		return checked;
	for (size_t i = 0; !checked && i < importing->count; i++) {
		const struct store_block *block = &importing->blocks[i];
		int bad = results[i];
		if (!bad)
			continue;
		importing->count = i;
		importing->used = (size_t)((const uint8_t *)block->data - importing->data);
		mf_cid_format(&block->cid, text, sizeof(text));
		return kit_fail(importing->node, bad,
			"block %s, at byte %llu of the archive, is bad: %s", text,
			(unsigned long long)importing->places[i], why_bad(bad));
	}
	importing->count = importing->used = 0;
	return kit_fail_code(importing->node, rc, "importing");
}

static int import_flush(struct importing *importing)
{
	int rc = put_gathered(importing);

	return !rc || rc == ANYIO_CANCELLED ? rc : explain_refusal(importing, rc);
}

/* The import has failed and said why: keeps the blocks that were good, and says so too. Among those still
 * gathered there may be a bad one, the first then. */
static int keep_the_good(struct importing *importing, int rc)
{
	struct kit_node *node = importing->node;
	int earlier = import_flush(importing);
	bool kept = earlier != ANYIO_CANCELLED && !put_gathered(importing) &&
		!kit_sync(node, importing->ticket);
	size_t len = strlen(node->error);

	if (kept && importing->taken.blocks)
		snprintf(node->error + len, sizeof(node->error) - len,
			", and nothing was pinned: the blocks before it (%llu) are in the repo",
			(unsigned long long)importing->taken.blocks);
	else
		snprintf(node->error + len, sizeof(node->error) - len, ", and nothing was %s",
			kept ? "imported" : "pinned");
	return earlier ? earlier : rc;
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
	importing->places[importing->count] = event->section_at;
	importing->blocks[importing->count++] = (struct store_block){
		.cid = event->cid, .data = importing->data + importing->used, .len = event->len
	};
	importing->used += event->len;
	return 0;
}

/* at: where the section starts that could not be read, 0 in the header. */
static int malformed(struct importing *importing, uint64_t at, int rc)
{
	return kit_fail(importing->node, rc,
		"this is not a well-formed CAR file: %s, in the %s at byte %llu",
		rc == -EMSGSIZE ? "a length is over the limit" : anyio_error_text(rc),
		at ? "section" : "header", (unsigned long long)at);
}

static int import_bytes(struct importing *importing, const struct kit_source *source)
{
	uint8_t *buffer = anyio_malloc(IMPORT_READ);
	int rc = buffer ? 0 : kit_fail_code(importing->node, -ENOMEM, "importing");
	ssize_t n = 0;

	while (!rc && (n = source->read(source->arg, buffer, IMPORT_READ)) > 0) {
		const uint8_t *data = buffer;
		size_t len = (size_t)n;
		struct car_event event = { 0 };
		int more;
		while (!rc && (more = car_reader_next(importing->reader, &data, &len, &event)) != 0)
			rc = more == -ENOMEM ? kit_fail_code(importing->node, more, "importing")
				: more < 0   ? malformed(importing, event.section_at, more)
					     : import_event(importing, &event);
		importing->bytes += (uint64_t)n;
		if (!rc && importing->options->progress)
			importing->options->progress(importing->options->arg, importing->bytes, 0);
	}
	if (!rc && n < 0)
		rc = kit_fail_code(importing->node, (int)n, "reading the archive");
	if (!rc && car_reader_finish(importing->reader))
		rc = kit_fail(importing->node, -EBADMSG,
			"the CAR file ends, at byte %llu, in the middle of something",
			(unsigned long long)importing->bytes);
	anyio_free(buffer);
	return rc ? rc : import_flush(importing);
}

/* A root is pinned only when all below it is here: fetching the rest is what pin add is for. The node's
 * own trouble ends the import. */
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
		int pin = kit_pin_below(&blocks, &importing->roots[i], &importing->ticket);
		kit_blocks_close(&blocks);
		if (pin && (!options->root || !kit_pin_is_of_content(pin)))
			rc = pin;
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
	struct store_lease lease;
	int rc = car_reader_new(&importing.reader, false);

	kit_writing_begin(node, &lease);
	importing.blocks = anyio_malloc(IMPORT_BLOCKS * sizeof(*importing.blocks));
	importing.places = anyio_malloc(IMPORT_BLOCKS * sizeof(*importing.places));
	importing.data = anyio_malloc(IMPORT_BYTES);
	if (rc || !importing.blocks || !importing.places || !importing.data)
		rc = kit_fail_code(node, -ENOMEM, "importing");
	if (!rc && (rc = import_bytes(&importing, source)) && rc != ANYIO_CANCELLED)
		rc = keep_the_good(&importing, rc);
	if (!rc && (rc = kit_sync(node, importing.ticket)))
		kit_fail_code(node, rc, "importing");
	if (!rc)
		rc = import_roots(&importing);
	if (!rc && (rc = kit_sync(node, importing.ticket)))
		kit_fail_code(node, rc, "importing");
	if (!rc)
		rc = report_roots(&importing);
	store_lease_end(&lease);
	if (imported)
		*imported = importing.taken;
	car_reader_free(importing.reader);
	anyio_free(importing.blocks);
	anyio_free(importing.places);
	anyio_free(importing.data);
	anyio_free(importing.roots);
	anyio_free(importing.pins);
	return rc;
}
