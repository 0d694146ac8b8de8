/*
 * Taking over a Kubo repo. Its blocks lie in a flatfs: DIR/blocks/XX/KEY.data, KEY being the block's
 * multihash in base32. That alone names a block, here as there, so they are put as raw blocks. Each
 * passes the gate. Nothing in DIR is changed; what is here already is not read again.
 */
#include "migrate.h"

#include <errno.h>
#include <jansson.h>
#include <multiformats/multibase.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <anyio/plain.h>

enum {
	ITEMS = 1024,
	BUFFER = 16 << 20,
	SPEC_MAX = 64 << 10,
	SYNC_EVERY = 128 << 20,
	NAME_MAX_BYTES = 255
};

/* A file to read: what its name says, and what came of it. */
struct item {
	char name[NAME_MAX_BYTES + 1];
	struct mf_cid cid;
	int rc;
	uint8_t *data;
	size_t len;
};

struct migrating {
	struct kit_node *node;
	const struct kit_migrate_options *options;
	struct kit_migrated *result;
	char blocks[4096], datastore[4096]; /* folders */
	int dir;                            /* the shard being read */
	struct item *items;
	size_t count, from, to; /* items; [from, to) are in the buffer */
	uint8_t *buffer;
	uint64_t bytes, unsynced;
	store_ticket ticket;
	struct migrate_pins pins;
};

static void problem(struct migrating *m, const char *name, const char *text)
{
	m->result->bad++;
	if (m->options->problem)
		m->options->problem(m->options->arg, name, text);
}

/* ---- Is it a repo we can read, and nobody else's now? ---- */

/* A small file of Kubo's as text: its length, or a negative code; -EFBIG when text does not hold it. */
static ssize_t read_text(const char *path, char *text, size_t cap)
{
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return fd;
	while (len < cap && (n = read(fd, text + len, cap - len)) > 0)
		len += (size_t)n;
	int rc = n < 0 ? -errno : len == cap ? -EFBIG : 0;
	close(fd);
	text[rc ? 0 : len] = 0;
	return rc ? rc : (ssize_t)len;
}

static int check_idle(struct migrating *m, const char *kubo)
{
	char path[4200];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	snprintf(path, sizeof(path), "%s/repo.lock", kubo);
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);
	if (fd == ANYIO_NOT_A_FILE)
		return kit_fail_code(m->node, fd, path);
	bool held = fd >= 0 && !fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK;
	if (fd >= 0 && !held) {
		held = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
		if (!held)
			flock(fd, LOCK_UN);
	}
	if (fd >= 0)
		close(fd);
	if (held)
		return kit_fail(
			m->node, -EBUSY, "Kubo is using %s; stop it first ('ipfs shutdown')", kubo);
	snprintf(path, sizeof(path), "%s/api", kubo);
	if (!access(path, F_OK))
		return kit_fail(m->node, -EBUSY,
			"%s tells of a running daemon; stop it first ('ipfs shutdown'), or remove that file if none runs",
			path);
	return 0;
}

static int folder_of(char *out, size_t cap, const char *kubo, const char *path)
{
	int n = path[0] == '/' ? snprintf(out, cap, "%s", path)
			       : snprintf(out, cap, "%s/%s", kubo, path);

	return n < (int)cap ? 0 : -ENAMETOOLONG;
}

/* {"type": "mount", "mounts": [{"mountpoint": "/blocks", "type": "flatfs", "path": "blocks"}, ...]} */
static int read_spec(struct migrating *m, const char *kubo)
{
	char path[4200];
	json_t *spec, *mount;
	size_t i;
	int rc = 0;

	snprintf(path, sizeof(path), "%s/datastore_spec", kubo);
	char *text = anyio_malloc(SPEC_MAX);
	ssize_t len = text ? read_text(path, text, SPEC_MAX) : -ENOMEM;
	spec = len < 0 ? NULL : json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, NULL);
	anyio_free(text);
	if (len < 0 && len != -ENOENT)
		return kit_fail_code(m->node, (int)len, path);
	if (!spec)
		return kit_fail(m->node, -ENOENT,
			"%s is not a Kubo repo: there is no readable datastore_spec", kubo);
	json_array_foreach (json_object_get(spec, "mounts"), i, mount) {
		const char *point = json_string_value(json_object_get(mount, "mountpoint"));
		const char *type = json_string_value(json_object_get(mount, "type"));
		const char *folder = json_string_value(json_object_get(mount, "path"));
		if (!point || !type || !folder || rc)
			continue;
		if (!strcmp(point, "/blocks") && !strcmp(type, "flatfs"))
			rc = folder_of(m->blocks, sizeof(m->blocks), kubo, folder);
		else if (!strcmp(point, "/") && !strcmp(type, "levelds"))
			rc = folder_of(m->datastore, sizeof(m->datastore), kubo, folder);
	}
	json_decref(spec);
	if (rc || !m->blocks[0] || !m->datastore[0])
		return kit_fail(m->node, -ENOTSUP,
			"%s keeps its blocks or pins in another way than flatfs and LevelDB; "
			"'ipfs dag export' and 'ipfs-kit dag import' move content one root at a time",
			kubo);
	return 0;
}

