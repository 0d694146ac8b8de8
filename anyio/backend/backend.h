/*
 * The backend table: the only thing that differs between io_uring, libuv and the simulation.
 *
 * Contract. An operation (struct anyio_op) lies in storage that lives until it completes, most
 * often the stack of the task that waits for it. start() either completes it at once (returns
 * true, result set; nothing was kept) or keeps it in flight (returns false) and later, from
 * inside wait(), or inside a start() that closes its descriptor or learns that the number is
 * another's by now, calls anyio_op_complete() exactly once. cancel() asks for an end: ANYIO_ABORTED
 * means the backend has let go of it and will never complete it; ANYIO_ABORT_PENDING means
 * anyio_op_complete() still comes, with whatever really happened (-ECANCELED and -EINTR then mean
 * cancelled, anything else wins: no byte and no socket is lost). Nothing here switches stacks:
 * completing only marks tasks ready. All calls but wake() come on the loop's thread.
 */
#ifndef ANYIO_BACKEND_H
#define ANYIO_BACKEND_H

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <anyio/run.h>

struct anyio_loop;
struct anyio_names;
struct anyio_task;

enum anyio_opcode {
	/* Waiting kinds: may stay in flight for ever; with MSG_DONTWAIT -EAGAIN instead. */
	ANYIO_OP_RECV,    /* fd, base, len, flags(MSG_*) */
	ANYIO_OP_SENDMSG, /* fd, msg, flags; MSG_NOSIGNAL is added */
	ANYIO_OP_RECVMSG, /* fd, msg, flags; MSG_CMSG_CLOEXEC is added */
	ANYIO_OP_ACCEPT,  /* fd; result: the new descriptor, non-blocking, close-on-exec */
	ANYIO_OP_CONNECT, /* fd, addr, addrlen */
	ANYIO_OP_POLL,    /* fd, flags: POLLIN or POLLOUT; result: revents; a guess when owned */
	ANYIO_OP_READ,    /* fd, base, len at the file position (pipes, terminals) */
	ANYIO_OP_WRITE, /* fd, base, len at the file position; where iovcnt > 0, which is for pipes
			   * and the like, iov instead */
	/* File kinds: end by themselves. */
	ANYIO_OP_PREADV,  /* fd, iov, iovcnt, offset */
	ANYIO_OP_PWRITEV, /* the same, and flags: RWF_* */
	ANYIO_OP_FSYNC,
	ANYIO_OP_FDATASYNC,
	ANYIO_OP_FTRUNCATE,   /* fd, offset: the size */
	ANYIO_OP_SYNC_RANGE,  /* fd, offset, len */
	ANYIO_OP_OPENAT,      /* fd: dirfd, path, flags, mode; waits for no other side of a FIFO */
	ANYIO_OP_STAT,        /* fd: dirfd, path (NULL: fd itself), flags, st */
	ANYIO_OP_RENAMEAT,    /* fd, path to fd2, path2 */
	ANYIO_OP_UNLINKAT,    /* fd, path, flags */
	ANYIO_OP_MKDIRAT,     /* fd, path, mode */
	ANYIO_OP_SYMLINKAT,   /* path: target, fd2, path2 */
	ANYIO_OP_READLINKAT,  /* fd, path, base, len */
	ANYIO_OP_LISTDIR,     /* fd, path, names (struct anyio_names *) */
	ANYIO_OP_FLOCK,       /* fd, flags */
	ANYIO_OP_GETADDRINFO, /* path: host, flags: family, flags2: port, base: room for len
			       * struct anyio_address; result: how many, -ENOENT when unknown */
	ANYIO_OP_GETNAMEINFO, /* addr, addrlen, flags(NI_*), base: room for NI_MAXHOST bytes of host
			       * and NI_MAXSERV of service; -ENOENT when there is no name */
	ANYIO_OP_WORK,        /* fn(arg) on a worker thread; result: what it returned. flags:
			       * ANYIO_WORK_CALL */
	/* Immediate kinds: start() always completes them at once. */
	ANYIO_OP_SOCKET, /* fd: family, flags: type */
	ANYIO_OP_BIND, /* fd, addr, addrlen; mode, which the simulation alone heeds: of the file of a
			* UNIX socket, 0: as the umask has it */
	ANYIO_OP_LISTEN,     /* fd, flags: backlog */
	ANYIO_OP_SETSOCKOPT, /* fd, flags: level, flags2: name, base, len */
	ANYIO_OP_GETSOCKOPT, /* fd, flags: level, flags2: name, base, len (in and out through len) */
	ANYIO_OP_GETSOCKNAME, /* fd, addr, addrlen: in and out */
	ANYIO_OP_GETPEERNAME,
	ANYIO_OP_SHUTDOWN, /* fd, flags */
	/* fd, flags: enum anyio_close. Owned descriptors: nothing may be in flight on it. Others: POLL, READ
	 * and WRITE that wait at it end by -EBADF. */
	ANYIO_OP_CLOSE,
	ANYIO_OP_COUNT
};

