/*
 * The pins of a Kubo repo. They are CBOR values in a LevelDB under /pins/pin/; LevelDB changes its
 * folder even by reading it, so a private copy is opened. The library is loaded at first use: a node
 * that never migrates does not carry it.
 */
#include "migrate.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <anyio/plain.h>

static int explain(struct migrate_pins *pins, int rc, const char *what, const char *why)
{
	snprintf(pins->error, sizeof(pins->error), "%.150s: %.90s", what, why);
	return rc;
}

/* ---- A private copy ---- */

static const char copy_name[] = "migrating"; /* one is enough: the repo is locked */

/* A write that runs out of room is short; why, the next one tells. */
static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_bytes(int from, int to)
{
	enum { CHUNK = 256 << 10 };
	char *buffer = malloc(CHUNK);
	ssize_t n;
	int rc = buffer ? 0 : -ENOMEM;

	while (!rc && (n = read(from, buffer, CHUNK)) != 0) {
		rc = n < 0 ? -errno : write_all(to, buffer, (size_t)n);
		if (!rc)
			rc = anyio_from_thread_check_cancelled();
	}
	free(buffer);
	return rc;
}

static int copy_file(int from_dir, int to_dir, const char *name)
{
	int to = -1, from = anyio_plain_openat_blocking(from_dir, name, O_RDONLY, 0);
	int rc = from < 0 ? from : 0;

	if (!rc) {
		to = anyio_plain_openat_blocking(to_dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
		rc = to < 0 ? to : copy_bytes(from, to);
		close(from);
	}
	if (to >= 0 && close(to) && !rc)
		rc = -errno;
	return rc;
}

/* "LOCK" is of no use in a copy. */
static int copy_files(DIR *from, int to, struct migrate_pins *pins)
{
	struct dirent *entry;
	int rc = 0;

	while (!rc && (entry = readdir(from)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "LOCK")) {
			rc = copy_file(dirfd(from), to, entry->d_name);
			if (rc)
				explain(pins, rc, entry->d_name, anyio_error_text(rc));
		}
	return rc;
}

static int make_copy(const char *source, const char *copy, struct migrate_pins *pins)
{
	if (mkdir(copy, 0700))
		return explain(pins, -errno, copy, strerror(errno));
	DIR *from = opendir(source);
	if (!from)
		return explain(pins, -errno, source, strerror(errno));
	int to = open(copy, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = to < 0 ? explain(pins, -errno, copy, strerror(errno)) : copy_files(from, to, pins);
	if (to >= 0)
		close(to);
	closedir(from);
	return rc;
}

void migrate_remove_copy(const char *repo)
{
	int dir = open(repo, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int copy = dir < 0
		? -1
		: openat(dir, copy_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *files = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	while (files && (entry = readdir(files)))
		unlinkat(copy, entry->d_name, 0); /* not "." and "..": they are folders */
	if (files) {
		closedir(files);
		unlinkat(dir, copy_name, AT_REMOVEDIR);
	} else if (copy >= 0) {
		close(copy);
	}
	if (dir >= 0)
		close(dir);
}

/* ---- Values ---- */

static int keep(struct migrate_pins *pins, const struct mf_cid *cid, bool recursive)
{
	if (pins->count == pins->size) {
		size_t size = pins->size ? pins->size * 2 : 64;
		struct migrate_pin *bigger = realloc(pins->pins, size * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		pins->pins = bigger;
		pins->size = size;
	}
	pins->pins[pins->count++] = (struct migrate_pin){ *cid, recursive };
	return 0;
}

static bool is_key(const struct ipld_token *token, const char *name)
{
	return token->len == strlen(name) && !memcmp(token->data, name, token->len);
}

/* {"cid": bytes, "mode": 0 recursive or 1 direct, "name": ..., "metadata": ...} */
static int take_pin(struct migrate_pins *pins, const char *value, size_t len)
{
	enum { OTHER, CID, MODE } key = OTHER;
	struct ipld_cbor_reader reader;
	struct ipld_token token;
	struct mf_cid cid = { 0 };
	uint64_t mode = 2;
	int depth = 0, rc;

	ipld_cbor_init(&reader, value, len);
	reader.any_order = true;
	while ((rc = ipld_cbor_next(&reader, &token)) > 0) {
		if (token.kind == IPLD_KEY && depth == 1)
			key = is_key(&token, "cid") ? CID : is_key(&token, "mode") ? MODE : OTHER;
		else if (depth == 1 && key == CID && token.kind == IPLD_BYTES &&
			mf_cid_decode(&cid, token.data, token.len) != (ssize_t)token.len)
			return -EBADMSG;
		else if (depth == 1 && key == MODE && token.kind == IPLD_INT && !token.negative)
			mode = token.magnitude;
		depth += (token.kind == IPLD_MAP || token.kind == IPLD_LIST) -
			(token.kind == IPLD_END);
	}
	if (rc < 0 || !cid.digest_len || mode > 1)
		return -EBADMSG;
	return keep(pins, &cid, mode == 0);
}

/* ---- LevelDB ---- */

struct leveldb {
	void *library;
	void *(*options_create)(void);
	void (*options_destroy)(void *options);
	void *(*open)(const void *options, const char *name, char **error);
	void (*close)(void *db);
	void *(*read_create)(void);
	void (*read_destroy)(void *options);
	void *(*iterator)(void *db, const void *options);
	void (*iterator_destroy)(void *iterator);
	unsigned char (*valid)(const void *iterator);
	void (*seek)(void *iterator, const char *key, size_t len);
	void (*next)(void *iterator);
	const char *(*key)(const void *iterator, size_t *len);
	const char *(*value)(const void *iterator, size_t *len);
	void (*error)(const void *iterator, char **error);
	void (*free)(void *memory);
};

static int load(struct leveldb *db, struct migrate_pins *pins)
{
	const struct {
		const char *name;
		void *at;
	} symbols[] = { { "leveldb_options_create", &db->options_create },
		{ "leveldb_options_destroy", &db->options_destroy }, { "leveldb_open", &db->open },
		{ "leveldb_close", &db->close }, { "leveldb_readoptions_create", &db->read_create },
		{ "leveldb_readoptions_destroy", &db->read_destroy },
		{ "leveldb_create_iterator", &db->iterator },
		{ "leveldb_iter_destroy", &db->iterator_destroy },
		{ "leveldb_iter_valid", &db->valid }, { "leveldb_iter_seek", &db->seek },
		{ "leveldb_iter_next", &db->next }, { "leveldb_iter_key", &db->key },
		{ "leveldb_iter_value", &db->value }, { "leveldb_iter_get_error", &db->error },
		{ "leveldb_free", &db->free } };

	/* It stays: what it keeps for the process, a thread too, outlives the database. */
	static const int flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;

	db->library = dlopen("libleveldb.so.1d", flags);
	if (!db->library)
		db->library = dlopen("libleveldb.so.1", flags);
	if (!db->library)
		return explain(pins, -ENOPKG, "reading Kubo's pins needs the LevelDB library",
			"install it (Debian: libleveldb1d) and run this again");
	for (size_t i = 0; i < sizeof(symbols) / sizeof(*symbols); i++) {
		void *symbol = dlsym(db->library, symbols[i].name);
		if (!symbol)
			return explain(pins, -ENOPKG, "the LevelDB library lacks", symbols[i].name);
		memcpy(symbols[i].at, &symbol, sizeof(symbol));
	}
	return 0;
}

static int take_all(struct leveldb *db, void *iterator, struct migrate_pins *pins)
{
	static const char pin[] = "/pins/pin/", files[] = "/local/filesroot";
	const char *key, *value;
	size_t key_len, value_len;
	char *error = NULL;
	int rc = 0;

	for (db->seek(iterator, pin, strlen(pin)); !rc && db->valid(iterator); db->next(iterator)) {
		key = db->key(iterator, &key_len);
		if (key_len < strlen(pin) || memcmp(key, pin, strlen(pin)))
			break;
		value = db->value(iterator, &value_len);
		rc = take_pin(pins, value, value_len);
		if (!rc)
			rc = anyio_from_thread_check_cancelled();
		if (rc == -EBADMSG)
			explain(pins, rc, "a pin is damaged", "its value is not what Kubo writes");
	}
	db->error(iterator, &error);
	if (!rc && error)
		rc = explain(pins, -EBADMSG, "the datastore is damaged", error);
	if (error)
		db->free(error);
	if (rc)
		return rc;
	db->seek(iterator, files, strlen(files));
	if (db->valid(iterator) && (key = db->key(iterator, &key_len)) &&
		key_len == strlen(files) && !memcmp(key, files, key_len)) {
		value = db->value(iterator, &value_len);
		if (mf_cid_decode(&pins->files, (const uint8_t *)value, value_len) !=
			(ssize_t)value_len)
			pins->files = (struct mf_cid){ 0 };
	}
	return 0;
}

static int read_copy(struct leveldb *db, const char *copy, struct migrate_pins *pins)
{
	void *options = db->options_create(), *read_options = db->read_create();
	char *error = NULL;
	void *handle = db->open(options, copy, &error);
	int rc = 0;

	if (error) {
		rc = explain(pins, -EBADMSG, "the datastore cannot be read", error);
		db->free(error);
	}
	if (!rc) {
		void *iterator = db->iterator(handle, read_options);
		rc = take_all(db, iterator, pins);
		db->iterator_destroy(iterator);
	}
	if (handle)
		db->close(handle);
	db->read_destroy(read_options);
	db->options_destroy(options);
	return rc;
}

int migrate_read_pins(const char *source, const char *repo, struct migrate_pins *pins)
{
	struct leveldb db = { 0 };
	char copy[4200];

	*pins = (struct migrate_pins){ 0 };
	int rc = load(&db, pins);
	snprintf(copy, sizeof(copy), "%s/%s", repo, copy_name);
	if (!rc) {
		migrate_remove_copy(repo);
		rc = make_copy(source, copy, pins);
		if (!rc)
			rc = read_copy(&db, copy, pins);
		migrate_remove_copy(repo);
	}
	if (db.library)
		dlclose(db.library);
	return rc;
}

void migrate_pins_free(struct migrate_pins *pins)
{
	free(pins->pins);
	pins->pins = NULL;
	pins->count = pins->size = 0;
}
