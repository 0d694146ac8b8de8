/*
 * The bounds of wake.pml on the real code, in the simulation: three tasks in three nested scopes,
 * each with deadlines, cancels and shields at random; one operation each of two tasks, a byte read
 * from a connection whose cancel may come too late; a thread that posts through the token. What
 * must hold is counted, not looked at: every byte sent was received by somebody or is still there,
 * every post was taken or is still there, a task is cancelled exactly where the scopes say so (a wait
 * is cancelled only if a scope was effective during it), no result is neither of the two, and after a
 * last cancel of the outermost scope every task ended.
 *
 * Arguments: the first seed, and how many (1 10000). The thread's posts come when they come; all
 * else replays by its seed.
 */
#include <anyio/anyio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../core/core.h" /* anyio_cancel_pending */

enum { TASKS = 3, ROUNDS = 4, POSTS = 3, BYTES = 6 };

struct world {
	uint64_t random;
	struct anyio_cancel_scope scopes[TASKS];
	bool entered[TASKS], shield[TASKS], last_called;
	/* Since the task's wait began a scope was effective for it; one around its own. */
	bool due[TASKS], due_outside[TASKS];
	struct anyio_stream *near[2], *far[2];
	size_t sent[2], received[2];
	struct anyio_semaphore permits;
	struct anyio_event all_posted;
	size_t posted, taken;
	size_t ended;
	struct anyio_token *token;
	pthread_t thread;
};

static uint64_t seed_now;
static unsigned failures;
/* Over all seeds: a run in which something never happened has shown nothing about it. */
static struct {
	size_t bytes, permits, cancelled, caught;
} seen;

#define CHECK(condition) check(condition, #condition, __LINE__)
static void check(bool holds, const char *what, int line)
{
	if (holds)
		return;
	fprintf(stderr, "explore: seed %llu, line %d: %s\n", (unsigned long long)seed_now, line,
		what);
	failures++;
}

