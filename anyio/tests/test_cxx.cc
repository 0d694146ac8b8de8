/* The runtime from C++: exceptions stay with their task, groups and scopes are left by them, lambdas are
 * tasks. */
#include <anyio/anyio.hpp>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include "conformance.h"

namespace
{

/* Waits inside its handler while others are in theirs, and then throws on what it caught. */
int throws_on(int number)
{
	int caught = 0;
	try {
		try {
			throw number;
		} catch (int value) {
			CHECK_RC(value, number);
			for (int i = 0; i < 5; i++)
				CHECK_RC(anyio_checkpoint(), 0);
			CHECK(std::current_exception() != nullptr);
			throw;
		}
	} catch (int value) {
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
		caught = value;
	}
	CHECK_RC(caught, number);
	CHECK(std::current_exception() == nullptr);
	return 0;
}

int x_what_is_caught_stays_with_its_task(void *)
{
	anyio::task_group group;
	for (int i = 0; i < 10; i++)
		group.start_soon([i] { return throws_on(i); });
	return group.exit(0);
}

struct waits_when_destroyed {
	~waits_when_destroyed()
	{
		CHECK_RC(std::uncaught_exceptions(), 1);
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
		try {
			throw std::string("inner");
		} catch (const std::string &text) {
			CHECK_RC(anyio_checkpoint(), 0);
			CHECK(text == "inner");
		}
		CHECK_RC(std::uncaught_exceptions(), 1);
	}
};

int unwinds_slowly(int number)
{
	CHECK_RC(std::uncaught_exceptions(), 0);
	try {
		waits_when_destroyed waits;
		throw number;
	} catch (int value) {
		CHECK_RC(value, number);
	}
	CHECK_RC(std::uncaught_exceptions(), 0);
	return 0;
}

int x_unwinding_stays_with_its_task(void *)
{
	anyio::task_group group;
	for (int i = 0; i < 10; i++)
		group.start_soon([i] { return unwinds_slowly(i); });
	CHECK_RC(std::uncaught_exceptions(), 0);
	return group.exit(0);
}

int x_an_exception_that_leaves_a_group_cancels_and_waits(void *)
{
	bool cancelled = false, caught = false;
	try {
		anyio::with_task_group([&](anyio::task_group &group) -> int {
			group.start_soon([&] {
				int rc = anyio_sleep_forever();
				anyio_cancel_shielded_checkpoint();
				cancelled = rc == ANYIO_CANCELLED;
				return rc;
			});
			CHECK_RC(anyio_checkpoint(), 0);
			throw std::runtime_error("out");
		});
	} catch (const std::runtime_error &error) {
		caught = std::string(error.what()) == "out";
		CHECK(cancelled);
	}
	CHECK(caught);
	return anyio_checkpoint();
}

int x_an_exception_leaves_a_scope(void *)
{
	bool caught = false;
	try {
		anyio::move_on_after(
			ANYIO_SECOND, []() -> int { throw std::runtime_error("out"); });
	} catch (const std::runtime_error &) {
		caught = true;
	}
	CHECK(caught);
	CHECK_RC(anyio_current_effective_deadline(), ANYIO_FOREVER);
	return 0;
}

int x_timeouts_take_lambdas(void *)
{
	CHECK_RC(anyio::fail_after(ANYIO_MILLISECOND, [] { return anyio_sleep_forever(); }),
		-ETIMEDOUT);
	CHECK_RC(anyio::move_on_after(ANYIO_MILLISECOND, [] { return anyio_sleep_forever(); }), 0);
	CHECK_RC(anyio::fail_after(ANYIO_SECOND, [] { return 7; }), 7);
	return 0;
}

int x_the_c_macro_works(void *)
{
	int count = 0;
	ANYIO_TASK_GROUP(group);
	auto add = [](void *arg) { return ++*static_cast<int *>(arg), 0; };
	CHECK_RC(anyio_start_soon(&group, add, &count, "add"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(count, 1);
	return 0;
}

struct counted {
	static int alive;
	int rc;

	explicit counted(int result) : rc(result)
	{
		alive++;
	}
	counted(const counted &other) : rc(other.rc)
	{
		alive++;
	}
	~counted()
	{
		alive--;
	}
	int operator()() const
	{
		return rc;
	}
};
int counted::alive;

/* Whether or not there was memory for it and a task. */
int x_bodies_are_destroyed_once(void *)
{
	for (uint64_t fault = 0; fault <= 3; fault++) {
		anyio::task_group group;
		anyio_fault_set(ANYIO_FAULT_MEMORY, fault, 0);
		int rc = group.start_soon(counted(0), "counted");
		bool failed = rc < 0;
		CHECK(rc == 0 || rc == -ENOMEM);
		CHECK(failed == (fault == 1 || fault == 2));
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK_RC(group.exit(0), failed ? -ENOMEM : 0);
		CHECK_RC(counted::alive, 0);
	}
	return 0;
}

int x_starting_hands_over_or_takes_back(void *)
{
	int number = 5;
	void *value = nullptr;
	anyio::task_group group;
	auto starts = [&number, kept = counted(0)] {
		int rc = anyio_started(&number);
		CHECK_RC(anyio_checkpoint(), 0);
		return rc;
	};
	CHECK_RC(group.start(starts, "starts", &value), 0);
	CHECK(value == &number);
	CHECK_RC(group.start(counted(-EIO), "fails"), -EIO);
	CHECK_RC(group.start(counted(0), "does not"), ANYIO_NOT_STARTED);
	for (uint64_t fault = 1; fault <= 2; fault++) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, fault, 0);
		CHECK_RC(group.start(counted(0), "cannot"), -ENOMEM);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	}
	CHECK_RC(group.exit(0), 0);
	CHECK_RC(counted::alive, 1); /* the one in `starts` */
	return 0;
}

int throws_out(void *)
{
	throw std::runtime_error("what was thrown");
}

int leaves_the_body(void *)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, throws_out, nullptr, "the careless one");
	return anyio_task_group_exit(&group, 0);
}

