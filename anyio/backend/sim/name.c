/*
 * The names of simulated UNIX sockets. A path's is a file, the machine's or on the simulated disk, which
 * bind makes and only the program removes: so a socket may lose its name, and a file its socket. Names
 * without a file, abstract ones, are the simulation's own and go with the socket.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SIMULATED_DISK UINT64_MAX /* a device's number */

struct path {
	char text[sizeof(((struct sim_address *)0)->path) + 1];
};

static bool has_file(const struct sim_address *address)
{
	return address->path_len > 0 && address->path[0] != '\0';
}

static struct path path_of(const struct sim_address *address)
{
	struct path path = { "" };
	memcpy(path.text, address->path, address->path_len);
	return path;
}

static bool is_bound(const struct sim_socket *socket)
{
	return socket->family == AF_UNIX && socket->bound && !socket->closed;
}

static bool same_file(const struct sim_name *a, const struct sim_name *b)
{
	return a->device == b->device && a->number == b->number;
}

static struct sim_socket *bound_to_file(struct sim *sim, const struct sim_name *name)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (is_bound(socket) && has_file(&socket->local) && same_file(&socket->name, name))
			return socket;
	}
	return NULL;
}

static struct sim_socket *bound_abstractly(struct sim *sim, const struct sim_address *address)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (is_bound(socket) && sim_address_equal(&socket->local, address))
			return socket;
	}
	return NULL;
}

static int machine_make(const char *path, mode_t mode, struct sim_name *name)
{
	struct stat st;
	if (mknod(path, S_IFSOCK | (mode ? mode : 0777), 0) < 0)
		return errno == EEXIST ? -EADDRINUSE : -errno;
	/* As it was asked for, whatever the umask. */
	if ((mode && chmod(path, mode) < 0) || lstat(path, &st) < 0)
		return -errno;
	*name = (struct sim_name){ st.st_dev, st.st_ino };
	return 0;
}

static int machine_find(const char *path, struct sim_name *name)
{
	struct stat st;
	if (stat(path, &st) < 0 || faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0)
		return -errno;
	*name = (struct sim_name){ st.st_dev, st.st_ino };
	return S_ISSOCK(st.st_mode) ? 0 : -ECONNREFUSED;
}

static int file_make(struct sim *sim, const char *path, mode_t mode, struct sim_name *name)
{
	if (!sim_disk_has(path))
		return machine_make(path, mode, name);
	name->device = SIMULATED_DISK;
	return sim_disk_make_socket(sim, path, mode ? mode : 0777, &name->number);
}

static int file_find(struct sim *sim, const char *path, struct sim_name *name)
{
	if (!sim_disk_has(path))
		return machine_find(path, name);
	name->device = SIMULATED_DISK;
	return sim_disk_find_socket(sim, path, &name->number);
}

/* What number the kernel would choose next (unix(7), autobind). */
static int bind_chosen(struct sim *sim, struct sim_address *address)
{
	enum { NAMES = 1 << 20 };
	for (int tries = 0; tries < NAMES; tries++) {
		address->path_len = (socklen_t)(1 +
			snprintf(address->path + 1, sizeof(address->path) - 1, "%05x",
				sim->next_name++ % NAMES));
		if (!bound_abstractly(sim, address))
			return 0;
	}
	return -ENOSPC;
}

int sim_name_bind(
	struct sim *sim, struct sim_socket *socket, struct sim_address address, mode_t mode)
{
	struct sim_name name = { 0 };
	int rc = 0;
	if (socket->bound)
		return -EINVAL;
	if (address.path_len == 0)
		rc = bind_chosen(sim, &address);
	else if (has_file(&address))
		rc = file_make(sim, path_of(&address).text, mode, &name);
	else if (bound_abstractly(sim, &address))
		rc = -EADDRINUSE;
	if (rc < 0)
		return rc;
	/* A new file that has the number of an old one tells that the old one is gone. */
	struct sim_socket *before = has_file(&address) ? bound_to_file(sim, &name) : NULL;
	if (before)
		before->name = (struct sim_name){ 0 };
	socket->name = name;
	socket->local = address;
	socket->bound = true;
	return 0;
}

/* A socket file of nobody's here. That somebody outside has it is found out as by any program, lest
 * the file be taken for a stale one. */
static int ask_outside(const char *path, bool datagrams)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int type = (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(AF_UNIX, type, 0);
	size_t size = strnlen(path, sizeof(un.sun_path));
	if (fd < 0)
		return -errno;
	memcpy(un.sun_path, path, size);
	int rc = connect(fd, (struct sockaddr *)&un,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
	int error = rc < 0 ? errno : 0;
	close(fd);
	return error == ECONNREFUSED || error == ENOENT ? -error : -EHOSTUNREACH;
}

int sim_name_find(struct sim *sim, const struct sim_address *address, bool datagrams,
	struct sim_socket **socket)
{
	struct path path = path_of(address);
	struct sim_name name = { 0 };
	if (address->path_len == 0)
		return -EINVAL;
	if (has_file(address)) {
		int rc = file_find(sim, path.text, &name);
		if (rc < 0)
			return rc;
		*socket = bound_to_file(sim, &name);
	} else {
		*socket = bound_abstractly(sim, address);
	}
	if (*socket)
		return (*socket)->datagrams == datagrams ? 0 : -EPROTOTYPE;
	if (!has_file(address) || name.device == SIMULATED_DISK)
		return -ECONNREFUSED;
	return ask_outside(path.text, datagrams);
}
