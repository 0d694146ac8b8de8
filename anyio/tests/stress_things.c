/* Lanes of things that come whole or not at all: datagrams, connections, items, locks, work on
 * threads, records of a file, processes. */
#include "stress.h"
#include <fcntl.h>
#include <stdatomic.h>

/* Datagrams. The sender has a window, so that no queue overflows: then none may be lost, and none
 * comes twice or late. */
enum { WINDOW = 16, LAST = UINT32_MAX };

struct datagrams {
	struct world *world;
	struct anyio_datagram *ends[2];
	struct anyio_semaphore window;
	uint32_t sent, received;
	bool ended;
};

static int send_datagram(void *arg)
{
	struct datagrams *self = arg;
	int rc = anyio_datagram_send(self->ends[0], &self->sent, sizeof self->sent);
	self->sent += rc == 0;
	return rc;
}

static int datagram_sender(void *arg)
{
	struct datagrams *self = arg;
	uint32_t last = LAST;
	while (more(self->world)) {
		int rc = anyio_semaphore_acquire(&self->window);
		uint32_t before = self->sent;
		CHECK_RC(rc, 0);
		rc = risk(self->world, send_datagram, self);
		CHECK(rc == 0 || rc == ANYIO_CANCELLED);
		if (self->sent == before)
			CHECK_RC(anyio_semaphore_release(&self->window), 0);
	}
	CHECK_RC(anyio_datagram_send(self->ends[0], &last, sizeof last), 0);
	return 0;
}

static int receive_datagram(void *arg)
{
	struct datagrams *self = arg;
	uint32_t number;
	ssize_t n = anyio_datagram_receive(self->ends[1], &number, sizeof number, NULL);
	if (n < 0)
		return (int)n;
	CHECK_RC(n, sizeof number);
	self->ended = number == LAST;
	if (self->ended)
		return 0;
	CHECK_RC(number, self->received);
	self->received++;
	return anyio_semaphore_release(&self->window);
}

int lane_datagrams(void *arg)
{
	struct datagrams self = { .world = arg };
	struct anyio_address address;
	CHECK_RC(anyio_address_parse(&address, "127.0.0.1", 0), 0);
	CHECK_RC(anyio_datagram_bind(&address, NULL, &self.ends[1]), 0);
	CHECK_RC(anyio_datagram_local_address(self.ends[1], &address), 0);
	CHECK_RC(anyio_datagram_connect(&address, NULL, NULL, &self.ends[0]), 0);
	anyio_semaphore_init(&self.window, WINDOW, WINDOW);
	ANYIO_TASK_GROUP(group);
	spawn(&group, datagram_sender, &self, NULL);
	while (!self.ended) {
		int rc = risk(self.world, receive_datagram, &self);
		CHECK(rc == 0 || rc == ANYIO_CANCELLED);
	}
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.received, self.sent);
	self.world->done[DATAGRAMS] += self.received;
	anyio_datagram_free(self.ends[0]);
	anyio_datagram_free(self.ends[1]);
	return 0;
}

/* Connections. A cancelled connect or accept leaves no descriptor; what was connected is accepted. */
struct connections {
	struct world *world;
	struct anyio_listener *listener;
	struct anyio_address address;
	size_t connected, accepted;
	bool over;
};

static int connect_one(void *arg)
{
	struct connections *self = arg;
	struct anyio_stream *stream;
	int rc = anyio_connect_address(&self->address, &stream);
	self->connected += rc == 0;
	anyio_stream_free(stream);
	return rc;
}

static int accept_some(void *arg)
{
	struct connections *self = arg;
	struct anyio_stream *stream;
	int rc = anyio_accept(self->listener, &stream);
	self->accepted += rc == 0;
	anyio_stream_free(stream);
	return rc;
}

static int acceptor(void *arg)
{
	struct connections *self = arg;
	while (!self->over) {
		int rc = risk(self->world, accept_some, self);
		CHECK(rc == 0 || rc == ANYIO_CANCELLED);
	}
	return 0;
}

