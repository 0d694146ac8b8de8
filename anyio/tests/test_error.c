/* Codes and their names, and what is called where no loop runs. */
#include "conformance.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../core/core.h"

static void every_code_has_a_name_and_a_text(void **state)
{
	static const struct {
		int code;
		const char *name, *text;
	} ours[] = {
#define X(name, number, text) { ANYIO_##name, "ANYIO_" #name, text },
		ANYIO_ERRORS(X)
#undef X
	};
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		assert_string_equal(anyio_error_name(ours[i].code), ours[i].name);
		assert_string_equal(anyio_error_text(ours[i].code), ours[i].text);
		/* None is a number of the kernel's. */
		assert_true(ours[i].code < -4096);
	}
	assert_string_equal(anyio_error_name(0), "OK");
	assert_string_equal(anyio_error_text(0), "success");
	assert_string_equal(anyio_error_name(-ENOENT), "ENOENT");
	assert_string_equal(anyio_error_text(-ENOENT), strerrordesc_np(ENOENT));
	assert_string_equal(anyio_error_text(-ETIMEDOUT), "timed out");
	static const int strange[] = { 1, ENOENT, -4000, -4096, -1000000, INT32_MIN };
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
		assert_string_equal(anyio_error_name(strange[i]), "UNKNOWN");
		assert_string_equal(anyio_error_text(strange[i]), "unknown error");
	}
}

static int nothing(void *arg)
{
	return 0;
}

static void outside_a_loop_there_is_none(void **state)
{
	struct anyio_task_group group;
	struct anyio_task_handle handle = { { 0 } };
	memset(&group, 0, sizeof group);
	assert_null(anyio_current_task());
	assert_null(anyio_current_token());
	assert_null(anyio_backend_name());
	assert_int_equal(anyio_checkpoint(), ANYIO_NO_LOOP);
	assert_int_equal(anyio_checkpoint_if_cancelled(), ANYIO_NO_LOOP);
	assert_int_equal(anyio_sleep(1), ANYIO_NO_LOOP);
	assert_int_equal(anyio_wait_all_tasks_blocked(), ANYIO_NO_LOOP);
	assert_int_equal(anyio_start_soon(&group, nothing, NULL, "none"), ANYIO_NO_LOOP);
	assert_int_equal(anyio_start(&group, nothing, NULL, "none", NULL), ANYIO_NO_LOOP);
	assert_int_equal(anyio_started(NULL), ANYIO_NO_LOOP);
	assert_int_equal(anyio_task_handle_wait(&handle), ANYIO_NO_LOOP);
	assert_int_equal(anyio_task_spawn_loose(nothing, NULL, "none"), ANYIO_NO_LOOP);
	assert_int_equal(anyio_open("/dev/null", O_RDONLY, 0), ANYIO_NO_LOOP);
	assert_int_equal(anyio_close(-1), ANYIO_NO_LOOP);
	assert_int_equal(anyio_from_thread_check_cancelled(), ANYIO_NO_LOOP);
	assert_int_equal(anyio_from_thread_run(nothing, NULL), ANYIO_NO_LOOP);
	anyio_cancel_shielded_checkpoint();
}

static void how_many_descriptors_there_may_be(void **state)
{
	struct rlimit before, now;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = 123;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	assert_int_equal(anyio_descriptor_limit(), 123);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* What a bug says before it ends the program, cut to the size of a line that is too long. */
static size_t last_words(size_t length, char *out, size_t cap)
{
	int ends[2], status = 0;
	size_t at = 0;
	ssize_t got;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t child = fork();
	if (child == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		char words[2000] = "";
		memset(words, 'w', length);
		anyio_die("file.c", 7, "%s", words);
	}
	close(ends[1]);
	while (at < cap && (got = read(ends[0], out + at, cap - at)) > 0)
		at += (size_t)got;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	return at;
}

static void a_bug_says_where(void **state)
{
	char said[2000];
	if (conformance_skips("a_bug_says_where"))
		skip();
	size_t size = last_words(3, said, sizeof said);
	assert_int_equal(size, strlen("file.c:7: www\n"));
	assert_memory_equal(said, "file.c:7: www\n", size);
	size = last_words(1500, said, sizeof said);
	assert_true(size > 400 && size <= 512 && said[size - 1] == '\n');
}

static int named(void *arg)
{
	CHECK(strcmp(anyio_task_name(anyio_current_task()), "somebody") == 0);
	CHECK_RC((int64_t)anyio_task_count(), 2);
	return 0;
}

static int tasks_have_names(void *arg)
{
	ANYIO_TASK_GROUP(group);
	CHECK(strcmp(anyio_task_name(anyio_current_task()), "root") == 0);
	CHECK_RC(anyio_start_soon(&group, named, NULL, "somebody"), 0);
	CHECK_RC(anyio_sync_range(0, 0, -1), -EINVAL);
	return anyio_task_group_exit(&group, 0);
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(tasks_have_names, 0),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_name_and_a_text),
		cmocka_unit_test(outside_a_loop_there_is_none),
		cmocka_unit_test(how_many_descriptors_there_may_be),
		cmocka_unit_test(a_bug_says_where),
	};
	int failed = cmocka_run_group_tests_name("errors", tests, NULL, NULL);
	return failed + run_conformance(cases, sizeof cases / sizeof *cases);
}
