/*
 * What a node counts, gathered from all floors. Nothing is counted for it: each of these numbers is there anyway. All are taken
 * before the first is told, for who is told may wait.
 */
#include "counting.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct counted {
	const char *name, *help, *label;
	enum kit_metric_kind kind;
	double value;
	char of[STORE_TIER_NAME_MAX + 1];
};

void counting_add_of(struct counting *counting, enum kit_metric_kind kind, const char *name,
	const char *help, const char *label, const char *of, double value)
{
	if (counting->count == counting->size) {
		size_t size = counting->size * 2 + 128;
		struct counted *list = anyio_realloc(counting->list, size * sizeof(*list));

		counting->no_memory |= !list;
		if (!list)
			return;
		counting->list = list;
		counting->size = size;
	}
	struct counted *counted = &counting->list[counting->count++];
	*counted = (struct counted){ name, help, label, kind, value, "" };
	snprintf(counted->of, sizeof(counted->of), "%s", of);
}

void counting_add(struct counting *counting, enum kit_metric_kind kind, const char *name,
	const char *help, double value)
{
	counting_add_of(counting, kind, name, help, NULL, "", value);
}

static void add_store(struct counting *counting, struct store *store)
{
	static const char files[] = "ipfs_kit_store_file_bytes";
	static const char files_help[] =
		"Bytes of the repo's files, but of links to files that are somebody else's.";
	struct store_wal_status wal;
	struct store_stat stat;

	counting_add(counting, KIT_GAUGE, "ipfs_kit_store_used_bytes",
		"Bytes that count for the repo's limit.", (double)store_used(store));
	counting_add(counting, KIT_GAUGE, "ipfs_kit_store_limit_bytes",
		"How many those may be; 0: any number.", (double)store_limit(store));
	if (store_stat(store, &stat) < 0)
		return;
	store_wal_status(store, &wal);
	counting_add_of(counting, KIT_GAUGE, files, files_help, "part", "segments",
		(double)stat.segment_bytes);
	counting_add_of(
		counting, KIT_GAUGE, files, files_help, "part", "index", (double)stat.index_bytes);
	counting_add_of(counting, KIT_GAUGE, files, files_help, "part", "operations",
		(double)wal.operations_bytes);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_store_segments", "Segment files.",
		(double)stat.segments);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_store_blocks",
		"Different blocks, those in tiers too.", (double)stat.blocks);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_store_block_bytes", "Bytes of those blocks.",
		(double)stat.bytes);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_store_pins", "Pins.", (double)stat.pins);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_store_damaged_total",
		"Blocks that were found damaged or lost when they were read, those in tiers too, since the repo was opened.",
		(double)stat.damaged);
}

static void add_log(struct counting *counting, struct store *store)
{
	static const char pending[] = "ipfs_kit_log_pending_bytes";
	static const char pending_help[] =
		"Bytes that were written, but are not durable yet: acknowledged to nobody.";
	struct store_wal_status wal;

	store_wal_status(store, &wal);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_log_commits_total",
		"Commits that are durable, since the repo was made.", (double)wal.durable.sequence);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_log_syncs_total",
		"Waits for the disk that made something durable.", (double)wal.syncs);
	counting_add_of(counting, KIT_GAUGE, pending, pending_help, "log", "blocks",
		(double)wal.pending_bytes);
	counting_add_of(counting, KIT_GAUGE, pending, pending_help, "log", "operations",
		(double)wal.operations_pending);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_log_behind_bytes",
		"Bytes that an opening after a crash would read again.", (double)wal.behind_bytes);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_log_stopped",
		"1: nothing is written any more, for a sync failed or something of the log is lost.",
		wal.stopped != 0);
}

static void add_cache(struct counting *counting, struct store *store)
{
	struct store_cache_stat stat;

	store_cache_stat(store, &stat);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_cache_limit_bytes",
		"How many bytes the cache of blocks may take; 0: there is none.",
		(double)stat.max_bytes);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_cache_bytes", "Bytes that it takes.",
		(double)stat.bytes);
	counting_add(
		counting, KIT_GAUGE, "ipfs_kit_cache_blocks", "Blocks in it.", (double)stat.blocks);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_cache_hits_total",
		"Blocks that were asked for, and were in it.", (double)stat.hits);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_cache_misses_total",
		"Blocks that were asked for, and were not in it.", (double)stat.misses);
}

/* Without heat the rest is told all the same. */
static void add_heat(struct counting *counting, struct kit_core *core)
{
	struct store_heat_stat stat;

	if (kit_heat_open(core) < 0)
		return;
	store_heat_stat(core->heat, &stat);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_heat_roots", "Content roots that have heat.",
		(double)stat.roots);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_heat_memory_bytes",
		"Memory that knowing it takes.", (double)stat.bytes);
}

