/*
 * An add that is killed goes on where it stopped. A child process adds and kills itself, from the
 * progress callback, as soon as the journal holds something; another one adds again and counts what
 * it reads from the input.
 */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct child {
	const char *repo, *input;
	char journal[128];
	bool die;      /* when the journal holds something */
	uint64_t read; /* bytes, while adding */
	char cid[MF_CID_TEXT_MAX];
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct child *child = arg;
	struct stat st;

	if (child->die && !stat(child->journal, &st) && st.st_size > 0)
		kill(getpid(), SIGKILL);
}

/* Bytes this process has read by system calls. */
static uint64_t bytes_read(void)
{
	unsigned long long count = 0;
	FILE *file = fopen("/proc/self/io", "re");

	if (!file || fscanf(file, "rchar: %llu", &count) != 1)
		count = 0;
	if (file)
		fclose(file);
	return count;
}

struct outcome {
	int rc;
	uint64_t read;
	char cid[MF_CID_TEXT_MAX];
};

static int add(void *arg)
{
	struct child *child = arg;
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct kit_node *node;
	char error[256];

	options.recursive = true;
	options.progress = on_progress;
	options.arg = child;
	CHECK_RC(0, kit_open(child->repo, NULL, &node, error, sizeof(error)));
	uint64_t before = bytes_read();
	CHECK_RC(0, add_text(node, child->input, &options, child->cid));
	child->read = bytes_read() - before;
	CHECK_RC(0, kit_repo_verify(node, &(struct kit_verify_options){ 0 }));
	return kit_close(node);
}

/* In a process of its own; -1 when it was killed. */
static struct outcome run_child(const char *repo, const char *input, bool die)
{
	/* Reads of the uv backend are system calls that the kernel counts. */
	struct anyio_options options = { .backend = "uv" };
	struct child child = { .repo = repo, .input = input, .die = die };
	struct outcome outcome = { .rc = -1 };
	int pipes[2], status;

	snprintf(child.journal, sizeof(child.journal), "%s/adding", repo);
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		outcome.rc = anyio_run(add, &child, &options);
		outcome.read = child.read;
		strcpy(outcome.cid, child.cid);
		_exit(write(pipes[1], &outcome, sizeof(outcome)) == (ssize_t)sizeof(outcome) ? 0
											     : 1);
	}
	close(pipes[1]);
	if (read(pipes[0], &outcome, sizeof(outcome)) != (ssize_t)sizeof(outcome))
		outcome.rc = -1;
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(!die || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	return outcome;
}

static int init_repo(void *repo)
{
	return kit_init(repo, NULL);
}

/* Files changed a moment ago are not trusted to be what they were. */
static void until_quiet(const char *path)
{
	struct timespec now;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	do
		clock_gettime(CLOCK_REALTIME, &now);
	while ((now.tv_sec - st.st_ctim.tv_sec) * 1000000000ll + now.tv_nsec - st.st_ctim.tv_nsec <
		60000000);
}

struct place {
	char dir[64], input[80], one[80], two[80];
};

static void place_make(struct place *place)
{
	strcpy(place->dir, "/tmp/kit-test-XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	snprintf(place->input, sizeof(place->input), "%s/input", place->dir);
	snprintf(place->one, sizeof(place->one), "%s/one", place->dir);
	snprintf(place->two, sizeof(place->two), "%s/two", place->dir);
	assert_int_equal(anyio_run(init_repo, place->one, NULL), 0);
	assert_int_equal(anyio_run(init_repo, place->two, NULL), 0);
}

/* Killed once, then gone on with; the CID is that of a repo where nothing happened. */
static void check_resumed(struct place *place)
{
	char journal[128];

	run_child(place->one, place->input, true);
	struct outcome resumed = run_child(place->one, place->input, false);
	struct outcome whole = run_child(place->two, place->input, false);
	assert_int_equal(resumed.rc, 0);
	assert_int_equal(whole.rc, 0);
	assert_string_equal(resumed.cid, whole.cid);
	print_message("          read %llu bytes the second time, of %llu\n",
		(unsigned long long)resumed.read, (unsigned long long)whole.read);
	assert_true(resumed.read < whole.read / 10 * 8);
	snprintf(journal, sizeof(journal), "%s/adding", place->one);
	assert_int_not_equal(access(journal, F_OK), 0);
}

static void test_a_large_file(void **state)
{
	struct place place;

	place_make(&place);
	assert_int_equal(make_file(place.input, 1, 200 << 20), 0);
	until_quiet(place.input);
	check_resumed(&place);
	remove_tree(place.dir);
}

static void test_many_files(void **state)
{
	struct place place;

	place_make(&place);
	assert_int_equal(make_folder(place.input, 1, 5000, 8, 8, 20000), 0);
	char last[128];
	snprintf(last, sizeof(last), "%s/%08u", place.input, 4999);
	until_quiet(last);
	check_resumed(&place);
	remove_tree(place.dir);
}

/* What was changed in between is read again, and the new bytes count. */
static void test_a_changed_file(void **state)
{
	struct place place;

	place_make(&place);
	assert_int_equal(make_file(place.input, 1, 100 << 20), 0);
	until_quiet(place.input);
	run_child(place.one, place.input, true);
	int fd = open(place.input, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 5), 1);
	close(fd);
	struct outcome resumed = run_child(place.one, place.input, false);
	struct outcome whole = run_child(place.two, place.input, false);
	assert_string_equal(resumed.cid, whole.cid);
	assert_true(resumed.read >= 100 << 20);
	remove_tree(place.dir);
}

