/* Listening: several addresses on one port, and UNIX sockets with what is left of them. */
#include "sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>

static uint16_t port_of(const struct anyio_listener *listener)
{
	struct anyio_address address;

	CHECK_RC(anyio_listener_address(listener, &address), 0);
	return address.any.sa_family == AF_INET6 ? address.ip6.sin6_port : address.ip4.sin_port;
}

/* Fails each operation in turn as a taken port does. Once the first address has its port, another is
 * tried; before, there is nothing to choose again. */
static int c52_a_listener_retries_its_port_after_a_partial_bind_failure(void *arg)
{
	struct anyio_address addresses[2];
	struct anyio_listener *all[2];
	size_t again = 0, given_up = 0;
	uint64_t seen;

	CHECK_RC(anyio_address_parse(&addresses[0], "127.0.0.1", 0), 0);
	CHECK_RC(anyio_address_parse(&addresses[1], "127.0.0.2", 0), 0);
	anyio_fault_set(ANYIO_FAULT_OPERATION, UINT64_MAX, 0);
	CHECK_RC(anyio_listen_several(addresses, 2, NULL, all), 0);
	seen = anyio_fault_count(ANYIO_FAULT_OPERATION);
	anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
	CHECK(port_of(all[0]) == port_of(all[1]));
	for (uint64_t at = 1;; at++) {
		int rc;

		anyio_listener_free(all[0]);
		anyio_listener_free(all[1]);
		if (at > seen)
			break;
		anyio_fault_set(ANYIO_FAULT_OPERATION, at, -EADDRINUSE);
		rc = anyio_listen_several(addresses, 2, NULL, all);
		anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
		again += rc == 0;
		given_up += rc == -EADDRINUSE;
		if (rc == 0)
			CHECK(port_of(all[0]) == port_of(all[1]));
		else
			CHECK(all[0] == NULL && all[1] == NULL);
	}
	CHECK_RC((int64_t)(again + given_up), (int64_t)seen);
	/* Two of each address are tuning, whose failure is nobody's. Else the second address costs what the
	 * first does, but for asking which port that got. */
	CHECK_RC((int64_t)given_up - ((int64_t)again - 4), 1);
	return 0;
}

static int c52b_a_port_that_stays_taken_is_given_up(void *arg)
{
	struct anyio_address addresses[3];
	struct anyio_listener *all[3], *taken = listen_local(&addresses[2]);

	CHECK_RC(anyio_address_parse(&addresses[0], "127.0.0.1", 0), 0);
	addresses[1] = addresses[0];
	CHECK_RC(anyio_listen_several(addresses, 2, NULL, all), -EADDRINUSE);
	CHECK(all[0] == NULL && all[1] == NULL);
	/* A port that was asked for is not replaced by another. */
	CHECK_RC(anyio_address_parse(&addresses[1], "127.0.0.2", 0), 0);
	CHECK_RC(anyio_listen_several(addresses, 3, NULL, all), -EADDRINUSE);
	CHECK(all[0] == NULL && all[1] == NULL && all[2] == NULL);
	anyio_listener_free(taken);
	return 0;
}

static int without_memory_no_listener_is_left(void *arg)
{
	struct anyio_address addresses[2];
	struct anyio_listener *all[2];

	CHECK_RC(anyio_address_parse(&addresses[0], "127.0.0.1", 0), 0);
	CHECK_RC(anyio_address_parse(&addresses[1], "127.0.0.2", 0), 0);
	for (uint64_t at = 1; at <= 2; at++) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, at, 0);
		CHECK_RC(anyio_listen_several(addresses, 2, NULL, all), -ENOMEM);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK(all[0] == NULL && all[1] == NULL);
	}
	return 0;
}