int lane_connections(void *arg)
{
	struct connections self = { .world = arg };
	self.listener = listen_local(&self.address);
	ANYIO_TASK_GROUP(group);
	spawn(&group, acceptor, &self, NULL);
	while (more(self.world)) {
		int rc = risk(self.world, connect_one, &self);
		CHECK(rc == 0 || rc == ANYIO_CANCELLED);
		linger(self.world, 10);
	}
	while (self.accepted < self.connected)
		CHECK_RC(anyio_sleep(10 * ANYIO_MICROSECOND), 0);
	self.over = true;
	CHECK_RC(connect_one(&self), 0); /* the acceptor may wait for one more */
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	self.world->done[CONNECTIONS] += self.connected;
	anyio_listener_free(self.listener);
	return 0;
}

/* Items of a channel: each is received once or dropped once. */
enum { SENDERS = 2, RECEIVERS = 2 };

struct channel {
	struct world *world;
	struct anyio_sender *senders[SENDERS];
	struct anyio_receiver *receivers[RECEIVERS];
	uint64_t next, sent_sum, received_sum;
	size_t sent, received, turn;
};
struct channel_end {
	struct channel *channel;
	size_t index;
};
static uint64_t dropped, dropped_sum;

static void drop(void *item)
{
	dropped++;
	dropped_sum += *(uint64_t *)item;
}

static int send_item(void *arg)
{
	struct channel_end *end = arg;
	struct channel *channel = end->channel;
	uint64_t item = ++channel->next;
	int rc = anyio_send(channel->senders[end->index], &item);
	channel->sent += rc == 0;
	channel->sent_sum += rc == 0 ? item : 0;
	return rc;
}

static int item_sender(void *arg)
{
	struct channel_end *end = arg;
	int rc = 0;
	while (more(end->channel->world) && (rc == 0 || rc == ANYIO_CANCELLED))
		rc = risk(end->channel->world, send_item, end);
	CHECK(rc == 0 || rc == ANYIO_CANCELLED || rc == ANYIO_BROKEN);
	anyio_sender_close(end->channel->senders[end->index]);
	return 0;
}

static int receive_item(void *arg)
{
	struct channel_end *end = arg;
	struct channel *channel = end->channel;
	uint64_t item;
	int rc = anyio_receive(channel->receivers[end->index], &item);
	channel->received += rc == 0;
	channel->received_sum += rc == 0 ? item : 0;
	return rc;
}

static int item_receiver(void *arg)
{
	struct channel_end *end = arg;
	struct world *world = end->channel->world;
	size_t leave_at = world->operations + draw(world, world->limit);
	int rc = 0;
	while ((rc == 0 || rc == ANYIO_CANCELLED) && world->operations < leave_at)
		rc = risk(world, receive_item, end);
	CHECK(rc == 0 || rc == ANYIO_CANCELLED || rc == ANYIO_END_OF_STREAM);
	anyio_receiver_close(end->channel->receivers[end->index]);
	return 0;
}

static void channel_run(struct world *world)
{
	struct channel channel = { .world = world };
	struct channel_end ends[SENDERS + RECEIVERS];
	dropped = dropped_sum = 0;
	CHECK_RC(anyio_channel_create(sizeof(uint64_t), draw(world, 5), drop, &channel.senders[0],
			 &channel.receivers[0]),
		0);
	CHECK_RC(anyio_sender_clone(channel.senders[0], &channel.senders[1]), 0);
	CHECK_RC(anyio_receiver_clone(channel.receivers[0], &channel.receivers[1]), 0);
	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < SENDERS + RECEIVERS; i++) {
		ends[i] = (struct channel_end){ &channel, i % SENDERS };
		spawn(&group, i < SENDERS ? item_sender : item_receiver, &ends[i], NULL);
	}
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	world->done[ITEMS] += channel.received;
	CHECK_RC((int64_t)channel.sent, (int64_t)(channel.received + dropped));
	CHECK_RC((int64_t)channel.sent_sum, (int64_t)(channel.received_sum + dropped_sum));
}

int lane_channel(void *arg)
{
	do
		channel_run(arg);
	while (more(arg));
	return 0;
}

/* Locks: how many are inside is never more than may be, and at the end nobody is. */
enum { CROWD = 5, PERMITS = 3, TOKENS = 2 };

