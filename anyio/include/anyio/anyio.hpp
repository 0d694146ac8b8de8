/*
 * The runtime from C++17: groups and scopes that are left when an exception passes, and lambdas as
 * task bodies. Every other header is C++ as it is; these only spare casts and mistakes.
 *
 * Exceptions. One that is thrown and caught within a task works as ever, also when the task waits
 * inside a catch or in a destructor while the stack unwinds. One that leaves a task's body stops
 * the program and names the task: nothing is thrown across tasks. An exception may pass through
 * the forms below, and must not pass through the library's C functions that call back
 * (anyio_cancel_scope_run, anyio_fail_after, ...).
 *
 * Results stay what they are in C: 0 or a negative code (anyio/error.h).
 */
#ifndef ANYIO_ANYIO_HPP
#define ANYIO_ANYIO_HPP

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>
#include <anyio/anyio.h>

namespace anyio
{

namespace detail
{

/* Memory that goes back unless it was taken out. */
struct memory {
	void *address;

	~memory()
	{
		anyio_free(address);
	}
};

/* A callable kept for a task, which destroys it at its end. */
template <class Body> struct closure {
	Body body;
	bool *began = nullptr; /* set when the task takes it over */

	/* NULL without memory. */
	template <class From> static closure *make(From &&from)
	{
		static_assert(alignof(closure) <= alignof(std::max_align_t), "malloc's alignment");
		memory room{ anyio_malloc(sizeof(closure)) };
		if (!room.address)
			return nullptr;
		auto *self = new (room.address) closure{ std::forward<From>(from) };
		room.address = nullptr;
		return self;
	}
	static void destroy(closure *self)
	{
		self->~closure();
		anyio_free(self);
	}
	static int call(void *arg)
	{
		auto *self = static_cast<closure *>(arg);
		if (self->began)
			*self->began = true;
		int rc = self->body();
		destroy(self);
		return rc;
	}
};

inline int no_memory(void *)
{
	return -ENOMEM;
}

} // namespace detail

/* A cancel scope entered at its declaration and left by exit(), or by an exception that passes. Left
 * otherwise it stops the program and names the place of its declaration. */
class cancel_scope
{
      public:
	/* timeout in nanoseconds from now; ANYIO_FOREVER for none. */
	explicit cancel_scope(anyio_time timeout = ANYIO_FOREVER,
		const char *file = __builtin_FILE(), int line = __builtin_LINE()) noexcept
	    : exceptions_(std::uncaught_exceptions()), file_(file), line_(line)
	{
		anyio_cancel_scope_init(&scope_);
		anyio_cancel_scope_set_timeout(&scope_, timeout);
		anyio_cancel_scope_enter_at(&scope_, file, line);
	}
	cancel_scope(const cancel_scope &) = delete;
	cancel_scope &operator=(const cancel_scope &) = delete;
	~cancel_scope()
	{
		if (left_)
			return;
		if (std::uncaught_exceptions() <= exceptions_) {
			std::fprintf(stderr,
				"%s:%d: the block was left without leaving this scope\n", file_,
				line_);
			std::abort();
		}
		anyio_cancel_scope_exit(&scope_, 0);
	}
	/* As anyio_cancel_scope_exit. */
	[[nodiscard]] int exit(int rc) noexcept
	{
		left_ = true;
		return anyio_cancel_scope_exit(&scope_, rc);
	}
	/* As anyio_cancel_scope_cancel. */
	void cancel(const char *reason = nullptr) noexcept
	{
		anyio_cancel_scope_cancel(&scope_, reason);
	}
	/* After exit(): the deadline fired and this scope absorbed it. */
	bool timed_out() const noexcept
	{
		return anyio_cancel_scope_cancelled_caught(&scope_) &&
			anyio_cancel_scope_timed_out(&scope_);
	}
	/* For the functions of anyio/cancel.h. */
	anyio_cancel_scope *get() noexcept
	{
		return &scope_;
	}