int leaves_the_group(void *)
{
	anyio::task_group group;
	return 0;
}

int leaves_the_scope(void *)
{
	anyio::cancel_scope scope;
	return 0;
}

/* What a process says that stops while it runs body. */
std::string last_words(anyio_task_fn body, const anyio_options *options)
{
	int ends[2], status = 0;
	std::string said;
	CHECK_RC(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		anyio_run(body, nullptr, options);
		_exit(0);
	}
	close(ends[1]);
	char buffer[512];
	for (ssize_t size; (size = read(ends[0], buffer, sizeof buffer)) > 0;)
		said.append(buffer, static_cast<size_t>(size));
	close(ends[0]);
	CHECK_RC(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) != 0); /* sanitizers exit */
	return said;
}

int forty_one()
{
	return anyio_checkpoint() + 41;
}

struct counts_calls {
	int calls = 0;
	int operator()()
	{
		return ++calls;
	}
};

int x_a_loop_runs_functions_and_callables(void *arg)
{
	auto *options = static_cast<const anyio_options *>(arg);
	counts_calls kept;
	const auto constant = [] { return anyio_checkpoint() + 42; };
	CHECK_RC(anyio::run(forty_one, options), 41);
	CHECK_RC(anyio::run(&forty_one, options), 41);
	CHECK_RC(anyio::run(constant, options), 42);
	CHECK_RC(anyio::run(counts_calls(), options), 1);
	CHECK_RC(anyio::run(kept, options), 1);
	CHECK_RC(kept.calls, 1); /* itself, no copy */
	return 0;
}

int x_who_leaves_wrongly_is_named(void *arg)
{
	auto *options = static_cast<const anyio_options *>(arg);
	std::string said = last_words(leaves_the_body, options);
	CHECK(said.find("an exception left the body of task \"the careless one\"") !=
		std::string::npos);
	CHECK(said.find("what was thrown") != std::string::npos);
	said = last_words(leaves_the_group, options);
	CHECK(said.find("test_cxx.cc") != std::string::npos);
	said = last_words(leaves_the_scope, options);
	CHECK(said.find("test_cxx.cc") != std::string::npos);
	return 0;
}

} // namespace

int main()
{
	static const conformance_case cases[] = {
		CONFORM(x_what_is_caught_stays_with_its_task, CONFORM_MOCK),
		CONFORM(x_unwinding_stays_with_its_task, CONFORM_MOCK),
		CONFORM(x_an_exception_that_leaves_a_group_cancels_and_waits, 0),
		CONFORM(x_an_exception_leaves_a_scope, 0),
		CONFORM(x_timeouts_take_lambdas, CONFORM_MOCK),
		CONFORM(x_the_c_macro_works, 0),
		CONFORM(x_bodies_are_destroyed_once, 0),
		CONFORM(x_starting_hands_over_or_takes_back, 0),
		CONFORM(x_a_loop_runs_functions_and_callables, CONFORM_BARE),
		CONFORM(x_who_leaves_wrongly_is_named, CONFORM_BARE | CONFORM_NO_SIM),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