static uint64_t draw(struct world *world, uint64_t below)
{
	uint64_t z = world->random += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

/* Whether a task inside the first so many scopes ought to be cancelled, from nothing but what was set. */
static bool ought(const struct world *world, size_t scopes)
{
	for (size_t i = scopes; i-- > 0;) {
		if (anyio_cancel_scope_cancel_called(&world->scopes[i]))
			return true;
		if (world->shield[i])
			return false;
	}
	return false;
}

/* Deadlines pass on their own, but a scope stays cancelled and only shields end what that does: so
 * looking before a shield changes, when a wait begins and when it ends misses nothing. */
static void look(struct world *world)
{
	for (size_t i = 0; i < TASKS; i++) {
		world->due[i] |= ought(world, i + 1);
		world->due_outside[i] |= !world->shield[i] && ought(world, i);
	}
}

static void begin_wait(struct world *world, size_t self)
{
	world->due[self] = world->due_outside[self] = false;
	look(world);
}

/* What the wait came to. */
static int end_wait(struct world *world, size_t self, int rc)
{
	look(world);
	CHECK(rc == 0 || rc == ANYIO_CANCELLED);
	CHECK(rc == 0 || world->due[self]);
	return rc;
}

static void set_shield(struct world *world, size_t at, bool shield)
{
	look(world);
	world->shield[at] = shield;
	anyio_cancel_scope_set_shield(&world->scopes[at], shield);
}

static void change(struct world *world)
{
	size_t at = draw(world, TASKS);
	if (!world->entered[at] || world->last_called)
		return;
	struct anyio_cancel_scope *scope = &world->scopes[at];
	switch (draw(world, 16)) {
	case 0: anyio_cancel_scope_cancel(scope, "explore"); break;
	case 1:
	case 2: set_shield(world, at, draw(world, 2)); break;
	case 3: {
		anyio_time timeout = (anyio_time)draw(world, 2000) * ANYIO_MICROSECOND;
		anyio_cancel_scope_set_timeout(scope, timeout);
		break;
	}
	default: break;
	}
}

static int read_byte(struct world *world, size_t which)
{
	char byte = 0;
	bool before = anyio_cancel_pending();
	ssize_t n = anyio_stream_receive(world->far[which], &byte, 1);
	CHECK(n == 1 || n == ANYIO_CANCELLED);
	CHECK(!before || n == ANYIO_CANCELLED); /* cancelled again and again inside */
	if (n == 1) {
		CHECK(byte == (char)('a' + world->received[which]));
		world->received[which]++;
		seen.bytes++;
	}
	return n < 0 ? (int)n : 0;
}

static int write_byte(struct world *world, size_t which)
{
	char byte = (char)('a' + world->sent[which]);
	if (world->sent[which] == BYTES)
		return anyio_checkpoint();
	struct iovec iov = { &byte, 1 };
	size_t sent = 0;
	int rc = anyio_stream_sendv(world->near[which], &iov, 1, &sent);
	world->sent[which] += sent;
	CHECK((rc == 0 && sent == 1) || rc == ANYIO_CANCELLED);
	return rc;
}

static int take_permit(struct world *world)
{
	int rc = anyio_semaphore_acquire(&world->permits);
	CHECK(rc == 0 || rc == ANYIO_CANCELLED);
	world->taken += rc == 0;
	seen.permits += rc == 0;
	return rc;
}

static int wait(struct world *world, size_t self)
{
	switch (draw(world, 4)) {
	case 0: return anyio_sleep((anyio_time)draw(world, 300) * ANYIO_MICROSECOND);
	case 1: return take_permit(world);
	default: return self == 0 ? write_byte(world, draw(world, 2)) : read_byte(world, self - 1);
	}
}

static int step(struct world *world, size_t self)
{
	change(world);
	bool pending = anyio_cancel_pending(); /* fires what is due, first */
	CHECK(pending == ought(world, self + 1));
	begin_wait(world, self);
	return end_wait(world, self, wait(world, self));
}

struct task {
	struct world *world;
	size_t self;
};

/* Does its rounds whether it is cancelled or not. */
static int live(void *arg)
{
	struct task *task = arg;
	struct world *world = task->world;
	size_t self = task->self;
	struct task inner = { world, self + 1 };
	struct anyio_cancel_scope *scope = &world->scopes[self];
	anyio_cancel_scope_enter(scope);
	world->entered[self] = true;
	ANYIO_TASK_GROUP(nested);
	if (self + 1 < TASKS)
		CHECK(anyio_start_soon(&nested, live, &inner, "live") == 0);
	int rc = 0;
	for (size_t i = 0; i < ROUNDS; i++) {
		int again = step(world, self);
		seen.cancelled += again == ANYIO_CANCELLED;
		rc = again == 0 || anyio_cancel_pending() ? again : rc;
	}
	if (!anyio_cancel_pending())
		rc = 0;
	begin_wait(world, self);
	rc = end_wait(world, self, anyio_task_group_exit(&nested, rc));
	world->entered[self] = false;
	bool outer = rc == ANYIO_CANCELLED;
	rc = anyio_cancel_scope_exit(scope, rc);
	CHECK(rc == 0 || (outer && rc == ANYIO_CANCELLED && world->due_outside[self]));
	seen.caught += outer && rc == 0;
	if (outer && rc == 0)
		CHECK(anyio_cancel_scope_cancel_called(scope));
	if (rc == ANYIO_CANCELLED && !anyio_cancel_pending())
		rc = 0; /* the shield that made it none was raised after it was given */
	world->ended++;
	return rc;
}

static void post(void *arg)
{
	struct world *world = arg;
	world->posted++;
	CHECK(anyio_semaphore_release(&world->permits) == 0);
	if (world->posted == POSTS)
		anyio_event_set(&world->all_posted);
}

static void *poster(void *arg)
{
	struct world *world = arg;
	for (int i = 0; i < POSTS; i++)
		CHECK(anyio_call_soon(world->token, post, world) == 0);
	anyio_token_unref(world->token);
	return NULL;
}

static int accept_far(void *arg)
{
	void **two = arg;
	return anyio_accept(two[0], two[1]);
}

static void connect_pair(struct world *world, size_t which)
{
	struct anyio_listener *listener;
	struct anyio_address address;
	CHECK(anyio_address_parse(&address, "127.0.0.2", 0) == 0);
	CHECK(anyio_listen_address(&address, NULL, &listener) == 0);
	CHECK(anyio_listener_address(listener, &address) == 0);
	void *two[] = { listener, &world->far[which] };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, accept_far, two, "accept");
	int rc = anyio_connect_address(&address, &world->near[which]);
	CHECK(anyio_task_group_exit(&group, rc) == 0);
	anyio_listener_free(listener);
}

