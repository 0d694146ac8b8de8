/*
 * CAR archives that come in. Of one that is read, sections are gathered, so that many are hashed and written at
 * once; a bad one ends the import: what came before it is kept, nothing is pinned. Of one that is adopted, the store
 * takes the file or leaves it.
 */
#include "pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMPORT_READ = 256 << 10, IMPORT_IN_PLACE = 64 << 10 };

struct importing {
	struct kit_node *node;
	const struct kit_import_options *options;
	struct car_reader *reader;
	struct pipeline pipeline;
	uint8_t *buffer;
	struct car_event block; /* being read */
	uint8_t *data;          /* where to; NULL: it carries its own bytes */
	size_t have;            /* of it */
	uint64_t bytes;         /* of the archive */
	struct mf_cid *roots;
	int *pins;    /* what pinning each root gave */
	char **words; /* and said, of those that failed */
	size_t root_count;
	store_ticket ticket;
};

static const char *why_bad(int rc)
{
	return rc == -EBADMSG            ? "its bytes do not match its CID"
		: rc == -EPROTONOSUPPORT ? "its hash function may not name blocks"
					 : anyio_error_text(rc);
}

static int explain_refusal(struct importing *importing)
{
	const struct pipeline *pipeline = &importing->pipeline;
	char text[MF_CID_TEXT_MAX];

	mf_cid_format(&pipeline->refused.cid, text, sizeof(text));
	return kit_fail(importing->node, pipeline->refused.rc,
		"block %s, at byte %llu of the archive, is bad: %s", text,
		(unsigned long long)pipeline->refused.place, why_bad(pipeline->refused.rc));
}

/* The import has failed, and mostly said why: keeps the blocks that were good, and says so too. Among those under
 * way there may be a bad one, the first then. */
static int keep_the_good(struct importing *importing, int rc)
{
	struct kit_node *node = importing->node;
	struct pipeline *pipeline = &importing->pipeline;
	int flushed = pipeline_flush(pipeline);

	if (flushed == ANYIO_CANCELLED)
		return flushed;
	if (pipeline->refused.rc)
		rc = explain_refusal(importing);
	else if (flushed)
		rc = kit_fail_code(node, flushed, "importing");
	bool kept = !kit_sync(node, pipeline->ticket);
	size_t len = strlen(node->error);

	if (kept && pipeline->taken.blocks)
		snprintf(node->error + len, sizeof(node->error) - len,
			", and nothing was pinned: the blocks before it (%llu) are in the repo",
			(unsigned long long)pipeline->taken.blocks);
	else
		snprintf(node->error + len, sizeof(node->error) - len, ", and nothing was %s",
			kept ? "imported" : "pinned");
	return rc;
}

static int import_header(struct importing *importing, const struct car_header *header)
{
	importing->roots = anyio_malloc(
		(header->root_count ? header->root_count : 1) * sizeof(*importing->roots));
	importing->pins = anyio_calloc(header->root_count + 1, sizeof(*importing->pins));
	importing->words = anyio_calloc(header->root_count + 1, sizeof(*importing->words));
	if (!importing->roots || !importing->pins || !importing->words)
		return kit_fail_code(importing->node, -ENOMEM, "importing");
	importing->root_count = header->root_count;
	car_header_roots(header, importing->roots, header->root_count);
	return 0;
}

/* Some bytes of the block, which may be where they belong. */
static void import_piece(struct importing *importing, const uint8_t *data, size_t len)
{
	const struct car_event *block = &importing->block;

	if (len && importing->data && data != importing->data + importing->have)
		memcpy(importing->data + importing->have, data, len);
	importing->have += len;
	if (importing->data && importing->have == block->len)
		pipeline_check(&importing->pipeline, &block->cid, importing->data, block->len,
			block->section_at);
}

static int import_event(struct importing *importing, const struct car_event *event)
{
	int rc = 0;

	if (event->kind == CAR_HEADER)
		return import_header(importing, &event->header);
	if (event->kind == CAR_BLOCK) {
		importing->block = *event;
		importing->data = NULL;
		importing->have = 0;
		if (event->cid.hash != MF_HASH_IDENTITY)
			rc = pipeline_room(&importing->pipeline, event->len, &importing->data);
	}
	if (rc)
		return kit_fail_code(importing->node, rc, "importing");
	import_piece(importing, event->data, event->have);
	return 0;
}

/* Where the next bytes of the archive go: what is left of a large block, where it belongs. */
static uint8_t *read_to(const struct importing *importing, size_t *size)
{
	size_t left = importing->block.len - importing->have;
	bool in_place = importing->data && left >= IMPORT_IN_PLACE;

	*size = in_place && left < IMPORT_READ ? left : IMPORT_READ;
	return in_place ? importing->data + importing->have : importing->buffer;
}