struct locks {
	struct world *world;
	struct anyio_lock lock;
	struct anyio_condition condition;
	struct anyio_semaphore semaphore;
	struct anyio_limiter limiter;
	size_t in_lock, in_semaphore, in_limiter;
};

static int inside(struct locks *locks, size_t *count, size_t most)
{
	CHECK(++*count <= most);
	locks->world->done[LOCKS]++;
	int rc = draw(locks->world, 3) ? anyio_checkpoint() : 0;
	--*count;
	return rc;
}

static int use_lock(void *arg)
{
	struct locks *locks = arg;
	int rc = anyio_lock_acquire(&locks->lock);
	if (rc < 0)
		return rc;
	rc = inside(locks, &locks->in_lock, 1);
	if (draw(locks->world, 2))
		CHECK_RC(anyio_condition_notify(&locks->condition, 1), 0);
	CHECK_RC(anyio_lock_release(&locks->lock), 0);
	return rc;
}

static int await_condition(void *arg)
{
	struct locks *locks = arg;
	int rc = anyio_lock_acquire(&locks->lock);
	if (rc < 0)
		return rc;
	rc = anyio_condition_wait(&locks->condition);
	if (rc == 0)
		rc = inside(locks, &locks->in_lock, 1);
	CHECK_RC(anyio_lock_release(&locks->lock), 0);
	return rc;
}

static int use_condition(void *arg)
{
	return anyio_move_on_after(100 * ANYIO_MICROSECOND, await_condition, arg);
}

static int use_semaphore(void *arg)
{
	struct locks *locks = arg;
	int rc = anyio_semaphore_acquire(&locks->semaphore);
	if (rc < 0)
		return rc;
	rc = inside(locks, &locks->in_semaphore, PERMITS);
	CHECK_RC(anyio_semaphore_release(&locks->semaphore), 0);
	return rc;
}

static int use_limiter(void *arg)
{
	struct locks *locks = arg;
	int rc = anyio_limiter_acquire(&locks->limiter);
	if (rc < 0)
		return rc;
	rc = inside(locks, &locks->in_limiter, TOKENS);
	CHECK_RC(anyio_limiter_release(&locks->limiter), 0);
	return rc;
}

static int locker(void *arg)
{
	static const anyio_task_fn uses[] = { use_lock, use_condition, use_semaphore, use_limiter };
	struct locks *locks = arg;
	while (more(locks->world)) {
		int rc = risk(locks->world, uses[draw(locks->world, 4)], locks);
		CHECK(rc == 0 || rc == ANYIO_CANCELLED);
	}
	return 0;
}

int lane_locks(void *arg)
{
	struct locks locks = { .world = arg };
	struct anyio_limiter_statistics left;
	anyio_lock_init(&locks.lock);
	anyio_condition_init(&locks.condition, &locks.lock);
	anyio_semaphore_init(&locks.semaphore, PERMITS, PERMITS);
	anyio_limiter_init(&locks.limiter, TOKENS);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < CROWD; i++)
		spawn(&group, locker, &locks, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	left = anyio_limiter_statistics(&locks.limiter);
	CHECK_RC((int64_t)(left.borrowed + left.waiting), 0);
	CHECK_RC((int64_t)anyio_semaphore_value(&locks.semaphore), PERMITS);
	CHECK(!anyio_lock_locked(&locks.lock));
	CHECK_RC((int64_t)anyio_condition_statistics(&locks.condition).waiting, 0);
	anyio_limiter_destroy(&locks.limiter);
	return 0;
}

/* Threads: what they are given is freed once, by them when they were abandoned. */
_Atomic size_t jobs_made, jobs_freed;

struct job {
	struct world *world;
	_Atomic unsigned *answer;
};

static int do_job(void *arg)
{
	_Atomic unsigned *answer = ((struct job *)arg)->answer;
	for (int i = 0; i < 100; i++)
		atomic_fetch_add(answer, 1);
	return 0;
}

static void free_job(void *arg)
{
	struct job *job = arg;
	free(job->answer);
	free(job);
	jobs_freed++;
}

