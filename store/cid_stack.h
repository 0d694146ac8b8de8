/* CIDs still to be looked at by a walk, the last pushed first: each is its bytes and, behind them, their number. */
#ifndef STORE_CID_STACK_H
#define STORE_CID_STACK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <anyio/memory.h>
#include <multiformats/cid.h>

/* All zero is empty; bytes is to be freed. */
struct cid_stack {
	uint8_t *bytes;
	size_t used, room;
};

/* 0 or -ENOMEM. */
static inline int cid_stack_push(struct cid_stack *stack, const struct mf_cid *cid)
{
	if (stack->used + MF_CID_BYTES_MAX + 1 > stack->room) {
		size_t room = stack->room * 2 + 4096;
		uint8_t *bytes = anyio_realloc(stack->bytes, room);

		if (!bytes)
			return -ENOMEM;
		stack->bytes = bytes;
		stack->room = room;
	}
	size_t len = mf_cid_encode(cid, stack->bytes + stack->used, MF_CID_BYTES_MAX);
	stack->used += len;
	stack->bytes[stack->used++] = len;
	return 0;
}

/* False: it is empty. */
static inline bool cid_stack_pop(struct cid_stack *stack, struct mf_cid *cid)
{
	if (stack->used == 0)
		return false;
	uint8_t len = stack->bytes[--stack->used];
	stack->used -= len;
	mf_cid_decode(cid, stack->bytes + stack->used, len);
	return true;
}

#endif
