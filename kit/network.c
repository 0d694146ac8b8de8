/* The node online: listening, peers, ping. */
#include "node.h"

#include <errno.h>
#include <libp2p/ping.h>
#include <multiformats/multiaddr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int listen_all(struct kit_node *node, const char *const *addresses)
{
	for (; *addresses; addresses++) {
		int rc = p2p_host_listen(node->core->host, *addresses);
		if (rc == -EADDRINUSE)
			return kit_fail(node, rc,
				"cannot listen on %s: the port is in use; choose another in swarm.listen or by --listen",
				*addresses);
		/* A machine without IPv6 is no reason not to start: the other addresses serve. */
		if (rc == -EAFNOSUPPORT || (rc == -EADDRNOTAVAIL && strstr(*addresses, "/ip6/")))
			continue;
		if (rc == -EINVAL)
			return kit_fail(node, rc,
				"'%s' cannot be listened on; it looks like /ip4/0.0.0.0/tcp/4001",
				*addresses);
		if (rc)
			return kit_fail(node, rc, "cannot listen on %s: %s", *addresses,
				anyio_error_text(rc));
	}
	return 0;
}

static int listen_configured(struct kit_node *node)
{
	struct kit_config *config;
	const char *list[17] = { NULL };
	char error[256], *text, *rest = NULL;
	size_t count = 0;
	int rc = kit_config_load(node->core->dir, &config, error, sizeof(error));

	if (rc)
		return kit_fail(node, rc, "%s", error);
	text = anyio_strdup(kit_config_value(config, "swarm.listen"));
	kit_config_free(config);
	if (!text)
		return kit_fail_code(node, -ENOMEM, "listening");
	for (char *word = strtok_r(text, " ", &rest); word && count < 16;
		word = strtok_r(NULL, " ", &rest))
		list[count++] = word;
	rc = listen_all(node, list);
	anyio_free(text);
	return rc;
}

static int start(struct kit_network *network, struct anyio_task_group *group)
{
	struct kit_node *node = network->node;
	int rc = anyio_start(group, p2p_host_run, node->core->host, "host", NULL);

	if (!rc)
		rc = anyio_start_soon(group, bitswap_run, node->core->bitswap, "bitswap");
	if (!rc)
		rc = anyio_start_soon(group, store_tend, node->core->store, "index");
	if (!rc && node->core->heat)
		rc = anyio_start_soon(group, store_heat_tend, node->core->heat, "heat");
	if (!rc && network->options.tell)
		rc = anyio_start(group, kit_tell_damage, network, "damage", NULL);
	if (rc)
		return rc == ANYIO_CANCELLED ? rc : kit_fail_code(node, rc, "going online");
	return network->options.listen ? listen_all(node, network->options.listen)
				       : listen_configured(node);
}

/* Until it is asked to stop, and peers have got what they asked for. */
static int serve(struct kit_network *network, struct anyio_service *service)
{
	struct kit_core *core = network->node->core;
	int rc = anyio_service_wait_stop(service);

	p2p_host_stop_listening(core->host);
	network->cut_off = bitswap_drain(core->bitswap) != 0;
	return rc;
}

