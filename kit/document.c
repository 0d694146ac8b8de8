/*
 * Blocks as documents of the IPLD data model: read at the end of a path that leads through their fields
 * and links, and stored. Paths are Kubo's: under /ipfs/ the names in folders, and of links in any other
 * dag-pb node, lead on; under /ipld/ dag-pb has the fields Data and Links like any document.
 */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t codec;
} codecs[] = { { "raw", MF_CODEC_RAW }, { "dag-pb", MF_CODEC_DAG_PB },
	{ "dag-cbor", MF_CODEC_DAG_CBOR }, { "dag-json", MF_CODEC_DAG_JSON },
	{ "cbor", MF_CODEC_CBOR }, { "json", MF_CODEC_JSON }, { "protobuf", MF_CODEC_DAG_PB },
	{ "v0", MF_CODEC_DAG_PB } };
enum { CODECS = sizeof(codecs) / sizeof(*codecs) };

uint32_t kit_codec_of(const char *name)
{
	for (size_t i = 0; i < CODECS; i++)
		if (!strcmp(codecs[i].name, name))
			return codecs[i].codec;
	return 0;
}

static const char *codec_name(uint32_t codec)
{
	for (size_t i = 0; i < CODECS; i++)
		if (codecs[i].codec == codec)
			return codecs[i].name;
	return "another codec";
}

static int too_large(struct kit_node *node, const char *what)
{
	return kit_fail(node, -EMSGSIZE, "%s is nested deeper than %d, or has more than %d values",
		what, IPLD_DEPTH_MAX, IPLD_DOC_NODES_MAX);
}

/* ---- Reading ---- */

/* Where a path has got to: a block, and once it is loaded a value in it. */
struct spot {
	struct kit_blocks *blocks;
	const char *path;
	bool plain; /* dag-pb too is walked by its fields */
	struct mf_cid cid;
	bool loaded;
	struct store_block block;
	struct ipld_doc doc;
	ipld_ref at;
};

static void unload(struct spot *spot)
{
	if (!spot->loaded)
		return;
	ipld_doc_free(&spot->doc);
	store_block_release(&spot->block);
	spot->loaded = false;
}

static int load(struct spot *spot)
{
	struct kit_node *node = spot->blocks->node;
	char text[MF_CID_TEXT_MAX];
	int rc = spot->loaded ? 0 : kit_blocks_get(spot->blocks, &spot->cid, &spot->block);

	if (rc || spot->loaded)
		return rc;
	spot->loaded = true;
	spot->at = 0;
	rc = ipld_doc_decode(&spot->doc, spot->cid.codec, spot->block.data, spot->block.len);
	if (!rc)
		return 0;
	mf_cid_format(&spot->cid, text, sizeof(text));
	if (rc == -EPROTONOSUPPORT)
		return kit_fail(node, rc,
			"%s is %s, which is not read as a document; 'ipfs-kit block get' prints its bytes",
			text, codec_name(spot->cid.codec));
	if (rc == -EBADMSG)
		return kit_fail(
			node, rc, "%s is not well-formed %s", text, codec_name(spot->cid.codec));
	if (rc == -EMSGSIZE)
		return too_large(node, text);
	return kit_fail_code(node, rc, text);
}

static int follow(struct spot *spot)
{
	const struct ipld_node *link = &spot->doc.nodes[spot->at];
	struct mf_cid cid;

	if (link->kind != IPLD_LINK)
		return 0;
	if (mf_cid_decode(&cid, link->data, link->len) < 0)
		return kit_fail_code(spot->blocks->node, -EBADMSG, spot->path);
	unload(spot);
	spot->cid = cid;
	return 0;
}

/* The target of the first link of that name. */
static ipld_ref link_named(const struct ipld_doc *doc, const char *name, size_t len)
{
	ipld_ref links = ipld_doc_find(doc, 0, "Links", 5);
	ipld_ref link = links == IPLD_NONE ? IPLD_NONE : doc->nodes[links].first;

	for (; link != IPLD_NONE; link = doc->nodes[link].next) {
		ipld_ref its = ipld_doc_find(doc, link, "Name", 4);
		if (its != IPLD_NONE && doc->nodes[its].len == len &&
			!memcmp(doc->nodes[its].data, name, len))
			return ipld_doc_find(doc, link, "Hash", 4);
	}
	return IPLD_NONE;
}

static int no_such(struct spot *spot, const char *name, size_t len)
{
	/* The name is a part of the path. */
	return kit_fail(spot->blocks->node, -ENOENT, "%s: no field or link named '%.*s' under %.*s",
		spot->path, (int)len, name, (int)(name - spot->path - 1), spot->path);
}

static int step(struct spot *spot, const char *name, size_t len)
{
	bool by_name = !spot->loaded && !spot->plain && spot->cid.codec == MF_CODEC_DAG_PB;
	bool explained;

	if (by_name) {
		int rc = kit_path_step(spot->blocks, &spot->cid, name, len, &explained);
		if (!rc || explained)
			return rc;
		/* What is not UnixFS has links with names all the same. */
		if (rc != -EPROTONOSUPPORT && rc != -EBADMSG)
			return no_such(spot, name, len);
	}
	int rc = load(spot);
	if (rc)
		return rc;
	spot->at = by_name ? link_named(&spot->doc, name, len)
			   : ipld_doc_step(&spot->doc, spot->at, name, len);
	return spot->at == IPLD_NONE ? no_such(spot, name, len) : follow(spot);
}

