/* The repo as a whole: what it holds, and whether it holds it whole. */
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int kit_repo_stat(struct kit_node *node, struct kit_repo_stat *stat)
{
	struct store_stat from;
	const struct kit_config *config;
	int rc = store_stat(node->core->store, &from);

	if (rc)
		return kit_fail_code(node, rc, "repo stat");
	rc = kit_config_now(node, &config);
	if (rc)
		return rc;
	*stat = (struct kit_repo_stat){ .blocks = from.blocks,
		.bytes = from.bytes,
		.disk_bytes = from.segment_bytes + from.index_bytes,
		.segments = from.segments,
		.pins = from.pins,
		.max_bytes = strtoull(kit_config_value(config, "store.max"), NULL, 10),
		.path = node->core->dir,
		.version = STORE_VERSION };
	return 0;
}

struct verifying {
	const struct kit_verify_options *options;
	struct kit_node *node;
};

static int on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct verifying *verifying = arg;

	if (verifying->options->progress)
		verifying->options->progress(verifying->options->arg, done, total);
	return 0;
}

static void on_fault(void *arg, const struct store_fault *fault)
{
	static const char *const kinds[] = {
		[STORE_FAULT_DAMAGE] = "damaged bytes",
		[STORE_FAULT_BLOCK] = "a block does not match its CID",
		[STORE_FAULT_INDEX] = "the index does not know this block",
		[STORE_FAULT_POINTERS] = "the index points at what is not there",
		[STORE_FAULT_SEGMENT] = "a segment is missing or too short",
		[STORE_FAULT_PIN] = "needed by a pin, and missing or damaged",
	};
	struct verifying *verifying = arg;
	char text[256];

	snprintf(text, sizeof(text), "%s (segment %u, bytes %llu to %llu)", kinds[fault->kind],
		fault->segment, (unsigned long long)fault->from, (unsigned long long)fault->to);
	if (verifying->options->problem)
		verifying->options->problem(
			verifying->options->arg, fault->cid, fault->error, text);
}

int kit_repo_verify(struct kit_node *node, const struct kit_verify_options *options)
{
	static const struct kit_verify_options none;
	struct verifying verifying = { options ? options : &none, node };
	struct store_verify_options how = {
		.progress = on_progress, .fault = on_fault, .arg = &verifying
	};
	struct store_verify_result result = { 0 };
	int rc = store_verify(node->core->store, &how, &result);

	node->error[0] = 0;
	if (rc)
		return rc == ANYIO_CANCELLED ? rc : kit_fail_code(node, rc, "repo verify");
	if (result.faults)
		return kit_fail(node, -EBADMSG, "%llu problems found; every other block is whole",
			(unsigned long long)result.faults);
	return 0;
}
