/*
 * A long run of everything at random: connections, tasks, timers, channels, threads, cancellation.
 *
 *	soak SECONDS [SEED]
 *
 * Every ten seconds it prints what the process holds. The first half minute shows how much that may
 * be; from then on it fails when even the least that a period of ten seconds saw is more.
 * The backend is $ANYIO_BACKEND.
 */
#include <anyio/anyio.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	WORKERS = 100,
	BUFFER = 32 << 10,
	PERIODS_OF_TRIAL = 3,
	SAMPLES = 100, /* in a period */
	SLACK = 1024,  /* KiB of memory, for what the allocator keeps back */
};

enum quantity { MEMORY, DESCRIPTORS, TASKS, QUANTITIES };

static struct {
	uint64_t random;
	anyio_time until;
	uint16_t port;
	unsigned long done[5];
	long allowed[QUANTITIES];
} soak;

/* splitmix64 */
static uint64_t draw(uint64_t most)
{
	uint64_t z = soak.random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % most;
}

static int converse(void *arg)
{
	struct anyio_stream *stream = arg;
	char buffer[4096];
	ssize_t n;

	while ((n = anyio_stream_receive(stream, buffer, sizeof(buffer))) > 0)
		if (anyio_stream_send(stream, buffer, (size_t)n) < 0)
			break;
	if (draw(8) == 0)
		anyio_stream_abort(stream);
	anyio_stream_free(stream);
	return 0;
}

static int serve(void *arg)
{
	struct anyio_listener *listener = arg;
	struct anyio_stream *stream;
	int rc;

	ANYIO_TASK_GROUP(group);
	while ((rc = anyio_accept(listener, &stream)) == 0)
		if (anyio_try_start_soon(&group, converse, stream, "conversation") < 0)
			anyio_stream_free(stream);
	return anyio_task_group_exit(&group, rc);
}