static int find(struct spot *spot)
{
	const char *rest, *path = spot->path;
	int rc;

	spot->plain = !strncmp(path, "/ipld/", 6);
	if (spot->plain)
		path += 6;
	rc = kit_path_parse(spot->blocks->node, path, &spot->cid, &rest);
	spot->blocks->root = spot->cid;
	spot->blocks->reads = rc == 0;
	while (!rc && *rest) {
		size_t len = strcspn(rest, "/");
		rc = step(spot, rest, len);
		rest += len;
		while (*rest == '/')
			rest++;
	}
	return rc ? rc : load(spot);
}

static int encode(struct spot *spot, uint32_t codec, struct mf_pb_writer *out)
{
	struct kit_node *node = spot->blocks->node;

	*out = mf_pb_write_growing(spot->block.len + 1);
	ipld_doc_narrow(&spot->doc, spot->at);
	int rc = ipld_doc_encode(&spot->doc, codec, out);
	ssize_t len = rc ? 0 : mf_pb_finish(out);
	if (rc == -EBADMSG)
		kit_fail(node, rc,
			"%s has no form in %s; choose another output codec, such as dag-json",
			spot->path, codec_name(codec));
	else if (rc == -EPROTONOSUPPORT)
		kit_fail(node, rc, "documents are not written as %s", codec_name(codec));
	else if (rc || len < 0)
		rc = kit_fail_code(node, rc ? rc : (int)len, spot->path);
	return rc;
}

/* The text of what the path leads to; nothing else of it stays in memory. */
static int make_text(struct spot *spot, uint32_t codec, struct mf_pb_writer *out)
{
	int rc = find(spot);

	if (!rc)
		rc = encode(spot, codec, out);
	unload(spot);
	return rc;
}

/* The text may be many times as long as the block, and its taker may take long: it is kept only with
 * room for all of it. Who must wait for that waits without it, and makes it anew. */
static int make_text_in_room(struct spot *spot, uint32_t codec, struct mf_pb_writer *out)
{
	int rc = make_text(spot, codec, out);

	if (rc || kit_blocks_keep(spot->blocks, out->len))
		return rc;
	size_t len = out->len;
	free(out->data);
	*out = (struct mf_pb_writer){ 0 };
	rc = kit_blocks_wait_to_keep(spot->blocks, len);
	return rc ? rc : make_text(spot, codec, out);
}

int kit_dag_get(
	struct kit_node *node, const char *path, uint32_t codec, const struct kit_sink *sink)
{
	struct kit_blocks blocks;
	struct spot spot = { .blocks = &blocks, .path = path };
	struct mf_pb_writer text = { 0 };

	node->error[0] = 0;
	kit_blocks_open(&blocks, node);
	int rc = make_text_in_room(&spot, codec, &text);
	if (!rc)
		rc = kit_blocks_sync(&blocks);
	if (!rc)
		rc = sink->write(sink->arg, text.data, text.len);
	free(text.data);
	kit_blocks_close(&blocks);
	return rc;
}

/* ---- Storing ---- */

static bool is_well_formed(uint32_t codec, const void *data, size_t len)
{
	struct ipld_doc doc;
	int rc = ipld_doc_decode(&doc, codec, data, len);

	ipld_doc_free(&doc);
	return rc == 0;
}

int kit_dag_put(struct kit_node *node, const struct kit_dag_put_options *options, const void *data,
	size_t len, struct mf_cid *cid)
{
	uint32_t from = options->input_codec ? options->input_codec : MF_CODEC_DAG_JSON;
	uint32_t to = options->store_codec ? options->store_codec : MF_CODEC_DAG_CBOR;
	uint8_t *block = NULL;
	size_t block_len = 0;

	node->error[0] = 0;
	int rc = ipld_transcode(from, data, len, to, &block, &block_len);
	if (rc == -EBADMSG)
		return is_well_formed(from, data, len)
			? kit_fail(node, rc,
				  "this document has no form in %s; choose another codec to store it in, such as dag-cbor",
				  codec_name(to))
			: kit_fail(node, rc, "this is not well-formed %s", codec_name(from));
	if (rc == -EPROTONOSUPPORT)
		return kit_fail(node, rc,
			"documents are not read as %s or not written as %s; there are dag-json, dag-cbor, dag-pb and raw",
			codec_name(from), codec_name(to));
	if (rc == -EMSGSIZE)
		return too_large(node, "this document");
	if (rc)
		return kit_fail_code(node, rc, "the document");
	rc = kit_block_put(node, to, options->hash ? options->hash : MF_HASH_SHA2_256, 1, block,
		block_len, options->pin, cid);
	free(block);
	return rc;
}
