/*
 * A program's own settings: replaced whole or not at all, and never read through a link or a pipe that
 * somebody has put in their place.
 */
#include <anyio/file.h>
#include <anyio/plain.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int save(int dir, const char *text)
{
	return anyio_plain_replace(dir, "settings", 0600, NULL, text, strlen(text), true);
}

static int use(const char *path, void *arg)
{
	char text[16];
	int dir = anyio_open(path, O_RDONLY | O_DIRECTORY, 0), fd = -1;

	if (dir < 0)
		return dir;
	/* Of many who make it at once one succeeds. */
	int rc = anyio_plain_create(dir, "settings", 0600, "color=no\n", 9, true);
	if (rc == 0 || rc == -EEXIST)
		rc = save(dir, "color=yes\n");
	if (rc == 0 && (fd = anyio_plain_openat(dir, "settings", O_RDONLY, 0)) < 0)
		rc = fd;
	if (rc == 0 && (rc = anyio_pread_all(fd, text, 10, 0)) == 0)
		printf("%.10s", text);
	if (fd >= 0)
		anyio_close(fd);
	if (rc == 0)
		rc = anyio_symlinkat("/etc/passwd", dir, "link");
	if (rc == 0)
		printf("a link: %s\n",
			anyio_error_name(anyio_plain_openat(dir, "link", O_RDONLY, 0)));
	anyio_close(dir);
	return rc;
}

static int body(void *arg)
{
	return anyio_temporary_directory_run(NULL, use, NULL);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "plain: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * color=yes
 * a link: ANYIO_NOT_A_FILE
 */