/* Who closes finds the other between two waits: it must not begin the next one. */
static void closed_after_an_accept_that_failed(int error)
{
	struct anyio_address address;
	struct accepting accepting = { .rc = 1 };
	ANYIO_TASK_GROUP(group);

	CHECK_RC(anyio_address_parse(&address, "127.0.0.1", 0), 0);
	CHECK_RC(anyio_listen_address(&address, NULL, &accepting.listener), 0);
	CHECK_RC(anyio_fault_set_call("accept", 1, error), 0);
	spawn(&group, accept_one, &accepting, NULL);
	anyio_cancel_shielded_checkpoint();
	CHECK(anyio_fault_count(ANYIO_FAULT_CALL) > 0);
	anyio_listener_free(accepting.listener);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, ANYIO_CLOSED);
	anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
}

static int c49_close_ends_an_accept_between_two_tries(void *arg)
{
	closed_after_an_accept_that_failed(-EMFILE);
	closed_after_an_accept_that_failed(-ECONNABORTED);
	return 0;
}

static int c52c_both_families_share_a_port(void *arg)
{
	struct anyio_address addresses[2];
	struct anyio_listener *all[2];

	if (!has_ip6())
		return 0;
	CHECK_RC(anyio_address_parse(&addresses[0], "::", 0), 0);
	CHECK_RC(anyio_address_parse(&addresses[1], "0.0.0.0", 0), 0);
	CHECK_RC(anyio_listen_several(addresses, 2, NULL, all), 0);
	CHECK(port_of(all[0]) == port_of(all[1]));
	anyio_listener_free(all[0]);
	anyio_listener_free(all[1]);
	return 0;
}

static int unix_listener_replaces_only_what_is_stale(void *arg)
{
	struct folder folder;
	struct anyio_listener *listener, *second;
	struct accepting accepting;
	struct anyio_stream *stream;
	struct anyio_task_group group;
	struct stat st;
	int file;

	folder_make(&folder);
	CHECK_RC(anyio_connect_unix(folder.path, &stream), -ENOENT);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), 0);
	CHECK_RC(stat(folder.path, &st), 0);
	CHECK((st.st_mode & 07777) == 0600);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &second), -EADDRINUSE);
	accepting = (struct accepting){ .listener = listener };
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0); /* the one that looked whether we answer */
	CHECK_RC(accepting.rc, 0);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(listener);
	/* The file is still there, and nobody behind it. */
	CHECK_RC(anyio_connect_unix(folder.path, &stream), -ECONNREFUSED);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), 0);
	anyio_listener_free(listener);
	unlink(folder.path);
	file = open(folder.path, O_CREAT | O_CLOEXEC, 0600);
	close(file);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), -EADDRINUSE);
	CHECK_RC(stat(folder.path, &st), 0);
	folder_remove(&folder);
	return 0;
}

struct counts {
	struct anyio_instrument instrument;
	int all, accepts;
};

static void count_operation(
	void *arg, const struct anyio_task *task, const char *operation, int fd, int64_t result)
{
	struct counts *self = arg;

	self->all++;
	self->accepts += strcmp(operation, "accept") == 0;
}