/* How a descriptor is closed that may take long. */
enum anyio_close {
	ANYIO_CLOSE_NOW,
	ANYIO_CLOSE_SOON, /* a file that takes long: a worker thread closes it soon, at the latest before the
			    * loop has ended, and nobody waits */
	ANYIO_CLOSE_WAITS, /* somebody else made it: on a worker thread, and the operation waits for it */
};
/* A call of the program's, which may take as long as it likes, or wait for the loop. */
enum { ANYIO_WORK_CALL = 1 };

/* What a receive or a send uses lies close together. */
struct anyio_op {
	struct anyio_task *task; /* woken by completion; NULL: done() is called instead */
	union {
		void (*done)(struct anyio_op *op);
		const void *
			near; /* of a task: what it touches first when it goes on; may be anything */
	};
	int64_t result; /* 0 or a count or a descriptor, or a negative code */
	int fd;
	int flags;
	uint8_t code; /* enum anyio_opcode */
	bool cancel_asked;
	bool owned; /* POLL, READ, WRITE: fd is closed by CLOSE alone (all others are) */
	mode_t mode;
	void *base;
	size_t len;
	union {
		struct {
			const struct iovec *iov;
			int iovcnt;
		};
		struct msghdr *msg;
		struct {
			void *addr;
			socklen_t addrlen;
		};
		struct stat *st;
		struct anyio_names *names;
		struct {
			int (*fn)(void *arg);
			void *arg;
		};
	};
	struct anyio_op *next; /* the backend's while in flight */
	uint64_t backend[20];  /* the backend's while in flight */
	int fd2, flags2;
	int64_t offset;
	const char *path, *path2;
};

/* Whether -EAGAIN is an answer to give, not a reason to wait. */
static inline bool anyio_op_never_waits(const struct anyio_op *op)
{
	return op->code <= ANYIO_OP_RECVMSG && op->flags & MSG_DONTWAIT;
}

enum anyio_direction { ANYIO_READING, ANYIO_WRITING };
/* What an operation waits for that waits at a descriptor. */
static inline enum anyio_direction anyio_op_direction(const struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_SENDMSG:
	case ANYIO_OP_CONNECT:
	case ANYIO_OP_WRITE: return ANYIO_WRITING;
	case ANYIO_OP_POLL: return op->flags & POLLOUT ? ANYIO_WRITING : ANYIO_READING;
	default: return ANYIO_READING;
	}
}

/* What start() ends with when there is nothing to wait for. */
static inline bool anyio_op_at_once(struct anyio_op *op, int64_t result)
{
	op->result = result;
	return true;
}

/* A SENDMSG without a name and control messages, in one part. */
static inline bool anyio_op_sends_plainly(const struct anyio_op *op)
{
	return op->msg->msg_iovlen == 1 && !op->msg->msg_name && op->msg->msg_controllen == 0;
}

