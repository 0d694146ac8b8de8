/* What TCP sockets are given without being asked. An accepted one has what its listener had. */
#include <netinet/tcp.h>
#include "net.h"

static bool is_loopback(const struct anyio_address *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohl(address->ip4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return address->any.sa_family == AF_INET6 &&
		(IN6_IS_ADDR_LOOPBACK(&address->ip6.sin6_addr) ||
			(IN6_IS_ADDR_V4MAPPED(&address->ip6.sin6_addr) &&
				address->ip6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET));
}

/* Who writes small messages writes them whole: nothing is gained by holding them back. */
static void hold_nothing_back(int fd)
{
	anyio_fd_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/* Where the system's choice paces what it sends (BBR), the timers take a sixth of the rate between two
 * processes of one machine, where there is no path to find the pace of. */
static void pace_nothing(int fd)
{
	static const char plain[] = "reno"; /* every kernel has it and lets everybody choose it */

	anyio_fd_option(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof(plain) - 1);
}

static bool goes_nowhere(int fd)
{
	struct anyio_address remote;

	return anyio_fd_address(fd, true, &remote) == 0 && is_loopback(&remote);
}

void anyio_tune_connected(int fd, int family)
{
	if (family == AF_UNIX)
		return;
	hold_nothing_back(fd);
	if (goes_nowhere(fd))
		pace_nothing(fd);
}

bool anyio_tune_listener(int fd, const struct anyio_address *address)
{
	if (address->any.sa_family == AF_UNIX)
		return true;
	hold_nothing_back(fd);
	if (!is_loopback(address))
		return false;
	pace_nothing(fd);
	return true;
}

void anyio_tune_accepted(int fd)
{
	if (goes_nowhere(fd))
		pace_nothing(fd);
}