static void check_tuned(struct anyio_stream *stream)
{
	char name[16] = "";
	int fd, value = 0;
	socklen_t size = sizeof(value);

	CHECK_RC(anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_DESCRIPTOR, &fd, sizeof(fd)),
		sizeof(fd));
	CHECK_RC(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
	CHECK(value != 0);
	size = sizeof(name);
	CHECK_RC(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
	CHECK(strcmp(name, "reno") == 0);
}

/* What a listener has is its connections', for no call of their own. */
static int accepted_streams_are_tuned_by_their_listener(void *arg)
{
	static const char *const hosts[] = { "127.0.0.1", "0.0.0.0" };

	for (int any = 0; any < 2; any++) {
		struct counts counts = { .all = 0 };
		struct anyio_address address, to;
		struct anyio_listener *listener;
		struct anyio_stream *ends[2];

		CHECK_RC(anyio_address_parse(&address, hosts[any], 0), 0);
		CHECK_RC(anyio_listen_address(&address, NULL, &listener), 0);
		CHECK_RC(anyio_listener_address(listener, &address), 0);
		CHECK_RC(anyio_address_parse(&to, "127.0.0.1", ntohs(address.ip4.sin_port)), 0);
		CHECK_RC(anyio_connect_address(&to, &ends[0]), 0);
		counts.instrument = (struct anyio_instrument){ .arg = &counts,
			.operation_completed = count_operation };
		CHECK_RC(anyio_instrument_add(&counts.instrument), 0);
		CHECK_RC(anyio_accept(listener, &ends[1]), 0);
		CHECK_RC(anyio_instrument_remove(&counts.instrument), 0);
		CHECK_RC(counts.accepts, 1);
		CHECK_RC(counts.all, any ? 3 : 1);
		check_tuned(ends[0]);
		check_tuned(ends[1]);
		pair_free(ends);
		anyio_listener_free(listener);
	}
	return 0;
}

/* A stale socket, and several that find it so. */
enum { RACERS = 6 };

static void stale_make(const struct folder *folder)
{
	struct anyio_address address = path_address(folder->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_RC(bind(fd, &address.any, address.len), 0);
	close(fd);
}

struct racer {
	const char *path;
	struct anyio_listener *listener;
	pthread_barrier_t *barrier; /* of threads */
	const struct anyio_options *options;
	int rc;
};

static int racer_listen(void *arg)
{
	struct racer *self = arg;

	self->rc = anyio_listen_unix(self->path, NULL, &self->listener);
	return 0;
}

/* Who won can be reached. */
static void race_check(struct racer *racers)
{
	int won = 0;

	for (int i = 0; i < RACERS; i++) {
		CHECK(racers[i].rc == 0 || racers[i].rc == -EADDRINUSE);
		won += racers[i].rc == 0;
	}
	CHECK_RC(won, 1);
}

static int one_of_several_tasks_replaces_a_stale_socket(void *arg)
{
	struct racer racers[RACERS];
	struct folder folder;
	struct anyio_stream *stream;
	struct anyio_task_group group;

	folder_make(&folder);
	stale_make(&folder);
	anyio_task_group_enter(&group);
	for (int i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ .path = folder.path };
		spawn(&group, racer_listen, &racers[i], NULL);
	}
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	race_check(racers);
	CHECK_RC(anyio_connect_unix(folder.path, &stream), 0);
	anyio_stream_free(stream);
	for (int i = 0; i < RACERS; i++)
		anyio_listener_free(racers[i].listener);
	/* And nothing but the socket is left in the folder. */
	folder_remove(&folder);
	return 0;
}

struct tries {
	int binds, locks;
};

static void count_tries(void *arg, const struct anyio_task *task, const char *operation, int fd)
{
	struct tries *tries = arg;

	tries->binds += strcmp(operation, "bind") == 0;
	tries->locks += strcmp(operation, "lock file") == 0;
}

/* Whoever has the turn is waited for before anything is tried. */
static int the_lock_is_waited_for(void *arg)
{
	struct folder folder;
	struct racer racer = { .path = folder.path };
	struct anyio_task_group group;
	char lock[sizeof(folder.path) + 16];
	int fd;
	struct tries tries = { .binds = 0 };
	struct anyio_instrument counter = { .arg = &tries, .operation_started = count_tries };

	folder_make(&folder);
	stale_make(&folder);
	snprintf(lock, sizeof(lock), "%s.bind-lock", folder.path);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK_RC(flock(fd, LOCK_EX), 0);
	anyio_task_group_enter(&group);
	spawn(&group, racer_listen, &racer, NULL);
	CHECK_RC(anyio_instrument_add(&counter), 0);
	/* The second try tells what came of the first. */
	while (tries.locks < 2 && tries.binds == 0)
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	CHECK_RC(anyio_instrument_remove(&counter), 0);
	CHECK_RC(tries.binds, 0);
	unlink(lock);
	close(fd);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(racer.rc, 0);
	anyio_listener_free(racer.listener);
	/* A file of that name that is no lock is left alone. */
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK_RC(write(fd, "x", 1), 1);
	close(fd);
	racer_listen(&racer);
	CHECK_RC(racer.rc, 0);
	anyio_listener_free(racer.listener);
	CHECK_RC(unlink(lock), 0);
	folder_remove(&folder);
	return 0;
}

static int a_cancelled_listening_leaves_nothing(void *arg)
{
	struct anyio_listener *listener;
	struct anyio_cancel_scope scope;
	struct folder folder;

	folder_make(&folder);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	anyio_cancel_scope_enter(&scope);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), ANYIO_CANCELLED);
	CHECK(listener == NULL);
	CHECK_RC(anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED), 0);
	CHECK_RC(rmdir(folder.folder), 0);
	return 0;
}