static void add_collections(struct counting *counting, struct store *store)
{
	struct store_collect_stat stat;

	store_collect_stat(store, &stat);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_collections_total",
		"Collections of what no pin keeps that have ended.", (double)stat.runs);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_collections_failed_total",
		"Those of them that failed, or were stopped.", (double)stat.failed);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_collection_running", "1: there is one now.",
		stat.running);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_collection_last_duration_seconds",
		"How long the last one took; 0: there was none.",
		(double)stat.last / (double)ANYIO_SECOND);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_collection_removed_blocks_total",
		"Blocks that went.", (double)stat.dropped);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_collection_removed_bytes_total",
		"Bytes of those blocks.", (double)stat.bytes);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_collection_removed_segments_total",
		"Segment files that went.", (double)stat.segments);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_collection_moved_bytes_total",
		"Bytes of blocks that were written again.", (double)stat.moved_bytes);
	counting_add(counting, KIT_COUNTER, "ipfs_kit_collection_freed_bytes_total",
		"Bytes given back on the disk.", (double)stat.freed);
}

/* ---- Whole structs of numbers ---- */

struct field {
	enum kit_metric_kind kind;
	const char *name, *help;
	size_t offset; /* of a uint64_t */
};

#define TIER(member) offsetof(struct kit_tier_stat, member)
static const struct field tier_fields[] = {
	{ KIT_GAUGE, "ipfs_kit_tier_objects", "Objects in a tier.", TIER(objects) },
	{ KIT_GAUGE, "ipfs_kit_tier_blocks", "Blocks in those objects.", TIER(blocks) },
	{ KIT_GAUGE, "ipfs_kit_tier_bytes", "Bytes of those objects.", TIER(bytes) },
	{ KIT_GAUGE, "ipfs_kit_tier_unwanted_objects", "Objects that are still to be removed.",
		TIER(unwanted) },
	{ KIT_GAUGE, "ipfs_kit_tier_unread_objects",
		"Objects whose blocks the index, made anew, does not know yet.", TIER(unread) },
	{ KIT_COUNTER, "ipfs_kit_tier_reads_total", "Reads from a tier.", TIER(reads) },
	{ KIT_COUNTER, "ipfs_kit_tier_read_bytes_total", "Bytes read from it.", TIER(read_bytes) },
	{ KIT_COUNTER, "ipfs_kit_tier_demoted_blocks_total", "Blocks moved to it.", TIER(demoted) },
	{ KIT_COUNTER, "ipfs_kit_tier_demoted_bytes_total", "Bytes of those blocks.",
		TIER(demoted_bytes) },
	{ KIT_COUNTER, "ipfs_kit_tier_promoted_blocks_total", "Blocks moved back from it.",
		TIER(promoted) },
	{ KIT_COUNTER, "ipfs_kit_tier_promoted_bytes_total", "Bytes of those blocks.",
		TIER(promoted_bytes) },
	{ KIT_COUNTER, "ipfs_kit_tier_errors_total", "How often it failed.", TIER(errors) },
};

#define BITSWAP(member) offsetof(struct bitswap_statistics, member)
static const struct field bitswap_fields[] = {
	{ KIT_COUNTER, "ipfs_kit_bitswap_sent_blocks_total", "Blocks sent to peers.",
		BITSWAP(blocks_sent) },
	{ KIT_COUNTER, "ipfs_kit_bitswap_sent_bytes_total", "Bytes of those blocks.",
		BITSWAP(bytes_sent) },
	{ KIT_COUNTER, "ipfs_kit_bitswap_received_blocks_total",
		"Blocks had from peers that were wanted.", BITSWAP(blocks_received) },
	{ KIT_COUNTER, "ipfs_kit_bitswap_received_bytes_total", "Bytes of those blocks.",
		BITSWAP(bytes_received) },
	{ KIT_COUNTER, "ipfs_kit_bitswap_duplicate_blocks_total",
		"Blocks that came though they had come before.", BITSWAP(duplicates_received) },
	{ KIT_COUNTER, "ipfs_kit_bitswap_unwanted_blocks_total",
		"Blocks that came and were not asked for.", BITSWAP(unwanted_received) },
	{ KIT_COUNTER, "ipfs_kit_bitswap_invalid_blocks_total",
		"Blocks that came and were not what their CIDs say.", BITSWAP(invalid_received) },
};

static uint64_t value_of(const struct field *field, const void *from)
{
	uint64_t value;

	memcpy(&value, (const char *)from + field->offset, sizeof(value));
	return value;
}

