#include "segment_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <anyio/file.h>
#include <anyio/memory.h>
#include <anyio/plain.h>
#include "inner.h"
#include "numbered.h"
#include "scan.h"
#include "segment_adopted.h"
#include "segment_remote.h"

enum {
	OPEN_MAX = 128,       /* files kept open though nobody uses them */
	PROBE_SIZE = 1 << 20, /* bytes read at a time when looking for a record */
	LEFTOVER_MAX = 512,   /* a segment that was never finished being made is not longer */
};

/* Where the first of a number or a higher one stands. */
static size_t find_from(struct segment_file *const *files, size_t count, uint32_t number)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (files[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct segment_file *segment_set_find(const struct segment_set *set, uint32_t number)
{
	size_t at = find_from(set->files, set->count, number);

	return at < set->count && set->files[at]->number == number
		? set->files[at]
		: segment_set_find_adopted(set, number);
}

struct segment_file *segment_set_find_adopted(const struct segment_set *set, uint32_t number)
{
	size_t at = find_from(set->adopted, set->adopted_count, number);

	return at < set->adopted_count && set->adopted[at]->number == number ? set->adopted[at]
									     : NULL;
}

static void close_file(struct segment_set *set, struct segment_file *file)
{
	if (file->fd >= 0) {
		anyio_close(file->fd);
		file->fd = -1;
		set->open--;
	}
}

void segment_file_free(struct segment_set *set, struct segment_file *file)
{
	if (!file)
		return;
	close_file(set, file);
	anyio_free(file->adopted);
	anyio_free(file);
}

/* The file that was not used for longest. */
static struct segment_file *oldest_of(
	struct segment_file *const *files, size_t count, struct segment_file *oldest)
{
	for (size_t i = 0; i < count; i++)
		if (files[i]->fd >= 0 && files[i]->users == 0 &&
			(!oldest || files[i]->used < oldest->used))
			oldest = files[i];
	return oldest;
}

/* Closes one, when too many are open. */
static void close_spare(struct segment_set *set)
{
	struct segment_file *oldest;

	if (set->open < OPEN_MAX)
		return;
	oldest = oldest_of(set->files, set->count, NULL);
	oldest = oldest_of(set->adopted, set->adopted_count, oldest);
	if (oldest)
		close_file(set, oldest);
}

/* What is adopted is looked at whenever it is opened: 0, -ENOENT when it is not what it was, or a code. */
static int check_adopted(struct segment_file *file, int fd)
{
	struct stat st;
	int rc = fd < 0 ? fd : anyio_fstat(fd, &st);

	if (rc < 0 && rc != -ENOENT && rc != ANYIO_NOT_A_FILE && rc != -EACCES)
		return rc;
	/* What may not be read any more is not what it was either. */
	file->adopted->changed =
		rc != -ENOENT && (rc < 0 || !segment_adopted_is(file->adopted, &st));
	file->size = rc < 0 || file->adopted->changed ? 0 : st.st_size;
	return file->size == 0 ? -ENOENT : 0;
}

int segment_file_use(struct segment_set *set, struct segment_file *file)
{
	char name[NUMBERED_MAX];

	file->users++;
	file->used = ++set->clock;
	if (file->fd >= 0)
		return 0;
	close_spare(set);
	numbered_name(file->number, "car", name);
	int how = file->adopted || set->only_read ? O_RDONLY : O_RDWR;
	int fd = anyio_plain_openat(set->dir_fd, name, how, 0);
	if (file->fd >= 0) { /* another task was faster */
		if (fd >= 0)
			anyio_close(fd);
		return 0;
	}
	int rc = file->adopted ? check_adopted(file, fd) : 0;
	if (file->fd >= 0 && fd >= 0) { /* or was so meanwhile */
		anyio_close(fd);
		return 0;
	}
	if (fd < 0 || rc < 0) {
		if (fd >= 0)
			anyio_close(fd);
		segment_file_release(file);
		return rc < 0 ? rc : fd;
	}
	file->fd = fd;
	set->open += file->set != NULL;
	return 0;
}

void segment_file_release(struct segment_file *file)
{
	if (--file->users > 0 || file->set)
		return;
	if (file->fd >= 0)
		anyio_close(file->fd);
	anyio_free(file->adopted);
	anyio_free(file);
}

struct segment_file *segment_set_after(const struct segment_set *set, uint32_t number)
{
	size_t at =
		number == UINT32_MAX ? set->count : find_from(set->files, set->count, number + 1);

	return at < set->count ? set->files[at] : NULL;
}

struct segment_file *segment_set_next(const struct segment_set *set, uint32_t number)
{
	struct segment_file *log = segment_set_after(set, number);
	size_t at = number == UINT32_MAX ? set->adopted_count
					 : find_from(set->adopted, set->adopted_count, number + 1);
	struct segment_file *adopted = at < set->adopted_count ? set->adopted[at] : NULL;

	return !adopted || (log && log->number < adopted->number) ? log : adopted;
}

static void take_out(struct segment_file **files, size_t *count, const struct segment_file *file)
{
	size_t at = find_from(files, *count, file->number);

	memmove(files + at, files + at + 1, (--*count - at) * sizeof(*files));
}

void segment_set_let_go(struct segment_set *set, struct segment_file *file)
{
	if (!file)
		return;
	if (file->adopted)
		take_out(set->adopted, &set->adopted_count, file);
	else
		take_out(set->files, &set->count, file);
	if (file->fd >= 0)
		set->open--;
	file->set = NULL;
	file->users++;
	segment_file_release(file);
}

int segment_set_drop(struct segment_set *set, uint32_t number)
{
	char name[NUMBERED_MAX];

	numbered_name(number, "car", name);
	int rc = anyio_unlinkat(set->dir_fd, name, 0);
	if (rc == 0 || rc == -ENOENT)
		rc = segment_set_note_gone(set, number, 0);
	if (rc == 0)
		segment_set_let_go(set, segment_set_find(set, number));
	return rc;
}

bool segment_set_is_forgettable(const struct segment_set *set, uint32_t number)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->files[i]->previous == number || set->files[i]->number == number)
			return false;
	return !segment_set_find(set, number);
}

