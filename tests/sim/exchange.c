/*
 * Two simulated nodes exchange blocks both ways.
 *
 *	sim-exchange [FIRST_SEED [COUNT]]
 *
 * A seed decides the blocks, the order of all that happens, how bad network and disk are, and when the
 * network is cut. Each seed has three lives on one simulated disk: the nodes get their blocks; they
 * exchange them while things go wrong, and sync some of what they fetched; then the power fails, and
 * the stores are opened once more. It must hold that
 *
 *	- a fetch returns the right bytes, or an error, and an error only when the disk fails;
 *	- the network being whole again, every fetch ends;
 *	- what was acknowledged by a sync is there after the power failed, and passes the gate;
 *	- nothing is damaged, and nothing of the loop is left (the loop itself sees to that).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <exchange/bitswap.h>

enum { BLOCKS = 24, BLOCK_MAX = 200000, FETCHERS = 4, PORT = 4001 };

/* A node of the seed's: of blocks, it has those whose number has its parity. */
struct node {
	struct store *store;
	struct p2p_host *host;
	struct bitswap *bitswap;
	struct mf_peer_id id;
	const char *dir;
	char index[64];
	bool acknowledged[BLOCKS];
};

struct fetcher {
	struct world *world;
	struct node *node;
	int first; /* every FETCHERS-th block from here on */
};

struct world {
	uint64_t seed, random;
	struct anyio_sim_options sim;
	struct node node[2];
	struct mf_cid cid[BLOCKS];
	size_t len[BLOCKS];
	uint8_t *data[BLOCKS];
	struct fetcher fetchers[2 * FETCHERS];
	bool failed;
	uint64_t fetched, errors, seconds; /* over all seeds */
};

static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t below(struct world *world, uint64_t limit)
{
	return draw(&world->random) % limit;
}

static int fail(struct world *world, const char *what, int block, int rc)
{
	if (!world->failed)
		printf("seed %" PRIu64 ": %s, block %d: %s\n", world->seed, what, block,
			anyio_error_name(rc));
	world->failed = true;
	return -EPROTO;
}

/* ---- the world of a seed ---- */

static void make_blocks(struct world *world)
{
	for (int i = 0; i < BLOCKS; i++) {
		uint64_t kind = below(world, 4);
		size_t len = kind == 0 ? below(world, 8)
			: kind == 1    ? below(world, 2000)
				       : below(world, BLOCK_MAX);
		uint64_t word = 0;

		world->len[i] = len;
		for (size_t at = 0; at < len; at++) {
			word = at % 8 ? word >> 8 : draw(&world->random);
			world->data[i][at] = (uint8_t)word;
		}
		mf_cid_of(&world->cid[i], 1, MF_CODEC_RAW, world->data[i], len);
	}
}

/* Half of the seeds have a whole disk: there every fetch must succeed. */
static void make_faults(struct world *world)
{
	struct anyio_sim_options *sim = &world->sim;

	sim->latency_min = (anyio_time)below(world, 50000) * ANYIO_MICROSECOND;
	sim->latency_max = sim->latency_min + (anyio_time)below(world, 100000) * ANYIO_MICROSECOND;
	sim->short_io = (uint32_t)below(world, 100000);
	sim->connection_break = (uint32_t)below(world, 20000);
	sim->connect_fail = (uint32_t)below(world, 300000);
	sim->late_cancel = (uint32_t)below(world, 300000);
	sim->bandwidth = below(world, 2) ? 100000 + below(world, 5000000) : 0;
	sim->disk_error = below(world, 2) ? (uint32_t)below(world, 20000) : 0;
}

static bool disk_fails(const struct world *world)
{
	return world->sim.disk_error > 0;
}

static int open_store(struct node *node)
{
	struct store_options options = { .create = true,
		.index_dir = node->index,
		.segment_bytes = 1 << 20,
		.group_bytes = 200000,
		.checkpoint_blocks = 20,
		.compact_bytes = 1 };

	return store_open(node->dir, &options, &node->store, NULL);
}

/* ---- first life: the blocks ---- */

static int fill(void *arg)
{
	struct world *world = arg;

	for (int n = 0; n < 2; n++) {
		struct node *node = &world->node[n];
		store_ticket ticket = 0;
		int rc = open_store(node);
		for (int i = n; i < BLOCKS && rc == 0; i += 2)
			rc = store_put(node->store, &world->cid[i], world->data[i], world->len[i],
				0, &ticket);
		if (rc == 0)
			rc = store_sync(node->store, ticket);
		if (rc == 0)
			rc = store_close(node->store);
		node->store = NULL;
		if (rc < 0)
			return fail(world, "filling", n, rc);
		for (int i = n; i < BLOCKS; i += 2)
			node->acknowledged[i] = true;
	}
	return 0;
}

/* ---- second life: the exchange ---- */

