/* Descriptors over UNIX streams: with which bytes they come, and that none stays open when nobody takes it.
 * As the kernel has it, and the simulation by seed. */
#include "sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "../core/core.h"

/* A pipe of which one end travels: the other tells whether anybody still has it. */
struct pipe {
	int kept; /* to be read */
	struct anyio_descriptors gift;
};

static struct pipe pipe_make(void)
{
	struct pipe pipe = { .gift.count = 1 };
	int fds[2];

	CHECK_RC(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	pipe.kept = fds[0];
	pipe.gift.fds[0] = fds[1];
	return pipe;
}

static bool somebody_has(const struct pipe *pipe)
{
	char byte;

	return read(pipe->kept, &byte, 1) < 0 && errno == EAGAIN;
}

static void send_away(struct anyio_stream *stream, struct pipe *pipe, const char *text)
{
	CHECK_RC(anyio_stream_send_descriptors(stream, text, strlen(text), &pipe->gift, NULL), 0);
	anyio_descriptors_close(&pipe->gift);
	CHECK(somebody_has(pipe));
}

static void pipe_gone(struct pipe *pipe)
{
	CHECK(!somebody_has(pipe));
	close(pipe->kept);
}

/* All that was sent is there: in the simulation it takes its time. */
static void until_it_is_there(void)
{
	if (strcmp(anyio_backend_name(), "sim") == 0)
		CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
}

static int what_came_before_may_be_joined_and_what_comes_after_not(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors got;
	struct pipe pipe = pipe_make();
	char buffer[16];

	connect_unix_pair(ends);
	CHECK_RC(anyio_stream_send(ends[0], "ab", 2), 0);
	send_away(ends[0], &pipe, "cd");
	CHECK_RC(anyio_stream_send(ends[0], "ef", 2), 0);
	until_it_is_there();
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 16, &got), 4);
	CHECK(memcmp(buffer, "abcd", 4) == 0 && got.count == 1 && !got.lost);
	anyio_descriptors_close(&got);
	pipe_gone(&pipe);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 16, &got), 2);
	CHECK(memcmp(buffer, "ef", 2) == 0 && got.count == 0);
	/* They come with the first byte, also when there is no room for the others. */
	pipe = pipe_make();
	send_away(ends[0], &pipe, "gh");
	until_it_is_there();
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 1, &got), 1);
	CHECK(got.count == 1);
	anyio_descriptors_close(&got);
	pipe_gone(&pipe);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 16, &got), 1);
	CHECK(got.count == 0);
	/* A plain receive has the same places. */
	pipe = pipe_make();
	send_away(ends[0], &pipe, "ij");
	CHECK_RC(anyio_stream_send(ends[0], "kl", 2), 0);
	until_it_is_there();
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 16), 2);
	pipe_gone(&pipe);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 16), 2);
	pair_free(ends);
	return 0;
}

/* Every third of many messages has as many descriptors as its number says, all of one pipe, and bytes of
 * its own. */
enum { MESSAGES = 60 };

static size_t size_of(int message)
{
	return 1 + (size_t)message * 7919 % 3000;
}

static size_t count_of(int message)
{
	return message % 3 == 0 ? 1 + (size_t)message / 3 : 0;
}

static int send_messages(void *arg)
{
	static char data[3001];
	struct anyio_descriptors gift;
	int rc = 0;

	for (int i = 0; i < MESSAGES && rc == 0; i++) {
		memset(data, 'A' + i, size_of(i));
		gift.count = count_of(i);
		for (size_t k = 0; k < gift.count; k++)
			gift.fds[k] = 2;
		rc = anyio_stream_send_descriptors(arg, data, size_of(i), &gift, NULL);
	}
	anyio_stream_close(arg);
	return rc;
}

/* One receive: from where in which message it began, and where it ends. */
static void check_receive(int *message, size_t *done, const char *data, size_t size,
	const struct anyio_descriptors *got)
{
	size_t expected = 0;

	CHECK(!got->lost);
	for (size_t i = 0; i < size; i++) {
		if (*done == 0 && count_of(*message) > 0) {
			CHECK(expected == 0);
			expected = count_of(*message);
		}
		CHECK(data[i] == 'A' + *message);
		if (++*done < size_of(*message))
			continue;
		/* Nothing behind what came with descriptors. */
		CHECK(expected == 0 || count_of(*message) == 0 || i + 1 == size);
		*done = 0;
		++*message;
	}
	CHECK_RC((int64_t)got->count, (int64_t)expected);
}