/* A torn or damaged journal is worth what is whole of it. */
static void test_a_torn_journal(void **state)
{
	struct place place;
	char journal[128];

	place_make(&place);
	assert_int_equal(make_folder(place.input, 1, 5000, 8, 8, 20000), 0);
	char last[128];
	snprintf(last, sizeof(last), "%s/%08u", place.input, 4999);
	until_quiet(last);
	run_child(place.one, place.input, true);
	snprintf(journal, sizeof(journal), "%s/adding", place.one);
	struct stat st;
	assert_int_equal(stat(journal, &st), 0);
	int fd = open(journal, O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, st.st_size - 7), 0);
	assert_int_equal(pwrite(fd, "damage", 6, st.st_size / 2), 6);
	close(fd);
	struct outcome resumed = run_child(place.one, place.input, false);
	struct outcome whole = run_child(place.two, place.input, false);
	assert_int_equal(resumed.rc, 0);
	assert_string_equal(resumed.cid, whole.cid);
	assert_true(resumed.read < whole.read);
	assert_int_not_equal(access(journal, F_OK), 0);
	remove_tree(place.dir);
}

/* ---- Two adds at once ---- */

struct pair {
	struct scene *scene;
	char journal[128];
	unsigned most; /* how often the journal was open at once */
};

static void count_open(void *arg, uint64_t done, uint64_t total)
{
	struct pair *pair = arg;
	struct dirent *entry;
	char target[256];
	unsigned count = 0;
	DIR *fds = opendir("/proc/self/fd");

	while (fds && (entry = readdir(fds))) {
		ssize_t len = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = 0;
		count += !strcmp(target, pair->journal);
	}
	if (fds)
		closedir(fds);
	pair->most = count > pair->most ? count : pair->most;
}

static int add_of_pair(void *arg)
{
	struct pair *pair = arg;
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct kit_node *handle;
	struct mf_cid cid;

	options.progress = count_open;
	options.arg = pair;
	CHECK_RC(0, kit_share(pair->scene->node, &handle));
	int rc = kit_add_path(handle, scene_path(pair->scene, "input"), &options, &cid);
	kit_unshare(handle);
	return rc;
}

static int two_adds(struct scene *scene)
{
	struct pair pair = { .scene = scene };

	snprintf(pair.journal, sizeof(pair.journal), "%s/adding", scene->repo);
	CHECK_RC(0, make_file(scene_path(scene, "input"), 1, 1 << 20));
	for (int round = 0; round < 2; round++) {
		int rc = 0;
		pair.most = 0;
		ANYIO_TASK_GROUP(group);
		for (int i = 0; !rc && i < 2; i++)
			rc = anyio_start_soon(&group, add_of_pair, &pair, "add");
		CHECK_RC(0, anyio_task_group_exit(&group, rc));
		CHECK(pair.most == 1);
		CHECK(access(pair.journal, F_OK) != 0);
	}
	return 0;
}

/* They never write one journal together, or a resume would put one file's bytes into another; and it is
 * given back to the next. */
static void test_two_at_once(void **state)
{
	scene_run(two_adds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_large_file),
		cmocka_unit_test(test_many_files),
		cmocka_unit_test(test_a_changed_file),
		cmocka_unit_test(test_a_torn_journal),
		cmocka_unit_test(test_two_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
