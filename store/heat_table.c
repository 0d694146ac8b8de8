#include "heat_table.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <anyio/memory.h>
#include <multiformats/multihash.h>
#include <sodium.h>
#include "bytes.h"

enum { FIRST = 64 };

/* A peer's want is worth less than a read here: who got a block keeps it, and has others to ask. */
static const double weights[STORE_HEAT_KINDS] = {
	[STORE_HEAT_READ] = 1.0, [STORE_HEAT_WANT] = 0.25
};

struct heat_entry {
	double heat, order;
	anyio_time at; /* last use */
	uint64_t counts[STORE_HEAT_KINDS];
	uint64_t hash;
	uint32_t place;  /* in the heap */
	uint32_t next;   /* in its bucket: slot + 1 */
	uint8_t version; /* of the CID */
	uint8_t key_len;
	uint8_t key[]; /* the CID as version 1 */
};

struct key {
	uint8_t bytes[MF_CID_BYTES_MAX];
	size_t len;
	uint64_t hash;
};

static void make_key(const struct heat_table *table, const struct mf_cid *cid, struct key *key)
{
	struct mf_cid whole = *cid;

	whole.version = 1;
	key->len = (size_t)mf_cid_encode(&whole, key->bytes, sizeof(key->bytes));
	crypto_shorthash((uint8_t *)&key->hash, key->bytes, key->len, table->seed);
}

void heat_table_init(struct heat_table *table, size_t most, anyio_time half_life)
{
	*table = (struct heat_table){ .most = most, .half_life = half_life };
	randombytes_buf(table->seed, sizeof(table->seed));
}

void heat_table_free(struct heat_table *table)
{
	for (size_t i = 0; i < table->slot_count; i++)
		anyio_free(table->slots[i].entry);
	anyio_free(table->slots);
	anyio_free(table->heap);
	anyio_free(table->buckets);
	heat_table_init(table, table->most, table->half_life);
}

/* ---- time ---- */

static anyio_time tick(struct heat_table *table, anyio_time now)
{
	anyio_time at;

	if (__builtin_add_overflow(now > 0 ? now : 0, table->behind, &at))
		at = ANYIO_FOREVER;
	if (at < table->now) {
		table->behind += table->now - at;
		at = table->now;
	}
	table->now = at;
	return at;
}

static anyio_time age_of(const struct heat_table *table, const struct heat_entry *entry)
{
	anyio_time age;

	return __builtin_sub_overflow(table->now, entry->at, &age) ? ANYIO_FOREVER : age;
}

static double in_half_lives(const struct heat_table *table, anyio_time time)
{
	return (double)time / (double)table->half_life;
}

static double heat_now(const struct heat_table *table, const struct heat_entry *entry)
{
	return entry->heat * exp2(-in_half_lives(table, age_of(table, entry)));
}

static void set_order(const struct heat_table *table, struct heat_entry *entry)
{
	entry->order = in_half_lives(table, entry->at) + log2(entry->heat);
}

/* Of what has just so much heat left. */
static double order_of_floor(const struct heat_table *table)
{
	return in_half_lives(table, table->now) + log2(STORE_HEAT_FLOOR);
}

/* ---- the heap ---- */

static struct heat_entry *at_place(const struct heat_table *table, size_t place)
{
	return table->slots[table->heap[place]].entry;
}

static void swap(struct heat_table *table, size_t a, size_t b)
{
	uint32_t slot = table->heap[a];

	table->heap[a] = table->heap[b];
	table->heap[b] = slot;
	at_place(table, a)->place = (uint32_t)a;
	at_place(table, b)->place = (uint32_t)b;
}

static void rise(struct heat_table *table, size_t place)
{
	for (size_t above; place > 0; place = above) {
		above = (place - 1) / 2;
		if (at_place(table, above)->order <= at_place(table, place)->order)
			return;
		swap(table, above, place);
	}
}

static void sink(struct heat_table *table, size_t place)
{
	for (;;) {
		size_t coldest = place;
		for (size_t below = 2 * place + 1; below <= 2 * place + 2; below++)
			if (below < table->count &&
				at_place(table, below)->order < at_place(table, coldest)->order)
				coldest = below;
		if (coldest == place)
			return;
		swap(table, coldest, place);
		place = coldest;
	}
}

