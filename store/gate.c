/*
 * The gate over many blocks. What a block must be, ipld/block.h says; here is only who hashes which,
 * and on which processor.
 */
#include <store/gate.h>

#include <anyio/anyio.h>
#include <errno.h>
#include <ipld/block.h>
#include <multiformats/sha256.h>

enum {
	GROUP = 16,                /* blocks handed to the gate together */
	MANY_INLINE = 64 << 10,    /* bytes up to which other threads do not pay */
	SINGLE_INLINE = 256 << 10, /* of one block: up to which the loop can well wait for it */
	SLICES_MAX = 16,
};

struct gate {
	const struct store_block *blocks;
	struct store_block *unnamed; /* the same, when they are to get their digests; else NULL */
	int *results;
	size_t count, slices;
	bool big;
};

static void pass_group(const struct gate *gate, size_t first, size_t count)
{
	struct ipld_block group[GROUP];

	for (size_t i = 0; i < count; i++) {
		const struct store_block *block = &gate->blocks[first + i];

		group[i] = (struct ipld_block){ .cid = &block->cid,
			.data = block->data,
			.len = block->len,
			.big = gate->big,
			.name = gate->unnamed ? gate->unnamed[first + i].cid.digest : NULL };
	}
	ipld_blocks_pass(group, count);
	for (size_t i = 0; i < count; i++)
		gate->results[first + i] = group[i].result;
}

static void pass_slice(void *arg, size_t slice)
{
	const struct gate *gate = arg;
	size_t first = gate->count * slice / gate->slices;
	size_t end = gate->count * (slice + 1) / gate->slices;

	for (; first < end; first += GROUP)
		pass_group(gate, first, end - first < GROUP ? end - first : GROUP);
}

/* More slices than cores even out. Blocks hashed side by side take less than one after the other:
 * all lanes of the processor are filled where that keeps half the cores busy, for it takes half the
 * time; else they go in pairs. */
static size_t slices(size_t count)
{
	size_t cores = anyio_cpu_count(), lanes = mf_sha256_lanes();
	size_t most = cores * 2 < SLICES_MAX ? cores * 2 : SLICES_MAX;

	if (lanes <= 2 || count < lanes * cores / 2)
		lanes = 2;
	count = (count + lanes - 1) / lanes;
	return count < most ? count : most;
}

static int pass(struct gate *gate)
{
	size_t bytes = 0, inline_bytes = gate->count < 2 ? SINGLE_INLINE : MANY_INLINE;
	int rc = -EAGAIN;

	for (size_t i = 0; i < gate->count; i++)
		bytes += gate->blocks[i].len;
	gate->slices = 1;
	if (bytes > inline_bytes) {
		gate->slices = slices(gate->count);
		rc = anyio_cpu_map(pass_slice, gate, gate->slices);
	}
	/* No thread could be made: more slowly, but on. */
	for (size_t i = 0; rc == -EAGAIN && i < gate->slices; i++)
		pass_slice(gate, i);
	return rc == -EAGAIN ? 0 : rc;
}

int store_gate_check(const struct store_block *blocks, size_t count, int *results)
{
	struct gate gate = { .blocks = blocks, .results = results, .count = count };

	return pass(&gate);
}

int store_gate_check_big(const struct store_block *blocks, size_t count, int *results)
{
	struct gate gate = { .blocks = blocks, .results = results, .count = count, .big = true };

	return pass(&gate);
}

int store_gate_name(struct store_block *blocks, size_t count, int *results)
{
	struct gate gate = {
		.blocks = blocks, .unnamed = blocks, .results = results, .count = count
	};

	return pass(&gate);
}
