/*
 * Directories: made with those on the way to them, listed, looked at, and removed with all that is in them.
 */
#include <anyio/file.h>
#include <stdio.h>

static int list(int dir)
{
	struct anyio_names names;
	struct stat st;
	int rc = anyio_listdir(dir, ".", &names);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < names.count && rc == 0; i++) {
		rc = anyio_fstatat(dir, names.names[i], &st, AT_SYMLINK_NOFOLLOW);
		if (rc == 0)
			printf("%s%s\n", names.names[i], S_ISDIR(st.st_mode) ? "/" : "");
	}
	anyio_names_free(&names);
	return rc;
}

static int use(const char *path, void *arg)
{
	int dir = anyio_open(path, O_RDONLY | O_DIRECTORY, 0);

	if (dir < 0)
		return dir;
	int rc = anyio_make_directories(dir, "archive/2026/may", 0700);
	if (rc == 0)
		rc = anyio_write_whole(dir, "note", 0600, "text", 4);
	if (rc == 0)
		rc = list(dir);
	if (rc == 0 && (rc = anyio_remove_tree(dir, "archive")) == 0)
		printf("then:\n");
	if (rc == 0)
		rc = list(dir);
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
		fprintf(stderr, "file_directory: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * archive/
 * note
 * then:
 * note
 */