int kit_network_serve(struct anyio_service *service, void *arg)
{
	struct kit_network *network = arg;
	struct kit_node *node = network->node;
	struct p2p_host_options options = {
		.key = &node->core->key, .agent_version = kit_agent(), .perf = network->options.perf
	};
	struct bitswap_options exchange = { .arg = node->core };

	/* What stays keeps what it fetches, and tells beside the repo where it is. */
	if (service && node->core->unwritable)
		return kit_fail_code(node, node->core->unwritable, "serving peers");
	int rc = p2p_host_create(&options, &node->core->host);

	/* Without heat a node serves all the same. */
	if (!rc && kit_heat_open(node->core) == 0)
		exchange.given = kit_heat_given;
	if (!rc)
		rc = bitswap_create(
			node->core->host, node->core->store, &exchange, &node->core->bitswap);
	if (rc) {
		p2p_host_free(node->core->host);
		node->core->host = NULL;
		return kit_fail_code(node, rc, "going online");
	}
	if (service)
		store_set_cache(
			node->core->store, kit_config_size(node->core->config, "store.cache"));
	ANYIO_TASK_GROUP(group);
	rc = start(network, &group);
	if (!rc)
		anyio_started(NULL);
	if (!rc && service) {
		rc = serve(network, service);
		anyio_task_group_cancel(&group, "asked to stop");
	}
	rc = anyio_task_group_exit(&group, rc);
	store_set_cache(node->core->store, 0);
	bitswap_free(node->core->bitswap);
	node->core->bitswap = NULL;
	p2p_host_free(node->core->host);
	node->core->host = NULL;
	return rc;
}

int kit_network_run(void *network)
{
	return kit_network_serve(NULL, network);
}

/* ---- Lists of strings ---- */

void kit_strings_free(char **strings)
{
	for (char **text = strings; text && *text; text++)
		free(*text);
	free(strings);
}

