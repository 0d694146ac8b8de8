/*
 * Descriptors that travel over simulated UNIX streams (unix(7), SCM_RIGHTS). A parcel holds copies, the
 * machine's by fcntl and the simulation's own by another number for the same thing, from the send on. It
 * travels with its packet, lies at a place of the stream until that is read, and is handed over then, or
 * dropped. What is dropped is closed between events, since closing may end whatever is at work. A socket
 * that lies in its own queue goes with the loop.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 253 }; /* of one message: the kernel's SCM_MAX_FD */

/* The numbers in msg: how many, -EINVAL. */
static int gather(const struct msghdr *msg, int fds[MOST])
{
	struct msghdr look = *msg;
	size_t count = 0;
	if (!msg->msg_control)
		return 0;
	for (struct cmsghdr *it = CMSG_FIRSTHDR(&look); it; it = CMSG_NXTHDR(&look, it)) {
		size_t left = look.msg_controllen -
			(size_t)((const char *)it - (const char *)look.msg_control);
		if (it->cmsg_len < CMSG_LEN(0) || it->cmsg_len > left)
			return -EINVAL;
		if (it->cmsg_level != SOL_SOCKET)
			continue;
		size_t more = (it->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (it->cmsg_type != SCM_RIGHTS || more > MOST - count)
			return -EINVAL;
		memcpy(fds + count, CMSG_DATA(it), more * sizeof(int));
		count += more;
	}
	return (int)count;
}

static bool is_open(struct sim *sim, int fd)
{
	return fd >= SIM_FD_FIRST ? sim_handle_find(sim, fd) != NULL : fcntl(fd, F_GETFD) >= 0;
}

int sim_passing_count(struct sim *sim, const struct msghdr *msg)
{
	int fds[MOST], count = gather(msg, fds);
	for (int i = 0; i < count; i++)
		if (!is_open(sim, fds[i]))
			return -EBADF;
	return count;
}

/* The kernel takes no number for what is under way, but limits how much is by how many there are. */
static int copy_of(struct sim *sim, int fd)
{
	if (fd >= SIM_FD_FIRST)
		return sim_handle_copy(sim, fd);
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy >= 0 ? copy : errno == EMFILE ? -ETOOMANYREFS : -errno;
}

int sim_passing_take(struct sim *sim, const struct msghdr *msg, struct sim_parcel **out)
{
	int fds[MOST], count = gather(msg, fds);
	struct sim_parcel *parcel = malloc(sizeof(*parcel) + sizeof(fds));
	if (!parcel)
		return -ENOBUFS;
	*parcel = (struct sim_parcel){ .count = 0 };
	for (int i = 0; i < count; i++) {
		int fd = copy_of(sim, fds[i]);
		if (fd < 0) {
			sim_passing_drop(sim, parcel);
			return fd;
		}
		parcel->fds[parcel->count++] = fd;
	}
	*out = parcel;
	return 0;
}

void sim_passing_arrive(struct sim_socket *to, struct sim_parcel *parcel, size_t size)
{
	parcel->at = to->taken + to->count;
	parcel->size = size;
	*to->last_parcel = parcel;
	to->last_parcel = &parcel->next;
}

/* The first whose bytes begin among the next count. */
static struct sim_parcel *parcel_among(const struct sim_socket *socket, size_t count)
{
	struct sim_parcel *parcel = socket->parcels;
	return parcel && parcel->at < socket->taken + count ? parcel : NULL;
}

size_t sim_passing_limit(const struct sim_socket *socket, size_t count)
{
	const struct sim_parcel *parcel = parcel_among(socket, count);
	uint64_t end = parcel ? parcel->at + parcel->size - socket->taken : count;
	return end < count ? (size_t)end : count;
}

struct sim_parcel *sim_passing_pop(struct sim_socket *socket, size_t count)
{
	struct sim_parcel *parcel = parcel_among(socket, count);
	if (!parcel)
		return NULL;
	socket->parcels = parcel->next;
	if (!socket->parcels)
		socket->last_parcel = &socket->parcels;
	parcel->next = NULL;
	return parcel;
}

void sim_passing_give(struct sim *sim, struct sim_parcel *parcel, struct msghdr *msg)
{
	size_t given = 0, room = msg->msg_control ? msg->msg_controllen : 0;
	msg->msg_controllen = 0;
	if (!parcel)
		return;
	if (room > CMSG_LEN(0))
		given = (room - CMSG_LEN(0)) / sizeof(int);
	if (given > (size_t)parcel->count)
		given = (size_t)parcel->count;
	if (given < (size_t)parcel->count)
		msg->msg_flags |= MSG_CTRUNC;
	if (given > 0) {
		size_t space = CMSG_SPACE(given * sizeof(int));
		struct cmsghdr *header = msg->msg_control;
		*header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(given * sizeof(int)) };
		memcpy(CMSG_DATA(header), parcel->fds, given * sizeof(int));
		msg->msg_controllen = space < room ? space : room;
	}
	parcel->count -= (int)given;
	memmove(parcel->fds, parcel->fds + given, (size_t)parcel->count * sizeof(int));
	sim_passing_drop(sim, parcel);
}

void sim_passing_drop(struct sim *sim, struct sim_parcel *parcel)
{
	if (!parcel)
		return;
	parcel->next = sim->dropped;
	sim->dropped = parcel;
}

void sim_passing_drop_unread(struct sim *sim, struct sim_socket *socket)
{
	struct sim_parcel *parcel;
	while ((parcel = sim_passing_pop(socket, SIM_WINDOW)))
		sim_passing_drop(sim, parcel);
	for (struct sim_packet *packet = socket->first; packet; packet = packet->next) {
		sim_passing_drop(sim, packet->parcel);
		packet->parcel = NULL;
	}
}

void sim_passing_settle(struct sim *sim)
{
	struct sim_parcel *parcel;
	while ((parcel = sim->dropped)) {
		sim->dropped = parcel->next;
		for (int i = 0; i < parcel->count; i++) {
			struct anyio_op op = { .code = ANYIO_OP_CLOSE, .fd = parcel->fds[i] };
			sim_net_now(sim, &op);
		}
		free(parcel);
	}
}