/* Keeps dialling; the network is cut now and then for the first minute. */
static int keep_connected(void *arg)
{
	struct world *world = arg;
	const char *address = "/ip4/127.0.0.2/tcp/4001";
	int rc = 0;

	while (rc != ANYIO_CANCELLED) {
		if (!p2p_host_connected(world->node[0].host, &world->node[1].id))
			p2p_host_connect(
				world->node[0].host, &world->node[1].id, &address, 1, NULL);
		rc = anyio_sleep(ANYIO_SECOND / 2);
	}
	return rc;
}

static int cut_now_and_then(void *arg)
{
	struct world *world = arg;
	uint32_t a = htonl(0x7f000001), b = htonl(0x7f000002);
	int rc = 0;

	for (uint64_t cuts = below(world, 8); cuts > 0 && rc == 0; cuts--) {
		rc = anyio_sleep((anyio_time)below(world, 4000) * ANYIO_MILLISECOND);
		anyio_sim_partition(a, b, true);
		if (rc == 0)
			rc = anyio_sleep((anyio_time)below(world, 5000) * ANYIO_MILLISECOND);
		anyio_sim_partition(a, b, false);
	}
	return rc;
}

struct fetch {
	struct bitswap_session *session;
	const struct mf_cid *cid;
	struct store_block block;
};

static int fetch_body(void *arg)
{
	struct fetch *fetch = arg;

	return bitswap_fetch(fetch->session, fetch->cid, &fetch->block);
}

static int fetch_one(struct world *world, struct bitswap_session *session, int i)
{
	struct fetch fetch = { .session = session, .cid = &world->cid[i] };
	int rc = anyio_fail_after(3600 * ANYIO_SECOND, fetch_body, &fetch);

	if (rc == 0 &&
		(fetch.block.len != world->len[i] ||
			memcmp(fetch.block.data, world->data[i], fetch.block.len)))
		rc = fail(world, "a fetch gave wrong bytes", i, 0);
	world->fetched += rc == 0;
	world->errors += rc != 0;
	if (rc == 0)
		store_block_release(&fetch.block);
	else if (!disk_fails(world) && rc != ANYIO_CANCELLED)
		return fail(world, "a fetch failed", i, rc);
	return rc;
}

/* Gives up some fetches half way. */
static int fetch_some(struct fetcher *fetcher, struct bitswap_session *session)
{
	struct world *world = fetcher->world;
	bool fetched[BLOCKS] = { false };
	int rc = 0;

	for (int i = fetcher->first; i < BLOCKS && !world->failed; i += FETCHERS) {
		if (below(world, 8) == 0) {
			struct fetch hasty = { .session = session, .cid = &world->cid[i] };
			rc = anyio_move_on_after((anyio_time)below(world, 200) * ANYIO_MILLISECOND,
				fetch_body, &hasty);
			store_block_release(&hasty.block);
			if (rc == ANYIO_CANCELLED)
				return rc;
		}
		rc = fetch_one(world, session, i);
		fetched[i] = rc == 0;
		if (rc == ANYIO_CANCELLED)
			return rc;
	}
	rc = store_sync(fetcher->node->store, bitswap_session_ticket(session));
	for (int i = 0; i < BLOCKS && rc == 0; i++)
		fetcher->node->acknowledged[i] |= fetched[i];
	if (rc < 0 && rc != ANYIO_CANCELLED && !disk_fails(world))
		return fail(world, "syncing", 0, rc);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static int fetch_task(void *arg)
{
	struct fetcher *fetcher = arg;
	struct world *world = fetcher->world;
	struct bitswap_session *session;
	int rc = bitswap_session_open(fetcher->node->bitswap, &session);

	if (rc < 0)
		return rc;
	if (below(world, 2))
		bitswap_prefetch(session, world->cid, BLOCKS);
	rc = fetch_some(fetcher, session);
	bitswap_session_close(session);
	return rc;
}

static int fetch_all(struct world *world)
{
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 2 * FETCHERS; i++) {
		struct fetcher *fetcher = &world->fetchers[i];
		*fetcher = (struct fetcher){ world, &world->node[i % 2], i / 2 };
		anyio_start_soon(&group, fetch_task, fetcher, "fetch");
	}
	return anyio_task_group_exit(&group, 0);
}

static int start_node(struct world *world, struct anyio_task_group *group, int n)
{
	struct node *node = &world->node[n];
	int rc = anyio_start(group, p2p_host_run, node->host, "host", NULL);

	if (rc == 0)
		rc = anyio_start_soon(group, bitswap_run, node->bitswap, "bitswap");
	if (rc == 0 && n == 1)
		rc = p2p_host_listen(node->host, "/ip4/127.0.0.2/tcp/4001");
	return rc;
}

static int make_node(struct world *world, int n)
{
	struct node *node = &world->node[n];
	uint8_t seed[32] = { (uint8_t)(n + 1) };
	struct p2p_host_options options = { 0 };
	struct p2p_key key;
	int rc = open_store(node);

	if (rc < 0)
		return rc;
	p2p_key_from_seed(&key, seed);
	options.key = &key;
	rc = p2p_host_create(&options, &node->host);
	if (rc == 0)
		rc = bitswap_create(node->host, node->store, NULL, &node->bitswap);
	if (rc == 0)
		node->id = *p2p_host_id(node->host);
	return rc;
}

