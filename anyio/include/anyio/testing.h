/*
 * For tests: waiting until all is quiet, faults, streams in step and what is asked of every stream, free
 * ports, and the simulation of network and disk.
 */
#ifndef ANYIO_TESTING_H
#define ANYIO_TESTING_H

#include <anyio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Waits until every other task waits for something that no runnable task can cause any more: no
 * task is ready, and stays so for one poll. A task whose operation was asked to end and has not yet, as a
 * cancelled one may, is waited for; one that waits for a thread is blocked. */
ANYIO_API int anyio_wait_all_tasks_blocked(void);

/* Faults. `at` counts from 1: the at-th call fails with `error`; 0 turns it off. Kept per process.
 * anyio_fault_count gives the calls seen since the last set, to sweep over all of them; off,
 * nothing is counted, and UINT64_MAX counts without failing any. Any thread. */
enum anyio_fault_kind {
	ANYIO_FAULT_MEMORY,    /* allocations by anyio_malloc and friends; error is ignored */
	ANYIO_FAULT_OPERATION, /* any operation handed to a backend */
	ANYIO_FAULT_WRITE,     /* file writes, syncs, truncations, renames only */
	ANYIO_FAULT_READ,      /* file reads only */
	ANYIO_FAULT_CALL,      /* one kind of operation: anyio_fault_set_call */
	ANYIO_FAULT_KINDS
};
/* The at-th call of that kind fails with error: EIO and -EIO are the same, here and below. */
ANYIO_API void anyio_fault_set(enum anyio_fault_kind kind, uint64_t at, int error);
/* All fail from that one on. */
ANYIO_API void anyio_fault_set_sticky(enum anyio_fault_kind kind, uint64_t from, int error);
/* The calls seen since the last set. */
ANYIO_API uint64_t anyio_fault_count(enum anyio_fault_kind kind);
/* Fails the at-th operation named call: "accept", "bind", "close", "connect", "fdatasync", "flock",
 * "fsync", "ftruncate", "getaddrinfo", "getnameinfo", "getpeername", "getsockname", "getsockopt",
 * "listdir", "listen", "mkdirat", "openat", "poll", "preadv", "pwritev", "read", "readlinkat", "recv",
 * "recvmsg", "renameat", "sendmsg", "setsockopt", "shutdown", "socket", "stat", "symlinkat",
 * "sync_file_range", "unlinkat", "work" (blocking work of threads) or "write". It is not done at all,
 * but for close, of which only the answer is another. One name at a time; it is counted and turned off
 * as ANYIO_FAULT_CALL. -EINVAL for a name that is none. */
ANYIO_API int anyio_fault_set_call(const char *call, uint64_t at, int error);

/* Two connected in-memory streams in lockstep (trio.testing.lockstep_stream_pair): a send returns when
 * the other side has received all of it, and what it has not received when the send is cut off was
 * never sent. Free both. -ENOMEM. The pair that holds something between them is anyio_stream_pair. */
ANYIO_API int anyio_lockstep_pair(struct anyio_stream *ends[2]);

/* The contract of anyio/stream.h, checked on any stream (trio.testing's check_two_way_stream). */
struct anyio_stream_maker {
	/* Two new streams, connected: 0 or a negative code, which the check then returns. */
	int (*make)(void *arg, struct anyio_stream *ends[2]);
	/* Gets rid of them; NULL: anyio_stream_free of both. Either may be closed already. */
	void (*unmake)(void *arg, struct anyio_stream *ends[2]);
	void *arg;       /* for both */
	uint64_t seed;   /* of the sizes in which bytes are sent and received */
	int closed_is;   /* what is received when the other side was closed without
			* anyio_stream_send_eof: 0, or ANYIO_TLS_RAGGED_END */
	bool cut_breaks; /* a send that was cut off in the middle makes the stream unusable (TLS) */
	char failure[200]; /* filled by the checks: what was wrong and where, or empty */
};
/* Each makes its streams many times over, in the calling task. 0; -EPROTO when the contract is broken,
 * which failure tells; the error of make; -ENOMEM; ANYIO_CANCELLED. A stream that hangs is found
 * after a minute of the loop's time.
 *
 * One way: ends[0] sends and ends[1] receives: bytes whole and in order in any sizes, data before the
 * end, ANYIO_BUSY, cancellation that loses nothing and says what was sent, closing and
 * aborting on either side, with and without a task inside. */
