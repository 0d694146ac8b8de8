/* Reading UnixFS: a file's bytes, what a node is, the entries of a folder. */
#include "node.h"

#include <errno.h>
#include <string.h>

/* Blocks asked for ahead: enough to keep a fast link full with small blocks; sessions bound bytes. */
enum { AHEAD = 256 };

static int explain(struct kit_blocks *blocks, const struct mf_cid *cid, int rc)
{
	char text[MF_CID_TEXT_MAX];

	if (rc == 0 || rc == ANYIO_CANCELLED)
		return rc;
	mf_cid_format(cid, text, sizeof(text));
	if (rc == -EISDIR)
		return kit_fail(blocks->node, rc, "%s is a folder", text);
	if (rc == -EBADMSG)
		return kit_fail(blocks->node, rc, "%s is not a well-formed UnixFS node", text);
	if (rc == -EPROTONOSUPPORT)
		return kit_fail(blocks->node, rc,
			"%s is not UnixFS; 'ipfs-kit block get' prints its bytes", text);
	if (rc == -ENOTSUP)
		return kit_fail(blocks->node, rc, "%s is a symlink", text);
	return kit_fail_code(blocks->node, rc, text);
}

struct copying {
	struct kit_blocks *blocks;
	struct unixfs_reader *reader;
	const struct kit_sink *sink;
	void (*progress)(void *arg, uint64_t done);
	void *arg;
	uint64_t done;
	struct mf_cid ahead[AHEAD];
	struct store_block got[32];
};

/* Feeds blocks that came together; those the reader does not ask for next are dropped. */
static int feed(struct copying *copying, size_t count)
{
	struct mf_pb_view bytes;
	struct mf_cid want;
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		struct store_block *block = &copying->got[i];
		if (!rc && unixfs_reader_want(copying->reader, &want) > 0 &&
			mf_cid_equal(&want, &copying->ahead[i])) {
			rc = unixfs_reader_feed(copying->reader, block->data, block->len, &bytes);
			if (rc)
				explain(copying->blocks, &want, rc);
			if (!rc && bytes.len) {
				rc = copying->sink->write(
					copying->sink->arg, bytes.data, bytes.len);
				copying->done += bytes.len;
				if (!rc && copying->progress)
					copying->progress(copying->arg, copying->done);
			}
		}
		store_block_release(block);
	}
	return rc;
}

int kit_file_copy(struct kit_blocks *blocks, const struct mf_cid *root, uint64_t offset,
	uint64_t length, const struct kit_sink *sink, void (*progress)(void *arg, uint64_t done),
	void *arg)
{
	struct copying *copying = anyio_malloc(sizeof(*copying));
	int rc = copying ? 0 : kit_fail_code(blocks->node, -ENOMEM, "reading");

	if (!rc) {
		*copying = (struct copying){
			.blocks = blocks, .sink = sink, .progress = progress, .arg = arg
		};
		rc = unixfs_reader_new(&copying->reader, root, offset, length);
		if (rc)
			kit_fail_code(blocks->node, rc, "reading");
	}
	while (!rc) {
		size_t got,
			count = unixfs_reader_window(
				copying->reader, copying->ahead, AHEAD, NULL, NULL);
		if (count == 0)
			break;
		rc = kit_blocks_get_some(blocks, copying->ahead, count, copying->got, &got);
		if (!rc)
			rc = feed(copying, got);
	}
	if (copying)
		unixfs_reader_free(copying->reader);
	anyio_free(copying);
	return rc;
}

int kit_look(struct kit_blocks *blocks, const struct mf_cid *cid, struct kit_look *look)
{
	struct store_block block;
	struct unixfs_node node;
	int rc = kit_blocks_get(blocks, cid, &block);

	*look = (struct kit_look){ .kind = KIT_OTHER };
	if (rc)
		return rc;
	look->block_size = look->cumulative = block.len;
	rc = unixfs_decode(&node, cid->codec, block.data, block.len);
	if (rc == -EPROTONOSUPPORT || (rc && cid->codec != MF_CODEC_DAG_PB)) {
		/* Another codec's block: its bytes are all we know of it. */
		look->size = block.len;
		store_block_release(&block);
		return 0;
	}
	if (!rc) {
		struct dag_pb_links links = dag_pb_links(&node.pb);
		struct dag_pb_link link;
		look->kind = node.type == UNIXFS_DIRECTORY || node.type == UNIXFS_HAMT_SHARD
			? KIT_DIRECTORY
			: node.type == UNIXFS_SYMLINK ? KIT_SYMLINK
						      : KIT_FILE;
		look->size = look->kind == KIT_SYMLINK ? node.data_len : node.file_size;
		look->meta = node.meta;
		while (!node.is_raw && dag_pb_next(&links, &link)) {
			look->links++;
			look->cumulative += link.tsize;
		}
		if (look->kind == KIT_SYMLINK && memchr(node.data, 0, node.data_len))
			rc = -EBADMSG;
		if (!rc && look->kind == KIT_SYMLINK) {
			look->target = anyio_malloc(node.data_len + 1);
			rc = look->target ? 0 : -ENOMEM;
			if (!rc) {
				memcpy(look->target, node.data, node.data_len);
				look->target[node.data_len] = 0;
			}
		}
	}
	store_block_release(&block);
	return explain(blocks, cid, rc);
}

int kit_directory_each(struct kit_blocks *blocks, const struct mf_cid *cid,
	int (*each)(void *arg, const struct unixfs_entry *entry), void *arg)
{
	struct unixfs_dir_reader *reader = NULL;
	struct unixfs_entry entry;
	struct mf_cid *ahead = anyio_malloc(AHEAD * sizeof(*ahead));
	size_t before = blocks->kept; /* by the folders around it */
	int rc = ahead ? unixfs_dir_reader_new(&reader, cid) : -ENOMEM;

	if (rc)
		kit_fail_code(blocks->node, rc, "listing");
	while (!rc) {
		int next = unixfs_dir_reader_next(reader, &entry);
		if (next == 0)
			break;
		if (next == 1) {
			rc = each(arg, &entry);
			continue;
		}
		struct store_block block;
		struct mf_cid want;
		size_t got, count;
		unixfs_dir_reader_want(reader, &want);
		count = unixfs_dir_reader_window(reader, ahead, AHEAD);
		if (count == 0 || !mf_cid_equal(&want, ahead))
			ahead[0] = want, count = 1;
		/* One at a time from the disk; from peers the others are asked for as well. */
		if (store_has(blocks->node->core->store, ahead) == 1)
			rc = kit_blocks_get(blocks, ahead, &block);
		else
			rc = kit_blocks_get_some(blocks, ahead, count, &block, &got);
		if (!rc) {
			rc = explain(blocks, &want,
				unixfs_dir_reader_feed(reader, block.data, block.len));
			store_block_release(&block);
			/* The reader has copies, for as long as each takes. */
			kit_blocks_keep(blocks, before + unixfs_dir_reader_held(reader));
		}
	}
	unixfs_dir_reader_free(reader);
	anyio_free(ahead);
	kit_blocks_keep(blocks, before);
	return rc;
}
