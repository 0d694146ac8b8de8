/* Whole files, whole trees of directories, and temporary ones. */
#include <anyio/testing.h>

#include "files.h"

static bool is_there(const char *path)
{
	struct stat st;
	return anyio_fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int whole_body(void *arg)
{
	static const size_t sizes[] = { 0, 1, 4094, 4095, 4096, 4097, 100000 };
	static uint8_t bytes[100000];
	uint8_t *data;
	size_t size;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 >> 2);
	for (int i = 6; i >= 0; i--) {
		CHECK_RC(0, anyio_write_whole(AT_FDCWD, in_folder("w"), 0600, bytes, sizes[i]));
		CHECK_RC(0, anyio_read_whole(AT_FDCWD, in_folder("w"), SIZE_MAX, &data, &size));
		CHECK(size == sizes[i] && memcmp(data, bytes, size) == 0 && data[size] == '\0');
		anyio_free(data);
		CHECK_RC(0, anyio_read_whole(AT_FDCWD, in_folder("w"), sizes[i], &data, &size));
		CHECK(size == sizes[i]);
		anyio_free(data);
		if (i == 0)
			continue;
		CHECK_RC(-EFBIG,
			anyio_read_whole(AT_FDCWD, in_folder("w"), sizes[i] - 1, &data, &size));
		CHECK(data == NULL && size == 0);
	}
	CHECK_RC(-ENOENT, anyio_read_whole(AT_FDCWD, in_folder("absent"), 1, &data, &size));
	CHECK_RC(-EISDIR, anyio_read_whole(AT_FDCWD, folder, 1, &data, &size));
	CHECK_RC(-EISDIR, anyio_write_whole(AT_FDCWD, folder, 0600, "x", 1));
	return 0;
}

/* Whatever fails, nothing is left open or allocated, and the error is told. */
static int whole_faults_body(void *arg)
{
	uint8_t *data;
	size_t size;
	for (uint64_t at = 1; at <= 3; at++) {
		CHECK_RC(0, anyio_write_whole(AT_FDCWD, in_folder("w"), 0600, folder, 60));
		anyio_fault_set(ANYIO_FAULT_OPERATION, at, -EIO);
		int rc = anyio_read_whole(AT_FDCWD, in_folder("w"), 100, &data, &size);
		anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
		CHECK(rc == -EIO && data == NULL);
		anyio_fault_set(ANYIO_FAULT_OPERATION, at, -EIO);
		rc = anyio_write_whole(AT_FDCWD, in_folder("w"), 0600, folder, 60);
		anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
		CHECK(rc == (at < 3 ? -EIO : 0));
	}
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	int rc = anyio_read_whole(AT_FDCWD, in_folder("w"), 100, &data, &size);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK(rc == -ENOMEM && data == NULL);
	return 0;
}

static int make_directories_body(void *arg)
{
	int dir = anyio_open(folder, O_RDONLY | O_DIRECTORY, 0);
	CHECK(dir >= 0);
	CHECK_RC(0, anyio_make_directories(AT_FDCWD, in_folder("a/b/c"), 0700));
	CHECK_RC(0, anyio_make_directories(AT_FDCWD, in_folder("a/b/c"), 0700));
	CHECK_RC(0, anyio_make_directories(dir, "a/b/d/e", 0700));
	CHECK_RC(0, anyio_make_directories(dir, "one", 0700));
	CHECK(is_there(in_folder("a/b/c")) && is_there(in_folder("a/b/d/e")));
	CHECK(is_there(in_folder("one")));
	CHECK_RC(0, anyio_write_whole(dir, "a/file", 0600, "", 0));
	CHECK_RC(-EEXIST, anyio_make_directories(dir, "a/file", 0700));
	CHECK_RC(-ENOTDIR, anyio_make_directories(dir, "a/file/x/y", 0700));
	CHECK_RC(-ENOENT, anyio_make_directories(dir, "", 0700));
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	int rc = anyio_make_directories(dir, "x/y", 0700);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK(rc == -ENOMEM && !is_there(in_folder("x")));
	return anyio_close(dir);
}

static int remove_tree_body(void *arg)
{
	CHECK_RC(0, anyio_make_directories(AT_FDCWD, in_folder("t/a/b"), 0700));
	CHECK_RC(0, anyio_make_directories(AT_FDCWD, in_folder("kept"), 0700));
	CHECK_RC(0, anyio_write_whole(AT_FDCWD, in_folder("kept/file"), 0600, "x", 1));
	CHECK_RC(0, anyio_write_whole(AT_FDCWD, in_folder("t/a/file"), 0600, "x", 1));
	CHECK_RC(0, anyio_write_whole(AT_FDCWD, in_folder("t/z"), 0600, "x", 1));
	CHECK_RC(0, anyio_symlinkat("../kept", AT_FDCWD, in_folder("t/link")));
	CHECK_RC(0, anyio_symlinkat("kept", AT_FDCWD, in_folder("link")));
	CHECK_RC(-ENOTDIR, anyio_remove_tree(AT_FDCWD, in_folder("link")));
	CHECK_RC(-ENOTDIR, anyio_remove_tree(AT_FDCWD, in_folder("kept/file")));
	CHECK_RC(-ENOENT, anyio_remove_tree(AT_FDCWD, in_folder("absent")));
	CHECK_RC(0, anyio_remove_tree(AT_FDCWD, in_folder("t")));
	CHECK(!is_there(in_folder("t")) && is_there(in_folder("kept/file")));
	return 0;
}