static int each_message_brings_its_own(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors got;
	static char data[4000];
	size_t done = 0, room = 1;
	int message = 0;
	ssize_t n;
	ANYIO_TASK_GROUP(group);

	connect_unix_pair(ends);
	spawn(&group, send_messages, ends[0], NULL);
	do {
		room = room * 31 % 3989 + 1;
		n = anyio_stream_receive_descriptors(ends[1], data, room, &got);
		CHECK(n >= 0);
		if (n > 0)
			check_receive(&message, &done, data, (size_t)n, &got);
		anyio_descriptors_close(&got);
	} while (n > 0);
	CHECK_RC(message, MESSAGES);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	pair_free(ends);
	return 0;
}

/* What nobody took is closed when the stream is, whoever closes first and however far it had come. */
static int what_nobody_took_is_closed(void *arg)
{
	for (int way = 0; way < 8; way++) {
		struct anyio_stream *ends[2];
		struct pipe unread = pipe_make(), read = pipe_make(), late = pipe_make();
		char buffer[8];

		connect_unix_pair(ends);
		send_away(ends[0], &read, "x");
		CHECK_RC(anyio_stream_receive(ends[1], buffer, 8), 1);
		pipe_gone(&read);
		send_away(ends[0], &unread, "y");
		if (way % 2 == 0)
			until_it_is_there();
		send_away(ends[0], &late, "z");
		if (way & 4)
			anyio_stream_abort(ends[1]);
		if (way & 2)
			anyio_stream_close(ends[0]);
		anyio_stream_close(ends[1]);
		until_alone();
		pipe_gone(&unread);
		pipe_gone(&late);
		pair_free(ends);
	}
	return 0;
}

static int what_came_to_nobody_yet_is_closed_with_the_listener(void *arg)
{
	static const struct anyio_listen_options taking = { .descriptors = true };
	struct folder folder;
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	struct pipe pipe = pipe_make();

	folder_make(&folder);
	CHECK_RC(anyio_listen_unix(folder.path, &taking, &listener), 0);
	CHECK_RC(anyio_connect_unix(folder.path, &stream), 0);
	send_away(stream, &pipe, "x");
	anyio_listener_free(listener);
	until_alone();
	pipe_gone(&pipe);
	pipe = pipe_make();
	CHECK_RC(anyio_stream_send_descriptors(stream, "x", 1, &pipe.gift, NULL), ANYIO_BROKEN);
	anyio_descriptors_close(&pipe.gift);
	pipe_gone(&pipe);
	anyio_stream_free(stream);
	folder_remove(&folder);
	return 0;
}

static int descriptor_of(struct anyio_stream *stream)
{
	int fd = -1;

	CHECK_RC(anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_DESCRIPTOR, &fd, sizeof(fd)),
		sizeof(fd));
	return fd;
}

/* count times a descriptor, as no caller of anyio_stream_send_descriptors could. */
static int send_raw(struct anyio_stream *stream, int passed, size_t count)
{
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(300 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)"x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
	struct anyio_op op = { .code = ANYIO_OP_SENDMSG, .fd = descriptor_of(stream), .msg = &msg };

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(header) + i * sizeof(int), &passed, sizeof(int));
	return (int)anyio_op_run(&op);
}

static int more_than_the_most_are_told_and_closed(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors got;
	struct pipe pipe = pipe_make();
	char buffer[8];

	connect_unix_pair(ends);
	CHECK_RC(send_raw(ends[0], pipe.gift.fds[0], ANYIO_DESCRIPTORS_MAX), 1);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 8, &got), 1);
	CHECK(got.count == ANYIO_DESCRIPTORS_MAX && !got.lost);
	anyio_descriptors_close(&got);
	CHECK_RC(send_raw(ends[0], pipe.gift.fds[0], ANYIO_DESCRIPTORS_MAX + 1), 1);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 8, &got), 1);
	CHECK(got.count == ANYIO_DESCRIPTORS_MAX && got.lost);
	anyio_descriptors_close(&got);
	CHECK_RC(send_raw(ends[0], pipe.gift.fds[0], 254), -EINVAL);
	CHECK_RC(send_raw(ends[0], 1000000000, 1), -EBADF);
	anyio_descriptors_close(&pipe.gift);
	pipe_gone(&pipe);
	pair_free(ends);
	return 0;
}