static int check_sharding(struct migrating *m)
{
	static const char prefix[] = "/repo/flatfs/shard/v1/";
	char path[4200], text[128];

	snprintf(path, sizeof(path), "%s/SHARDING", m->blocks);
	ssize_t len = read_text(path, text, sizeof(text));
	if (len < 0 && len != -ENOENT && len != -EFBIG)
		return kit_fail_code(m->node, (int)len, path);
	if (len < 0 || strncmp(text, prefix, strlen(prefix)))
		return kit_fail(
			m->node, -ENOTSUP, "%s is not a flatfs whose layout is known", path);
	return 0;
}

/* ---- Blocks ---- */

/* The multihash that a file's name spells. */
static int cid_of_name(const char *name, size_t len, struct mf_cid *cid)
{
	char text[NAME_MAX_BYTES + 2];
	uint8_t bytes[MF_CID_BYTES_MAX + 64] = { 1, MF_CODEC_RAW };
	uint32_t base;

	snprintf(text, sizeof(text), "B%.*s", (int)len, name);
	ssize_t n = mf_multibase_decode(&base, text, len + 1, bytes + 2, sizeof(bytes) - 2);
	return n > 0 && mf_cid_decode(cid, bytes, (size_t)n + 2) == n + 2 ? 0 : -EBADMSG;
}

static int read_item(struct migrating *m, struct item *item, size_t *used)
{
	int fd = anyio_plain_openat_blocking(m->dir, item->name, O_RDONLY, 0);
	struct stat st;
	int rc = fd < 0 ? fd : fstat(fd, &st) ? -errno : 0;

	if (!rc && st.st_size > IPLD_BLOCK_MAX)
		rc = -EMSGSIZE;
	if (!rc && *used + (size_t)st.st_size > BUFFER) {
		close(fd);
		return -ENOBUFS;
	}
	item->data = m->buffer + *used;
	for (item->len = 0; !rc && item->len < (size_t)st.st_size;) {
		ssize_t n = read(fd, item->data + item->len, (size_t)st.st_size - item->len);
		if (n <= 0)
			rc = n ? -errno : -EBADMSG;
		else
			item->len += (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	*used += item->len;
	item->rc = rc;
	return 0;
}

/* On a worker thread: as many files as the buffer holds. */
static int read_items(void *arg)
{
	struct migrating *m = arg;
	size_t used = 0;

	for (m->to = m->from; m->to < m->count; m->to++)
		if (read_item(m, &m->items[m->to], &used))
			break;
	return 0;
}

static int put_one(struct migrating *m, const struct item *item)
{
	int rc = store_put(m->node->core->store, &item->cid, item->data, item->len, 0, &m->ticket);

	if (rc == -EBADMSG || rc == -EPROTONOSUPPORT || rc == -EMSGSIZE) {
		problem(m, item->name,
			rc == -EBADMSG ? "damaged: the bytes are not what the name says"
				       : anyio_error_text(rc));
		return 0;
	}
	m->result->blocks += !rc;
	return rc;
}

static int put_one_by_one(struct migrating *m)
{
	int rc = 0;

	for (size_t i = m->from; !rc && i < m->to; i++)
		if (!m->items[i].rc)
			rc = put_one(m, &m->items[i]);
	return rc;
}

/* All at once; when one of them is bad, one by one. */
static int put_items(struct migrating *m)
{
	struct store_block *blocks = anyio_malloc((m->to - m->from + 1) * sizeof(*blocks));
	size_t count = 0;
	int rc = blocks ? 0 : -ENOMEM;

	for (size_t i = m->from; !rc && i < m->to; i++) {
		struct item *item = &m->items[i];
		if (item->rc) {
			problem(m, item->name, anyio_error_text(item->rc));
			continue;
		}
		blocks[count++] = (struct store_block){
			.cid = item->cid, .data = item->data, .len = item->len
		};
		m->bytes += item->len;
		m->unsynced += item->len;
	}
	if (!rc && count &&
		!(rc = store_put_many(m->node->core->store, blocks, count, 0, &m->ticket)))
		m->result->blocks += count;
	if (rc == -EBADMSG || rc == -EPROTONOSUPPORT || rc == -EMSGSIZE)
		rc = put_one_by_one(m);
	anyio_free(blocks);
	if (!rc && m->unsynced >= SYNC_EVERY) {
		rc = store_sync(m->node->core->store, m->ticket);
		m->unsynced = 0;
	}
	if (!rc && m->options->progress)
		m->options->progress(m->options->arg, m->bytes, 0);
	return rc;
}

static int take_items(struct migrating *m)
{
	int rc = 0;

	for (m->from = 0; !rc && m->from < m->count; m->from = m->to) {
		rc = anyio_to_thread(read_items, m, NULL);
		if (!rc)
			rc = put_items(m);
	}
	m->count = 0;
	return rc;
}

static int take_shard(struct migrating *m, const struct anyio_names *names)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < names->count; i++) {
		struct item *item = &m->items[m->count];
		const char *name = names->names[i];
		size_t len = strlen(name);
		if (len < 6 || len > NAME_MAX_BYTES || strcmp(name + len - 5, ".data"))
			continue;
		memcpy(item->name, name, len + 1);
		if (cid_of_name(name, len - 5, &item->cid)) {
			problem(m, name, "this is no name of a block");
			continue;
		}
		if (store_has(m->node->core->store, &item->cid) == 1) {
			m->result->present++;
			continue;
		}
		if (++m->count == ITEMS)
			rc = take_items(m);
	}
	return rc ? rc : take_items(m);
}