/* ---- finding ---- */

static uint32_t *bucket_of(const struct heat_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

static struct heat_entry *find(const struct heat_table *table, const struct key *key, size_t *slot)
{
	uint32_t next = table->bucket_count ? *bucket_of(table, key->hash) : 0;

	while (next) {
		struct heat_entry *entry = table->slots[next - 1].entry;
		*slot = next - 1;
		if (entry->hash == key->hash && entry->key_len == key->len &&
			!memcmp(entry->key, key->bytes, key->len))
			return entry;
		next = entry->next;
	}
	return NULL;
}

/* Room for another root, in what all share: doubled, so that it is seldom. */
static int grow(struct heat_table *table)
{
	size_t size = table->bucket_count ? table->bucket_count * 2 : FIRST;
	uint32_t *buckets, *heap;

	if (table->count < table->bucket_count)
		return 0;
	heap = anyio_realloc(table->heap, size * sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	table->heap = heap;
	buckets = anyio_calloc(size, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	anyio_free(table->buckets);
	table->bytes += (size - table->bucket_count) * (sizeof(*heap) + sizeof(*buckets));
	table->buckets = buckets;
	table->bucket_count = size;
	for (size_t i = 0; i < table->count; i++) {
		struct heat_entry *entry = at_place(table, i);
		uint32_t *bucket = bucket_of(table, entry->hash);
		entry->next = *bucket;
		*bucket = table->heap[i] + 1;
	}
	return 0;
}

static int reach_slot(struct heat_table *table, size_t slot)
{
	if (slot >= table->slot_room) {
		size_t room = table->slot_room * 2 > slot ? table->slot_room * 2 : slot + FIRST;
		struct heat_slot *slots = anyio_realloc(table->slots, room * sizeof(*slots));
		if (!slots)
			return -ENOMEM;
		table->bytes += (room - table->slot_room) * sizeof(*slots);
		table->slots = slots;
		table->slot_room = room;
	}
	while (table->slot_count <= slot)
		table->slots[table->slot_count++] = (struct heat_slot){ 0 };
	return 0;
}

static size_t free_slot(struct heat_table *table)
{
	while (table->hint < table->slot_count && table->slots[table->hint].entry)
		table->hint++;
	return table->hint;
}

/* ---- coming and going ---- */

static size_t entry_bytes(size_t key_len)
{
	return sizeof(struct heat_entry) + key_len;
}

static struct heat_entry *entry_new(
	struct heat_table *table, const struct key *key, uint8_t version)
{
	struct heat_entry *entry = anyio_calloc(1, entry_bytes(key->len));

	if (!entry)
		return NULL;
	entry->hash = key->hash;
	entry->version = version;
	entry->key_len = (uint8_t)key->len;
	memcpy(entry->key, key->bytes, key->len);
	table->bytes += entry_bytes(key->len);
	return entry;
}

static void entry_free(struct heat_table *table, struct heat_entry *entry)
{
	table->bytes -= entry_bytes(entry->key_len);
	anyio_free(entry);
}

/* Into a free slot, with its heat set; there is room. */
static void insert(struct heat_table *table, size_t slot, struct heat_entry *entry)
{
	uint32_t *bucket = bucket_of(table, entry->hash);

	table->slots[slot].entry = entry;
	table->slots[slot].changed = true;
	entry->next = *bucket;
	*bucket = (uint32_t)slot + 1;
	entry->place = (uint32_t)table->count;
	table->heap[table->count++] = (uint32_t)slot;
	rise(table, entry->place);
}

static void drop(struct heat_table *table, size_t slot)
{
	struct heat_entry *entry = table->slots[slot].entry;
	uint32_t *at = bucket_of(table, entry->hash);
	size_t place = entry->place, last = table->count - 1;

	while (*at != slot + 1)
		at = &table->slots[*at - 1].entry->next;
	*at = entry->next;
	swap(table, place, last);
	table->count--;
	if (place < last) {
		rise(table, place);
		sink(table, place);
	}
	table->slots[slot].entry = NULL;
	table->slots[slot].changed = true;
	if (slot < table->hint)
		table->hint = slot;
	entry_free(table, entry);
}

/* A slot for one more root; the coldest gives way to it. */
static int make_room(struct heat_table *table, size_t *slot)
{
	if (table->count == table->most) {
		*slot = table->heap[0];
		drop(table, *slot);
		return 0;
	}
	*slot = free_slot(table);
	int rc = reach_slot(table, *slot);
	return rc ? rc : grow(table);
}

static void use(struct heat_table *table, struct heat_entry *entry, enum store_heat_kind kind)
{
	entry->heat = heat_now(table, entry) + weights[kind];
	entry->at = table->now;
	entry->counts[kind]++;
	set_order(table, entry);
}

bool heat_table_add(struct heat_table *table, const struct mf_cid *root, enum store_heat_kind kind,
	bool only_known, anyio_time now)
{
	struct key key;
	size_t slot;

	if (root->hash == MF_HASH_IDENTITY)
		return false;
	tick(table, now);
	make_key(table, root, &key);
	struct heat_entry *entry = find(table, &key, &slot);
	if (entry) {
		use(table, entry, kind);
		sink(table, entry->place);
		table->slots[slot].changed = true;
		return true;
	}
	if (only_known || !(entry = entry_new(table, &key, root->version)))
		return false;
	entry->at = table->now;
	use(table, entry, kind);
	if (make_room(table, &slot)) {
		entry_free(table, entry);
		return false;
	}
	insert(table, slot, entry);
	return true;
}

/* ---- asking ---- */

double heat_table_of(struct heat_table *table, const struct mf_cid *root, anyio_time now)
{
	struct key key;
	size_t slot;

	tick(table, now);
	make_key(table, root, &key);
	struct heat_entry *entry = find(table, &key, &slot);
	return entry ? heat_now(table, entry) : 0;
}

static void tell(const struct heat_table *table, const struct heat_entry *entry,
	struct store_heat_root *root)
{
	mf_cid_decode(&root->cid, entry->key, entry->key_len);
	root->cid.version = entry->version;
	root->heat = entry->heat;
	root->order = entry->order;
	root->unused = age_of(table, entry);
	memcpy(root->counts, entry->counts, sizeof(root->counts));
}

/* Of picked roots the first is the one that gives way, and so on down as in the heap above. */
static void sink_pick(struct store_heat_root *roots, size_t count, double sign)
{
	for (size_t at = 0;;) {
		size_t least = at;
		for (size_t below = 2 * at + 1; below <= 2 * at + 2 && below < count; below++)
			if (sign * roots[below].order < sign * roots[least].order)
				least = below;
		if (least == at)
			return;
		struct store_heat_root root = roots[at];
		roots[at] = roots[least];
		roots[least] = root;
		at = least;
	}
}

static void rise_pick(struct store_heat_root *roots, size_t at, double sign)
{
	for (size_t above; at > 0; at = above) {
		above = (at - 1) / 2;
		if (sign * roots[above].order <= sign * roots[at].order)
			return;
		struct store_heat_root root = roots[at];
		roots[at] = roots[above];
		roots[above] = root;
	}
}

static void sort_picks(struct store_heat_root *roots, size_t count, double sign)
{
	while (count > 1) {
		struct store_heat_root least = roots[0];
		roots[0] = roots[--count];
		roots[count] = least;
		sink_pick(roots, count, sign);
	}
}

size_t heat_table_pick(struct heat_table *table, bool hottest, struct store_heat_root *roots,
	size_t count, anyio_time now)
{
	double sign = hottest ? 1 : -1;
	size_t picked = 0;

	tick(table, now);
	double floor = order_of_floor(table);
	for (size_t i = 0; i < table->count && count; i++) {
		const struct heat_entry *entry = at_place(table, i);
		if (entry->order < floor)
			continue;
		if (picked < count) {
			tell(table, entry, &roots[picked]);
			rise_pick(roots, picked++, sign);
		} else if (sign * entry->order > sign * roots[0].order) {
			tell(table, entry, &roots[0]);
			sink_pick(roots, picked, sign);
		}
	}
	sort_picks(roots, picked, sign);
	for (size_t i = 0; i < picked; i++)
		roots[i].heat *= exp2(-in_half_lives(table, roots[i].unused));
	return picked;
}

/* ---- what is written down ---- */

enum heat_change heat_table_next_change(
	struct heat_table *table, size_t *at, struct store_heat_root *root, anyio_time now)
{
	tick(table, now);
	double floor = order_of_floor(table);
	for (; *at < table->slot_count; ++*at) {
		struct heat_slot *slot = &table->slots[*at];
		if (slot->entry && slot->entry->order < floor)
			drop(table, *at);
		if (!slot->changed)
			continue;
		bool written = slot->written;
		slot->changed = false;
		slot->written = slot->entry != NULL;
		if (slot->entry) {
			tell(table, slot->entry, root);
			return HEAT_CHANGE_PUT;
		}
		if (written)
			return HEAT_CHANGE_TAKE;
	}
	return HEAT_CHANGE_NONE;
}

void heat_table_not_written(struct heat_table *table, size_t slot)
{
	table->slots[slot].changed = true;
	table->slots[slot].written = true;
}

int heat_table_restore(
	struct heat_table *table, size_t slot, const struct store_heat_root *root, anyio_time now)
{
	struct key key;
	size_t other;
	int rc = reach_slot(table, slot);

	if (rc)
		return rc;
	heat_table_not_written(table, slot);
	if (!root)
		return 0;
	tick(table, now);
	make_key(table, &root->cid, &key);
	struct heat_entry *entry = entry_new(table, &key, root->cid.version),
			  *twin = find(table, &key, &other);
	if (!entry || (rc = grow(table))) {
		if (entry)
			entry_free(table, entry);
		return -ENOMEM;
	}
	entry->heat = root->heat;
	entry->at = table->now - root->unused;
	memcpy(entry->counts, root->counts, sizeof(entry->counts));
	set_order(table, entry);
	if (twin && twin->order >= entry->order) {
		entry_free(table, entry);
		return 0;
	}
	if (twin)
		drop(table, other);
	insert(table, slot, entry);
	table->slots[slot].changed = false;
	return 0;
}

size_t heat_record_encode(
	const struct store_heat_root *root, anyio_time wall, uint8_t out[HEAT_RECORD_MAX])
{
	uint64_t bits;

	memcpy(&bits, &root->heat, sizeof(bits));
	out[0] = 1;
	put_u64(out + 1, bits);
	put_u64(out + 9, (uint64_t)(wall > root->unused ? wall - root->unused : 0));
	for (int i = 0; i < STORE_HEAT_KINDS; i++)
		put_u64(out + 17 + 8 * i, root->counts[i]);
	return HEAT_RECORD_HEAD +
		(size_t)mf_cid_encode(&root->cid, out + HEAT_RECORD_HEAD, MF_CID_BYTES_MAX);
}

/* More uses than this nobody has counted. */
#define HEAT_MOST 0x1p53

bool heat_record_decode(
	const uint8_t *data, size_t len, anyio_time wall, struct store_heat_root *root)
{
	if (len <= HEAT_RECORD_HEAD || len > HEAT_RECORD_MAX || data[0] != 1)
		return false;
	uint64_t bits = get_u64(data + 1), used = get_u64(data + 9);
	*root = (struct store_heat_root){ .heat = 0 };
	memcpy(&root->heat, &bits, sizeof(bits));
	/* Written so that a NaN is none. */
	if (!(root->heat > 0 && root->heat <= HEAT_MOST) || used > INT64_MAX)
		return false;
	if (wall > (anyio_time)used)
		root->unused = wall - (anyio_time)used;
	for (int i = 0; i < STORE_HEAT_KINDS; i++)
		root->counts[i] = get_u64(data + 17 + 8 * i);
	return mf_cid_decode(&root->cid, data + HEAT_RECORD_HEAD, len - HEAT_RECORD_HEAD) ==
		(ssize_t)(len - HEAT_RECORD_HEAD) &&
		root->cid.hash != MF_HASH_IDENTITY;
}
