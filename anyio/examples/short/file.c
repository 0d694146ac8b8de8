/*
 * Files: a new version is written beside the old one, brought to disk, and put in its place; then read.
 */
#include <anyio/file.h>
#include <anyio/memory.h>
#include <stdio.h>

static int save(int dir, const char *text, size_t size)
{
	int fd = anyio_openat(dir, "note.new", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		return fd;
	int rc = anyio_pwrite_all(fd, text, size, 0);
	if (rc == 0)
		rc = anyio_fsync(fd);
	int closed = anyio_close(fd);
	if (rc == 0)
		rc = closed;
	if (rc == 0)
		rc = anyio_renameat(dir, "note.new", dir, "note");
	return rc ? rc : anyio_fsync(dir); /* the name is on disk too */
}

static int use(const char *path, void *arg)
{
	uint8_t *data;
	size_t size;
	int dir = anyio_open(path, O_RDONLY | O_DIRECTORY, 0);

	if (dir < 0)
		return dir;
	int rc = save(dir, "written safely\n", 15);
	if (rc == 0 && (rc = anyio_read_whole(dir, "note", 1000, &data, &size)) == 0) {
		printf("%zu bytes: %s", size, (char *)data); /* with a NUL behind */
		anyio_free(data);
	}
	anyio_close(dir);
	return rc;
}

static int body(void *arg)
{
	return anyio_temporary_directory_run(NULL, use, NULL); /* removed with all in it */
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "file: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * 15 bytes: written safely
 */
