#include <unistd.h>

#include <libp2p/resource.h>

enum {
	KIB = 1024,
	MIB = 1024 * KIB,
};

static void fill(struct p2p_limit *limit, const struct p2p_limit *from)
{
	if (!limit->memory)
		limit->memory = from->memory;
	if (!limit->connections)
		limit->connections = from->connections;
	if (!limit->connections_in)
		limit->connections_in = from->connections_in;
	if (!limit->streams)
		limit->streams = from->streams;
	if (!limit->streams_in)
		limit->streams_in = from->streams_in;
}

/* What go-libp2p gives a machine: a base, and as much again for every GiB it may use. */
static void scaled_system(struct p2p_limit *limit)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;
	uint32_t share = (uint32_t)(memory / (1024ull * MIB)) + 1;

	*limit = (struct p2p_limit){
		.memory = 128ull * MIB + memory,
		.connections = 128 * (1 + share),
		.connections_in = 64 * (1 + share),
		.streams = 2048 * (1 + share),
		.streams_in = 1024 * (1 + share),
	};
}

void p2p_limits_default(struct p2p_limits *limits)
{
	static const struct p2p_limit transient = { 32 * MIB, 64, 32, 256, 128 };
	static const struct p2p_limit peer = { 64 * MIB, 8, 8, 512, 256 };
	static const struct p2p_limit connection = { 32 * MIB, 1, 1, 512, 256 };
	static const struct p2p_limit stream = { 16 * MIB + 256 * KIB, 1, 1, 1, 1 };
	struct p2p_limit system;

	scaled_system(&system);
	fill(&limits->system, &system);
	fill(&limits->transient, &transient);
	fill(&limits->peer, &peer);
	fill(&limits->connection, &connection);
	fill(&limits->stream, &stream);
}

void p2p_account_init(
	struct p2p_account *account, struct p2p_account *parent, const struct p2p_limit *limit)
{
	*account = (struct p2p_account){ .parent = parent, .limit = limit };
}

int p2p_account_charge(struct p2p_account *account, size_t bytes)
{
	for (struct p2p_account *at = account; at; at = at->parent)
		if (bytes > at->limit->memory || at->used.memory > at->limit->memory - bytes)
			return ANYIO_TOO_MANY;
	for (struct p2p_account *at = account; at; at = at->parent)
		at->used.memory += bytes;
	return 0;
}

void p2p_account_release(struct p2p_account *account, size_t bytes)
{
	for (struct p2p_account *at = account; at; at = at->parent)
		at->used.memory -= bytes;
}

int p2p_account_add_connection(struct p2p_account *account, bool inbound)
{
	for (struct p2p_account *at = account; at; at = at->parent)
		if (at->used.connections >= at->limit->connections ||
			(inbound && at->used.connections_in >= at->limit->connections_in))
			return ANYIO_TOO_MANY;
	for (struct p2p_account *at = account; at; at = at->parent) {
		at->used.connections++;
		at->used.connections_in += inbound;
	}
	return 0;
}

void p2p_account_drop_connection(struct p2p_account *account, bool inbound)
{
	for (struct p2p_account *at = account; at; at = at->parent) {
		at->used.connections--;
		at->used.connections_in -= inbound;
	}
}

int p2p_account_add_stream(struct p2p_account *account, bool inbound)
{
	for (struct p2p_account *at = account; at; at = at->parent)
		if (at->used.streams >= at->limit->streams ||
			(inbound && at->used.streams_in >= at->limit->streams_in))
			return ANYIO_TOO_MANY;
	for (struct p2p_account *at = account; at; at = at->parent) {
		at->used.streams++;
		at->used.streams_in += inbound;
	}
	return 0;
}

void p2p_account_drop_stream(struct p2p_account *account, bool inbound)
{
	for (struct p2p_account *at = account; at; at = at->parent) {
		at->used.streams--;
		at->used.streams_in -= inbound;
	}
}