      private:
	anyio_cancel_scope scope_;
	int exceptions_;
	const char *file_;
	int line_;
	bool left_ = false;
};

/* A task group entered at its declaration and left by exit(). An exception that passes cancels the
 * children, waits for them and goes on; left otherwise it stops the program and names the place. */
class task_group
{
      public:
	/* Enters; the place is for messages. */
	explicit task_group(
		const char *file = __builtin_FILE(), int line = __builtin_LINE()) noexcept
	    : exceptions_(std::uncaught_exceptions())
	{
		anyio_task_group_enter_at(&group_, file, line);
	}
	task_group(const task_group &) = delete;
	task_group &operator=(const task_group &) = delete;
	~task_group()
	{
		if (!left_ && std::uncaught_exceptions() > exceptions_) {
			anyio_task_group_cancel(&group_, "an exception left the group");
			anyio_task_group_exit(&group_, 0);
		} else {
			anyio_task_group_check_left(&group_);
		}
	}
	/* As anyio_task_group_exit: waits for all; the first real error. */
	[[nodiscard]] int exit(int rc) noexcept
	{
		left_ = true;
		return anyio_task_group_exit(&group_, rc);
	}
	/* As anyio_start_soon. body is anything that is called without arguments and returns int; it is
	 * copied or moved, and destroyed when its task ends (at once when there is none). */
	template <class Body> int start_soon(Body &&body, const char *name = "task")
	{
		using closure = detail::closure<std::decay_t<Body>>;
		auto *kept = closure::make(std::forward<Body>(body));
		if (!kept) {
			anyio_start_soon(&group_, detail::no_memory, nullptr, name);
			return -ENOMEM;
		}
		int rc = anyio_start_soon(&group_, closure::call, kept, name);
		if (rc < 0)
			closure::destroy(kept);
		return rc;
	}
	/* As anyio_start: returns once the body has called anyio_started. */
	template <class Body>
	int start(Body &&body, const char *name = "task", void **value = nullptr)
	{
		using closure = detail::closure<std::decay_t<Body>>;
		auto *kept = closure::make(std::forward<Body>(body));
		bool began = false;
		if (!kept)
			return -ENOMEM;
		kept->began = &began;
		int rc = anyio_start(&group_, closure::call, kept, name, value);
		if (!began)
			closure::destroy(kept);
		return rc;
	}
	/* As anyio_task_group_cancel. */
	void cancel(const char *reason = nullptr) noexcept
	{
		anyio_task_group_cancel(&group_, reason);
	}
	/* For the functions of anyio/task.h. */
	anyio_task_group *get() noexcept
	{
		return &group_;
	}

      private:
	anyio_task_group group_;
	int exceptions_;
	bool left_ = false;
};

/* Runs body in the root task of a new loop: as anyio_run. */
template <class Body> int run(Body &&body, const anyio_options *options = nullptr)
{
	auto call = [&body]() -> int { /* for a function itself has no address as data */
		return body();
	};
	return anyio_run([](void *arg) -> int { return (*static_cast<decltype(call) *>(arg))(); },
		&call, options);
}

/* Calls body(group) inside a new group and leaves that with its result. */
template <class Body>
int with_task_group(Body &&body, const char *file = __builtin_FILE(), int line = __builtin_LINE())
{
	task_group group(file, line);
	return group.exit(body(group));
}

/* Calls body() for at most timeout nanoseconds: -ETIMEDOUT when it was cut off. As anyio_fail_after. */
template <class Body> int fail_after(anyio_time timeout, Body &&body)
{
	cancel_scope scope(timeout);
	int rc = scope.exit(body());
	return scope.timed_out() ? -ETIMEDOUT : rc;
}

/* The same, but 0 when it was cut off. As anyio_move_on_after. */
template <class Body> int move_on_after(anyio_time timeout, Body &&body)
{
	cancel_scope scope(timeout);
	return scope.exit(body());
}

} // namespace anyio

#endif
