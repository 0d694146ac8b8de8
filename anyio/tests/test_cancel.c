/*
 * Cancellation under stress. A tree of tasks does random things (sleeps, scopes with deadlines and
 * shields, groups, handshakes, handles, pipe traffic, locks) while deadlines and cancels strike
 * at random; then all must have ended, every byte must be accounted for, and no lock be held.
 */
#include "conformance.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SEEDS = 40, DEPTH = 4, STEPS = 8, HANDLES = 4 };

struct world {
	uint64_t random;
	int pipe[2];
	size_t written, read;
	struct anyio_lock lock;
	size_t inside; /* holders of the lock */
	size_t tasks, ended;
	size_t cancellations;
};

struct node {
	struct world *world;
	int depth;
};

static uint64_t draw(struct world *world, uint64_t below)
{
	uint64_t z = world->random += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

static anyio_time draw_time(struct world *world)
{
	return draw(world, 4) ? 0 : (anyio_time)draw(world, 300) * ANYIO_MICROSECOND;
}

static int live(void *arg);

static int do_sleep(struct node *node)
{
	return anyio_sleep(draw_time(node->world));
}

static int do_write(struct node *node)
{
	ssize_t sent = anyio_write(node->world->pipe[1], "abc", 1 + draw(node->world, 3));
	if (sent > 0)
		node->world->written += (size_t)sent;
	return sent < 0 ? (int)sent : 0;
}

static int do_read(struct node *node)
{
	char bytes[5];
	ssize_t got = anyio_read(node->world->pipe[0], bytes, 1 + draw(node->world, 5));
	if (got > 0)
		node->world->read += (size_t)got;
	return got < 0 ? (int)got : 0;
}

static int do_lock(struct node *node)
{
	struct world *world = node->world;
	int rc = anyio_lock_acquire(&world->lock);
	if (rc < 0)
		return rc;
	CHECK_RC((int64_t)world->inside++, 0);
	rc = do_sleep(node);
	world->inside--;
	CHECK_RC(anyio_lock_release(&world->lock), 0);
	return rc;
}

static int read_in_node(void *arg)
{
	return do_read(arg);
}

static int do_timed_read(struct node *node)
{
	return anyio_move_on_after(draw_time(node->world), read_in_node, node);
}

static int do_scope(struct node *node)
{
	struct world *world = node->world;
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	if (draw(world, 2))
		anyio_cancel_scope_set_timeout(&scope, draw_time(world));
	anyio_cancel_scope_set_shield(&scope, draw(world, 4) == 0);
	struct node inner = { world, node->depth - 1 };
	world->tasks++;
	return anyio_cancel_scope_run(&scope, live, &inner);
}

static int start_up(void *arg)
{
	struct node *node = arg;
	int rc = do_sleep(node);
	if (rc == 0)
		rc = anyio_started(NULL);
	return rc < 0 ? rc : do_sleep(node);
}

static int do_group(struct node *node)
{
	struct world *world = node->world;
	struct node inner[HANDLES];
	struct anyio_task_handle handles[HANDLES];
	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < HANDLES; i++) {
		struct anyio_task_options options = { .name = "node", .handle = &handles[i] };
		inner[i] = (struct node){ world, node->depth - 1 };
		world->tasks++;
		CHECK_RC(anyio_start_soon_with(&group, live, &inner[i], &options), 0);
	}
	int rc = do_sleep(node);
	if (draw(world, 2))
		anyio_task_handle_cancel(&handles[draw(world, HANDLES)], "stress");
	if (rc == 0 && draw(world, 2))
		rc = anyio_start(&group, start_up, node, "start", NULL);
	if (rc == 0 && draw(world, 2)) {
		rc = anyio_task_handle_wait(&handles[draw(world, HANDLES)]);
		rc = rc == ANYIO_TASK_CANCELLED ? 0 : rc;
	}
	if (rc == 0 && draw(world, 3) == 0)
		anyio_task_group_cancel(&group, "stress");
	if (rc == ANYIO_TASK_CANCELLED || rc == ANYIO_NOT_STARTED)
		rc = 0;
	rc = anyio_task_group_exit(&group, rc);
	CHECK_RC((int64_t)anyio_task_group_errors(&group, NULL), 0);
	return rc;
}

static int step(struct node *node)
{
	switch (draw(node->world, node->depth > 0 ? 8 : 6)) {
	case 0: return do_sleep(node);
	case 1: return anyio_checkpoint();
	case 2: return do_write(node);
	case 3: return do_timed_read(node);
	case 4: return do_lock(node);
	case 5: return do_write(node);
	case 6: return do_scope(node);
	default: return do_group(node);
	}
}

static int live(void *arg)
{
	struct node *node = arg;
	struct world *world = node->world;
	int rc = 0;
	for (size_t i = 0; i < STEPS && rc == 0; i++)
		rc = step(node);
	if (rc < 0)
		CHECK_RC(rc, ANYIO_CANCELLED);
	world->cancellations += rc == ANYIO_CANCELLED;
	world->ended++;
	return rc;
}

static void run_world(uint64_t seed)
{
	struct world world = { .random = seed };
	struct node root = { &world, DEPTH };
	struct anyio_cancel_scope scope;
	int left = 0;
	CHECK_RC(pipe2(world.pipe, O_CLOEXEC | O_NONBLOCK), 0);
	anyio_lock_init(&world.lock);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, 20 * ANYIO_MILLISECOND);
	world.tasks = 1;
	CHECK_RC(anyio_cancel_scope_run(&scope, live, &root), 0);
	CHECK_RC((int64_t)world.ended, (int64_t)world.tasks);
	CHECK_RC((int64_t)world.inside, 0);
	CHECK(!anyio_lock_locked(&world.lock));
	CHECK_RC((int64_t)anyio_task_count(), 1);
	CHECK_RC(ioctl(world.pipe[0], FIONREAD, &left), 0);
	CHECK_RC((int64_t)world.written, (int64_t)world.read + left);
	anyio_close(world.pipe[0]);
	anyio_close(world.pipe[1]);
}

static int r09_random_cancellations_lose_nothing(void *arg)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		unsigned before = conformance_failures();
		run_world(seed);
		if (conformance_failures() != before)
			conformance_fail(
				__FILE__, __LINE__, "with seed %llu", (unsigned long long)seed);
	}
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(r09_random_cancellations_lose_nothing, CONFORM_NO_SIM),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
