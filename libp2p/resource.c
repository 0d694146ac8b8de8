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

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What go-libp2p gives a machine: a base, and as much again for every GiB it may use. */
static void scaled_system(struct p2p_limit *limit)
{
	uint32_t descriptors = anyio_descriptor_limit() / 8 * 3;
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;
	uint32_t share = (uint32_t)(memory / (1024ull * MIB)) + 1;

	*limit = (struct p2p_limit){
		.memory = 128ull * MIB + memory,
		.connections = least(128 * (1 + share), descriptors),
		.connections_in = least(64 * (1 + share), descriptors / 2),
		.streams = 2048 * (1 + share),
		.streams_in = 1024 * (1 + share),
	};
}

void p2p_limits_default(struct p2p_limits *limits)
{
	uint32_t handshakes = least(32, anyio_descriptor_limit() / 8);
	const struct p2p_limit transient = { 32 * MIB, 64, handshakes, 256, 128 };
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

const struct p2p_limit p2p_no_limit = { UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
	UINT32_MAX };

void p2p_account_init(
	struct p2p_account *account, struct p2p_account *parent, const struct p2p_limit *limit)
{
	*account = (struct p2p_account){ .parent = parent, .limit = limit };
	if (!parent)
		return;
	account->next = parent->first_child;
	account->link = &parent->first_child;
	if (account->next)
		account->next->link = &account->next;
	parent->first_child = account;
}

void p2p_account_end(struct p2p_account *account)
{
	if (!account->link)
		return;
	*account->link = account->next;
	if (account->next)
		account->next->link = account->link;
	account->link = NULL;
}

void p2p_account_use(struct p2p_account *account, anyio_time when)
{
	for (struct p2p_account *at = account; at; at = at->parent)
		if (at->last_use < when)
			at->last_use = when;
}

/* ---- who gives way ---- */

/* Of amounts, that which is asked for more of: memory, else what strangers begin. */
static uint64_t measure(const struct p2p_limit *amounts, const struct p2p_limit *more)
{
	if (more->memory)
		return amounts->memory;
	return more->connections ? amounts->connections_in : amounts->streams_in;
}

/* The account at or below `account` that can give some and was unused the longest: children are
 * listed newest first, so of several the oldest. */
static void find_unused(struct p2p_account *account, const struct p2p_account *newcomer,
	const struct p2p_limit *more, struct p2p_account **found)
{
	if (account->give_way && account != newcomer && measure(&account->used, more) > 0 &&
		(!*found || account->last_use <= (*found)->last_use))
		*found = account;
	for (struct p2p_account *child = account->first_child; child; child = child->next)
		find_unused(child, newcomer, more, found);
}

/* Of the parties beside `own` the one that holds the most, of several the one unused the longest. */
static struct p2p_account *find_fullest(
	const struct p2p_account *root, const struct p2p_account *own, const struct p2p_limit *more)
{
	struct p2p_account *found = NULL;
	uint64_t most = 0;

	for (struct p2p_account *party = root->first_child; party; party = party->next) {
		uint64_t held = measure(&party->used, more);

		if (party == own || held < most ||
			(found && held == most && party->last_use > found->last_use))
			continue;
		found = party;
		most = held;
	}
	return found;
}

/* Who gives way to the newcomer, an account below the root; NULL: nobody. Looks at each party, but
 * only into two: strangers can make it happen often. */
static struct p2p_account *find_giver(
	struct p2p_account *root, struct p2p_account *newcomer, const struct p2p_limit *more)
{
	struct p2p_account *own = newcomer, *fullest, *found = NULL;
	uint64_t held, most;

	while (own->parent != root)
		own = own->parent;
	fullest = find_fullest(root, own, more);
	held = measure(&own->used, more) + measure(more, more);
	most = fullest ? measure(&fullest->used, more) : 0;
	if (most > held)
		find_unused(fullest, newcomer, more, &found);
	if (!found)
		find_unused(own, newcomer, more, &found);
	if (!found && most == held && fullest)
		find_unused(fullest, newcomer, more, &found);
	return found;
}

/* ---- charges ---- */

static bool has_room(const struct p2p_account *account, const struct p2p_limit *more)
{
	const struct p2p_limit *limit = account->limit, *used = &account->used;

	return more->memory <= limit->memory && used->memory <= limit->memory - more->memory &&
		used->connections + more->connections <= limit->connections &&
		used->connections_in + more->connections_in <= limit->connections_in &&
		used->streams + more->streams <= limit->streams &&
		used->streams_in + more->streams_in <= limit->streams_in;
}

static int make_room(struct p2p_account *at, struct p2p_account *newcomer,
	const struct p2p_limit *more, bool spare)
{
	while (!has_room(at, more)) {
		bool shared = !at->parent && at != newcomer &&
			more->memory <= at->limit->memory; /* else all would go for nothing */
		struct p2p_account *giver =
			shared && !spare ? find_giver(at, newcomer, more) : NULL;

		if (!giver)
			return ANYIO_TOO_MANY;
		giver->give_way(giver);
	}
	return 0;
}

static int take(struct p2p_account *account, const struct p2p_limit *more, bool spare)
{
	for (struct p2p_account *at = account; at; at = at->parent)
		if (make_room(at, account, more, spare) < 0)
			return ANYIO_TOO_MANY;
	for (struct p2p_account *at = account; at; at = at->parent) {
		at->used.memory += more->memory;
		at->used.connections += more->connections;
		at->used.connections_in += more->connections_in;
		at->used.streams += more->streams;
		at->used.streams_in += more->streams_in;
	}
	return 0;
}

static void give_back(struct p2p_account *account, const struct p2p_limit *less)
{
	for (struct p2p_account *at = account; at; at = at->parent) {
		at->used.memory -= less->memory;
		at->used.connections -= less->connections;
		at->used.connections_in -= less->connections_in;
		at->used.streams -= less->streams;
		at->used.streams_in -= less->streams_in;
	}
}

int p2p_account_charge(struct p2p_account *account, size_t bytes)
{
	return take(account, &(struct p2p_limit){ .memory = bytes }, false);
}

int p2p_account_charge_spare(struct p2p_account *account, size_t bytes)
{
	return take(account, &(struct p2p_limit){ .memory = bytes }, true);
}

void p2p_account_release(struct p2p_account *account, size_t bytes)
{
	give_back(account, &(struct p2p_limit){ .memory = bytes });
}

static struct p2p_limit one_connection(bool inbound)
{
	return (struct p2p_limit){ .connections = 1, .connections_in = inbound };
}

static struct p2p_limit one_stream(bool inbound)
{
	return (struct p2p_limit){ .streams = 1, .streams_in = inbound };
}

int p2p_account_add_connection(struct p2p_account *account, bool inbound)
{
	const struct p2p_limit one = one_connection(inbound);

	return take(account, &one, false);
}

void p2p_account_drop_connection(struct p2p_account *account, bool inbound)
{
	const struct p2p_limit one = one_connection(inbound);

	give_back(account, &one);
}

int p2p_account_add_stream(struct p2p_account *account, bool inbound)
{
	const struct p2p_limit one = one_stream(inbound);

	return take(account, &one, false);
}

void p2p_account_drop_stream(struct p2p_account *account, bool inbound)
{
	const struct p2p_limit one = one_stream(inbound);

	give_back(account, &one);
}
