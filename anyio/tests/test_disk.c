/* The simulated disk against the kernel's: the same calls, the same answers. */
#include "conformance.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 300 };

static uint64_t dice;

static unsigned draw(unsigned limit)
{
	dice = dice * 6364136223846793005 + 1442695040888963407;
	return (unsigned)(dice >> 33) % limit;
}

struct disk_call {
	unsigned what, from, to, flags, offset, size;
};

static const char *const places[] = { "a", "b", "d", "d/a", "d/e", "d/e/f", "link", "d/../b", "." };
enum { PLACES = sizeof(places) / sizeof(*places) };

static int64_t sum(const char *bytes, ssize_t n)
{
	uint64_t total = (uint64_t)n;
	for (ssize_t i = 0; i < n; i++)
		total = total * 31 + (uint8_t)bytes[i];
	return (int64_t)(total & INT32_MAX);
}

static int64_t call_file(int dir, const struct disk_call *call)
{
	static const int opening[] = { O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL,
		O_RDWR | O_TRUNC, O_RDONLY, O_WRONLY | O_APPEND };
	char bytes[2048];
	memset(bytes, 'a' + (int)call->size % 26, sizeof(bytes));
	int fd = anyio_openat(dir, places[call->from], opening[call->flags % 6], 0600);
	if (fd < 0)
		return fd;
	int64_t rc = 0;
	if (call->what == 0)
		rc = anyio_pwrite(fd, bytes, call->size, call->offset);
	else if (call->what == 1)
		rc = anyio_ftruncate(fd, call->offset);
	if (call->what > 1 || rc < 0) {
		ssize_t n = anyio_pread(fd, bytes, sizeof(bytes), call->offset);
		rc = n < 0 ? rc * 100000 + n : sum(bytes, n);
	}
	anyio_close(fd);
	return rc;
}

static int64_t call_names(int dir, const struct disk_call *call)
{
	const char *from = places[call->from], *to = places[call->to];
	struct anyio_names names;
	struct stat st;
	int64_t rc;
	switch (call->what) {
	case 4: return anyio_mkdirat(dir, from, 0700);
	case 5: return anyio_unlinkat(dir, from, call->flags % 2 ? AT_REMOVEDIR : 0);
	case 6:
	case 7: return anyio_renameat(dir, from, dir, to);
	case 8: return anyio_symlinkat(to, dir, "link");
	case 9:
		rc = anyio_fstatat(dir, from, &st, call->flags % 2 ? AT_SYMLINK_NOFOLLOW : 0);
		if (rc == 0)
			rc = (st.st_mode & S_IFMT) + (S_ISDIR(st.st_mode) ? 0 : st.st_size);
		return rc;
	default:
		rc = anyio_listdir(dir, from, &names);
		for (size_t i = 0; rc >= 0 && i < names.count; i++)
			rc = (rc * 31 + sum(names.names[i], (ssize_t)strlen(names.names[i]))) &
				INT32_MAX;
		anyio_names_free(&names);
		return rc;
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static int two_disks(void *arg)
{
	char path[128], inner[132];
	const char *temporary = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	CHECK_RC(anyio_temporary_directory(temporary, path, sizeof(path)), 0);
	CHECK_RC(anyio_mkdirat(AT_FDCWD, "/sim/t", 0700), 0);
	/* One level down: a link to "." makes "d/.." the folder above. */
	snprintf(inner, sizeof(inner), "%s/x", path);
	CHECK_RC(anyio_mkdirat(AT_FDCWD, inner, 0700), 0);
	CHECK_RC(anyio_mkdirat(AT_FDCWD, "/sim/t/x", 0700), 0);
	int real = anyio_open(inner, O_RDONLY | O_DIRECTORY, 0);
	int simulated = anyio_open("/sim/t/x", O_RDONLY | O_DIRECTORY, 0);
	CHECK(real >= 0 && simulated >= 0);
	for (int i = 0; i < STEPS && conformance_failures() == 0; i++) {
		struct disk_call call = { draw(11), draw(PLACES), draw(PLACES), draw(12),
			draw(3000), draw(1500) };
		int64_t want = call.what < 4 ? call_file(real, &call) : call_names(real, &call);
		int64_t got =
			call.what < 4 ? call_file(simulated, &call) : call_names(simulated, &call);
		if (want != got)
			conformance_fail(__FILE__, __LINE__,
				"step %d: call %u flags %u %s to %s: %lld, not %lld", i, call.what,
				call.flags, places[call.from], places[call.to], (long long)got,
				(long long)want);
	}
	anyio_close(simulated);
	anyio_close(real);
	return nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void the_disk_answers_as_the_kernel_does(void **state)
{
	for (uint64_t seed = 1; seed <= 100; seed++) {
		dice = seed;
		anyio_sim_disk_reset();
		struct anyio_options options = { .backend = "sim", .seed = seed };
		assert_int_equal(anyio_run(two_disks, NULL, &options), 0);
		if (conformance_failures())
			fail_msg("failed with seed %llu", (unsigned long long)seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_disk_answers_as_the_kernel_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