static int racer_run(void *arg)
{
	struct racer *self = arg;

	pthread_barrier_wait(self->barrier);
	racer_listen(self);
	pthread_barrier_wait(self->barrier);
	anyio_listener_free(self->listener);
	return 0;
}

static void *racer_thread(void *arg)
{
	struct racer *self = arg;

	CHECK_RC(anyio_run(racer_run, self, self->options), 0);
	return NULL;
}

static int one_of_several_threads_replaces_a_stale_socket(void *arg)
{
	struct racer racers[RACERS];
	pthread_t threads[RACERS];
	pthread_barrier_t barrier;
	struct folder folder;

	folder_make(&folder);
	stale_make(&folder);
	pthread_barrier_init(&barrier, NULL, RACERS);
	for (int i = 0; i < RACERS; i++) {
		racers[i] =
			(struct racer){ .path = folder.path, .barrier = &barrier, .options = arg };
		CHECK_RC(pthread_create(&threads[i], NULL, racer_thread, &racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	race_check(racers);
	folder_remove(&folder);
	return 0;
}

/* Somebody who puts a link in the socket's place as soon as it is there. */
struct swap {
	struct anyio_instrument instrument;
	const char *path, *to;
};

static void swap_after_bind(
	void *arg, const struct anyio_task *task, const char *operation, int fd, int64_t result)
{
	const struct swap *swap = arg;

	if (strcmp(operation, "bind") != 0 || result < 0)
		return;
	CHECK_RC(unlink(swap->path), 0);
	CHECK_RC(symlink(swap->to, swap->path), 0);
}

static int permissions_follow_no_link(void *arg)
{
	static const struct anyio_listen_options options = { .unix_mode = 0666 };
	struct folder folder;
	char victim[128];
	struct swap swap = { .to = victim };
	struct anyio_listener *listener;
	struct stat st;

	folder_make(&folder);
	snprintf(victim, sizeof(victim), "%s.victim", folder.folder);
	close(open(victim, O_CREAT | O_CLOEXEC, 0600));
	swap.path = folder.path;
	swap.instrument =
		(struct anyio_instrument){ .arg = &swap, .operation_completed = swap_after_bind };
	CHECK_RC(anyio_instrument_add(&swap.instrument), 0);
	CHECK(anyio_listen_unix(folder.path, &options, &listener) < 0);
	CHECK_RC(anyio_instrument_remove(&swap.instrument), 0);
	CHECK_RC(stat(victim, &st), 0);
	CHECK((st.st_mode & 07777) == 0600);
	unlink(victim);
	folder_remove(&folder);
	return 0;
}

struct connecting {
	const char *path;
	struct anyio_stream *stream;
	int rc;
};

static int connect_one(void *arg)
{
	struct connecting *self = arg;

	self->rc = anyio_connect_unix(self->path, &self->stream);
	return 0;
}

/* Where the kernel says EAGAIN instead of letting us wait, we wait all the same. */
static int a_full_unix_queue_is_waited_for(void *arg)
{
	static const struct anyio_listen_options options = { .backlog = 1, .unix_mode = 0644 };
	struct folder folder;
	struct anyio_listener *listener, *second;
	struct connecting all[4];
	struct anyio_stream *stream;
	struct anyio_task_group group;

	folder_make(&folder);
	CHECK_RC(anyio_listen_unix(folder.path, &options, &listener), 0);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 4; i++) {
		all[i] = (struct connecting){ .path = folder.path };
		spawn(&group, connect_one, &all[i], NULL);
	}
	CHECK_RC(anyio_sleep(5 * ANYIO_MILLISECOND), 0);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &second), -EADDRINUSE);
	for (int i = 0; i < 4; i++) {
		CHECK_RC(anyio_accept(listener, &stream), 0);
		anyio_stream_free(stream);
	}
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < 4; i++) {
		CHECK_RC(all[i].rc, 0);
		anyio_stream_free(all[i].stream);
	}
	anyio_listener_free(listener);
	folder_remove(&folder);
	return 0;
}