/* at: where the section starts that could not be read, 0 in the header. */
static int malformed(struct importing *importing, uint64_t at, int rc)
{
	return kit_fail(importing->node, rc,
		"this is not a well-formed CAR file: %s, in the %s at byte %llu",
		rc == -EMSGSIZE          ? "a length is over the limit"
			: rc == -EBADMSG ? "bytes that make no sense"
					 : anyio_error_text(rc),
		at ? "section" : "header", (unsigned long long)at);
}

/* All of it is in the log. */
static int import_end(struct importing *importing)
{
	int rc = pipeline_flush(&importing->pipeline);

	return rc ? rc : importing->pipeline.refused.rc;
}

static int import_bytes(struct importing *importing, const struct kit_source *source)
{
	size_t size;
	uint8_t *buffer = read_to(importing, &size);
	ssize_t n;
	int rc = 0;

	while (!rc && (n = source->read(source->arg, buffer, size)) > 0) {
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
		buffer = read_to(importing, &size);
	}
	if (!rc && n < 0)
		rc = kit_fail_code(importing->node, (int)n, "reading the archive");
	if (!rc && !importing->bytes)
		rc = kit_fail(importing->node, -EBADMSG, "the CAR file is empty");
	else if (!rc && car_reader_finish(importing->reader))
		rc = kit_fail(importing->node, -EBADMSG,
			"the CAR file ends, at byte %llu, in the middle of something",
			(unsigned long long)importing->bytes);
	return rc ? rc : import_end(importing);
}

/* Keeps what was said of a root, which the next would say over. Without memory for it its code must do. */
static void keep_words(struct importing *importing, size_t i)
{
	size_t size = strlen(importing->node->error) + 1;

	importing->words[i] = anyio_malloc(size);
	if (importing->words[i])
		memcpy(importing->words[i], importing->node->error, size);
}

static void free_roots(struct importing *importing)
{
	for (size_t i = 0; importing->words && i < importing->root_count; i++)
		anyio_free(importing->words[i]);
	anyio_free(importing->words);
	anyio_free(importing->roots);
	anyio_free(importing->pins);
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
		blocks.offline = blocks.imported = true;
		importing->node->error[0] = 0;
		int pin = kit_pin_below(&blocks, &importing->roots[i], &importing->ticket);
		kit_blocks_close(&blocks);
		if (pin && (!options->root || !kit_pin_is_of_content(pin)))
			rc = pin;
		else if (pin)
			keep_words(importing, i);
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
		i++) {
		if (importing->roots[i].hash == MF_HASH_IDENTITY)
			continue;
		int pin = importing->pins[i];
		const char *words = importing->words[i];
		kit_fail(importing->node, pin, "%s",
			!pin                      ? ""
				: words && *words ? words
						  : anyio_error_text(pin));
		rc = options->root(options->arg, &importing->roots[i], importing->pins[i]);
	}
	return rc;
}

/* The blocks, durable. */
static int import_blocks(
	struct importing *importing, const struct kit_source *source, struct kit_imported *imported)
{
	struct kit_node *node = importing->node;
	int rc = pipeline_begin_checking(&importing->pipeline, node);

	if (rc)
		return kit_fail_code(node, rc, "importing");
	rc = import_bytes(importing, source);
	if (rc && rc != ANYIO_CANCELLED)
		rc = keep_the_good(importing, rc);
	rc = pipeline_end(&importing->pipeline, rc);
	if (imported)
		*imported = importing->pipeline.taken;
	if (!rc && (rc = kit_sync(node, importing->pipeline.ticket)))
		kit_fail_code(node, rc, "importing");
	return rc;
}

int kit_dag_import(struct kit_node *node, const struct kit_source *source,
	const struct kit_import_options *options, struct kit_imported *imported)
{
	static const struct kit_import_options none;
	struct importing importing = { .node = node, .options = options ? options : &none };
	struct store_lease lease;
	int rc = car_reader_new(&importing.reader, false);

	if (imported)
		*imported = (struct kit_imported){ 0 };
	if (!rc && !(importing.buffer = anyio_malloc(IMPORT_READ)))
		rc = -ENOMEM;
	if (rc) {
		car_reader_free(importing.reader);
		return kit_fail_code(node, rc, "importing");
	}
	car_reader_in_pieces(importing.reader);
	kit_writing_begin(node, &lease);
	rc = import_blocks(&importing, source, imported);
	if (!rc)
		rc = import_roots(&importing);
	if (!rc && (rc = kit_sync(node, importing.ticket)))
		kit_fail_code(node, rc, "importing");
	if (!rc)
		rc = report_roots(&importing);
	store_lease_end(&lease);
	car_reader_free(importing.reader);
	anyio_free(importing.buffer);
	free_roots(&importing);
	return rc;
}

/* ---- Adopting ---- */

