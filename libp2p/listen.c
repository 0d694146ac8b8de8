/* Listening, and the addresses we listen on. */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include <anyio/memory.h>
#include <anyio/serve.h>

#include "swarm.h"
#include "transport/tcp.h"

static int serve_task(void *arg)
{
	static const struct anyio_serve_options options = { .name = "arrival" };
	struct p2p_listener *listener = arg;
	int rc = anyio_serve(&listener->listener, 1, p2p_arrive, listener->host, NULL, &options);

	return rc == ANYIO_CANCELLED ? rc : 0;
}

int p2p_host_listen(struct p2p_host *host, const char *text)
{
	struct p2p_listener *listener;
	struct mf_multiaddr address;
	int rc;

	if (host->closing || !host->group)
		return ANYIO_CLOSED;
	if (mf_multiaddr_parse(&address, text, strlen(text)) < 0)
		return -EINVAL;
	listener = anyio_calloc(1, sizeof *listener);
	if (!listener)
		return -ENOMEM;
	listener->host = host;
	rc = p2p_tcp_listen(&address, &listener->listener);
	if (rc < 0) {
		anyio_free(listener);
		return rc;
	}
	rc = anyio_try_start_soon(host->group, serve_task, listener, "listener");
	if (rc < 0) {
		anyio_listener_free(listener->listener);
		anyio_free(listener);
		return rc;
	}
	listener->next = host->listeners;
	host->listeners = listener;
	p2p_identify_changed(host);
	return 0;
}

void p2p_host_stop_listening(struct p2p_host *host)
{
	for (struct p2p_listener *at = host->listeners; at; at = at->next)
		anyio_listener_close(at->listener);
}

/* ---- what we listen on ---- */

static int add_text(struct p2p_addresses *list, const struct mf_multiaddr *address)
{
	char text[P2P_ADDRESS_MAX], **grown;

	if (mf_multiaddr_format(address, text, sizeof text) < 0)
		return 0;
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->text[i], text) == 0)
			return 0;
	grown = anyio_realloc(list->text, (list->count + 1) * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	list->text = grown;
	list->text[list->count] = anyio_strdup(text);
	return list->text[list->count++] ? 0 : -ENOMEM;
}

static int add_address(struct p2p_addresses *list, const struct sockaddr *address)
{
	struct mf_multiaddr multiaddr;

	if (mf_multiaddr_from_sockaddr(&multiaddr, address, MF_P_TCP) < 0)
		return 0;
	return add_text(list, &multiaddr);
}

/* The addresses of the interfaces that are up, with the listener's port; link-local ones left out.
 */
static int add_interfaces(struct p2p_addresses *list, const struct anyio_address *wildcard)
{
	struct ifaddrs *all;
	int rc = 0;

	if (getifaddrs(&all) < 0)
		return 0;
	for (struct ifaddrs *at = all; at && rc == 0; at = at->ifa_next) {
		struct anyio_address address = { 0 };

		if (!at->ifa_addr || at->ifa_addr->sa_family != wildcard->any.sa_family ||
			!(at->ifa_flags & IFF_UP))
			continue;
		if (wildcard->any.sa_family == AF_INET) {
			memcpy(&address.ip4, at->ifa_addr, sizeof address.ip4);
			address.ip4.sin_port = wildcard->ip4.sin_port;
		} else {
			memcpy(&address.ip6, at->ifa_addr, sizeof address.ip6);
			address.ip6.sin6_port = wildcard->ip6.sin6_port;
			if (IN6_IS_ADDR_LINKLOCAL(&address.ip6.sin6_addr))
				continue;
		}
		rc = add_address(list, &address.any);
	}
	freeifaddrs(all);
	return rc;
}

static bool is_wildcard(const struct anyio_address *address)
{
	if (address->any.sa_family == AF_INET)
		return address->ip4.sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&address->ip6.sin6_addr);
}

int p2p_host_addresses(struct p2p_host *host, struct p2p_addresses *list)
{
	struct anyio_address address;
	int rc = 0;

	*list = (struct p2p_addresses){ 0 };
	for (struct p2p_listener *at = host->listeners; at && rc == 0; at = at->next) {
		if (anyio_listener_address(at->listener, &address) < 0)
			continue;
		rc = is_wildcard(&address) ? add_interfaces(list, &address)
					   : add_address(list, &address.any);
	}
	if (rc < 0)
		p2p_addresses_free(list);
	return rc;
}

void p2p_addresses_free(struct p2p_addresses *list)
{
	for (size_t i = 0; i < list->count; i++)
		anyio_free(list->text[i]);
	anyio_free(list->text);
	*list = (struct p2p_addresses){ 0 };
}