/* And asleep: with something of the kernel's in flight the mock clock would stand still. */
static int a_full_unix_queue_is_waited_for_asleep(void *arg)
{
	static const struct anyio_listen_options options = { .backlog = 1, .unix_mode = 0644 };
	struct folder folder;
	struct anyio_listener *listener;
	struct connecting all[4];

	folder_make(&folder);
	CHECK_RC(anyio_listen_unix(folder.path, &options, &listener), 0);
	for (int i = 0; i < 4; i++) {
		all[i] = (struct connecting){ .path = folder.path };
		anyio_move_on_after(ANYIO_SECOND, connect_one, &all[i]);
		CHECK_RC(all[i].rc, i < 2 ? 0 : ANYIO_CANCELLED);
	}
	for (int i = 0; i < 4; i++)
		anyio_stream_free(all[i].stream);
	anyio_listener_free(listener);
	folder_remove(&folder);
	return 0;
}

static int unix_streams_carry_data(void *arg)
{
	struct folder folder;
	struct accepting accepting = { .rc = 0 };
	struct anyio_stream *stream;
	struct anyio_task_group group;
	char buffer[4];

	folder_make(&folder);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &accepting.listener), 0);
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	CHECK_RC(anyio_connect_unix(folder.path, &stream), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_stream_send(stream, "ping", 4), 0);
	CHECK_RC(anyio_stream_receive_exactly(accepting.stream, buffer, 4), 0);
	CHECK(memcmp(buffer, "ping", 4) == 0);
	anyio_stream_free(stream);
	CHECK_RC(anyio_stream_receive(accepting.stream, buffer, 4), 0);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(accepting.listener);
	folder_remove(&folder);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(accepted_streams_are_tuned_by_their_listener, CONFORM_NO_SIM),
		CONFORM(unix_listener_replaces_only_what_is_stale, CONFORM_MOCK),
		CONFORM(one_of_several_tasks_replaces_a_stale_socket, CONFORM_MOCK),
		CONFORM(the_lock_is_waited_for, 0),
		CONFORM(a_cancelled_listening_leaves_nothing, 0),
		CONFORM(one_of_several_threads_replaces_a_stale_socket,
			CONFORM_NO_SIM | CONFORM_BARE),
		CONFORM(permissions_follow_no_link, CONFORM_NO_SIM | CONFORM_MOCK),
		CONFORM(c52_a_listener_retries_its_port_after_a_partial_bind_failure, 0),
		CONFORM(c52b_a_port_that_stays_taken_is_given_up, 0),
		CONFORM(without_memory_no_listener_is_left, 0),
		CONFORM(c49_close_ends_an_accept_between_two_tries, CONFORM_ORDERED),
		CONFORM(c52c_both_families_share_a_port, 0),
		CONFORM(a_full_unix_queue_is_waited_for_asleep, CONFORM_MOCK),
		CONFORM(a_full_unix_queue_is_waited_for, 0),
		CONFORM(unix_streams_carry_data, 0),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
