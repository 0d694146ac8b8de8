/*
 * Listing, in the order of keys' bytes.
 *
 * A server lists one folder, in any order. So a folder is read whole, and the first of its entries that are wanted are
 * kept: a page, in order. When it is at its end and there were more, the folder is read again for those behind it. A
 * folder's entry stands where its keys do, as its name with '/'; when its turn comes a page of it is begun on top of
 * this one. Deeper pages are smaller, so that what is in memory is bounded however deep a server says it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sftp.h"
#include "sftp_name.h"

enum { PAGE = 4096, PAGE_LEAST = 64 };

struct entry {
	char name[SFTP_NAME_MAX + 1]; /* a folder's ends with '/' */
	uint64_t size;
};

struct page {
	struct page *below;
	unsigned depth;
	struct entry *entries;
	size_t count, cap, at;
	bool cut;                     /* there were more */
	char last[SFTP_NAME_MAX + 1]; /* of the page before: this one begins behind it */
	size_t folder_len;
	char folder[REMOTE_NAME_MAX + 1]; /* the beginning of its keys */
};

struct listing {
	struct sftp *sftp;
	const char *start, *after;
	struct page *page;
	int (*each)(void *arg, const struct remote_entry *entry);
	void *arg;
	struct remote_why *why;
};

/* ---- a page ---- */

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static size_t page_size(const struct page *page)
{
	size_t size = PAGE / (page->depth + 1);

	return size > PAGE_LEAST ? size : PAGE_LEAST;
}

/* Leaves the first of them, in order, each once: a server may say the same twice. */
static void cut_page(struct page *page)
{
	size_t kept = 0, most = page_size(page);

	if (page->count)
		qsort(page->entries, page->count, sizeof(*page->entries), compare);
	for (size_t i = 0; i < page->count; i++) {
		if (kept && !compare(&page->entries[kept - 1], &page->entries[i]))
			continue;
		if (kept == most) {
			page->cut = true;
			break;
		}
		page->entries[kept++] = page->entries[i];
	}
	page->count = kept;
}

static int make_room(struct page *page)
{
	size_t most = 2 * page_size(page);
	size_t cap = page->cap ? 2 * page->cap : PAGE_LEAST;
	struct entry *entries;

	if (page->count == most)
		cut_page(page);
	if (page->count < page->cap)
		return 0;
	cap = cap < most ? cap : most;
	entries = anyio_realloc(page->entries, cap * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	page->entries = entries;
	page->cap = cap;
	return 0;
}

/* Whether keys that begin with this, or this key, may be wanted. */
static bool is_wanted(const struct listing *listing, const char *key, size_t len, bool folder)
{
	size_t start = strlen(listing->start);

	if (strncmp(key, listing->start, start < len || !folder ? start : len) != 0)
		return false;
	return !listing->after || strcmp(key, listing->after) > 0 ||
		(folder && !strncmp(key, listing->after, len));
}

static bool is_object(const struct sftp_entry *entry, bool folder)
{
	if (folder)
		return entry->attrs.kind == SFTP_KIND_FOLDER ||
			entry->attrs.kind == SFTP_KIND_UNKNOWN;
	return entry->attrs.kind == SFTP_KIND_FILE && entry->attrs.has_size;
}

/* Whatever else is in the folder is passed over. */
static int keep(void *arg, const struct sftp_entry *entry)
{
	struct listing *listing = arg;
	struct page *page = listing->page;
	struct entry *kept;
	char name[SFTP_NAME_MAX + 1], key[REMOTE_NAME_MAX + SFTP_NAME_MAX + 2];
	size_t len;
	bool folder;
	int rc;

	if (!sftp_name_decode(entry->name.at, entry->name.len, name))
		return 0;
	folder = name[strlen(name) - 1] == '/';
	memcpy(key, page->folder, page->folder_len);
	strcpy(key + page->folder_len, name);
	len = strlen(key);
	if (len > REMOTE_NAME_MAX || !is_object(entry, folder) || strcmp(name, page->last) <= 0 ||
		!is_wanted(listing, key, len, folder))
		return 0;
	rc = make_room(page);
	if (rc)
		return rc;
	kept = &page->entries[page->count++];
	strcpy(kept->name, name);
	kept->size = entry->attrs.size;
	return 0;
}

static int read_page_once(struct sftp_conn *conn, void *arg)
{
	struct listing *listing = arg;
	struct page *page = listing->page;
	struct text path = { 0 };
	int rc;

	page->count = page->at = 0;
	page->cut = false;
	rc = sftp_path(listing->sftp, page->folder, &path, conn->why);
	if (!rc)
		rc = sftp_read_folder(conn, path.chars, keep, listing);
	if (rc == -ENOMEM)
		sftp_end_here(conn, rc);
	text_free(&path);
	cut_page(page);
	return rc;
}

/* A folder that is not there, or not any more, is as good as an empty one. */
static int read_page(struct listing *listing)
{
	int rc = sftp_perform(listing->sftp, read_page_once, listing, listing->why);

	if (rc != -ENOENT)
		return rc;
	listing->page->count = 0;
	listing->page->cut = false;
	return 0;
}

/* ---- all of them ---- */

static int push(struct listing *listing, const char *folder, size_t len)
{
	struct page *page = anyio_calloc(1, sizeof(*page));

	if (!page)
		return -ENOMEM;
	page->below = listing->page;
	page->depth = listing->page ? listing->page->depth + 1 : 0;
	memcpy(page->folder, folder, len);
	page->folder_len = len;
	listing->page = page;
	return read_page(listing);
}

static void pop(struct listing *listing)
{
	struct page *page = listing->page;

	listing->page = page->below;
	anyio_free(page->entries);
	anyio_free(page);
}

static int report(struct listing *listing, const char *key, uint64_t size)
{
	struct remote_entry out = { key + strlen(listing->sftp->remote.prefix), size };

	return out.name[0] ? listing->each(listing->arg, &out) : 0;
}

static int go_into(
	struct listing *listing, const struct page *page, const char *name, uint64_t size)
{
	char key[REMOTE_NAME_MAX + 1];
	size_t len = page->folder_len + strlen(name);

	memcpy(key, page->folder, page->folder_len);
	strcpy(key + page->folder_len, name);
	return key[len - 1] == '/' ? push(listing, key, len) : report(listing, key, size);
}

static int step(struct listing *listing)
{
	struct page *page = listing->page;

	if (page->at < page->count) {
		const struct entry *entry = &page->entries[page->at++];

		return go_into(listing, page, entry->name, entry->size);
	}
	if (page->cut) {
		strcpy(page->last, page->entries[page->count - 1].name);
		return read_page(listing);
	}
	pop(listing);
	return 0;
}

int sftp_list(struct remote *remote, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg, struct remote_why *why)
{
	struct listing listing = { .sftp = (struct sftp *)remote,
		.start = start,
		.after = after,
		.each = each,
		.arg = arg,
		.why = why };
	const char *slash = strrchr(start, '/');
	int rc = push(&listing, start, slash ? (size_t)(slash - start) + 1 : 0);

	while (!rc && listing.page)
		rc = step(&listing);
	while (listing.page)
		pop(&listing);
	return rc;
}
