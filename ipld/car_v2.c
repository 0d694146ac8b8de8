/*
 * What a CAR of version 2 has around the archive: https://ipld.io/specs/transport/car/carv2/.
 */
#include <ipld/car.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PRAGMA_SIZE = 11,
	CHARACTERISTICS_AT = 11,
	DATA_AT = 27,
	DATA_SIZE_AT = 35,
	INDEX_AT = 43,
	FULLY_INDEXED = 0x80,
	INDEX_SORTED_BY_HASH = 0x0401,
};

static const uint8_t pragma[PRAGMA_SIZE] = { 0x0a, 0xa1, 0x67, 'v', 'e', 'r', 's', 'i', 'o', 'n',
	0x02 };

static uint64_t get_u64(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | in[i];
	return value;
}

static void put_number(uint8_t *out, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> 8 * i);
}

bool car_is_v2(const uint8_t *bytes, size_t len)
{
	return len >= PRAGMA_SIZE && memcmp(bytes, pragma, PRAGMA_SIZE) == 0;
}

int car_v2_decode(struct car_v2 *v2, const uint8_t bytes[CAR_V2_SIZE])
{
	if (!car_is_v2(bytes, CAR_V2_SIZE))
		return -EBADMSG;
	*v2 = (struct car_v2){ .fully_indexed = bytes[CHARACTERISTICS_AT] & FULLY_INDEXED,
		.data_at = get_u64(bytes + DATA_AT),
		.data_size = get_u64(bytes + DATA_SIZE_AT),
		.index_at = get_u64(bytes + INDEX_AT) };
	return v2->data_at < CAR_V2_SIZE || v2->data_at > INT64_MAX || v2->data_size > INT64_MAX
		? -EBADMSG
		: 0;
}

void car_v2_encode(const struct car_v2 *v2, uint8_t out[CAR_V2_SIZE])
{
	memset(out, 0, CAR_V2_SIZE);
	memcpy(out, pragma, PRAGMA_SIZE);
	if (v2->fully_indexed)
		out[CHARACTERISTICS_AT] = FULLY_INDEXED;
	put_number(out + DATA_AT, v2->data_at, 8);
	put_number(out + DATA_SIZE_AT, v2->data_size, 8);
	put_number(out + INDEX_AT, v2->index_at, 8);
}

/* By hash function, length of digest, digest, and place: the order of the index. */
static int compare(const void *a, const void *b)
{
	const struct car_index_entry *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->digest_len != y->digest_len)
		return x->digest_len < y->digest_len ? -1 : 1;
	int order = memcmp(x->digest, y->digest, x->digest_len);
	return order ? order : (x->at > y->at) - (x->at < y->at);
}

void car_index_sort(struct car_index_entry *entries, size_t count)
{
	if (count)
		qsort(entries, count, sizeof(*entries), compare);
}

/* How many from the first on have its hash function, and, when alike, its length of digest. */
static size_t count_alike(const struct car_index_entry *entries, size_t count, bool alike)
{
	size_t n = 1;

	while (n < count && entries[n].hash == entries->hash &&
		(!alike || entries[n].digest_len == entries->digest_len))
		n++;
	return n;
}

static uint32_t count_runs(const struct car_index_entry *entries, size_t count, bool alike)
{
	uint32_t runs = 0;

	for (size_t at = 0; at < count; runs++)
		at += count_alike(entries + at, count - at, alike);
	return runs;
}

static int write_number(const struct car_index_out *out, uint64_t value, size_t bytes)
{
	uint8_t number[8];

	put_number(number, value, bytes);
	return out->write(out->arg, number, bytes);
}

static int write_entry(const struct car_index_out *out, const struct car_index_entry *entry)
{
	uint8_t bytes[MF_DIGEST_MAX + 8];

	memcpy(bytes, entry->digest, entry->digest_len);
	put_number(bytes + entry->digest_len, entry->at, 8);
	return out->write(out->arg, bytes, (size_t)entry->digest_len + 8);
}

/* Those of one length of digest. */
static int write_width(
	const struct car_index_out *out, const struct car_index_entry *entries, size_t count)
{
	uint64_t width = (uint64_t)entries->digest_len + 8;
	int rc = write_number(out, width, 4);

	if (rc == 0)
		rc = write_number(out, width * count, 8);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = write_entry(out, &entries[i]);
	return rc;
}

/* Those of one hash function. */
static int write_hash(
	const struct car_index_out *out, const struct car_index_entry *entries, size_t count)
{
	int rc = write_number(out, entries->hash, 8);

	if (rc == 0)
		rc = write_number(out, count_runs(entries, count, true), 4);
	for (size_t at = 0, n; at < count && rc == 0; at += n) {
		n = count_alike(entries + at, count - at, true);
		rc = write_width(out, entries + at, n);
	}
	return rc;
}

int car_index_write(
	const struct car_index_out *out, const struct car_index_entry *entries, size_t count)
{
	uint8_t codec[] = { (INDEX_SORTED_BY_HASH & 0x7f) | 0x80, INDEX_SORTED_BY_HASH >> 7 };
	int rc = out->write(out->arg, codec, sizeof(codec));

	if (rc == 0)
		rc = write_number(out, count_runs(entries, count, false), 4);
	for (size_t at = 0, n; at < count && rc == 0; at += n) {
		n = count_alike(entries + at, count - at, false);
		rc = write_hash(out, entries + at, n);
	}
	return rc;
}

/* What is left to be read. */
struct rest {
	const uint8_t *data;
	size_t len;
	bool bad;
};

static uint64_t read_number(struct rest *rest, size_t bytes)
{
	uint64_t value = 0;

	if (rest->bad || rest->len < bytes) {
		rest->bad = true;
		return 0;
	}
	for (size_t i = bytes; i-- > 0;)
		value = value << 8 | rest->data[i];
	rest->data += bytes;
	rest->len -= bytes;
	return value;
}

/* Those of one length of digest. */
static int read_width(struct rest *rest, uint64_t hash,
	int (*each)(void *arg, const struct car_index_entry *entry), void *arg)
{
	uint64_t width = read_number(rest, 4), bytes = read_number(rest, 8);
	int rc = 0;

	if (rest->bad || width < 8 || width - 8 > MF_DIGEST_MAX || bytes > rest->len ||
		bytes % width)
		return -EBADMSG;
	for (uint64_t end = rest->len - bytes; rest->len > end && rc == 0;) {
		struct car_index_entry entry = {
			.hash = hash, .digest = rest->data, .digest_len = (uint8_t)(width - 8)
		};

		rest->data += entry.digest_len;
		rest->len -= entry.digest_len;
		entry.at = read_number(rest, 8);
		rc = each(arg, &entry);
	}
	return rc;
}

int car_index_read(const uint8_t *data, size_t len,
	int (*each)(void *arg, const struct car_index_entry *entry), void *arg)
{
	struct rest rest = { data, len };
	int rc = 0;

	if (read_number(&rest, 1) != ((INDEX_SORTED_BY_HASH & 0x7f) | 0x80) ||
		read_number(&rest, 1) != INDEX_SORTED_BY_HASH >> 7)
		return -EBADMSG;
	for (uint64_t hashes = read_number(&rest, 4); hashes > 0 && rc == 0; hashes--) {
		uint64_t hash = read_number(&rest, 8), widths = read_number(&rest, 4);

		for (; widths > 0 && rc == 0; widths--)
			rc = read_width(&rest, hash, each, arg);
		if (rest.bad)
			return -EBADMSG;
	}
	return rc ? rc : rest.bad || rest.len ? -EBADMSG : 0;
}
