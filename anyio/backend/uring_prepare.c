/*
 * Operations as submissions.
 *
 * What the page cache holds is copied while it is submitted, on this thread. So large pieces, and more
 * of small ones than go to the kernel together, are left to threads of the kernel's.
 */
#include "uring.h"
#include "../core/cursor.h"

#include <fcntl.h>
#include <poll.h>

enum { MOST_BYTES = 0x7ffff000, COPIES_MOST = 8 << 20 };

static unsigned capped(size_t size)
{
	return size < MOST_BYTES ? (unsigned)size : MOST_BYTES;
}

/* Of what may be read and written in parts. */
static unsigned at_once(size_t size)
{
	return size < ANYIO_COPY_MOST ? (unsigned)size : ANYIO_COPY_MOST;
}

/* To its end, as far as the kernel can, which saves coming back for the rest; but only since kernels that
 * know DEFER_TASKRUN (6.1) does what is cut off on the way tell how much went out. */
static int to_the_end(const struct uring *uring)
{
	return uring->ring.flags & IORING_SETUP_DEFER_TASKRUN ? MSG_WAITALL : 0;
}

static void prepare_send(
	const struct uring *uring, struct io_uring_sqe *sqe, const struct anyio_op *op)
{
	const struct iovec *iov = op->msg->msg_iov;
	int flags = op->flags | MSG_NOSIGNAL;
	if (anyio_op_sends_plainly(op))
		io_uring_prep_send(sqe, op->fd, iov->iov_base, capped(iov->iov_len),
			flags | to_the_end(uring));
	else
		io_uring_prep_sendmsg(sqe, op->fd, op->msg, (unsigned)flags);
}

/* The kernel's WRITEV waits for room as its WRITE does. */
static void prepare_write(struct io_uring_sqe *sqe, const struct anyio_op *op)
{
	if (op->iovcnt > 0)
		io_uring_prep_writev(sqe, op->fd, op->iov, (unsigned)op->iovcnt, (uint64_t)-1);
	else
		io_uring_prep_write(sqe, op->fd, op->base, at_once(op->len), (uint64_t)-1);
}

static void prepare_waiting(
	const struct uring *uring, struct io_uring_sqe *sqe, struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_RECV:
		io_uring_prep_recv(sqe, op->fd, op->base, capped(op->len), op->flags);
		break;
	case ANYIO_OP_SENDMSG: prepare_send(uring, sqe, op); break;
	case ANYIO_OP_RECVMSG:
		io_uring_prep_recvmsg(sqe, op->fd, op->msg, (unsigned)op->flags | MSG_CMSG_CLOEXEC);
		break;
	case ANYIO_OP_ACCEPT:
		io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		break;
	case ANYIO_OP_CONNECT: io_uring_prep_connect(sqe, op->fd, op->addr, op->addrlen); break;
	case ANYIO_OP_POLL: io_uring_prep_poll_add(sqe, op->fd, (unsigned)op->flags); break;
	case ANYIO_OP_READ:
		io_uring_prep_read(sqe, op->fd, op->base, at_once(op->len), (uint64_t)-1);
		break;
	case ANYIO_OP_WRITE: prepare_write(sqe, op); break;
	}
}

/* The kernel's threads open what is not in its caches, and they would wait. */
int uring_open_flags(struct anyio_op *op)
{
	bool without = anyio_op_opens_without_waiting(op) && !mine(op)->blocks;
	return op->flags | (without ? O_NONBLOCK : 0);
}

static void copy_elsewhere(struct uring *uring, struct io_uring_sqe *sqe, const struct anyio_op *op)
{
	size_t size = anyio_iov_size(op->iov, op->iovcnt);
	bool little = size <= ANYIO_COPY_MOST && uring->copies <= COPIES_MOST;
	if (little)
		uring->copies += size;
	else
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
}

static void prepare_file(struct io_uring_sqe *sqe, struct anyio_op *op)
{
	uint64_t offset = (uint64_t)op->offset;
	switch (op->code) {
	case ANYIO_OP_PREADV:
		io_uring_prep_readv(sqe, op->fd, op->iov, (unsigned)op->iovcnt, offset);
		break;
	case ANYIO_OP_PWRITEV:
		io_uring_prep_writev2(
			sqe, op->fd, op->iov, (unsigned)op->iovcnt, offset, op->flags);
		break;
	case ANYIO_OP_FSYNC: io_uring_prep_fsync(sqe, op->fd, 0); break;
	case ANYIO_OP_FDATASYNC: io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC); break;
	case ANYIO_OP_SYNC_RANGE:
		io_uring_prep_sync_file_range(
			sqe, op->fd, capped(op->len), offset, SYNC_FILE_RANGE_WRITE);
		break;
	case ANYIO_OP_OPENAT:
		io_uring_prep_openat(
			sqe, op->fd, op->path, uring_open_flags(op) | O_CLOEXEC, op->mode);
		break;
	case ANYIO_OP_STAT:
		io_uring_prep_statx(sqe, op->fd, op->path ? op->path : "",
			op->path ? op->flags : op->flags | AT_EMPTY_PATH, STATX_BASIC_STATS,
			mine(op)->statx);
		break;
	case ANYIO_OP_RENAMEAT:
		io_uring_prep_renameat(sqe, op->fd, op->path, op->fd2, op->path2, 0);
		break;
	case ANYIO_OP_UNLINKAT: io_uring_prep_unlinkat(sqe, op->fd, op->path, op->flags); break;
	case ANYIO_OP_MKDIRAT: io_uring_prep_mkdirat(sqe, op->fd, op->path, op->mode); break;
	case ANYIO_OP_SYMLINKAT: io_uring_prep_symlinkat(sqe, op->path, op->fd2, op->path2); break;
	}
}

void uring_prepare(struct uring *uring, struct io_uring_sqe *sqe, struct anyio_op *op)
{
	if (mine(op)->polling)
		io_uring_prep_poll_add(
			sqe, op->fd, anyio_op_direction(op) == ANYIO_WRITING ? POLLOUT : POLLIN);
	else if (op->code <= ANYIO_OP_WRITE)
		prepare_waiting(uring, sqe, op);
	else
		prepare_file(sqe, op);
	if (op->code == ANYIO_OP_PREADV || op->code == ANYIO_OP_PWRITEV)
		copy_elsewhere(uring, sqe, op);
}