/* More bytes than these are copied by another thread, or not in one go, not to stop the loop. */
enum { ANYIO_COPY_MOST = 1 << 20 };

enum anyio_abort { ANYIO_ABORTED, ANYIO_ABORT_PENDING };

struct anyio_backend {
	const char *name;
	/* Whether it works here (cheap, cached by the caller). */
	bool (*available)(void);
	/* 0 or a negative code; *state is passed to all others. */
	int (*open)(struct anyio_loop *loop, const struct anyio_options *options, void **state);
	/* Nothing is in flight any more. */
	void (*close)(void *state);
	/* True: completed at once. */
	bool (*start)(void *state, struct anyio_op *op);
	enum anyio_abort (*cancel)(void *state, struct anyio_op *op);
	/* Completes what is ready; waits at most timeout ns for the first (0: only looks;
	 * ANYIO_FOREVER: until something). Returns early when woken. */
	void (*wait)(void *state, anyio_time timeout);
	/* Whether wait() with timeout 0 would do nothing, so that it is left out. NULL: it never is. */
	bool (*quiet)(void *state);
	/* Any thread, and safe in a signal handler: makes wait() return. Wakes are not lost and
	 * may be merged. */
	void (*wake)(void *state);
	/* The clock. NULL: CLOCK_MONOTONIC. The simulation has its own. */
	anyio_time (*now)(void *state);
	/* Whether anything in flight could complete by itself, without another task of this loop
	 * (a kernel operation, a thread): the mock clock does not jump then. NULL: the loop counts. */
	bool (*busy)(void *state);
};

extern const struct anyio_backend anyio_backend_uring, anyio_backend_uv, anyio_backend_sim;

/* Does what op says by system calls, right now, blocking if need be; returns the result. For the
 * immediate kinds, and for file kinds on a worker thread. */
int64_t anyio_op_perform(struct anyio_op *op);

/* Does a PREADV of at most so many bytes, when the page cache has them, or some; else false, and nothing was done. */
bool anyio_op_read_cached(struct anyio_op *op, size_t most);

/* Whether OPENAT adds O_NONBLOCK, without which opening a FIFO waits for the other side, and that
 * could be neither cancelled nor be waited for by more than there are threads. */
static inline bool anyio_op_opens_without_waiting(const struct anyio_op *op)
{
	return !(op->flags & (O_NONBLOCK | O_PATH));
}
/* Takes it away from what was opened. */
void anyio_op_opened(const struct anyio_op *op, int fd);

/* Called by a backend, inside wait(), and inside start() for what that ends at its descriptor. */
void anyio_op_complete(struct anyio_op *op, int64_t result);

/* Hands op to a worker thread: anyio_op_perform there, then anyio_op_complete on the loop, from a
 * later anyio_pool_collect(). Backends end start() with it, and call collect from wait(). */
bool anyio_pool_start(struct anyio_loop *loop, struct anyio_op *op);
/* Takes a queued op back: true when it had not begun and never will. */
bool anyio_pool_withdraw(struct anyio_loop *loop, struct anyio_op *op);
/* Whether there is something to collect. */
bool anyio_pool_news(struct anyio_loop *loop);
/* Before waiting: looks a moment whether one of them comes back; true: collect instead. */
bool anyio_pool_look(struct anyio_loop *loop);
/* look, which may be NULL, is shown each before it completes. */
void anyio_pool_collect(
	struct anyio_loop *loop, void (*look)(void *state, const struct anyio_op *op), void *state);
/* For CLOSE on real kernels, as start(): closes it as its flags have it. */
bool anyio_pool_close(struct anyio_loop *loop, struct anyio_op *op);

/* For LISTDIR: appends a copy of name; 0 or -ENOMEM. */
int anyio_names_add(struct anyio_names *names, const char *name);
/* For LISTDIR, when all are there: by bytes. */
void anyio_names_sort(struct anyio_names *names);

#endif