struct adopting {
	struct importing importing;
	const struct kit_adopt_options *options;
};

static int adopt_roots(void *arg, const struct mf_cid *roots, size_t count)
{
	struct importing *importing = &((struct adopting *)arg)->importing;

	importing->roots = anyio_malloc((count + 1) * sizeof(*roots));
	importing->pins = anyio_calloc(count + 1, sizeof(*importing->pins));
	importing->words = anyio_calloc(count + 1, sizeof(*importing->words));
	if (!importing->roots || !importing->pins || !importing->words)
		return -ENOMEM;
	if (count)
		memcpy(importing->roots, roots, count * sizeof(*roots));
	importing->root_count = count;
	return 0;
}

static int adopt_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct kit_import_options *options = ((struct adopting *)arg)->importing.options;

	if (options->progress)
		options->progress(options->arg, done, total);
	return 0;
}

/* Big ones are offered to nobody. */
static void adopt_entered(void *arg, const struct mf_cid *cid, uint32_t len)
{
	struct kit_core *core = ((struct adopting *)arg)->importing.node->core;

	if (core->bitswap && len <= IPLD_BLOCK_MAX)
		bitswap_have(core->bitswap, cid);
}

/* Why the store did not take it, and where. */
static int explain_adoption(
	const struct adopting *adopting, const struct store_adopt_result *result, int rc)
{
	struct kit_node *node = adopting->importing.node;
	unsigned long long at = result->at;
	char text[MF_CID_TEXT_MAX];

	if (result->has_cid)
		mf_cid_format(&result->cid, text, sizeof(text));
	switch (rc) {
	case -EMSGSIZE:
		if (!result->has_cid)
			break;
		return kit_fail(node, rc,
			adopting->options->big_blocks
				? "block %s, at byte %llu of the file, is over 8 MiB; nothing was taken in"
				: "block %s, at byte %llu of the file, is over 2 MiB; --allow-big-block takes such, up to 8 MiB",
			text, at);
	case -EBADMSG:
		if (!result->has_cid)
			return kit_fail(node, rc,
				"this is not a well-formed CAR file, or it is cut short: at byte %llu; nothing was taken in",
				at);
		return kit_fail(node, rc,
			"block %s, at byte %llu of the file, is bad: %s; nothing was taken in",
			text, at, result->cut ? "the file ends inside of it" : why_bad(rc));
	case -EPROTONOSUPPORT:
		return kit_fail(node, rc,
			"block %s, at byte %llu of the file, is bad: %s; nothing was taken in",
			text, at, why_bad(rc));
	case -ESTALE:
		return kit_fail(
			node, rc, "the file was written to meanwhile; adopt it when nobody does");
	case ANYIO_NOT_A_FILE:
		return kit_fail(
			node, rc, "only a regular file can be adopted; import it without --adopt");
	case -EXDEV:
		return kit_fail(node, rc,
			"no link can lead to another file system; use --adopt, which copies where it must");
	case -EPERM:
		return kit_fail(node, rc,
			"only a file of your own can be linked, where the file system has links; use --adopt, which copies where it must");
	case -EINVAL:
		return kit_fail(node, rc,
			"this is a file of the repo itself, which writes to it; use --adopt, which copies where it must");
	}
	return kit_fail_code(node, rc, "adopting");
}

static int adopt(struct adopting *adopting, int fd, struct kit_imported *imported)
{
	struct importing *importing = &adopting->importing;
	struct kit_node *node = importing->node;
	struct store_adopt_options options = { .link = adopting->options->link,
		.big = adopting->options->big_blocks,
		.progress = adopt_progress,
		.roots = adopt_roots,
		.entered = adopt_entered,
		.arg = adopting };
	struct store_adopt_result result;
	int rc = store_adopt(node->core->store, fd, &options, &result);

	if (rc)
		return rc == ANYIO_CANCELLED ? rc : explain_adoption(adopting, &result, rc);
	if (imported)
		*imported = (struct kit_imported){ .blocks = result.blocks, .bytes = result.bytes };
	rc = import_roots(importing);
	if (!rc && (rc = kit_sync(node, importing->ticket)))
		kit_fail_code(node, rc, "importing");
	return rc ? rc : report_roots(importing);
}

int kit_dag_adopt(struct kit_node *node, int fd, const struct kit_adopt_options *options,
	struct kit_imported *imported)
{
	static const struct kit_adopt_options none;
	struct adopting adopting = { .options = options ? options : &none };
	struct store_lease lease;

	if (imported)
		*imported = (struct kit_imported){ 0 };
	adopting.importing.node = node;
	adopting.importing.options = &adopting.options->import;
	kit_writing_begin(node, &lease);
	int rc = adopt(&adopting, fd, imported);
	store_lease_end(&lease);
	free_roots(&adopting.importing);
	return rc;
}