static int take_blocks(struct migrating *m)
{
	struct anyio_names shards = { 0 }, names;
	int rc = anyio_listdir(AT_FDCWD, m->blocks, &shards);
	int blocks = rc ? rc : anyio_open(m->blocks, O_RDONLY | O_DIRECTORY, 0);

	rc = blocks < 0 ? blocks : 0;
	for (size_t i = 0; !rc && i < shards.count; i++) {
		if (shards.names[i][0] == '.')
			continue;
		m->dir = anyio_openat(
			blocks, shards.names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (m->dir == -ENOTDIR || m->dir == -ELOOP)
			continue;
		rc = m->dir < 0 ? m->dir : anyio_listdir(m->dir, ".", &names);
		if (!rc) {
			rc = take_shard(m, &names);
			anyio_names_free(&names);
		}
		if (m->dir >= 0)
			anyio_close(m->dir);
	}
	anyio_names_free(&shards);
	if (blocks >= 0)
		anyio_close(blocks);
	if (!rc)
		rc = store_sync(m->node->core->store, m->ticket);
	return rc ? kit_fail_code(m->node, rc, m->blocks) : 0;
}

/* ---- Pins ---- */

static int read_pins(void *arg)
{
	struct migrating *m = arg;

	return migrate_read_pins(m->datastore, m->node->core->dir, &m->pins);
}

/* Kubo's mutable files are kept by a pin of their root, when all below it is here. */
static int pin_files(struct migrating *m)
{
	struct kit_look look = { 0 };
	struct kit_blocks blocks;

	kit_blocks_open(&blocks, m->node);
	blocks.offline = true;
	int rc = kit_look(&blocks, &m->pins.files, &look);
	anyio_free(look.target);
	if (!rc && look.links)
		rc = kit_pin_below(&blocks, &m->pins.files, &m->ticket);
	kit_blocks_close(&blocks);
	return kit_pin_is_of_content(rc) ? 0 : rc;
}

static int take_pins(struct migrating *m)
{
	int rc = anyio_to_thread(read_pins, m, NULL);

	if (rc)
		return kit_fail(
			m->node, rc, "%s", m->pins.error[0] ? m->pins.error : anyio_error_text(rc));
	for (size_t i = 0; !rc && i < m->pins.count; i++) {
		const struct migrate_pin *pin = &m->pins.pins[i];
		char text[MF_CID_TEXT_MAX];
		if (store_has(m->node->core->store, &pin->cid) != 1) {
			mf_cid_format(&pin->cid, text, sizeof(text));
			problem(m, text, "it is pinned, but its block is missing or damaged");
		}
		rc = store_pin_add(m->node->core->store, &pin->cid,
			pin->recursive ? STORE_PIN_RECURSIVE : STORE_PIN_DIRECT, &m->ticket);
		rc = rc == -EEXIST ? 0 : rc; /* pinned recursively here */
		m->result->pins += !rc;
	}
	if (!rc && m->pins.files.digest_len)
		rc = pin_files(m);
	if (!rc)
		rc = store_sync(m->node->core->store, m->ticket);
	return rc ? kit_fail_code(m->node, rc, "taking the pins") : 0;
}

int kit_migrate_kubo(struct kit_node *node, const char *kubo,
	const struct kit_migrate_options *options, struct kit_migrated *result)
{
	static const struct kit_migrate_options none;
	struct migrating *m = anyio_calloc(1, sizeof(*m));
	struct store_lease lease;
	int rc = 0;

	kit_writing_begin(node, &lease);
	*result = (struct kit_migrated){ 0 };
	if (m) {
		m->node = node;
		m->options = options ? options : &none;
		m->result = result;
		m->items = anyio_malloc(ITEMS * sizeof(*m->items));
		m->buffer = anyio_malloc(BUFFER);
	}
	if (!m || !m->items || !m->buffer)
		rc = kit_fail_code(node, -ENOMEM, "migrating");
	if (!rc)
		rc = read_spec(m, kubo);
	if (!rc)
		rc = check_idle(m, kubo);
	if (!rc)
		rc = check_sharding(m);
	if (!rc)
		rc = take_blocks(m);
	if (!rc)
		rc = take_pins(m);
	if (!rc && result->bad)
		rc = kit_fail(node, -EBADMSG,
			"%llu blocks or pins could not be taken whole; all others are here",
			(unsigned long long)result->bad);
	store_lease_end(&lease);
	if (m) {
		migrate_pins_free(&m->pins);
		anyio_free(m->items);
		anyio_free(m->buffer);
	}
	anyio_free(m);
	return rc;
}
