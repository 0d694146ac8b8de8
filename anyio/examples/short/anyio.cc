/*
 * From C++17: lambdas as tasks, and groups and scopes that are left well when an exception passes: what
 * runs in them is cancelled and waited for, and then the exception goes on.
 */
#include <anyio/anyio.hpp>
#include <cstdio>
#include <stdexcept>

static int parse(const char *text)
{
	anyio::task_group group;

	group.start_soon([] { return anyio_sleep_forever(); }, "helper");
	if (*text != '{')
		throw std::invalid_argument("no brace");
	return group.exit(0);
}

static int body()
{
	int sum = 0;
	int rc = anyio::with_task_group([&sum](anyio::task_group &group) {
		for (int i = 1; i <= 4; i++)
			group.start_soon([&sum, i] {
				sum += i;
				return anyio_checkpoint();
			});
		return 0;
	});
	std::printf("the sum is %d\n", sum);
	try {
		if (rc == 0)
			rc = parse("text");
	} catch (const std::invalid_argument &error) {
		std::printf("refused: %s; tasks left: %zu\n", error.what(), anyio_task_count());
	}
	if (rc < 0)
		return rc;
	rc = anyio::fail_after(10 * ANYIO_MILLISECOND, [] { return anyio_sleep_forever(); });
	std::printf("too late: %s\n", anyio_error_name(rc));
	return rc == -ETIMEDOUT ? 0 : rc;
}

int main()
{
	int rc = anyio::run(body);

	if (rc < 0)
		std::fprintf(stderr, "anyio: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * the sum is 10
 * refused: no brace; tasks left: 1
 * too late: ETIMEDOUT
 */
