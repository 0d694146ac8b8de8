#include "table.h"

#include <anyio/memory.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { SIZE_MIN = 16 };

static uint64_t secret;

static uint64_t mix(uint64_t sum, uint64_t word)
{
	unsigned __int128 product = (unsigned __int128)(sum ^ word) * 0x9e3779b97f4a7c15u;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static size_t slot(const struct mf_cid *cid, size_t size)
{
	uint64_t sum = secret ^ cid->hash ^ (uint64_t)cid->digest_len << 32;

	for (size_t at = 0; at < cid->digest_len; at += sizeof(uint64_t)) {
		size_t left = cid->digest_len - at;
		uint64_t word = 0;

		memcpy(&word, cid->digest + at, left < sizeof(word) ? left : sizeof(word));
		sum = mix(sum, word);
	}
	return sum & (size - 1);
}

static bool same(const struct mf_cid *a, const struct mf_cid *b)
{
	return a->hash == b->hash && a->digest_len == b->digest_len &&
		memcmp(a->digest, b->digest, a->digest_len) == 0;
}

static void insert(struct bitswap_node **buckets, size_t size, struct bitswap_node *node)
{
	struct bitswap_node **head = &buckets[slot(node->cid, size)];

	node->next = *head;
	*head = node;
}

/* A table that cannot grow goes on with longer chains. */
static int grow(struct bitswap_table *table)
{
	size_t size = table->size ? table->size * 2 : SIZE_MIN;
	struct bitswap_node **buckets = anyio_calloc(size, sizeof(*buckets)), *node, *next;

	if (!buckets)
		return table->size ? 0 : -ENOMEM;
	for (size_t i = 0; i < table->size; i++)
		for (node = table->buckets[i]; node; node = next) {
			next = node->next;
			insert(buckets, size, node);
		}
	anyio_free(table->buckets);
	table->buckets = buckets;
	table->size = size;
	return 0;
}

int bitswap_table_add(struct bitswap_table *table, struct bitswap_node *node)
{
	int rc = 0;

	while (secret == 0)
		if (getrandom(&secret, sizeof(secret), GRND_NONBLOCK) != sizeof(secret))
			secret = (uintptr_t)table | 1;
	if (table->count >= table->size)
		rc = grow(table);
	if (rc < 0)
		return rc;
	insert(table->buckets, table->size, node);
	table->count++;
	return 0;
}

struct bitswap_node *bitswap_table_find(const struct bitswap_table *table, const struct mf_cid *cid)
{
	struct bitswap_node *node;

	if (table->count == 0)
		return NULL;
	node = table->buckets[slot(cid, table->size)];
	while (node && !same(node->cid, cid))
		node = node->next;
	return node;
}

void bitswap_table_remove(struct bitswap_table *table, struct bitswap_node *node)
{
	struct bitswap_node **at = &table->buckets[slot(node->cid, table->size)];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	if (--table->count > 0)
		return;
	anyio_free(table->buckets);
	*table = (struct bitswap_table){ 0 };
}
