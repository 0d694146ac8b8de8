/*
 * Injected faults. While all are off a call costs one relaxed load; counting goes on only while a
 * kind is on.
 */
#include "loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

static _Atomic unsigned armed; /* bit k: kind k is on */

static struct fault {
	_Atomic uint64_t seen;
	_Atomic uint64_t at;
	_Atomic int error;
	_Atomic bool sticky;
} faults[ANYIO_FAULT_KINDS];

static void fault_set(enum anyio_fault_kind kind, uint64_t at, int error, bool sticky)
{
	struct fault *fault = &faults[kind];
	atomic_fetch_and(&armed, ~(1U << kind));
	atomic_store(&fault->at, at);
	/* Either sign is taken: callers think of EIO and of -EIO alike. */
	atomic_store(&fault->error, error > 0 ? -error : error);
	atomic_store(&fault->sticky, sticky);
	if (at == 0)
		return;
	atomic_store(&fault->seen, 0);
	atomic_fetch_or(&armed, 1U << kind);
}

void anyio_fault_set(enum anyio_fault_kind kind, uint64_t at, int error)
{
	fault_set(kind, at, error, false);
}

void anyio_fault_set_sticky(enum anyio_fault_kind kind, uint64_t from, int error)
{
	fault_set(kind, from, error, true);
}

static _Atomic int call_code;

int anyio_fault_set_call(const char *call, uint64_t at, int error)
{
	int code = 0;
	while (code < ANYIO_OP_COUNT && strcmp(op_kinds[code].call, call) != 0)
		code++;
	if (code == ANYIO_OP_COUNT)
		return -EINVAL;
	fault_set(ANYIO_FAULT_CALL, 0, 0, false);
	atomic_store(&call_code, code);
	fault_set(ANYIO_FAULT_CALL, at, error, false);
	return 0;
}

bool anyio_fault_calls(enum anyio_opcode code)
{
	return atomic_load_explicit(&armed, memory_order_relaxed) & (1U << ANYIO_FAULT_CALL) &&
		(int)code == atomic_load(&call_code);
}

uint64_t anyio_fault_count(enum anyio_fault_kind kind)
{
	return atomic_load(&faults[kind].seen);
}

bool anyio_fault_hit(enum anyio_fault_kind kind, int *error)
{
	if (!(atomic_load_explicit(&armed, memory_order_relaxed) & (1U << kind)))
		return false;
	struct fault *fault = &faults[kind];
	uint64_t now = atomic_fetch_add(&fault->seen, 1) + 1;
	uint64_t at = atomic_load(&fault->at);
	if (now != at && !(now > at && atomic_load(&fault->sticky)))
		return false;
	*error = atomic_load(&fault->error);
	return true;
}