int kit_addresses(struct kit_node *node, char ***out)
{
	struct p2p_addresses addresses = { 0 };
	int rc = node->core->host ? p2p_host_addresses(node->core->host, &addresses) : 0;

	*out = rc ? NULL : calloc(addresses.count + 1, sizeof(**out));
	if (!*out)
		rc = rc ? rc : -ENOMEM;
	for (size_t i = 0; !rc && i < addresses.count; i++)
		if (asprintf(&(*out)[i], "%s/p2p/%s", addresses.text[i], node->core->peer_id) < 0) {
			(*out)[i] = NULL;
			rc = -ENOMEM;
		}
	if (rc) {
		kit_strings_free(*out);
		*out = NULL;
	}
	p2p_addresses_free(&addresses);
	return rc ? kit_fail_code(node, rc, "listing addresses") : 0;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int copy_strings(const char *const *from, char ***out)
{
	size_t count = 0;

	while (from && from[count])
		count++;
	*out = calloc(count + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!((*out)[i] = strdup(from[i]))) {
			kit_strings_free(*out);
			*out = NULL;
			return -ENOMEM;
		}
	qsort(*out, count, sizeof(**out), compare_texts);
	return 0;
}

int kit_protocols(struct kit_node *node, char ***out)
{
	const char **served = NULL;
	int rc = node->core->host ? p2p_host_protocols(node->core->host, &served) : 0;

	*out = NULL;
	if (!rc)
		rc = copy_strings(served, out);
	anyio_free(served);
	return rc ? kit_fail_code(node, rc, "listing protocols") : 0;
}

/* ---- Peers ---- */

static int peer_of(struct kit_node *node, const char *text, struct mf_peer_id *id, bool *is_address)
{
	const char *last = strrchr(text, '/');
	const char *name = last ? last + 1 : text;

	*is_address = text[0] == '/' && strncmp(text, "/p2p/", 5) && strncmp(text, "/ipfs/", 6);
	if (mf_peer_id_parse(id, name, strlen(name)) == 0 &&
		(text[0] != '/' || strstr(text, "/p2p/") || strstr(text, "/ipfs/")))
		return 0;
	return kit_fail(node, -EINVAL,
		"'%s' does not end with a peer: /ip4/1.2.3.4/tcp/4001/p2p/12D3...", text);
}

static int want_online(struct kit_node *node)
{
	return node->core->host ? 0
				: kit_fail(node, -ENOTCONN,
					  "this node is offline; start it with 'ipfs-kit daemon'");
}

/* Why a dial failed. found: who answered, when that was another peer. */
static const char *why_not(
	int rc, const struct mf_peer_id *id, const struct mf_peer_id *found, char *text, size_t cap)
{
	char wanted[MF_PEER_ID_TEXT_MAX], answered[MF_PEER_ID_TEXT_MAX];

	switch (rc) {
	case -EPERM:
		if (!found->len)
			break;
		mf_peer_id_format(id, wanted, sizeof(wanted));
		mf_peer_id_format(found, answered, sizeof(answered));
		snprintf(text, cap, "expected %s, but %s answered there", wanted, answered);
		return text;
	case -EINVAL:
		return "this kind of address cannot be dialled; use /ip4, /ip6 or /dns with /tcp";
	case -ENOENT: return "no address of this peer is known";
	case -ETIMEDOUT: return "no peer answered there in time";
	/* Of what is not a peer the first bytes are no message of a length, or it hangs up at ours. */
	case -EPROTO:
	case -EPROTONOSUPPORT:
	case -EBADMSG:
	case -EMSGSIZE:
		return "what answered there does not speak libp2p, or not as this node does";
	case ANYIO_END_OF_STREAM:
	case ANYIO_INCOMPLETE_READ:
	case ANYIO_BROKEN:
	case -ECONNRESET: return "what answered there hung up before it said who it is";
	}
	return anyio_error_text(rc);
}

int kit_connect(struct kit_node *node, const char *multiaddr)
{
	struct mf_peer_id id, found = { 0 };
	char text[2 * MF_PEER_ID_TEXT_MAX + 60];
	bool is_address;
	int rc = want_online(node);

	if (!rc)
		rc = peer_of(node, multiaddr, &id, &is_address);
	if (rc)
		return rc;
	if (mf_peer_id_equal(&id, p2p_host_id(node->core->host)))
		return kit_fail(node, -EINVAL,
			"%s is this node itself; give the address of another", multiaddr);
	rc = p2p_host_connect(node->core->host, &id, &multiaddr, is_address ? 1 : 0, &found);
	if (rc == ANYIO_CANCELLED || !rc)
		return rc;
	return kit_fail(node, rc, "connecting to %s: %s", multiaddr,
		why_not(rc, &id, &found, text, sizeof(text)));
}

int kit_disconnect(struct kit_node *node, const char *text)
{
	struct mf_peer_id id;
	bool is_address;
	int rc = want_online(node);

	if (!rc)
		rc = peer_of(node, text, &id, &is_address);
	if (!rc && p2p_host_disconnect(node->core->host, &id))
		rc = kit_fail(node, -ENOENT, "not connected to %s", text);
	return rc;
}

int kit_peers(struct kit_node *node, int (*each)(void *arg, const struct kit_peer *), void *arg)
{
	struct p2p_peer *peers = NULL;
	size_t count = 0;
	int rc = want_online(node);

	if (!rc && (rc = p2p_host_peers(node->core->host, &peers, &count)))
		kit_fail_code(node, rc, "listing peers");
	for (size_t i = 0; !rc && i < count; i++) {
		struct kit_peer peer = { .latency = peers[i].latency ? peers[i].latency : -1,
			.inbound = peers[i].inbound,
			.streams = (unsigned)peers[i].streams };
		mf_peer_id_format(&peers[i].id, peer.id, sizeof(peer.id));
		snprintf(peer.address, sizeof(peer.address), "%.255s", peers[i].address);
		snprintf(peer.agent, sizeof(peer.agent), "%.79s", peers[i].agent);
		rc = each(arg, &peer);
	}
	anyio_free(peers);
	return rc;
}

int kit_ping(struct kit_node *node, const char *peer, anyio_time *round_trip)
{
	struct mf_peer_id id;
	bool is_address;
	int rc = want_online(node);

	if (!rc)
		rc = peer_of(node, peer, &id, &is_address);
	if (!rc && !p2p_host_connected(node->core->host, &id))
		rc = kit_connect(node, peer);
	if (rc)
		return rc;
	rc = p2p_ping(node->core->host, &id, round_trip);
	return rc && rc != ANYIO_CANCELLED ? kit_fail_code(node, rc, "ping") : rc;
}
