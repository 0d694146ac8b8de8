#include "calls.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

static _Atomic int failing = CALL_COUNT;
static _Atomic uint64_t seen, failing_at;
static _Atomic int failing_error;

const char *call_name(enum call call)
{
	static const char *const names[] = {
#define X(result, name, parameters, arguments, failure) #name,
		CALLS(X)
#undef X
	};
	return names[call];
}

void call_fail(enum call call, uint64_t at, int error)
{
	atomic_store(&failing, CALL_COUNT);
	atomic_store(&seen, 0);
	atomic_store(&failing_at, at);
	atomic_store(&failing_error, error);
	atomic_store(&failing, (int)call);
}

uint64_t call_count(void)
{
	return atomic_load(&seen);
}

static bool fails(enum call call, int *error)
{
	if (atomic_load(&failing) != (int)call)
		return false;
	*error = atomic_load(&failing_error);
	return atomic_fetch_add(&seen, 1) + 1 == atomic_load(&failing_at);
}

static int call_errno(int error)
{
	errno = error;
	return -1;
}

static void *call_null(int error)
{
	errno = error;
	return NULL;
}

/* A code of the resolver's own, or an errno value that it passes on. */
static int call_lookup(int error)
{
	if (error < 0)
		return error;
	errno = error;
	return EAI_SYSTEM;
}

/* clang-format off */
#define X(result, name, parameters, arguments, failure)                                            \
	result __real_##name parameters;                                                           \
	result __wrap_##name parameters;                                                           \
	result __wrap_##name parameters                                                            \
	{                                                                                          \
		int error;                                                                         \
		return fails(CALL_##name, &error) ? failure : __real_##name arguments;             \
	}
CALLS(X)
/* clang-format on */