/* Every byte that was sent and not received is still there. */
static void count_bytes(struct world *world, size_t which)
{
	char byte;
	CHECK(anyio_stream_send_eof(world->near[which]) == 0);
	while (anyio_stream_receive(world->far[which], &byte, 1) == 1) {
		CHECK(byte == (char)('a' + world->received[which]));
		world->received[which]++;
	}
	CHECK(world->received[which] == world->sent[which]);
	anyio_stream_free(world->near[which]);
	anyio_stream_free(world->far[which]);
}

/* Whoever still waits when all is quiet waits for what never comes: then, as in the model, every
 * shield is dropped and all is cancelled, and everybody must end. */
static int last_call(void *arg)
{
	struct world *world = arg;
	int rc = anyio_event_wait(&world->all_posted); /* the loop sleeps for the thread here */
	if (rc == 0)
		rc = anyio_sleep(ANYIO_SECOND);
	world->last_called = true; /* nobody raises a shield again */
	for (size_t i = 0; rc == 0 && i < TASKS; i++)
		if (world->entered[i])
			set_shield(world, i, false);
	if (rc == 0 && world->entered[0])
		anyio_cancel_scope_cancel(&world->scopes[0], "last call");
	return rc;
}

static int explore(void *arg)
{
	struct world *world = arg;
	struct task first = { world, 0 };
	anyio_semaphore_init(&world->permits, 0, 0);
	for (size_t i = 0; i < TASKS; i++) {
		anyio_cancel_scope_init(&world->scopes[i]);
		if (draw(world, 4) == 0)
			anyio_cancel_scope_set_timeout(&world->scopes[i],
				(anyio_time)draw(world, 2000) * ANYIO_MICROSECOND);
	}
	anyio_event_init(&world->all_posted);
	world->token = anyio_current_token();
	CHECK(pthread_create(&world->thread, NULL, poster, world) == 0);
	connect_pair(world, 0);
	connect_pair(world, 1);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, live, &first, "live");
	anyio_start_soon(&group, last_call, world, "last call");
	CHECK(anyio_task_group_exit(&group, 0) == 0);
	CHECK(world->ended == TASKS);
	count_bytes(world, 0);
	count_bytes(world, 1);
	pthread_join(world->thread, NULL);
	CHECK(world->posted == POSTS);
	while (world->taken < POSTS && anyio_semaphore_acquire_nowait(&world->permits) == 0)
		world->taken++;
	CHECK(world->taken == POSTS);
	CHECK(anyio_task_count() == 1);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000;
	for (seed_now = first; seed_now < first + count && failures == 0; seed_now++) {
		struct anyio_sim_options sim = {
			.latency_max = 100 * ANYIO_MICROSECOND,
			.late_cancel = 500000,
		};
		struct anyio_options options = {
			.backend = "sim",
			.seeded = true,
			.strict = seed_now % 2,
			.seed = seed_now,
			.sim = &sim,
		};
		struct world world = { .random = seed_now };
		CHECK(anyio_run(explore, &world, &options) == 0);
	}
	printf("explore: %llu seeds from %llu: %zu bytes, %zu permits, %zu cancellations, %zu caught, "
	       "%u failures\n",
		(unsigned long long)count, (unsigned long long)first, seen.bytes, seen.permits,
		seen.cancelled, seen.caught, failures);
	bool all = seen.bytes && seen.permits && seen.cancelled && seen.caught;
	return failures != 0 || (count >= 100 && !all);
}
