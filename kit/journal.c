#include "journal.h"

#include <anyio/anyio.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum kind { FINISHED = 0x46696e31, BEGUN = 0x42656731, LEAF = 0x4c656131 };

struct record {
	uint32_t kind, codec, version, none;
	struct journal_key key;
	uint8_t digest[32];
	uint64_t size, tsize; /* a leaf: its bytes; a beginning: the leaves before */
	uint64_t check;
};

enum {
	JOURNAL_MAX = 64 << 20,   /* bytes; what comes after is not remembered */
	QUIET = 50 * 1000 * 1000, /* ns: clocks of file systems tick no slower */
};

struct finished {
	struct record record;
	bool used;
};

struct pending {
	struct record record;
	uint64_t number;
};

struct journal {
	int dir, fd;
	off_t end;              /* of what is valid */
	off_t before;           /* of what earlier runs wrote */
	struct finished *table; /* open addressing; kind 0: free */
	size_t used, size, taken;
	struct journal_key partial; /* of the leaves */
	struct journal_leaf *leaves;
	size_t leaf_count, leaf_size;
	bool recording; /* a large file is in progress */
	bool broken;    /* something could not be kept: a gap would make what follows untrue */
	struct pending *pending;
	size_t pending_count, pending_size;
};

/* FNV-1a: against torn writes, not against people. */
static uint64_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint64_t sum = 0xcbf29ce484222325u;

	while (len--)
		sum = (sum ^ *bytes++) * 0x100000001b3u;
	return sum;
}