static int talk(void *arg)
{
	struct anyio_stream *stream;
	char *buffer = anyio_calloc(1, BUFFER);
	int rc = buffer ? anyio_connect_tcp("127.0.0.1", soak.port, &stream) : 0;

	if (!buffer || rc < 0) {
		anyio_free(buffer);
		return rc;
	}
	for (uint64_t times = draw(20); times > 0 && rc == 0; times--) {
		size_t size = 1 + draw(draw(4) == 0 ? BUFFER : 256);
		rc = anyio_stream_send(stream, buffer, size);
		if (rc == 0)
			rc = anyio_stream_receive_exactly(stream, buffer, size);
	}
	anyio_stream_free(stream);
	anyio_free(buffer);
	return rc == ANYIO_BROKEN || rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

static int doze(void *arg)
{
	return anyio_sleep((anyio_time)draw(20 * ANYIO_MILLISECOND));
}

static int crowd(void *arg)
{
	ANYIO_TASK_GROUP(group);
	for (uint64_t count = draw(200); count > 0; count--)
		anyio_start_soon(&group, doze, NULL, "child");
	if (draw(2)) {
		anyio_checkpoint();
		anyio_task_group_cancel(&group, "enough");
	}
	return anyio_task_group_exit(&group, 0);
}

static int deadlines(void *arg)
{
	struct anyio_cancel_scope scopes[16];
	int count = 1 + (int)draw(16), rc = 0;

	for (int i = 0; i < count; i++) {
		anyio_cancel_scope_init(&scopes[i]);
		anyio_cancel_scope_enter(&scopes[i]);
		anyio_cancel_scope_set_timeout(&scopes[i], (anyio_time)draw(60 * ANYIO_SECOND));
	}
	for (int i = 0; i < 100 && rc == 0; i++) {
		anyio_cancel_scope_set_timeout(&scopes[draw((uint64_t)count)],
			(anyio_time)(draw(60 * ANYIO_SECOND) >> draw(30)));
		rc = anyio_checkpoint();
	}
	for (int i = count; i-- > 0;)
		rc = anyio_cancel_scope_exit(&scopes[i], rc);
	return rc;
}

static void drop(void *item)
{
	anyio_free(*(void **)item);
}

static int produce(void *arg)
{
	struct anyio_sender *sender = arg;
	int rc = 0;

	for (uint64_t count = draw(300); count > 0 && rc == 0; count--) {
		void *item = anyio_malloc(100);
		rc = anyio_send(sender, &item);
		if (rc < 0)
			anyio_free(item);
	}
	anyio_sender_close(sender);
	return rc == ANYIO_BROKEN ? 0 : rc;
}

static int consume(void *arg)
{
	struct anyio_receiver *receiver = arg;
	void *item;
	int rc = 0;

	for (uint64_t count = draw(600); count > 0 && rc == 0; count--) {
		rc = anyio_receive(receiver, &item);
		if (rc == 0)
			anyio_free(item);
	}
	anyio_receiver_close(receiver);
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

static int exchange(void *arg)
{
	struct anyio_sender *sender, *other;
	struct anyio_receiver *receiver;

	if (anyio_channel_create(sizeof(void *), draw(8), drop, &sender, &receiver) < 0)
		return 0;
	ANYIO_TASK_GROUP(group);
	if (anyio_sender_clone(sender, &other) == 0)
		anyio_start_soon(&group, produce, other, "producer");
	anyio_start_soon(&group, produce, sender, "producer");
	anyio_start_soon(&group, consume, receiver, "consumer");
	return anyio_task_group_exit(&group, 0);
}

static int pause_thread(void *arg)
{
	struct timespec pause = { .tv_nsec = *(long *)arg };

	nanosleep(&pause, NULL);
	return 0;
}

static int call(void *arg)
{
	struct anyio_thread_options options = { .abandon_on_cancel = draw(2),
		.destroy = anyio_free };
	long *pause = anyio_malloc(sizeof(*pause));
	int rc;

	if (!pause)
		return 0;
	*pause = (long)draw(20 * ANYIO_MILLISECOND);
	rc = anyio_to_thread(pause_thread, pause, &options);
	if (rc != ANYIO_CANCELLED || !options.abandon_on_cancel)
		anyio_free(pause);
	return rc;
}

static int work(void *arg)
{
	static const anyio_task_fn what[] = { talk, crowd, deadlines, exchange, call };
	int rc = 0;

	while (rc == 0 && anyio_now() < soak.until) {
		uint64_t choice = draw(sizeof(what) / sizeof(*what));
		rc = anyio_move_on_after(
			(anyio_time)draw(50 * ANYIO_MILLISECOND), what[choice], NULL);
		soak.done[choice]++;
	}
	return rc;
}

static long count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	long count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static long count_memory(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (file) {
		if (fscanf(file, "%*d %ld", &pages) != 1)
			pages = 0;
		fclose(file);
	}
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

struct period {
	long least[QUANTITIES], most[QUANTITIES];
};

static int watch_period(struct period *period)
{
	int rc = 0;

	memset(period, 0, sizeof(*period));
	for (int i = 0; i < SAMPLES && rc == 0; i++) {
		long seen[] = { count_memory(), count_descriptors(), (long)anyio_task_count() };
		for (int q = 0; q < QUANTITIES; q++) {
			period->least[q] =
				i == 0 || seen[q] < period->least[q] ? seen[q] : period->least[q];
			period->most[q] = seen[q] > period->most[q] ? seen[q] : period->most[q];
		}
		rc = anyio_sleep(10 * ANYIO_SECOND / SAMPLES);
	}
	return rc;
}

static void print_period(const struct period *period, int number)
{
	printf("%4d s  memory %ld to %ld KiB, descriptors %ld to %ld, tasks %ld to %ld;"
	       " done: talk %lu, crowd %lu, deadlines %lu, exchange %lu, call %lu\n",
		number * 10, period->least[MEMORY], period->most[MEMORY],
		period->least[DESCRIPTORS], period->most[DESCRIPTORS], period->least[TASKS],
		period->most[TASKS], soak.done[0], soak.done[1], soak.done[2], soak.done[3],
		soak.done[4]);
	fflush(stdout);
}

/* Whether what is held has grown past what the trial showed. */
static bool has_grown(const struct period *period)
{
	static const char *const names[] = { "memory", "descriptors", "tasks" };
	bool grown = false;

	for (int q = 0; q < QUANTITIES; q++) {
		if (period->least[q] <= soak.allowed[q] + (q == MEMORY ? SLACK : 0))
			continue;
		printf("%s grew: at least %ld, allowed %ld\n", names[q], period->least[q],
			soak.allowed[q]);
		grown = true;
	}
	return grown;
}

static int watch(void *arg)
{
	struct period period;
	int rc = 0;

	for (int number = 1; rc == 0 && anyio_now() < soak.until; number++) {
		rc = watch_period(&period);
		print_period(&period, number);
		for (int q = 0; q < QUANTITIES && number <= PERIODS_OF_TRIAL; q++)
			if (period.most[q] > soak.allowed[q])
				soak.allowed[q] = period.most[q];
		if (rc == 0 && has_grown(&period))
			rc = ANYIO_TOO_MANY;
	}
	return rc;
}

static int run_workers(void)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, watch, NULL, "watch");
	for (int i = 0; i < WORKERS; i++)
		anyio_start_soon(&group, work, NULL, "worker");
	return anyio_task_group_exit(&group, 0);
}

static int soak_main(void *arg)
{
	struct anyio_address address;
	struct anyio_listener *listener;
	int rc = anyio_address_parse(&address, "127.0.0.1", 0);

	if (rc == 0)
		rc = anyio_listen_address(&address, NULL, &listener);
	if (rc < 0)
		return rc;
	anyio_listener_address(listener, &address);
	soak.port = ntohs(address.ip4.sin_port);
	soak.until = anyio_now() + (anyio_time)(*(double *)arg * 1e9);
	ANYIO_TASK_GROUP(server);
	anyio_start_soon(&server, serve, listener, "server");
	rc = run_workers();
	anyio_task_group_cancel(&server, "over");
	rc = anyio_task_group_exit(&server, rc);
	anyio_listener_free(listener);
	return rc;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0;
	int rc;

	if (seconds <= 0) {
		fprintf(stderr, "usage: soak SECONDS [SEED]\n");
		return 2;
	}
	soak.random = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)soak.random);
	rc = anyio_run(soak_main, &seconds, NULL);
	printf("soak: %s\n", rc == 0 ? "nothing grew" : anyio_error_text(rc));
	return rc < 0;
}