/* A stream travels too, and is open until the last descriptor that stands for it is closed. */
static int a_stream_travels_over_a_stream(void *arg)
{
	struct anyio_stream *carrier[2], *ends[2];
	struct anyio_descriptors gift = { .count = 1 }, got;
	struct iovec iov = { (void *)"h", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct anyio_op op = { .code = ANYIO_OP_SENDMSG, .msg = &msg };
	char buffer[8];

	connect_unix_pair(carrier);
	connect_pair(ends);
	gift.fds[0] = descriptor_of(ends[0]);
	CHECK_RC(anyio_stream_send_descriptors(carrier[0], "x", 1, &gift, NULL), 0);
	anyio_stream_free(ends[0]);
	CHECK_RC(anyio_stream_receive_descriptors(carrier[1], buffer, 1, &got), 1);
	CHECK_RC((int64_t)got.count, 1);
	op.fd = got.fds[0];
	CHECK_RC(anyio_op_run(&op), 1);
	CHECK_RC(anyio_stream_receive_exactly(ends[1], buffer, 1), 0);
	CHECK(buffer[0] == 'h');
	anyio_descriptors_close(&got);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 8), 0);
	anyio_stream_free(ends[1]);
	/* And one that nobody takes ends with what carried it. */
	connect_pair(ends);
	gift.fds[0] = descriptor_of(ends[0]);
	CHECK_RC(anyio_stream_send_descriptors(carrier[0], "x", 1, &gift, NULL), 0);
	anyio_stream_free(ends[0]);
	pair_free(carrier);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 8), 0);
	anyio_stream_free(ends[1]);
	until_alone();
	return 0;
}

static int a_file_travels_with_its_position(void *arg)
{
	bool simulated = strcmp(anyio_backend_name(), "sim") == 0;
	const char *path = simulated ? "/sim/travels" : "/tmp/anyio-test-travels";
	struct anyio_stream *ends[2];
	struct anyio_descriptors gift = { .count = 1 }, got;
	char buffer[8];

	gift.fds[0] = anyio_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(gift.fds[0] >= 0);
	CHECK_RC(anyio_write_all(gift.fds[0], "abc", 3), 0);
	connect_unix_pair(ends);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &gift, NULL), 0);
	anyio_descriptors_close(&gift);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 1, &got), 1);
	CHECK_RC((int64_t)got.count, 1);
	CHECK_RC(anyio_write_all(got.fds[0], "def", 3), 0);
	CHECK_RC(anyio_pread(got.fds[0], buffer, 8, 0), 6);
	CHECK(memcmp(buffer, "abcdef", 6) == 0);
	anyio_descriptors_close(&got);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, path, 0), 0);
	pair_free(ends);
	return 0;
}

/* The same where the way is long and receives are short. */
static int a_hostile_network_changes_nothing(void *arg)
{
	static const anyio_task_fn bodies[] = {
		each_message_brings_its_own,
		what_nobody_took_is_closed,
		what_came_to_nobody_yet_is_closed_with_the_listener,
		more_than_the_most_are_told_and_closed,
		a_stream_travels_over_a_stream,
	};

	return conformance_hostile(bodies, sizeof(bodies) / sizeof(*bodies), arg);
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(what_came_before_may_be_joined_and_what_comes_after_not, 0),
		CONFORM(each_message_brings_its_own, 0),
		CONFORM(what_nobody_took_is_closed, 0),
		CONFORM(what_came_to_nobody_yet_is_closed_with_the_listener, 0),
		CONFORM(more_than_the_most_are_told_and_closed, 0),
		CONFORM(a_stream_travels_over_a_stream, 0),
		CONFORM(a_file_travels_with_its_position, 0),
		CONFORM(a_hostile_network_changes_nothing, CONFORM_BARE | CONFORM_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