static int run_nodes(struct world *world)
{
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	for (int n = 0; n < 2 && rc == 0; n++)
		rc = start_node(world, &group, n);
	if (rc == 0) {
		anyio_start_soon(&group, keep_connected, world, "keep connected");
		anyio_start_soon(&group, cut_now_and_then, world, "cut");
		rc = fetch_all(world);
	}
	anyio_task_group_cancel(&group, "all fetched");
	return anyio_task_group_exit(&group, rc);
}

/* With a failing disk it may come to nothing, as long as it says so. */
static int exchange(void *arg)
{
	struct world *world = arg;
	int rc = 0, closed;

	for (int n = 0; n < 2 && rc == 0; n++)
		rc = make_node(world, n);
	if (rc == 0)
		rc = run_nodes(world);
	for (int n = 0; n < 2; n++) {
		struct node *node = &world->node[n];
		bitswap_free(node->bitswap);
		p2p_host_free(node->host);
		closed = node->store ? store_close(node->store) : 0;
		rc = rc ? rc : closed;
		node->bitswap = NULL;
		node->host = NULL;
		node->store = NULL;
	}
	world->seconds += (uint64_t)(anyio_now() / ANYIO_SECOND);
	if (rc < 0 && !disk_fails(world))
		return fail(world, "the exchange", 0, rc);
	return 0;
}

/* ---- third life: after the power failed ---- */

static int look(struct world *world, struct node *node)
{
	struct store_verify_result result;
	int rc = store_verify(node->store, NULL, &result);

	if (rc < 0 || result.faults > 0)
		return fail(world, "verifying found faults", (int)result.faults, rc);
	for (int i = 0; i < BLOCKS; i++) {
		struct store_block block;
		rc = store_get(node->store, &world->cid[i], &block);
		if (rc == 0 &&
			(block.len != world->len[i] ||
				memcmp(block.data, world->data[i], block.len)))
			fail(world, "the store gave wrong bytes", i, 0);
		if (rc == 0)
			store_block_release(&block);
		else if (node->acknowledged[i] || rc != -ENOENT)
			return fail(world, "after the crash", i, rc);
	}
	return world->failed ? -EPROTO : 0;
}

static int look_back(void *arg)
{
	struct world *world = arg;

	for (int n = 0; n < 2; n++) {
		int rc = open_store(&world->node[n]), looked;
		if (rc < 0)
			return fail(world, "opening after the crash", n, rc);
		looked = look(world, &world->node[n]);
		rc = store_close(world->node[n].store);
		world->node[n].store = NULL;
		if (looked < 0 || rc < 0)
			return looked < 0 ? looked : fail(world, "closing", n, rc);
	}
	return 0;
}

/* ---- seeds ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static bool live(struct world *world, int (*body)(void *arg), const struct anyio_sim_options *sim)
{
	struct anyio_options options = {
		.backend = "sim", .seeded = true, .seed = world->seed, .sim = sim
	};
	int rc = anyio_run(body, world, &options);

	if (rc < 0 && !world->failed)
		fail(world, "a life ended badly", 0, rc);
	return rc == 0;
}

static bool run_seed(struct world *world, uint64_t seed, const char *folder)
{
	static const char *const dirs[] = { "/sim/a", "/sim/b" };

	world->seed = world->random = seed;
	world->failed = false;
	anyio_sim_disk_reset();
	for (int n = 0; n < 2; n++) {
		world->node[n] = (struct node){ .dir = dirs[n] };
		snprintf(world->node[n].index, sizeof(world->node[n].index), "%s/%d", folder, n);
		nftw(world->node[n].index, remove_one, 8, FTW_DEPTH | FTW_PHYS);
		if (mkdir(world->node[n].index, 0700) < 0)
			return !fail(world, "the index's folder", n, -errno);
	}
	make_blocks(world);
	make_faults(world);
	if (!live(world, fill, NULL) || !live(world, exchange, &world->sim))
		return false;
	anyio_sim_disk_crash(seed);
	return live(world, look_back, NULL);
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	char folder[] = "/dev/shm/sim-exchange-XXXXXX", elsewhere[] = "/tmp/sim-exchange-XXXXXX";
	const char *at = mkdtemp(folder) ? folder : mkdtemp(elsewhere);
	static struct world world;
	bool good = at != NULL;

	for (int i = 0; i < BLOCKS && good; i++)
		good = (world.data[i] = malloc(BLOCK_MAX)) != NULL;
	for (uint64_t i = 0; i < count && good; i++)
		good = run_seed(&world, first + i, at);
	if (at)
		nftw(at, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	for (int i = 0; i < BLOCKS; i++)
		free(world.data[i]);
	if (good)
		printf("%" PRIu64 " seeds from %" PRIu64 " on: %" PRIu64 " blocks fetched, %" PRIu64
		       " errors, %" PRIu64 " s of simulated time\n",
			count, first, world.fetched, world.errors, world.seconds);
	return good ? 0 : 1;
}
