#include "table.h"

#include <anyio/memory.h>
#include <errno.h>
#include <string.h>

enum { SIZE_MIN = 16 };

/* The function of a digest does not count: there are only a few. */
static size_t slot(const struct bitswap_table *table, const struct mf_cid *cid, size_t size)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t sum;

	crypto_shorthash(hash, cid->digest, cid->digest_len, table->key);
	memcpy(&sum, hash, sizeof(sum));
	return sum & (size - 1);
}

bool bitswap_table_same(const struct mf_cid *a, const struct mf_cid *b)
{
	return a->hash == b->hash && a->digest_len == b->digest_len &&
		memcmp(a->digest, b->digest, a->digest_len) == 0;
}

static void insert(const struct bitswap_table *table, struct bitswap_node **buckets, size_t size,
	struct bitswap_node *node)
{
	struct bitswap_node **head = &buckets[slot(table, node->cid, size)];

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
	if (!table->size)
		crypto_shorthash_keygen(table->key);
	for (size_t i = 0; i < table->size; i++)
		for (node = table->buckets[i]; node; node = next) {
			next = node->next;
			insert(table, buckets, size, node);
		}
	anyio_free(table->buckets);
	table->buckets = buckets;
	table->size = size;
	return 0;
}

int bitswap_table_add(struct bitswap_table *table, struct bitswap_node *node)
{
	int rc = 0;

	if (table->count >= table->size)
		rc = grow(table);
	if (rc < 0)
		return rc;
	insert(table, table->buckets, table->size, node);
	table->count++;
	return 0;
}

struct bitswap_node *bitswap_table_find(const struct bitswap_table *table, const struct mf_cid *cid)
{
	struct bitswap_node *node;

	if (table->count == 0)
		return NULL;
	node = table->buckets[slot(table, cid, table->size)];
	while (node && !bitswap_table_same(node->cid, cid))
		node = node->next;
	return node;
}

void bitswap_table_remove(struct bitswap_table *table, struct bitswap_node *node)
{
	struct bitswap_node **at = &table->buckets[slot(table, node->cid, table->size)];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	if (--table->count > 0)
		return;
	anyio_free(table->buckets);
	*table = (struct bitswap_table){ 0 };
}
