/*
 * Temporary files: one with a name, one without, and one that stays in memory while it is small.
 */
#include <anyio/file.h>
#include <stdio.h>

static int spool(void)
{
	struct anyio_stream *stream;
	char text[5];
	int rc = anyio_spool_create(1 << 20, NULL, &stream); /* on disk from a megabyte on */

	if (rc < 0)
		return rc;
	rc = anyio_stream_send(stream, "small", sizeof text);
	if (rc == 0)
		rc = (int)anyio_file_stream_seek(stream, 0, SEEK_SET);
	if (rc == 0)
		rc = anyio_stream_receive_exactly(stream, text, sizeof text);
	if (rc == 0)
		printf("kept in memory: %.5s\n", text);
	anyio_stream_free(stream);
	return rc;
}

static int use(const char *dir, void *arg)
{
	struct stat st;
	char path[120];
	int fd = anyio_temporary_file(dir, path, sizeof path);

	if (fd < 0)
		return fd;
	int rc = anyio_write_all(fd, "named", 5);
	anyio_close(fd);
	if (rc == 0 && (rc = anyio_fstatat(AT_FDCWD, path, &st, 0)) == 0)
		printf("a named file of %d bytes\n", (int)st.st_size);
	if (rc < 0 || (fd = anyio_temporary_file_unnamed(dir)) < 0)
		return rc ? rc : fd;
	rc = anyio_fstat(fd, &st);
	printf("an unnamed one, in %d folders\n", (int)st.st_nlink);
	anyio_close(fd); /* and it is gone */
	return rc ? rc : spool();
}

static int body(void *arg)
{
	return anyio_temporary_directory_run(NULL, use, NULL);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "file_temporary: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * a named file of 5 bytes
 * an unnamed one, in 0 folders
 * kept in memory: small
 */
