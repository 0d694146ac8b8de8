/* Files, on every backend that works here and on the simulated disk. */
#include <sys/file.h>

#include "files.h"

static int bytes_body(void *arg)
{
	char back[64] = "";
	struct stat st;
	int fd = anyio_open(in_folder("a"), O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	CHECK(anyio_open(in_folder("a"), O_RDWR | O_CREAT | O_EXCL, 0600) == -EEXIST);
	CHECK(anyio_open(in_folder("absent"), O_RDONLY, 0) == -ENOENT);
	CHECK(anyio_pwrite(fd, "hello world", 11, 0) == 11);
	CHECK(anyio_pread(fd, back, sizeof(back), 6) == 5 && memcmp(back, "world", 5) == 0);
	CHECK(anyio_pread(fd, back, sizeof(back), 11) == 0);
	CHECK(anyio_pread_all(fd, back, 12, 0) == ANYIO_INCOMPLETE_READ);
	CHECK(anyio_pread_all(fd, back, 11, 0) == 0);
	CHECK(anyio_fdatasync(fd) == 0 && anyio_fsync(fd) == 0);
	CHECK(anyio_sync_range(fd, 0, 4096) == 0);
	CHECK(anyio_fstat(fd, &st) == 0 && st.st_size == 11 && S_ISREG(st.st_mode));
	CHECK(anyio_ftruncate(fd, 5) == 0);
	CHECK(anyio_fstatat(AT_FDCWD, in_folder("a"), &st, 0) == 0 && st.st_size == 5);
	CHECK(anyio_ftruncate(fd, 8) == 0);
	CHECK(anyio_pread_all(fd, back, 8, 0) == 0 && memcmp(back, "hello\0\0\0", 8) == 0);
	CHECK(anyio_pread(-1, back, 1, 0) == -EBADF);
	CHECK(anyio_close(fd) == 0);
	CHECK(anyio_close(fd) == -EBADF);
	return 0;
}

static int arguments_body(void *arg)
{
	struct iovec iov = { "x", 1 };
	char byte;
	int fd = anyio_open(in_folder("a"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK(anyio_pread(fd, &byte, 1, -1) == -EINVAL);
	CHECK(anyio_pwrite(fd, "x", 1, -1) == -EINVAL);
	CHECK(anyio_pwrite_all(fd, "x", 1, -1) == -EINVAL);
	CHECK(anyio_pread_all(fd, &byte, 1, -1) == -EINVAL);
	CHECK(anyio_pwritev_all(fd, &iov, -1, 0) == -EINVAL);
	CHECK(anyio_pwritev_all_uncached(fd, &iov, 1, -1) == -EINVAL);
	CHECK(anyio_pread(fd, &byte, 1, 0) == 0);
	return anyio_close(fd);
}

static int position_body(void *arg)
{
	char back[8];
	int fd = anyio_open(in_folder("p"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK(anyio_write_all(fd, "abc", 3) == 0 && anyio_write_all(fd, "def", 3) == 0);
	CHECK(anyio_close(fd) == 0);
	fd = anyio_open(in_folder("p"), O_RDONLY, 0);
	CHECK(anyio_read(fd, back, 4) == 4 && memcmp(back, "abcd", 4) == 0);
	CHECK(anyio_read(fd, back, 4) == 2 && memcmp(back, "ef", 2) == 0);
	CHECK(anyio_read(fd, back, 4) == 0);
	CHECK(anyio_close(fd) == 0);
	fd = anyio_open(in_folder("p"), O_WRONLY | O_APPEND, 0);
	CHECK(anyio_write_all(fd, "g", 1) == 0 && anyio_close(fd) == 0);
	struct stat st;
	CHECK(anyio_fstatat(AT_FDCWD, in_folder("p"), &st, 0) == 0 && st.st_size == 7);
	return 0;
}

/* More vectors than one call takes, among them empty ones. */
static int vectors_body(void *arg)
{
	enum { COUNT = 300 };
	static char bytes[COUNT], back[COUNT];
	struct iovec iov[COUNT];
	for (int i = 0; i < COUNT; i++) {
		bytes[i] = (char)i;
		iov[i] = (struct iovec){ bytes + i / 3 * 3, i % 3 == 0 ? 3 : 0 };
	}
	int fd = anyio_open(in_folder("v"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK(anyio_pwritev_all(fd, iov, COUNT, 100) == 0);
	CHECK(anyio_pread_all(fd, back, COUNT, 100) == 0);
	CHECK(memcmp(bytes, back, COUNT) == 0);
	CHECK(anyio_pwritev_all(fd, iov, 0, 0) == 0);
	return anyio_close(fd);
}

static int names_body(void *arg)
{
	char target[8];
	struct anyio_names names;
	int dir = anyio_open(folder, O_RDONLY | O_DIRECTORY, 0);
	CHECK(dir >= 0);
	static const char *const made[] = { "b", "a", "\xff", "Z" };
	for (int i = 0; i < 4; i++) {
		int fd = anyio_openat(dir, made[i], O_WRONLY | O_CREAT, 0600);
		CHECK(fd >= 0 && anyio_close(fd) == 0);
	}
	CHECK(anyio_mkdirat(dir, "sub", 0700) == 0);
	CHECK(anyio_mkdirat(dir, "sub", 0700) == -EEXIST);
	CHECK(anyio_renameat(dir, "a", dir, "sub/a") == 0);
	CHECK(anyio_unlinkat(dir, "sub", AT_REMOVEDIR) == -ENOTEMPTY);
	CHECK(anyio_listdir(dir, ".", &names) == 0);
	CHECK(names.count == 4);
	CHECK(!strcmp(names.names[0], "Z") && !strcmp(names.names[1], "b"));
	CHECK(!strcmp(names.names[2], "sub") && !strcmp(names.names[3], "\xff"));
	anyio_names_free(&names);
	CHECK(anyio_listdir(dir, "b", &names) == -ENOTDIR && names.count == 0);
	CHECK(anyio_listdir(dir, "absent", &names) == -ENOENT);
	CHECK(anyio_symlinkat("b", dir, "link") == 0);
	CHECK(anyio_readlinkat(dir, "link", target, sizeof(target)) == 1 && target[0] == 'b');
	CHECK(anyio_unlinkat(dir, "link", 0) == 0);
	CHECK(anyio_unlinkat(dir, "sub/a", 0) == 0 && anyio_unlinkat(dir, "sub/a", 0) == -ENOENT);
	CHECK(anyio_unlinkat(dir, "sub", AT_REMOVEDIR) == 0);
	return anyio_close(dir);
}

static int lock_body(void *arg)
{
	int a = anyio_open(in_folder("lock"), O_RDWR | O_CREAT, 0600);
	int b = anyio_open(in_folder("lock"), O_RDWR, 0);
	CHECK(a >= 0 && b >= 0);
	CHECK(anyio_flock(a, LOCK_EX | LOCK_NB) == 0);
	CHECK(anyio_flock(b, LOCK_EX | LOCK_NB) == ANYIO_WOULD_BLOCK);
	CHECK(anyio_flock(a, LOCK_UN) == 0);
	CHECK(anyio_flock(b, LOCK_EX | LOCK_NB) == 0);
	CHECK(anyio_close(b) == 0);
	CHECK(anyio_flock(a, LOCK_EX | LOCK_NB) == 0);
	return anyio_close(a);
}

static int lock_in_turn(void *arg)
{
	int fd = anyio_open(arg, O_RDWR, 0);
	CHECK(fd >= 0);
	CHECK(anyio_flock(fd, LOCK_EX) == 0);
	CHECK(anyio_flock(fd, LOCK_UN) == 0);
	return anyio_close(fd);
}

/* More wait than there are threads, one of which the unlock needs. */
static int waiters_body(void *arg)
{
	char path[128]; /* of its own, for many use it at once */
	snprintf(path, sizeof(path), "%s/lock", folder);
	int fd = anyio_open(path, O_RDWR | O_CREAT, 0600);
	if (strncmp(folder, "/sim", 4) == 0)
		return anyio_close(fd);
	CHECK(fd >= 0 && anyio_flock(fd, LOCK_EX) == 0);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 50; i++)
		anyio_start_soon(&group, lock_in_turn, path, "waiter");
	anyio_wait_all_tasks_blocked();
	CHECK(anyio_flock(fd, LOCK_UN) == 0);
	CHECK(anyio_task_group_exit(&group, 0) == 0);
	return anyio_close(fd);
}

static int temporary_body(void *arg)
{
	char one[96], two[96];
	CHECK(anyio_temporary_file(folder, one, strlen(folder) + 15) == -ENAMETOOLONG);
	int fd = anyio_temporary_file(folder, one, strlen(folder) + 16);
	CHECK(fd >= 0 && anyio_close(fd) == 0);
	CHECK(anyio_temporary_directory(folder, two, sizeof(two)) == 0);
	CHECK(strcmp(one, two) != 0);
	CHECK(anyio_temporary_file(in_folder("absent"), one, sizeof(one)) == -ENOENT);
	return 0;
}

static int plain_or_not(const char *path, int rc)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR | O_CREAT };

	for (int i = 0; i < 3; i++) {
		int fd = anyio_plain_openat(AT_FDCWD, path, flags[i], 0600);
		CHECK((fd < 0 ? fd : 0) == rc && (fd < 0 || anyio_close(fd) == 0));
		if (strncmp(folder, "/sim", 4) == 0)
			continue;
		fd = anyio_plain_openat_blocking(AT_FDCWD, path, flags[i], 0600);
		CHECK((fd < 0 ? fd : 0) == rc && (fd < 0 || close(fd) == 0));
	}
	return 0;
}

static int read_own(const char *path)
{
	char out[8] = "";
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);

	CHECK(anyio_plain_read_blocking(fd, out, 2) == 2 && !strcmp(out, "ow"));
	CHECK(anyio_plain_read_blocking(fd, out, sizeof(out)) == 1 && out[0] == 'n');
	CHECK(anyio_plain_read_blocking(fd, out, sizeof(out)) == 0 && close(fd) == 0);
	fd = open(in_folder("dir"), O_RDONLY | O_CLOEXEC);
	CHECK(anyio_plain_read_blocking(fd, out, sizeof(out)) == -EISDIR && close(fd) == 0);
	return 0;
}

/* What a program keeps for itself is a regular file, or an error at once. */
static int plain_body(void *arg)
{
	int fd = anyio_open(in_folder("own"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && anyio_pwrite_all(fd, "own", 3, 0) == 0 && anyio_close(fd) == 0);
	CHECK(anyio_symlinkat("own", AT_FDCWD, in_folder("link")) == 0);
	CHECK(anyio_mkdirat(AT_FDCWD, in_folder("dir"), 0700) == 0);
	CHECK(plain_or_not(in_folder("own"), 0) == 0);
	CHECK(plain_or_not(in_folder("link"), ANYIO_NOT_A_FILE) == 0);
	CHECK(plain_or_not(in_folder("dir"), ANYIO_NOT_A_FILE) == 0);
	if (strncmp(folder, "/sim", 4) == 0)
		return 0;
	CHECK(read_own(in_folder("own")) == 0);
	CHECK(mkfifo(in_folder("pipe"), 0600) == 0);
	return plain_or_not(in_folder("pipe"), ANYIO_NOT_A_FILE);
}

/* It is the name that gets another file, never what a link there leads to. */
static int replace_body(void *arg)
{
	struct stat st;

	if (strncmp(folder, "/sim", 4) == 0)
		return 0;
	CHECK(anyio_plain_replace(AT_FDCWD, in_folder("own"), 0600, NULL, "own", 3, true) == 0);
	static const char *const names[] = { "link", "link.new" };
	for (int i = 0; i < 2; i++)
		CHECK(symlink("own", in_folder(names[i])) == 0);
	CHECK(anyio_plain_replace(AT_FDCWD, in_folder("link"), 0600, NULL, "other", 5, true) == 0);
	CHECK(lstat(in_folder("link"), &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 5);
	/* Nor is anything else touched, or left. */
	CHECK(lstat(in_folder("link.new"), &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(lstat(in_folder("own"), &st) == 0 && st.st_size == 3);
	CHECK(mkfifo(in_folder("pipe"), 0600) == 0 && mkdir(in_folder("dir"), 0700) == 0);
	CHECK(anyio_plain_replace(AT_FDCWD, in_folder("pipe"), 0600, NULL, "", 0, false) == 0);
	CHECK(anyio_plain_replace(AT_FDCWD, in_folder("dir"), 0600, NULL, "", 0, false) ==
		ANYIO_NOT_A_FILE);
	struct anyio_names left;
	CHECK(anyio_listdir(AT_FDCWD, folder, &left) == 0 && left.count == 5);
	anyio_names_free(&left);
	return 0;
}

enum { WHOLE = 64 << 10, REPLACED = 30 };

static int replace_often(void *arg)
{
	static char bytes[2][WHOLE];
	char path[128];
	int letter = *(int *)arg;
	memset(bytes[letter - 'a'], letter, WHOLE);
	snprintf(path, sizeof(path), "%s/own", folder);
	for (int i = 0; i < REPLACED; i++)
		CHECK(anyio_plain_replace(
			      AT_FDCWD, path, 0600, NULL, bytes[letter - 'a'], WHOLE, false) == 0);
	return 0;
}

/* Two meet at one name: each puts its own there, whole. */
static int replacers_body(void *arg)
{
	static int letters[] = { 'a', 'b' };
	uint8_t *data;
	size_t size;

	if (strncmp(folder, "/sim", 4) == 0)
		return 0;
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 2; i++)
		anyio_start_soon(&group, replace_often, &letters[i], "replacer");
	CHECK(anyio_task_group_exit(&group, 0) == 0);
	CHECK(anyio_read_whole(AT_FDCWD, in_folder("own"), WHOLE, &data, &size) == 0);
	CHECK(size == WHOLE && memcmp(data, data + 1, WHOLE - 1) == 0);
	anyio_free(data);
	return 0;
}

/* Nothing that is there is touched, and nothing is left beside it. */
static int create_body(void *arg)
{
	struct anyio_names names;
	struct stat st;

	if (strncmp(folder, "/sim", 4) == 0)
		return 0;
	CHECK(anyio_plain_create(AT_FDCWD, in_folder("file"), 0600, "first", 5, true) == 0);
	CHECK(anyio_plain_create(AT_FDCWD, in_folder("file"), 0600, "no", 2, true) == -EEXIST);
	CHECK(stat(in_folder("file"), &st) == 0 && st.st_size == 5 && !(st.st_mode & 077));
	CHECK(symlink("nowhere", in_folder("link")) == 0);
	CHECK(anyio_plain_create(AT_FDCWD, in_folder("link"), 0600, "no", 2, true) == -EEXIST);
	CHECK(anyio_listdir(AT_FDCWD, folder, &names) == 0 && names.count == 2);
	anyio_names_free(&names);
	return 0;
}

/* The n-th write fails; a whole write stops there with that error, and says nothing else. */
static int no_space_body(void *arg)
{
	int fd = anyio_open(in_folder("full"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	anyio_fault_set(ANYIO_FAULT_WRITE, 2, -ENOSPC);
	CHECK(anyio_pwrite_all(fd, "one", 3, 0) == 0);
	CHECK(anyio_pwrite_all(fd, "two", 3, 3) == -ENOSPC);
	CHECK(anyio_pwrite_all(fd, "three", 5, 3) == 0);
	CHECK(anyio_fault_count(ANYIO_FAULT_WRITE) == 3);
	anyio_fault_set_sticky(ANYIO_FAULT_WRITE, 1, -EIO);
	CHECK(anyio_fsync(fd) == -EIO && anyio_fsync(fd) == -EIO);
	CHECK(anyio_renameat(AT_FDCWD, in_folder("full"), AT_FDCWD, in_folder("x")) == -EIO);
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	CHECK(anyio_fsync(fd) == 0);
	anyio_fault_set(ANYIO_FAULT_READ, 1, -EIO);
	char back[8];
	CHECK(anyio_pread_all(fd, back, 8, 0) == -EIO && anyio_pread_all(fd, back, 8, 0) == 0);
	anyio_fault_set(ANYIO_FAULT_READ, 0, 0);
	return anyio_close(fd);
}

/* Inside a cancelled scope every call says so, and none of them has an effect. */
static int cancelled_body(void *arg)
{
	struct anyio_cancel_scope scope;
	int fd = anyio_open(in_folder("c"), O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	int first = (int)anyio_pwrite(fd, "x", 1, 0);
	int second = anyio_fsync(fd);
	int third = anyio_open(in_folder("never"), O_WRONLY | O_CREAT, 0600);
	int rc = anyio_cancel_scope_exit(&scope, second);
	CHECK(first == ANYIO_CANCELLED && second == ANYIO_CANCELLED && third == ANYIO_CANCELLED);
	CHECK(rc == 0 && anyio_cancel_scope_cancelled_caught(&scope));
	struct stat st;
	CHECK(anyio_fstat(fd, &st) == 0 && st.st_size == 0);
	CHECK(anyio_fstatat(AT_FDCWD, in_folder("never"), &st, 0) == -ENOENT);
	return anyio_close(fd);
}

/* Many at once: more than there are worker threads. */
static int reader_body(void *arg)
{
	char name[128] = "", back[128];
	snprintf(name, sizeof(name), "%s/m%d", folder, (int)(intptr_t)arg);
	int fd = anyio_open(name, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK(anyio_pwrite_all(fd, name, sizeof(name), 0) == 0);
	CHECK(anyio_fdatasync(fd) == 0);
	CHECK(anyio_pread_all(fd, back, sizeof(name), 0) == 0);
	CHECK(memcmp(name, back, sizeof(name)) == 0);
	return anyio_close(fd);
}

static int many_body(void *arg)
{
	ANYIO_TASK_GROUP(group);
	for (intptr_t i = 0; i < 100; i++)
		anyio_start_soon(&group, reader_body, (void *)i, "reader");
	return anyio_task_group_exit(&group, 0);
}

struct opening {
	char path[128];
	int rc;
};

static int open_fifo(void *arg)
{
	struct opening *opening = arg;
	opening->rc = anyio_open(opening->path, O_RDONLY, 0);
	return 0;
}

/* Opening a FIFO waits for its writer: on a worker thread it cannot be called back, so that the
 * cancelled task stays until the open ends, and then gets the descriptor rather than lose it. */
static int late_body(void *arg)
{
	if (strcmp(anyio_backend_name(), "uv") != 0)
		return 0;
	struct opening opening = { .rc = -1 };
	snprintf(opening.path, sizeof(opening.path), "%s", in_folder("fifo"));
	CHECK(mkfifo(opening.path, 0600) == 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, open_fifo, &opening, "opener");
	anyio_cancel_shielded_checkpoint();
	int writer;
	/* Succeeds once a thread waits in open. */
	while ((writer = open(opening.path, O_WRONLY | O_NONBLOCK)) < 0)
		anyio_cancel_shielded_checkpoint();
	anyio_task_group_cancel(&group, "test");
	int rc = anyio_task_group_exit(&group, 0);
	close(writer);
	CHECK(rc == 0);
	CHECK(opening.rc >= 0);
	return anyio_close(opening.rc);
}

static int read_pipe(void *arg)
{
	char byte;
	ssize_t rc = anyio_read(*(int *)arg, &byte, 1);
	return rc == 1 ? 0 : (int)rc;
}

/* A pipe that was made blocking: reading it waits without a thread, and can be cancelled. */
static int pipe_body(void *arg)
{
	int ends[2];
	if (strcmp(anyio_backend_name(), "sim") == 0)
		return 0;
	CHECK(pipe(ends) == 0);
	CHECK(anyio_move_on_after(ANYIO_MILLISECOND, read_pipe, &ends[0]) == 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, read_pipe, &ends[0], "reader");
	anyio_cancel_shielded_checkpoint();
	int rc = anyio_write_all(ends[1], "x", 1);
	rc = anyio_task_group_exit(&group, rc);
	CHECK(rc == 0);
	CHECK(anyio_close(ends[1]) == 0);
	char byte;
	CHECK(anyio_read(ends[0], &byte, 1) == 0);
	return anyio_close(ends[0]);
}

static int write_pipe(void *arg)
{
	static char much[1 << 20];
	return anyio_write_all(*(int *)arg, much, sizeof(much));
}

/* What nobody reads can be given up, in the middle too. */
static int full_pipe_body(void *arg)
{
	int ends[2];
	struct anyio_cancel_scope scope;
	if (strcmp(anyio_backend_name(), "sim") == 0)
		return 0;
	for (int i = 0; i < 2; i++) {
		CHECK(pipe2(ends, i == 0 ? 0 : O_NONBLOCK) == 0);
		anyio_cancel_scope_init(&scope);
		anyio_cancel_scope_set_timeout(&scope, ANYIO_MILLISECOND);
		anyio_cancel_scope_enter(&scope);
		int rc = write_pipe(&ends[1]);
		CHECK(rc == ANYIO_CANCELLED);
		CHECK(anyio_cancel_scope_exit(&scope, rc) == 0);
		CHECK(anyio_close(ends[0]) == 0 && anyio_close(ends[1]) == 0);
	}
	return 0;
}

static int wait_pipe(void *arg)
{
	return anyio_wait_readable(*(int *)arg);
}

/* Numbers come back at once: what was armed for the old descriptor must not serve the new one,
 * whether it went by anyio_close or by the caller's close, and whether it was non-blocking or not. */
static int reuse_body(void *arg)
{
	if (strcmp(anyio_backend_name(), "sim") == 0)
		return 0;
	int last = -1;
	for (int i = 0; i < 20; i++) {
		int ends[2];
		char byte;
		bool ours = i % 4 == 1, reads = i % 4 != 0;
		CHECK(pipe2(ends, i % 3 == 0 ? O_NONBLOCK : 0) == 0);
		CHECK(last == -1 || ends[0] == last);
		last = ends[0];
		CHECK(anyio_move_on_after(
			      ANYIO_MICROSECOND, reads ? read_pipe : wait_pipe, &ends[0]) == 0);
		ANYIO_TASK_GROUP(group);
		anyio_start_soon(&group, reads ? read_pipe : wait_pipe, &ends[0], "reader");
		anyio_cancel_shielded_checkpoint();
		int wrote = (int)write(ends[1], "x", 1);
		int rc = anyio_task_group_exit(&group, 0);
		CHECK(wrote == 1 && rc == 0);
		CHECK(reads || read(ends[0], &byte, 1) == 1);
		CHECK((ours ? anyio_close(ends[0]) : close(ends[0])) == 0);
		close(ends[1]);
	}
	return 0;
}

EVERYWHERE(bytes)
EVERYWHERE(arguments)
EVERYWHERE(position)
EVERYWHERE(vectors)
EVERYWHERE(names)
EVERYWHERE(lock)
EVERYWHERE(waiters)
EVERYWHERE(temporary)
EVERYWHERE(plain)
EVERYWHERE(replace)
EVERYWHERE(replacers)
EVERYWHERE(create)
EVERYWHERE(no_space)
EVERYWHERE(cancelled)
EVERYWHERE(many)
EVERYWHERE(late)
EVERYWHERE(pipe)
EVERYWHERE(full_pipe)
EVERYWHERE(reuse)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_test),
		cmocka_unit_test(arguments_test),
		cmocka_unit_test(position_test),
		cmocka_unit_test(vectors_test),
		cmocka_unit_test(names_test),
		cmocka_unit_test(lock_test),
		cmocka_unit_test(waiters_test),
		cmocka_unit_test(temporary_test),
		cmocka_unit_test(plain_test),
		cmocka_unit_test(replace_test),
		cmocka_unit_test(replacers_test),
		cmocka_unit_test(create_test),
		cmocka_unit_test(no_space_test),
		cmocka_unit_test(cancelled_test),
		cmocka_unit_test(many_test),
		cmocka_unit_test(late_test),
		cmocka_unit_test(pipe_test),
		cmocka_unit_test(full_pipe_test),
		cmocka_unit_test(reuse_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
