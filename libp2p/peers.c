#include <errno.h>
#include <string.h>

#include <anyio/memory.h>

#include "swarm.h"

enum { REMEMBER_SECONDS = 3600 };

/* The last bytes of an id are as good as a hash: they are one, or a public key. */
static struct p2p_peer_entry **bucket_of(const struct p2p_host *host, const struct mf_peer_id *id)
{
	uint32_t hash = 0;

	if (id->len >= sizeof hash)
		memcpy(&hash, id->bytes + id->len - sizeof hash, sizeof hash);
	return &host->buckets[hash & (host->bucket_count - 1)];
}

static int grow(struct p2p_host *host)
{
	size_t old_count = host->bucket_count;
	struct p2p_peer_entry **old = host->buckets;

	host->bucket_count = old_count ? 2 * old_count : 16;
	host->buckets = anyio_calloc(host->bucket_count, sizeof *host->buckets);
	if (!host->buckets) {
		host->buckets = old;
		host->bucket_count = old_count;
		return -ENOMEM;
	}
	for (size_t i = 0; i < old_count; i++) {
		struct p2p_peer_entry *next;

		for (struct p2p_peer_entry *peer = old[i]; peer; peer = next) {
			next = peer->next;
			peer->next = *bucket_of(host, &peer->id);
			*bucket_of(host, &peer->id) = peer;
		}
	}
	anyio_free(old);
	return 0;
}

struct p2p_peer_entry *p2p_peer_find(const struct p2p_host *host, const struct mf_peer_id *id)
{
	struct p2p_peer_entry *peer;

	if (!host->bucket_count)
		return NULL;
	for (peer = *bucket_of(host, id); peer; peer = peer->next)
		if (mf_peer_id_equal(&peer->id, id))
			return peer;
	return NULL;
}

struct p2p_peer_entry *p2p_peer_make(struct p2p_host *host, const struct mf_peer_id *id)
{
	struct p2p_peer_entry *peer = p2p_peer_find(host, id);

	if (peer)
		return peer;
	if (host->peer_count >= host->bucket_count && grow(host) < 0)
		return NULL;
	peer = anyio_calloc(1, sizeof *peer);
	if (!peer)
		return NULL;
	peer->id = *id;
	peer->host = host;
	p2p_account_init(&peer->account, &host->system, &host->options.limits.peer);
	peer->next = *bucket_of(host, id);
	*bucket_of(host, id) = peer;
	host->peer_count++;
	return peer;
}

static void peer_free(struct p2p_peer_entry *peer)
{
	struct p2p_peer_entry **at = bucket_of(peer->host, &peer->id);

	while (*at != peer)
		at = &(*at)->next;
	*at = peer->next;
	peer->host->peer_count--;
	p2p_account_end(&peer->account);
	anyio_free(peer->agent);
	anyio_free(peer->protocols);
	anyio_free(peer->addresses);
	anyio_free(peer);
}

void p2p_peer_settle(struct p2p_peer_entry *peer)
{
	if (peer->refs == 0) {
		anyio_free(peer->agent);
		anyio_free(peer->protocols);
		peer->agent = peer->protocols = NULL;
		peer->identified = false;
	}
	if (peer->refs == 0 && !peer->dial && !peer->addresses)
		peer_free(peer);
}

struct p2p_peer_entry *p2p_peer_next(const struct p2p_host *host, const struct p2p_peer_entry *peer)
{
	size_t i = 0;

	if (peer && peer->next)
		return peer->next;
	if (peer)
		i = (size_t)(bucket_of(host, &peer->id) - host->buckets) + 1;
	for (; i < host->bucket_count; i++)
		if (host->buckets[i])
			return host->buckets[i];
	return NULL;
}

void p2p_peers_destroy(struct p2p_host *host)
{
	struct p2p_peer_entry *peer;

	while ((peer = p2p_peer_next(host, NULL)) != NULL)
		peer_free(peer);
	anyio_free(host->buckets);
	host->buckets = NULL;
	host->bucket_count = 0;
}

static void forget(struct p2p_peer_entry *peer)
{
	anyio_free(peer->addresses);
	peer->addresses = NULL;
	p2p_peer_settle(peer);
}

void p2p_peers_expire(struct p2p_host *host)
{
	struct p2p_peer_entry *peer = p2p_peer_next(host, NULL), *next, *oldest;
	anyio_time limit = anyio_now() - REMEMBER_SECONDS * ANYIO_SECOND;

	for (; peer; peer = next) {
		next = p2p_peer_next(host, peer);
		if (peer->addresses && peer->remembered < limit)
			forget(peer);
	}
	while (host->peer_count > host->connection_count + P2P_PEERS_REMEMBERED_MAX) {
		oldest = NULL;
		for (peer = p2p_peer_next(host, NULL); peer; peer = p2p_peer_next(host, peer))
			if (peer->refs == 0 && !peer->dial &&
				(!oldest || peer->remembered < oldest->remembered))
				oldest = peer;
		if (!oldest)
			break;
		forget(oldest);
	}
}

bool p2p_peer_speaks(const struct p2p_peer_entry *peer, const char *protocol)
{
	for (const char *at = peer->protocols; at && *at; at += strlen(at) + 1)
		if (strcmp(at, protocol) == 0)
			return true;
	return false;
}

char *p2p_texts_pack(const struct mf_pb_view *texts, size_t count)
{
	size_t size = 1;
	char *block, *at;

	for (size_t i = 0; i < count; i++)
		size += texts[i].len + 1;
	block = at = anyio_malloc(size);
	if (!block)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (!texts[i].len || memchr(texts[i].data, 0, texts[i].len))
			continue;
		memcpy(at, texts[i].data, texts[i].len);
		at += texts[i].len;
		*at++ = 0;
	}
	*at = 0;
	return block;
}
