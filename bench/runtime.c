/*
 * The runtime by itself. The backend is $ANYIO_BACKEND, as everywhere.
 *
 *	runtime switch    nanoseconds of one switch between two tasks
 *	runtime spawn     nanoseconds of starting and joining a task, 1,000 at a time
 *	runtime echo      an echo server, a task a connection; prints its port
 *	runtime contexts  the switch of the C library: swapcontext
 *	runtime threads   starting and joining a thread, 1,000 at a time
 */
#include <anyio/anyio.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

enum { SWITCHES = 4000000, SPAWNED = 1000, ROUNDS = 500 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int yield_often(void *arg)
{
	for (int i = 0; i < SWITCHES / 2; i++)
		anyio_cancel_shielded_checkpoint();
	return 0;
}

static int switches(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, yield_often, NULL, "one");
	anyio_start_soon(&group, yield_often, NULL, "two");
	double began = now();
	int rc = anyio_task_group_exit(&group, 0);

	printf("%.2f\n", (now() - began) / SWITCHES);
	return rc;
}

static int end_at_once(void *arg)
{
	return 0;
}

static int spawns(void *arg)
{
	double began = now();

	for (int i = 0; i < ROUNDS; i++) {
		ANYIO_TASK_GROUP(group);
		for (int j = 0; j < SPAWNED; j++)
			anyio_start_soon(&group, end_at_once, NULL, "child");
		int rc = anyio_task_group_exit(&group, 0);
		if (rc < 0)
			return rc;
	}
	printf("%.2f\n", (now() - began) / ROUNDS / SPAWNED);
	return 0;
}

static ucontext_t here, there;

static void swap_often(void)
{
	for (;;)
		swapcontext(&there, &here);
}

static int contexts(void)
{
	static char stack[64 << 10];
	enum { SWAPS = SWITCHES / 8 };

	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = sizeof(stack);
	makecontext(&there, swap_often, 0);
	double began = now();
	for (int i = 0; i < SWAPS / 2; i++)
		swapcontext(&here, &there);
	printf("%.2f\n", (now() - began) / SWAPS);
	return 0;
}

static void *thread(void *arg)
{
	return NULL;
}

static int threads(void)
{
	enum { THREAD_ROUNDS = 5 };
	pthread_t ids[SPAWNED];
	double began = now();

	for (int i = 0; i < THREAD_ROUNDS; i++) {
		for (int j = 0; j < SPAWNED; j++)
			if (pthread_create(&ids[j], NULL, thread, NULL))
				return 1;
		for (int j = 0; j < SPAWNED; j++)
			pthread_join(ids[j], NULL);
	}
	printf("%.2f\n", (now() - began) / THREAD_ROUNDS / SPAWNED);
	return 0;
}

static int converse(void *arg)
{
	struct anyio_stream *stream = arg;
	char buffer[4096];
	ssize_t n;

	while ((n = anyio_stream_receive(stream, buffer, sizeof(buffer))) > 0)
		if (anyio_stream_send(stream, buffer, (size_t)n) < 0)
			break;
	anyio_stream_free(stream);
	return 0;
}

static int echo(void *arg)
{
	struct anyio_address address;
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	int rc = anyio_address_parse(&address, "127.0.0.1", 0);

	if (rc == 0)
		rc = anyio_listen_address(&address, NULL, &listener);
	if (rc < 0)
		return rc;
	anyio_listener_address(listener, &address);
	printf("%d\n", ntohs(address.ip4.sin_port));
	fflush(stdout);
	ANYIO_TASK_GROUP(group);
	while ((rc = anyio_accept(listener, &stream)) == 0)
		anyio_start_soon(&group, converse, stream, "conversation");
	anyio_listener_free(listener);
	return anyio_task_group_exit(&group, rc);
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	anyio_task_fn body = strcmp(what, "switch") == 0 ? switches
		: strcmp(what, "spawn") == 0             ? spawns
		: strcmp(what, "echo") == 0              ? echo
							 : NULL;

	if (strcmp(what, "contexts") == 0)
		return contexts();
	if (strcmp(what, "threads") == 0)
		return threads();
	if (!body) {
		fprintf(stderr, "usage: runtime switch | spawn | echo | contexts | threads\n");
		return 2;
	}
	return anyio_run(body, NULL, NULL) < 0;
}