void segment_set_forget_gone(struct segment_set *set, uint32_t number)
{
	size_t left = 0;

	for (size_t i = 0; i < set->gone_count; i++)
		if (set->gone[i].number != number)
			set->gone[left++] = set->gone[i];
	set->gone_count = left;
}

int segment_file_open_direct(struct segment_set *set, const struct segment_file *file)
{
	struct stat one, other;
	char name[NUMBERED_MAX];

	numbered_name(file->number, "car", name);
	int fd = anyio_plain_openat(set->dir_fd, name, O_WRONLY | O_DIRECT, 0);
	if (fd < 0)
		return fd;
	int rc = anyio_fstat(fd, &one);
	if (rc == 0)
		rc = anyio_fstat(file->fd, &other);
	if (rc == 0 && (one.st_dev != other.st_dev || one.st_ino != other.st_ino))
		rc = -ESTALE;
	if (rc < 0)
		anyio_close(fd);
	return rc < 0 ? rc : fd;
}

int segment_set_insert(struct segment_set *set, struct segment_file *file)
{
	struct segment_file ***files = file->adopted ? &set->adopted : &set->files;
	size_t *count = file->adopted ? &set->adopted_count : &set->count;
	size_t *room = file->adopted ? &set->adopted_room : &set->room;

	if (*count == *room) {
		size_t more = *room ? *room * 2 : 8;
		struct segment_file **bigger = anyio_realloc(*files, more * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		*files = bigger;
		*room = more;
	}
	size_t at = find_from(*files, *count, file->number);
	memmove(*files + at + 1, *files + at, ((*count)++ - at) * sizeof(**files));
	(*files)[at] = file;
	if (file->number > set->last_number)
		set->last_number = file->number;
	return 0;
}

/* Looks for the first record of the file that holds. 1 when there is one, 0, or a negative code. */
static int probe(struct segment_file *file, const struct segment_keys *keys)
{
	struct scan scan;
	struct scan_event event;
	uint64_t from = 0;
	size_t size = file->size < 4096 ? file->size : 4096, room = size;
	uint8_t *window = anyio_malloc(room + 1);
	int rc = window ? anyio_pread_all(file->fd, window, size, 0) : -ENOMEM;

	scan_start(&scan, keys, file->number, file->size);
	while (rc == 0) {
		scan_next(&scan, window, from, size, &event);
		if (event.what == SCAN_END || event.what == SCAN_RECORD) {
			rc = event.what == SCAN_RECORD;
			break;
		}
		if (event.what != SCAN_MORE)
			continue;
		if (room < PROBE_SIZE) {
			anyio_free(window);
			room = PROBE_SIZE;
			window = anyio_malloc(room);
		}
		from = event.offset;
		size = file->size - from < room ? file->size - from : room;
		rc = window ? anyio_pread_all(file->fd, window, size, from) : -ENOMEM;
	}
	if (rc == 1 && event.record.kind == SEGMENT_RECORD_SEGMENT) {
		file->previous = event.record.previous.number;
		file->previous_len = event.record.previous.len;
	}
	anyio_free(window);
	return rc;
}

/* Finds out whether a file is ours: 1, 0 or a negative code. Opened only to be read, for an adopted one may
 * be no more than that. */
static int examine(
	struct segment_set *set, struct segment_file *file, const struct segment_keys *keys)
{
	char name[NUMBERED_MAX];
	struct stat st;

	numbered_name(file->number, "car", name);
	int fd = file->fd = anyio_plain_openat(set->dir_fd, name, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	int rc = anyio_fstat(fd, &st);
	if (rc == 0) {
		file->size = st.st_size;
		rc = file->size > SEGMENT_HEADER_SIZE ? probe(file, keys) : 0;
	}
	file->fd = -1;
	anyio_close(fd);
	return rc;
}

/* Whether it is what a making that was interrupted leaves: nothing, or the beginning that all
 * segments share, written or still zeros. */
static bool is_leftover(const struct segment_set *set, const char *name)
{
	uint8_t head[LEFTOVER_MAX + 1];
	static const uint8_t zeros[SEGMENT_HEADER_SIZE];
	int fd = anyio_plain_openat(set->dir_fd, name, O_RDONLY, 0);
	ssize_t size = fd < 0 ? fd : anyio_pread(fd, head, sizeof(head), 0);
	size_t len = size < SEGMENT_HEADER_SIZE ? (size_t)size : SEGMENT_HEADER_SIZE;

	if (fd >= 0)
		anyio_close(fd);
	return size >= 0 && size <= LEFTOVER_MAX &&
		(memcmp(head, segment_header, len) == 0 || memcmp(head, zeros, len) == 0);
}

/* Ours go on after all that is there, unless a name leaves no room for that. */
static void count_number(struct segment_set *set, uint32_t number)
{
	if (number > set->last_number && number <= UINT32_MAX / 2)
		set->last_number = number;
}

int segment_set_note_gone(struct segment_set *set, uint32_t number, uint64_t from)
{
	size_t at = 0;

	while (at < set->gone_count && set->gone[at].number != number)
		at++;
	if (at == set->gone_count) {
		struct segment_gone *more = anyio_realloc(set->gone, (at + 1) * sizeof(*set->gone));

		if (!more)
			return -ENOMEM;
		set->gone = more;
		set->gone_count++;
		count_number(set, number);
	}
	set->gone[at] = (struct segment_gone){ number, from };
	return 0;
}

uint64_t segment_set_gone_from(const struct segment_set *set, uint32_t number)
{
	for (size_t i = 0; i < set->gone_count; i++)
		if (set->gone[i].number == number)
			return set->gone[i].from;
	return UINT64_MAX;
}

static int add_stray(struct segment_set *set, uint32_t number)
{
	uint32_t *more = anyio_realloc(set->strays, (set->stray_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	set->strays = more;
	set->strays[set->stray_count++] = number;
	return 0;
}

static int take_name(struct segment_set *set, const char *name, const struct segment_keys *keys,
	struct store_recovery *recovery)
{
	uint32_t number = numbered_of(name, "car");

	if (!number) {
		recovery->ignored++;
		return 0;
	}
	struct segment_file *file = anyio_calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	*file = (struct segment_file){ .number = number, .fd = -1, .set = set };
	int rc = examine(set, file, keys);
	count_number(set, number);
	if (rc < 0)
		store_say(recovery, "segments/%s: %s", name, anyio_error_text(rc));
	else if (rc == 0)
		rc = add_stray(set, number);
	else
		rc = segment_set_insert(set, file);
	if (segment_set_find(set, number) != file)
		segment_file_free(set, file);
	return rc;
}

/* 0: it is away, or was not there. */
static int take_away(struct segment_set *set, const char *name)
{
	int rc = anyio_unlinkat(set->dir_fd, name, 0);

	return rc == -ENOENT ? 0 : rc;
}

static bool is_unwanted(const struct segment_set *set, uint32_t number)
{
	for (size_t i = 0; i < set->unwanted_count; i++)
		if (set->unwanted[i] == number)
			return true;
	return false;
}

int segment_set_tidy(
	struct segment_set *set, uint32_t known, bool only_read, struct store_recovery *recovery)
{
	char name[NUMBERED_MAX];
	int rc = 0;

	for (size_t i = 0; i < set->unwanted_count && !only_read && rc == 0; i++) {
		numbered_name(set->unwanted[i], "car", name);
		rc = take_away(set, name);
		if (rc == 0)
			rc = segment_set_note_gone(set, set->unwanted[i], 0);
	}
	if (rc == 0 && set->unwanted_count > 0 && !only_read)
		rc = anyio_fsync(set->dir_fd);
	for (size_t i = 0; i < set->stray_count; i++) {
		uint32_t number = set->strays[i];

		numbered_name(number, "car", name);
		if (!segment_set_find(set, number) && !is_unwanted(set, number) &&
			(only_read || number <= known || !is_leftover(set, name) ||
				take_away(set, name) < 0))
			recovery->ignored++;
	}
	set->unwanted_count = set->stray_count = 0;
	return rc;
}

int segment_set_open(struct segment_set *set, int dir_fd, const struct segment_keys *keys,
	struct store_recovery *recovery)
{
	struct anyio_names names;
	int rc;

	*set = (struct segment_set){ .dir_fd = -1 };
	set->dir_fd = anyio_openat(dir_fd, "segments", O_RDONLY | O_DIRECTORY, 0);
	if (set->dir_fd < 0) {
		store_say(recovery, "segments/: %s", anyio_error_text(set->dir_fd));
		return set->dir_fd;
	}
	rc = anyio_listdir(set->dir_fd, ".", &names);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < names.count && rc == 0; i++)
		rc = take_name(set, names.names[i], keys, recovery);
	anyio_names_free(&names);
	return rc;
}

void segment_set_close(struct segment_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		segment_file_free(set, set->files[i]);
	for (size_t i = 0; i < set->adopted_count; i++)
		segment_file_free(set, set->adopted[i]);
	for (size_t i = 0; i < set->remote_count; i++)
		anyio_free(set->remote[i]);
	anyio_free(set->files);
	anyio_free(set->adopted);
	anyio_free(set->remote);
	anyio_free(set->strays);
	anyio_free(set->unwanted);
	anyio_free(set->gone);
	if (set->dir_fd >= 0)
		anyio_close(set->dir_fd);
	*set = (struct segment_set){ .dir_fd = -1 };
}

/* The header and the first record. */
static size_t first_bytes(const struct segment_set *set, const struct segment_keys *keys,
	struct segment_file *file, uint64_t sequence, uint64_t synced, uint8_t *out)
{
	const struct segment_file *last = set->count ? set->files[set->count - 1] : NULL;
	struct segment_record record = { .kind = SEGMENT_RECORD_SEGMENT,
		.segment = file->number,
		.offset = SEGMENT_HEADER_SIZE,
		.sequence = sequence };

	file->previous = record.previous.number = last ? last->number : 0;
	file->previous_len = record.previous.len = last ? last->size : 0;
	record.previous.synced = synced;
	memcpy(out, segment_header, SEGMENT_HEADER_SIZE);
	return SEGMENT_HEADER_SIZE +
		segment_record_encode(keys, &record, out + SEGMENT_HEADER_SIZE);
}

static int write_first(struct segment_set *set, const struct segment_keys *keys,
	struct segment_file *file, uint64_t sequence, uint64_t synced)
{
	uint8_t bytes[SEGMENT_HEADER_SIZE + SEGMENT_RECORD_SECTION_MAX];
	size_t len = first_bytes(set, keys, file, sequence, synced, bytes);
	int rc = anyio_pwrite_all(file->fd, bytes, len, 0);

	if (rc == 0)
		rc = anyio_fdatasync(file->fd);
	if (rc == 0)
		rc = anyio_fsync(set->dir_fd);
	if (rc == 0)
		file->size = len;
	return rc;
}

int segment_set_add(struct segment_set *set, const struct segment_keys *keys, uint64_t sequence,
	uint64_t synced, struct segment_file **out)
{
	struct segment_file *file = anyio_calloc(1, sizeof(*file));
	char name[NUMBERED_MAX];
	int rc;

	if (!file)
		return -ENOMEM;
	*file = (struct segment_file){ .fd = -1, .users = 1, .set = set };
	do { /* past names that somebody else has taken */
		file->number = segment_set_take_number(set);
		if (file->number == 0) {
			rc = -EOVERFLOW;
			break;
		}
		numbered_name(file->number, "car", name);
		rc = file->fd =
			anyio_plain_openat(set->dir_fd, name, O_RDWR | O_CREAT | O_EXCL, 0644);
	} while (rc == -EEXIST);
	if (rc >= 0) {
		set->open++;
		rc = write_first(set, keys, file, sequence, synced);
		if (rc == 0)
			rc = segment_set_insert(set, file);
		/* If a crash brought it back, what the log writes meanwhile to the one before would pass for damage there. */
		if (rc < 0 &&
			(anyio_unlinkat(set->dir_fd, name, 0) < 0 || anyio_fsync(set->dir_fd) < 0))
			rc = ANYIO_BROKEN;
	}
	if (rc < 0) {
		close_file(set, file);
		anyio_free(file);
		return rc;
	}
	*out = file;
	return 0;
}