/* One that cannot go: the others do, and its error is told. */
static int remove_what_can_be_body(void *arg)
{
	CHECK_RC(0, anyio_make_directories(AT_FDCWD, in_folder("t"), 0700));
	for (const char *name = "t/a\0t/b\0t/c\0"; *name; name += 4)
		CHECK_RC(0, anyio_write_whole(AT_FDCWD, in_folder(name), 0600, "x", 1));
	/* Opening, listing, then the first name. */
	anyio_fault_set(ANYIO_FAULT_OPERATION, 3, -EPERM);
	int rc = anyio_remove_tree(AT_FDCWD, in_folder("t"));
	anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
	CHECK(rc == -EPERM && is_there(in_folder("t/a")) && !is_there(in_folder("t/c")));
	anyio_fault_set(ANYIO_FAULT_OPERATION, 2, -EIO);
	rc = anyio_remove_tree(AT_FDCWD, in_folder("t"));
	anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
	CHECK(rc == -EIO && is_there(in_folder("t/a")));
	return 0;
}

static int remove_deep_body(void *arg)
{
	char path[64 + 2 * 110];
	int length = snprintf(path, sizeof(path), "%s", in_folder("t"));
	for (int i = 0; i < 101; i++)
		length += snprintf(path + length, sizeof(path) - (size_t)length, "/d");
	CHECK_RC(0, anyio_make_directories(AT_FDCWD, path, 0700));
	CHECK_RC(-ELOOP, anyio_remove_tree(AT_FDCWD, in_folder("t")));
	CHECK_RC(0, anyio_remove_tree(AT_FDCWD, in_folder("t/d")));
	return 0;
}

static int unnamed_body(void *arg)
{
	struct anyio_names names;
	struct stat st;
	char back[4];
	int fd = anyio_temporary_file_unnamed(folder);
	CHECK(fd >= 0);
	CHECK(anyio_fstat(fd, &st) == 0 && st.st_nlink == 0);
	CHECK_RC(0, anyio_write_whole(AT_FDCWD, in_folder("named"), 0600, "x", 1));
	CHECK(anyio_fstatat(AT_FDCWD, in_folder("named"), &st, 0) == 0 && st.st_nlink == 1);
	CHECK_RC(0, anyio_unlinkat(AT_FDCWD, in_folder("named"), 0));
	CHECK(anyio_listdir(AT_FDCWD, folder, &names) == 0 && names.count == 0);
	CHECK_RC(0, anyio_pwrite_all(fd, "abc", 3, 0));
	CHECK(anyio_pread_all(fd, back, 3, 0) == 0 && memcmp(back, "abc", 3) == 0);
	CHECK_RC(0, anyio_close(fd));
	CHECK_RC(-ENOENT, anyio_temporary_file_unnamed(in_folder("absent")));
	anyio_fault_set(ANYIO_FAULT_OPERATION, 2, -EIO);
	fd = anyio_temporary_file_unnamed(folder);
	anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
	CHECK_RC(-EIO, fd);
	return 0;
}

struct visit {
	char path[128];
	int rc;
	struct anyio_cancel_scope *scope;
};

static int visit(const char *path, void *arg)
{
	struct visit *self = arg;
	char name[160];
	snprintf(self->path, sizeof(self->path), "%s", path);
	snprintf(name, sizeof(name), "%s/a/b", path);
	CHECK_RC(0, anyio_make_directories(AT_FDCWD, name, 0700));
	snprintf(name, sizeof(name), "%s/a/file", path);
	CHECK_RC(0, anyio_write_whole(AT_FDCWD, name, 0600, "x", 1));
	if (self->scope)
		anyio_cancel_scope_cancel(self->scope, "test");
	return self->scope ? anyio_checkpoint() : self->rc;
}

/* It goes whatever happened in it. */
static int directory_run_body(void *arg)
{
	struct visit self = { .rc = 0 };
	CHECK_RC(0, anyio_temporary_directory_run(folder, visit, &self));
	CHECK(strncmp(self.path, folder, strlen(folder)) == 0 && !is_there(self.path));
	self.rc = -EDOM;
	CHECK_RC(-EDOM, anyio_temporary_directory_run(NULL, visit, &self));
	CHECK(strncmp(self.path, anyio_temporary_place(), strlen(anyio_temporary_place())) == 0);
	CHECK(!is_there(self.path));
	struct anyio_cancel_scope scope;
	self.scope = &scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	int rc = anyio_temporary_directory_run(folder, visit, &self);
	CHECK_RC(0, anyio_cancel_scope_exit(&scope, rc));
	CHECK(rc == ANYIO_CANCELLED && !is_there(self.path));
	CHECK_RC(-ENOENT, anyio_temporary_directory_run(in_folder("absent"), visit, &self));
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	rc = anyio_temporary_directory_run(folder, visit, &self);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK_RC(-ENOMEM, rc);
	return 0;
}

EVERYWHERE(whole)
EVERYWHERE(whole_faults)
EVERYWHERE(make_directories)
EVERYWHERE(remove_tree)
EVERYWHERE(remove_what_can_be)
EVERYWHERE(remove_deep)
EVERYWHERE(unnamed)
EVERYWHERE(directory_run)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_test),
		cmocka_unit_test(whole_faults_test),
		cmocka_unit_test(make_directories_test),
		cmocka_unit_test(remove_tree_test),
		cmocka_unit_test(remove_what_can_be_test),
		cmocka_unit_test(remove_deep_test),
		cmocka_unit_test(unnamed_test),
		cmocka_unit_test(directory_run_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
