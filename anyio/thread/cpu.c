/*
 * The process-wide pool for computing: at most one thread a core, shared by all loops.
 *
 * A map lies on the stack of the task that waits for it. It is in the queue until its last index
 * was handed out, and whoever ends its last index wakes the task and touches it no more. Threads
 * start when there is more work than idle ones, and end when there was none for a while. A forked
 * child has a copy of the pool without its threads, and perhaps a mutex that nobody will unlock.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <anyio/thread.h>
#include "../core/core.h"

#define CPU_STACK    ((size_t)256 << 10)
#define IDLE_SECONDS 5

struct map {
	struct map *next;
	void (*fn)(void *arg, size_t index);
	void *arg;
	size_t count, handed_out, ended;
	struct anyio_token *token;
	struct anyio_task *task;
	struct anyio_call done;
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct map *first, *last;
	unsigned most; /* threads; 0 until the first use */
	unsigned threads, idle;
	_Atomic pid_t owner; /* the process that has the threads; 0 until the first use */
} cpu = { .mutex = PTHREAD_MUTEX_INITIALIZER };

unsigned anyio_cpu_count(void)
{
	cpu_set_t set;
	long online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 1 : (unsigned)online;
}

static void map_wake(void *arg)
{
	anyio_wake(((struct map *)arg)->task, 0);
}

/* All below up to cpu_thread: with the mutex held. */

static bool cpu_wait(void)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	cpu.idle++;
	while (cpu.first == NULL && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&cpu.work, &cpu.mutex, &until);
	cpu.idle--;
	return cpu.first != NULL;
}

static void cpu_push(struct map *map)
{
	map->next = NULL;
	if (cpu.first == NULL)
		cpu.first = map;
	else
		cpu.last->next = map;
	cpu.last = map;
}

/* The maps take turns, so that a small one does not wait for all of a large one. */
static size_t cpu_take(struct map **map)
{
	size_t index = cpu.first->handed_out++;

	*map = cpu.first;
	cpu.first = cpu.first->next;
	if (index + 1 < (*map)->count)
		cpu_push(*map);
	return index;
}

static void *cpu_thread(void *arg)
{
	pthread_mutex_lock(&cpu.mutex);
	while (cpu.first != NULL || cpu_wait()) {
		struct map *map;
		size_t index = cpu_take(&map);
		bool last;

		pthread_mutex_unlock(&cpu.mutex);
		map->fn(map->arg, index);
		pthread_mutex_lock(&cpu.mutex);
		last = ++map->ended == map->count;
		if (!last)
			continue;
		pthread_mutex_unlock(&cpu.mutex);
		map->done = (struct anyio_call){ .fn = map_wake, .arg = map };
		anyio_token_call(map->token, &map->done);
		pthread_mutex_lock(&cpu.mutex);
	}
	cpu.threads--;
	pthread_mutex_unlock(&cpu.mutex);
	return NULL;
}

static int cpu_start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, CPU_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = anyio_thread_start(&thread, &attr, cpu_thread, NULL);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		cpu.threads++;
	return rc;
}

static void cpu_prepare(void)
{
	pthread_condattr_t attr;

	if (cpu.most != 0)
		return;
	cpu.most = anyio_cpu_count();
	atomic_store(&cpu.owner, getpid());
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cpu.work, &attr);
	pthread_condattr_destroy(&attr);
}

/* Fewer threads than wished for will do; none at all will not. */
static int cpu_start_threads(size_t wanted)
{
	int rc = 0;

	for (size_t idle = cpu.idle; idle < wanted && cpu.threads < cpu.most && rc == 0; idle++)
		rc = cpu_start_thread();
	return cpu.threads > 0 ? 0 : rc;
}

/* Before the mutex is touched. */
static void cpu_check_process(void)
{
	pid_t owner = atomic_load(&cpu.owner);

	if (owner != 0 && owner != getpid())
		anyio_die(__FILE__, __LINE__,
			"anyio_cpu_map in a forked child, which may only exec: the threads that compute "
			"are the parent's");
}

static int cpu_submit(struct map *map)
{
	int rc;

	cpu_check_process();
	pthread_mutex_lock(&cpu.mutex);
	cpu_prepare();
	rc = cpu_start_threads(map->count);
	if (rc == 0) {
		cpu_push(map);
		pthread_cond_broadcast(&cpu.work);
	}
	pthread_mutex_unlock(&cpu.mutex);
	return rc;
}

/* A simulated run must not depend on how threads are scheduled. */
static int map_inline(const struct map *map)
{
	for (size_t i = 0; i < map->count; i++)
		map->fn(map->arg, i);
	anyio_pass();
	return 0;
}

int anyio_cpu_map(void (*fn)(void *arg, size_t index), void *arg, size_t count)
{
	struct map map = { .fn = fn, .arg = arg, .count = count };
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	if (count == 0 || strcmp(anyio_backend_name(), "sim") == 0)
		return map_inline(&map);
	map.task = anyio_current_task();
	map.token = anyio_current_token();
	rc = cpu_submit(&map);
	if (rc == 0) {
		anyio_waits_for("threads that compute");
		anyio_park(NULL, NULL);
	}
	anyio_token_unref(map.token);
	return rc;
}