/* The repo itself has metrics of its own. */
static int add_tier(void *arg, const struct kit_tier_stat *stat)
{
	if (!strcmp(stat->kind, "repo"))
		return 0;
	/* Of a tier that nobody has asked there is nothing to raise an alarm about. */
	bool up = !strcmp(stat->state, "up") || !strcmp(stat->state, "not asked yet");
	counting_add_of(arg, KIT_GAUGE, "ipfs_kit_tier_up",
		"1: a tier can be asked, as far as is known; 0: it counts as down, or is not configured as it should be.",
		"tier", stat->name, up);
	for (size_t i = 0; i < sizeof(tier_fields) / sizeof(*tier_fields); i++) {
		const struct field *field = &tier_fields[i];
		counting_add_of(arg, field->kind, field->name, field->help, "tier", stat->name,
			(double)value_of(field, stat));
	}
	return 0;
}

static void add_bitswap(struct counting *counting, const struct bitswap *bitswap)
{
	struct bitswap_statistics stat;

	bitswap_stat(bitswap, &stat);
	for (size_t i = 0; i < sizeof(bitswap_fields) / sizeof(*bitswap_fields); i++) {
		const struct field *field = &bitswap_fields[i];
		counting_add(counting, field->kind, field->name, field->help,
			(double)value_of(field, &stat));
	}
	counting_add(counting, KIT_GAUGE, "ipfs_kit_bitswap_wants",
		"Blocks that this node wants from peers.", (double)stat.wants);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_bitswap_peer_wants",
		"Blocks that peers want from this node.", (double)stat.peer_wants);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_bitswap_peers",
		"Peers that bitswap is spoken with.", (double)stat.peers);
}

static void add_both(
	struct counting *counting, const char *name, const char *help, size_t in, size_t out)
{
	counting_add_of(counting, KIT_GAUGE, name, help, "direction", "in", (double)in);
	counting_add_of(counting, KIT_GAUGE, name, help, "direction", "out", (double)out);
}

static void add_swarm(struct counting *counting, const struct p2p_host *host)
{
	struct p2p_host_statistics stat;

	p2p_host_stat(host, &stat);
	add_both(counting, "ipfs_kit_swarm_connections",
		"Connections with peers, by who opened them.", stat.connections_in,
		stat.connections - stat.connections_in);
	add_both(counting, "ipfs_kit_swarm_streams", "Streams on them, by who opened them.",
		stat.streams_in, stat.streams - stat.streams_in);
	counting_add(counting, KIT_GAUGE, "ipfs_kit_swarm_memory_bytes",
		"Memory that counts for them.", (double)stat.memory);
}

/* ---- Telling ---- */

static void add_all(struct counting *counting, struct kit_node *node)
{
	struct kit_core *core = node->core;

	counting_add_of(counting, KIT_GAUGE, "ipfs_kit_build_info", "1, and which version this is.",
		"version", kit_version(), 1);
	add_store(counting, core->store);
	add_log(counting, core->store);
	add_cache(counting, core->store);
	add_heat(counting, core);
	add_collections(counting, core->store);
	kit_tier_each(node, add_tier, counting);
	if (core->bitswap)
		add_bitswap(counting, core->bitswap);
	if (core->host)
		add_swarm(counting, core->host);
}

struct telling {
	const struct counting *counting;
	int (*each)(void *arg, const struct kit_metric *metric);
	void *arg;
};

/* All values of the name that the one at from is the first of; 0 at once when it is not. */
static int tell_values(const struct telling *telling, size_t from)
{
	const struct counted *list = telling->counting->list, *first = &list[from];
	int rc = 0;

	for (size_t i = 0; i < from; i++)
		if (!strcmp(list[i].name, first->name))
			return 0;
	for (size_t i = from; i < telling->counting->count && rc == 0; i++) {
		const struct kit_metric metric = { .name = list[i].name,
			.help = list[i].help,
			.kind = list[i].kind,
			.label = list[i].label,
			.of = list[i].label ? list[i].of : NULL,
			.value = list[i].value,
			.first = i == from };
		if (!strcmp(list[i].name, first->name))
			rc = telling->each(telling->arg, &metric);
	}
	return rc;
}

int kit_metrics(
	struct kit_node *node, int (*each)(void *arg, const struct kit_metric *metric), void *arg)
{
	struct counting counting = { 0 };
	const struct telling telling = { &counting, each, arg };
	int rc = counting_process(&counting);

	node->error[0] = 0;
	if (rc == 0)
		add_all(&counting, node);
	if (rc == -ENOMEM || counting.no_memory)
		rc = kit_fail_code(node, -ENOMEM, "metrics");
	for (size_t i = 0; i < counting.count && rc == 0; i++)
		rc = tell_values(&telling, i);
	anyio_free(counting.list);
	return rc;
}
