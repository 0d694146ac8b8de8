/*
 * Echo servers as small as epoll, io_uring and libuv allow. Like the runtime's server each keeps a
 * buffer of 64 KiB a connection, answers what came before it reads on, and sends all of it.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include "bare.h"

enum { BUFFER = 64 << 10, EVENTS = 1024 };

struct connection {
	uv_tcp_t tcp; /* of libuv alone */
	uv_write_t write;
	int fd;
	size_t count, sent; /* of what is to be answered */
	bool writing;       /* waits for room */
	char buffer[BUFFER];
};

static struct connection *connection_make(int fd)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (!connection)
		die("connection");
	connection->fd = fd;
	connection->count = connection->sent = 0;
	connection->writing = false;
	return connection;
}

static void watch(int poll, int how, int fd, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	if (epoll_ctl(poll, how, fd, &event))
		die("epoll_ctl");
}

/* False when the connection is over. */
static bool epoll_answer(int poll, struct connection *at)
{
	if (at->count == 0) {
		ssize_t n = recv(at->fd, at->buffer, BUFFER, MSG_DONTWAIT);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		at->count = (size_t)n;
		at->sent = 0;
	}
	while (at->sent < at->count) {
		ssize_t n = send(at->fd, at->buffer + at->sent, at->count - at->sent, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			break;
		at->sent += (size_t)n;
	}
	bool writing = at->sent < at->count;
	if (!writing)
		at->count = 0;
	if (writing != at->writing)
		watch(poll, EPOLL_CTL_MOD, at->fd, writing ? EPOLLOUT : EPOLLIN, at);
	at->writing = writing;
	return true;
}

int echo_epoll(void)
{
	int listener = listen_here(), poll = epoll_create1(0);
	struct epoll_event events[EVENTS];

	watch(poll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
	for (;;) {
		int count = epoll_wait(poll, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			struct connection *at = events[i].data.ptr;
			if (!at) {
				at = connection_make(accept(listener, NULL, NULL));
				no_delay(at->fd);
				watch(poll, EPOLL_CTL_ADD, at->fd, EPOLLIN, at);
			} else if (!epoll_answer(poll, at)) {
				close(at->fd);
				free(at);
			}
		}
	}
}

static struct io_uring ring;

static struct io_uring_sqe *ring_room(void)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&ring)))
		io_uring_submit(&ring);
	return sqe;
}

static void ring_submit(int listener, struct connection *at)
{
	struct io_uring_sqe *sqe = ring_room();

	if (!at)
		io_uring_prep_accept(sqe, listener, NULL, NULL, 0);
	else if (at->count == 0)
		io_uring_prep_recv(sqe, at->fd, at->buffer, BUFFER, 0);
	else
		io_uring_prep_send(sqe, at->fd, at->buffer, at->count, MSG_WAITALL | MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, at);
}

static void ring_complete(int listener, struct connection *at, int result)
{
	if (!at) {
		ring_submit(listener, NULL);
		at = connection_make(result);
		no_delay(result);
	} else if (at->count == 0 && result > 0) {
		at->count = (size_t)result;
	} else if (at->count > 0 && result == (int)at->count) {
		at->count = 0;
	} else {
		close(at->fd);
		free(at);
		return;
	}
	ring_submit(listener, at);
}

int echo_uring(void)
{
	int listener = listen_here();
	int rc = io_uring_queue_init(
		EVENTS, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

	if (rc < 0)
		return 1;
	io_uring_register_ring_fd(&ring);
	ring_submit(listener, NULL);
	for (;;) {
		struct io_uring_cqe *cqe;
		unsigned head, count = 0;
		io_uring_submit_and_wait(&ring, 1);
		io_uring_for_each_cqe (&ring, head, cqe) {
			count++;
			ring_complete(listener, io_uring_cqe_get_data(cqe), cqe->res);
		}
		io_uring_cq_advance(&ring, count);
	}
}

static void uv_room(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
	*buffer = uv_buf_init(((struct connection *)handle)->buffer, BUFFER);
}

static void uv_closed(uv_handle_t *handle)
{
	free(handle);
}

static void uv_came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer);

static void uv_sent(uv_write_t *write, int status)
{
	if (status == 0)
		uv_read_start(write->handle, uv_room, uv_came);
}

static void uv_came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	struct connection *at = (struct connection *)stream;

	if (n < 0) {
		uv_close((uv_handle_t *)stream, uv_closed);
		return;
	}
	uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)n);
	int sent = n == 0 ? 0 : uv_try_write(stream, &answer, 1);
	if (sent == n)
		return;
	answer = uv_buf_init(
		buffer->base + (sent < 0 ? 0 : sent), (unsigned)(n - (sent < 0 ? 0 : sent)));
	uv_read_stop(stream);
	uv_write(&at->write, stream, &answer, 1, uv_sent);
}

static void uv_accepts(uv_stream_t *listener, int status)
{
	struct connection *at = connection_make(-1);
	uv_os_fd_t fd;

	uv_tcp_init(listener->loop, &at->tcp);
	if (uv_accept(listener, (uv_stream_t *)&at->tcp) || uv_fileno((uv_handle_t *)&at->tcp, &fd))
		die("uv_accept");
	no_delay(fd);
	uv_read_start((uv_stream_t *)&at->tcp, uv_room, uv_came);
}

int echo_uv(void)
{
	uv_tcp_t listener;

	uv_tcp_init(uv_default_loop(), &listener);
	uv_tcp_open(&listener, listen_here());
	uv_listen((uv_stream_t *)&listener, 1024, uv_accepts);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
