/*
 * The simulation's inner parts: events in simulated time (sim.c), sockets (net.c), the disk
 * (disk.c its tree, file.c its bytes). For these files alone.
 */
#ifndef ANYIO_SIM_H
#define ANYIO_SIM_H

#include <anyio/testing.h>
#include "../../core/core.h"
#include "../../core/cursor.h"

enum {
	SIM_FD_FIRST = 1 << 20, /* smaller descriptors are the kernel's */
	SIM_SECTOR = 512,
	SIM_WINDOW = 64 << 10, /* bytes a connection holds each way, under way and unread */
};

struct sim;

/* Something that happens at a time. Not scheduled while place is 0. */
struct sim_event {
	anyio_time when;
	uint64_t order; /* ties are broken by the order of scheduling */
	size_t place;   /* in the heap, from 1 */
	void (*fire)(struct sim *sim, struct sim_event *event);
};

/* What a simulated descriptor stands for; exactly one is set. Copies stand for the same. */
struct sim_handle {
	struct sim_socket *socket;
	struct sim_file *file;
	int next_free;
};

struct sim {
	struct anyio_loop *loop;
	struct anyio_sim_options options;
	anyio_time now;
	uint64_t random;
	struct sim_event **heap; /* from 1 */
	size_t heap_count, heap_room;
	uint64_t order;
	struct sim_handle *handles;
	int handle_count, handle_room, handle_free;
	struct anyio_list sockets;
	struct anyio_list flying;   /* datagrams of UDP */
	struct sim_parcel *dropped; /* whose descriptors are to be closed */
	uint16_t next_port;
	unsigned next_name;
	struct sim_waker *waker;
};

/* sim.c */
uint64_t sim_random(uint64_t *state);
uint64_t sim_below(struct sim *sim, uint64_t limit); /* [0, limit), 0 for 0 */
bool sim_chance(struct sim *sim, uint32_t parts_per_million);
anyio_time sim_between(struct sim *sim, anyio_time low, anyio_time high);
/* How much of len an operation does this time: all, or less by chance; never 0 of more. */
size_t sim_short(struct sim *sim, size_t len);
/* 0 or -ENOMEM; moves an event that is scheduled already. */
int sim_schedule(struct sim *sim, struct sim_event *event, anyio_time delay);
void sim_unschedule(struct sim *sim, struct sim_event *event);
/* A new descriptor or -EMFILE, -ENOMEM; and what one stands for, NULL for none. */
int sim_handle_new(struct sim *sim, struct sim_handle what);
struct sim_handle *sim_handle_find(struct sim *sim, int fd);
/* The same, another number for what fd stands for; also -EBADF. */
int sim_handle_copy(struct sim *sim, int fd);
/* Whether it was the last that stood for its thing. */
bool sim_handle_free(struct sim *sim, int fd);
/* The event that lies in an operation while it is in flight. */
struct sim_event *sim_op_event(struct anyio_op *op);
struct anyio_op *sim_event_op(struct sim_event *event);
/* Schedules an operation that waited to be tried again soon. */
void sim_op_retry(struct sim *sim, struct anyio_op *op);

/* net.c: -EAGAIN when it has to wait; then it may be parked, and unparked by a cancel. */
int64_t sim_net_now(struct sim *sim, struct anyio_op *op);
int64_t sim_net_try(struct sim *sim, struct anyio_op *op, struct sim_socket *socket);
void sim_net_park(struct sim_socket *socket, struct anyio_op *op);
void sim_net_unpark(struct sim_socket *socket, struct anyio_op *op);
void sim_net_close(struct sim *sim, struct sim_socket *socket);
void sim_net_end(struct sim *sim);
int64_t sim_net_resolve(const struct anyio_op *op);
int64_t sim_net_name(const struct anyio_op *op);

/* passing.c: closes what was dropped; between events alone. */
void sim_passing_settle(struct sim *sim);

/* disk.c */
struct sim_inode;
bool sim_disk_takes(const struct anyio_op *op);
int64_t sim_disk_perform(struct sim *sim, struct anyio_op *op);
void sim_disk_close(struct sim_file *file);
/* Whether it is a path of the disk. */
bool sim_disk_has(const char *path);
/* A UNIX socket's file, told apart by its number: -EADDRINUSE, -ENOENT, ...; -ECONNREFUSED when it is
 * none. */
int sim_disk_make_socket(struct sim *sim, const char *path, mode_t mode, uint64_t *number);
int sim_disk_find_socket(struct sim *sim, const char *path, uint64_t *number);

/* file.c: an open file, and the bytes of an inode, now and after a crash. */
struct sim_file {
	struct sim_inode *inode;
	unsigned handles; /* descriptors that stand for it */
	int flags;
	int64_t position;
	uint64_t generation; /* of the disk at the open: a crash makes it stale */
	int lock;            /* LOCK_SH, LOCK_EX or 0 */
};

struct sim_piece {
	struct sim_piece *next;
	int64_t offset;
	size_t len; /* 0: the size was set to offset */
	uint8_t data[];
};

struct sim_content {
	uint8_t *bytes, *durable;
	size_t size, room, durable_size, durable_room;
	struct sim_piece *first, **last; /* since the last sync, oldest first */
};

void sim_content_init(struct sim_content *content);
void sim_content_free(struct sim_content *content);
int64_t sim_content_read(const struct sim_content *content, const struct iovec *iov, int count,
	int64_t offset, size_t most);
int64_t sim_content_write(struct sim_content *content, const struct iovec *iov, int count,
	int64_t offset, size_t most);
int sim_content_resize(struct sim_content *content, int64_t size);
int sim_content_sync(struct sim_content *content);
int sim_content_crash(struct sim_content *content, uint64_t *random);

#endif