static bool same_key(const struct journal_key *a, const struct journal_key *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* ---- What is known ---- */

static struct finished *slot_of(struct finished *table, size_t size, const struct journal_key *key)
{
	size_t at = checksum(key, sizeof(*key)) & (size - 1);

	while (table[at].record.kind && !same_key(&table[at].record.key, key))
		at = (at + 1) & (size - 1);
	return &table[at];
}

static bool know(struct journal *journal, const struct record *record)
{
	if ((journal->used + 1) * 2 > journal->size) {
		size_t size = journal->size ? journal->size * 2 : 256;
		struct finished *bigger = anyio_calloc(size, sizeof(*bigger));
		if (!bigger)
			return false;
		for (size_t i = 0; i < journal->size; i++)
			if (journal->table[i].record.kind)
				*slot_of(bigger, size, &journal->table[i].record.key) =
					journal->table[i];
		anyio_free(journal->table);
		journal->table = bigger;
		journal->size = size;
	}
	struct finished *slot = slot_of(journal->table, journal->size, &record->key);
	journal->used += !slot->record.kind;
	slot->record = *record;
	return true;
}

static bool take(struct journal *journal, const struct record *record)
{
	if (record->check != checksum(record, offsetof(struct record, check)))
		return false;
	if (record->kind == FINISHED)
		return know(journal, record);
	if (record->kind == BEGUN) {
		bool same = same_key(&record->key, &journal->partial);
		if (record->size > (same ? journal->leaf_count : 0))
			return false;
		journal->partial = record->key;
		journal->leaf_count = record->size;
		return true;
	}
	if (record->kind != LEAF || record->size > UINT32_MAX ||
		anyio_grow(&journal->leaves, &journal->leaf_size, journal->leaf_count + 1,
			sizeof(*journal->leaves)))
		return false;
	struct journal_leaf *leaf = &journal->leaves[journal->leaf_count++];
	memcpy(leaf->digest, record->digest, sizeof(leaf->digest));
	leaf->size = (uint32_t)record->size;
	return true;
}

static void load(struct journal *journal)
{
	enum { SOME = 256 };
	struct record *records = anyio_malloc(SOME * sizeof(*records));
	bool good = records != NULL;

	while (good && journal->end < JOURNAL_MAX) {
		ssize_t n =
			anyio_pread(journal->fd, records, SOME * sizeof(*records), journal->end);
		size_t count = n > 0 ? (size_t)n / sizeof(*records) : 0;
		good = count > 0;
		for (size_t i = 0; i < count && (good = take(journal, &records[i])); i++)
			journal->end += (off_t)sizeof(*records);
	}
	journal->before = journal->end;
	anyio_free(records);
}

/* ---- From outside ---- */

void journal_open(const char *dir, struct journal **out)
{
	struct journal *journal = anyio_calloc(1, sizeof(*journal));

	*out = NULL;
	if (!journal)
		return;
	journal->fd = -1;
	journal->dir = anyio_open(dir, O_PATH | O_DIRECTORY, 0);
	if (journal->dir >= 0)
		journal->fd = anyio_plain_openat(journal->dir, "adding", O_RDWR | O_CREAT, 0600);
	if (journal->fd < 0) {
		journal_close(journal, false);
		return;
	}
	load(journal);
	*out = journal;
}

void journal_close(struct journal *journal, bool done)
{
	if (!journal)
		return;
	if (journal->fd >= 0 && (done || !journal->end)) {
		bool others = journal->taken < journal->used && journal->before;
		if (!others)
			anyio_unlinkat(journal->dir, "adding", 0);
		else
			anyio_ftruncate(journal->fd, journal->before);
	}
	if (journal->fd >= 0)
		anyio_close(journal->fd);
	if (journal->dir >= 0)
		anyio_close(journal->dir);
	anyio_free(journal->table);
	anyio_free(journal->leaves);
	anyio_free(journal->pending);
	anyio_free(journal);
}

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

bool journal_key_of(
	const struct stat *st, const struct unixfs_profile *profile, struct journal_key *key)
{
	uint32_t options[] = { profile->cid_version, profile->raw_leaves, profile->chunk_size,
		profile->links_per_node };
	struct timespec now;

	*key = (struct journal_key){ .device = st->st_dev,
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.changed = nanoseconds(st->st_mtim),
		.status_changed = nanoseconds(st->st_ctim),
		.options = checksum(options, sizeof(options)) };
	clock_gettime(CLOCK_REALTIME, &now);
	return nanoseconds(now) - key->status_changed > QUIET;
}

bool journal_find(
	struct journal *journal, const struct journal_key *key, struct unixfs_built *built)
{
	struct finished *found =
		journal && journal->size ? slot_of(journal->table, journal->size, key) : NULL;

	if (!found || !found->record.kind)
		return false;
	journal->taken += !found->used;
	found->used = true;
	*built = (struct unixfs_built){ .file_size = found->record.size,
		.tsize = found->record.tsize };
	mf_cid_of_sha256(&built->cid, (uint8_t)found->record.version, found->record.codec,
		found->record.digest);
	return true;
}

static void append(struct journal *journal, uint64_t number, struct record *record)
{
	if (journal->end + (off_t)((journal->pending_count + 1) * sizeof(*record)) > JOURNAL_MAX ||
		anyio_grow(&journal->pending, &journal->pending_size, journal->pending_count + 1,
			sizeof(*journal->pending)))
		journal->broken = true;
	if (journal->broken)
		return;
	record->check = checksum(record, offsetof(struct record, check));
	journal->pending[journal->pending_count++] = (struct pending){ *record, number };
}

size_t journal_begin(
	struct journal *journal, const struct journal_key *key, const struct journal_leaf **leaves)
{
	*leaves = NULL;
	if (!journal || key->size < JOURNAL_LARGE)
		return 0;
	size_t known = same_key(key, &journal->partial) ? journal->leaf_count : 0;
	journal->partial = *key;
	journal->leaf_count = known;
	*leaves = journal->leaves;
	journal->recording = true;
	return known;
}

void journal_resume(struct journal *journal, size_t leaves)
{
	struct record record = { .kind = BEGUN, .size = leaves };

	if (!journal || !journal->recording)
		return;
	record.key = journal->partial;
	append(journal, 0, &record);
}

void journal_leaf(struct journal *journal, uint64_t number, const struct mf_cid *cid, uint32_t size)
{
	struct record record = { .kind = LEAF, .size = size };

	if (!journal || !journal->recording)
		return;
	memcpy(record.digest, cid->digest, sizeof(record.digest));
	append(journal, number, &record);
}

void journal_end(struct journal *journal, uint64_t number, const struct journal_key *key,
	const struct unixfs_built *built)
{
	if (!journal)
		return;
	journal->recording = false;
	if (!built)
		return;
	struct record record = { .kind = FINISHED,
		.codec = built->cid.codec,
		.version = built->cid.version,
		.key = *key,
		.size = built->file_size,
		.tsize = built->tsize };
	memcpy(record.digest, built->cid.digest, sizeof(record.digest));
	append(journal, number, &record);
}

void journal_commit(struct journal *journal, uint64_t number)
{
	size_t count = 0;

	if (!journal || journal->broken)
		return;
	while (count < journal->pending_count && journal->pending[count].number <= number)
		count++;
	if (!count)
		return;
	struct record *records = anyio_malloc(count * sizeof(*records));
	if (!records) {
		journal->broken = true;
		return;
	}
	for (size_t i = 0; i < count; i++)
		records[i] = journal->pending[i].record;
	journal->pending_count -= count;
	memmove(journal->pending, journal->pending + count,
		journal->pending_count * sizeof(*journal->pending));
	if (anyio_pwrite_all(journal->fd, records, count * sizeof(*records), journal->end))
		journal->broken = true;
	else
		journal->end += (off_t)(count * sizeof(*records));
	anyio_free(records);
}