ANYIO_API int anyio_check_one_way_stream(struct anyio_stream_maker *maker);
/* The same in both directions, and both at once. */
ANYIO_API int anyio_check_two_way_stream(struct anyio_stream_maker *maker);
/* The same, and anyio_stream_send_eof. */
ANYIO_API int anyio_check_half_closeable_stream(struct anyio_stream_maker *maker);

/* A port on which nobody is now, on 127.0.0.1 and (where there is IPv6) on ::1, and which this process has not
 * given out before, so that tests beside one another get their own. type is SOCK_STREAM for TCP or
 * SOCK_DGRAM for UDP, else -EINVAL. -EADDRINUSE when none is found; the kernel's errors. Never waits. Any
 * loop. Where it can be helped bind port 0 instead: others may come first. */
ANYIO_API int anyio_free_port(int type, uint16_t *port);

/* The simulation (backend "sim") replays from anyio_options.seed. All sockets are simulated: TCP and
 * UDP on any address of 127.0.0.0/8 and ::1, UNIX streams and UNIX datagrams; UDP has no SO_REUSEPORT
 * (-EADDRINUSE), and what finds 64 KiB unread is lost; "localhost" and "node-N.sim" (127.0.0.N) are the
 * names it knows. Paths that begin with /sim/ lie on the simulated disk, all others are the
 * machine's own. Blocking work runs at its simulated time on the loop's thread. Only one thread of
 * a process may simulate at a time.
 *
 * A UNIX socket's path is a file of the disk or of the machine, made by binding and left by closing, as
 * the kernel has it. Where somebody outside the simulation is bound to one he is not reached:
 * -EHOSTUNREACH. UNIX datagrams take no time and are never lost: eleven lie unread before a sender waits
 * (net.unix.max_dgram_qlen is ten), and a send buffer is 208 KiB, of which a datagram may fill all
 * but 32 bytes. Descriptors over UNIX streams are copied when sent, the machine's and the simulation's
 * own: to who did not ask for any they cannot be sent (-EPERM), as since Linux 6.16; too many of the machine's
 * under way are -ETOOMANYREFS where this process can have no more, and receiving then loses none. A stream that
 * lies in its own queue goes with the loop.
 *
 * Options, all zero being a perfect network and disk (NULL: 50 to 500 us of latency): chances in
 * parts per million, durations in nanoseconds of simulated time. */
struct anyio_sim_options {
	anyio_time latency_min;    /* of the network, one way */
	anyio_time latency_max;    /* the same */
	uint32_t short_io;         /* an operation does less than asked */
	uint32_t connection_break; /* a send or receive finds the connection reset */
	uint32_t connect_fail;     /* a connect is refused or times out */
	uint32_t disk_error;       /* a file operation fails with EIO (ENOSPC for writes) */
	uint32_t late_cancel;      /* a cancelled operation completes anyway */
	uint64_t bandwidth; /* bytes a second on a link; 0: unlimited. UDP is not slowed by it */
	uint32_t datagram_loss;      /* a datagram sent by UDP does not come */
	uint32_t datagram_duplicate; /* it comes twice */
	uint32_t datagram_reorder;   /* it is late by latency_max to twice that and a millisecond */
	uint32_t unused;             /* zero */
	void *reserved[2];
};

/* Empties the simulated disk, which outlives loops, so that a node can crash and start again. */
ANYIO_API void anyio_sim_disk_reset(void);
/* Drops of it what was not synced: each unsynced write, in 512-byte sectors, is kept, lost or torn by the
 * seed. A rename or creation not followed by an fsync of its directory may be undone. */
ANYIO_API void anyio_sim_disk_crash(uint64_t seed);
/* Cuts and heals the simulated network between two 127.x.y.z addresses (network byte order), until
 * the next simulated loop ends. */
ANYIO_API void anyio_sim_partition(uint32_t ip4_a, uint32_t ip4_b, bool cut);

#ifdef __cplusplus
}
#endif
#endif