static int use_thread(void *arg)
{
	struct world *world = arg;
	struct job *job = malloc(sizeof *job);
	struct anyio_thread_options options = { .abandon_on_cancel = draw(world, 2) == 0 };
	if (options.abandon_on_cancel)
		options.destroy = free_job;
	*job = (struct job){ world, calloc(1, sizeof(unsigned)) };
	jobs_made++;
	int rc = anyio_to_thread(do_job, job, &options);
	CHECK(rc == 0 || rc == ANYIO_CANCELLED);
	if (rc == 0)
		CHECK_RC(*job->answer, 100);
	world->done[JOBS] += rc == 0;
	if (rc == 0 || !options.abandon_on_cancel)
		free_job(job);
	return rc;
}

int lane_threads(void *arg)
{
	struct world *world = arg;
	while (more(world)) {
		risk(world, use_thread, world);
		linger(world, 10);
	}
	return 0;
}

/* A file of records: what was written stays, what was cut off is there whole or not at all. */
enum { RECORDS = 8, RECORD = 512 };

struct records {
	struct world *world;
	int fd;
	size_t at;
	uint8_t written[RECORDS], tried[RECORDS];
};

static int write_record(void *arg)
{
	struct records *self = arg;
	size_t at = self->at;
	uint8_t bytes[RECORD];
	memset(bytes, ++self->tried[at], sizeof bytes);
	int rc = anyio_pwrite_all(self->fd, bytes, RECORD, (off_t)(at * RECORD));
	if (rc == 0)
		self->written[at] = self->tried[at];
	self->world->done[RECORDS_DONE] += rc == 0;
	return rc;
}

static int read_record(void *arg)
{
	struct records *self = arg;
	size_t at = self->at, wrong = 0;
	uint8_t bytes[RECORD];
	int rc = anyio_pread_all(self->fd, bytes, RECORD, (off_t)(at * RECORD));
	if (rc < 0)
		return rc;
	for (size_t i = 1; i < RECORD; i++)
		wrong += bytes[i] != bytes[0];
	CHECK_RC((int64_t)wrong, 0);
	/* Counts wrap round. */
	CHECK((uint8_t)(self->tried[at] - bytes[0]) <=
		(uint8_t)(self->tried[at] - self->written[at]));
	self->tried[at] = self->written[at] = bytes[0];
	return rc;
}

int lane_file(void *arg)
{
	struct records self = { .world = arg };
	char path[64];
	uint8_t zero[RECORDS * RECORD] = { 0 };
	self.fd = anyio_temporary_file(self.world->simulated ? "/sim" : "/tmp", path, sizeof path);
	CHECK(self.fd >= 0);
	CHECK_RC(anyio_pwrite_all(self.fd, zero, sizeof zero, 0), 0);
	while (more(self.world)) {
		self.at = draw(self.world, RECORDS);
		/* So that it is known what may be there. */
		anyio_task_fn step = draw(self.world, 2) ||
				(uint8_t)(self.tried[self.at] - self.written[self.at]) > 100
			? read_record
			: write_record;
		int rc = risk(self.world, step, &self);
		CHECK(rc == 0 || rc == ANYIO_CANCELLED);
		linger(self.world, 10);
	}
	for (self.at = 0; self.at < RECORDS; self.at++)
		CHECK_RC(read_record(&self), 0);
	CHECK_RC(anyio_close(self.fd), 0);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, path, 0), 0);
	return 0;
}

/* Processes cost more than all else, so there are few; the simulation has none. */
static int run_cat(void *arg)
{
	static char *const argv[] = { "cat", NULL };
	struct anyio_process_run_options options = {
		.process.grace = -1, .input = "meow", .input_size = 4, .check = true
	};
	struct anyio_process_result result;
	int rc = anyio_process_run(argv, &options, &result);
	((struct world *)arg)->done[PROCESSES] += rc == 0;
	if (rc == 0)
		CHECK(result.out_size == 4 && memcmp(result.out, "meow", 4) == 0);
	anyio_process_result_free(&result);
	return rc;
}

int lane_process(void *arg)
{
	struct world *world = arg;
	for (int i = 0; i < 2 && !world->simulated && more(world); i++) {
		int rc = risk(world, run_cat, world);
		CHECK(rc == 0 || rc == ANYIO_CANCELLED);
	}
	return 0;
}
