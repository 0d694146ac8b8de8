#include "peek.h"

#include <anyio/run.h>
#include <anyio/memory.h>
#include <anyio/thread.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW_FIRST = 8 };

static bool stood_still(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Whatever is unusual about a file is left to who adds it as any other. */
static void read_one(struct peek *peek, const char *name, struct peeked *file)
{
	uint8_t *data = peek->bytes + peek->used;
	struct stat after;

	file->data = NULL;
	if ((name[0] == '.' && !peek->hidden) ||
		fstatat(peek->dir, name, &file->st, AT_SYMLINK_NOFOLLOW) ||
		!S_ISREG(file->st.st_mode) || file->st.st_size > PEEK_FILE_MAX)
		return;
	int fd = openat(peek->dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (!fstat(fd, &after) && stood_still(&file->st, &after) &&
		read(fd, data, PEEK_FILE_MAX) == file->st.st_size && !fstat(fd, &after) &&
		stood_still(&file->st, &after)) {
		file->data = data;
		peek->used += (size_t)file->st.st_size;
	}
	close(fd);
}

/* On a worker thread. */
static int read_some(void *arg)
{
	struct peek *peek = arg;

	for (; peek->count < peek->window && peek->first + peek->count < peek->names->count &&
		peek->used + PEEK_FILE_MAX <= PEEK_BYTES;
		peek->count++)
		read_one(peek, peek->names->names[peek->first + peek->count],
			&peek->files[peek->count]);
	return 0;
}

void peek_init(struct peek *peek, bool hidden)
{
	*peek = (struct peek){ .dir = -1, .hidden = hidden };
}

void peek_destroy(struct peek *peek)
{
	anyio_free(peek->bytes);
	anyio_free(peek->files);
	peek_init(peek, peek->hidden);
}

void peek_forget(struct peek *peek)
{
	peek->dir = -1;
	peek->names = NULL;
	peek->first = peek->count = 0;
}

/* The simulation's disk is known to operations only. */
static bool offered(void)
{
	return strcmp(anyio_backend_name(), "sim") != 0;
}

static bool prepare(struct peek *peek)
{
	if (!peek->bytes)
		peek->bytes = anyio_malloc(PEEK_BYTES);
	if (!peek->files)
		peek->files = anyio_malloc(PEEK_FILES * sizeof(*peek->files));
	return peek->bytes && peek->files;
}

const struct peeked *peek_file(
	struct peek *peek, int dir, const struct anyio_names *names, size_t index)
{
	if (peek->dir != dir || peek->names != names) {
		peek_forget(peek);
		peek->dir = dir;
		peek->names = names;
		peek->window = WINDOW_FIRST;
	}
	if (index < peek->first || index >= peek->first + peek->count) {
		if (!offered() || !prepare(peek))
			return NULL;
		peek->first = index;
		peek->count = peek->used = 0;
		if (anyio_to_thread(read_some, peek, NULL) < 0)
			return NULL;
		peek->window = peek->window * 2 < PEEK_FILES ? peek->window * 2 : PEEK_FILES;
	}
	struct peeked *file = &peek->files[index - peek->first];
	return file->data ? file : NULL;
}
