/* An index of a CAR that can be read is, sorted and written again, one that says the same. */
#include <stdlib.h>
#include <string.h>

#include <ipld/car.h>

enum { MOST = 4096 };

struct index {
	struct car_index_entry entries[MOST];
	size_t count;
};

static int take(void *arg, const struct car_index_entry *entry)
{
	struct index *index = arg;

	if (index->count == MOST)
		return 1;
	index->entries[index->count++] = *entry;
	return 0;
}

struct written {
	uint8_t *bytes;
	size_t len;
};

static int write_down(void *arg, const void *data, size_t len)
{
	struct written *written = arg;

	written->bytes = realloc(written->bytes, written->len + len);
	memcpy(written->bytes + written->len, data, len);
	written->len += len;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct index index, again;
	struct written written = { 0 };
	struct car_index_out out = { write_down, &written };
	uint8_t *copy = malloc(size + 1);

	memcpy(copy, data, size);
	index.count = again.count = 0;
	if (car_index_read(copy, size, take, &index) == 0) {
		car_index_sort(index.entries, index.count);
		car_index_write(&out, index.entries, index.count);
		if (car_index_read(written.bytes, written.len, take, &again) != 0 ||
			again.count != index.count)
			abort();
		for (size_t i = 0; i < index.count; i++)
			if (index.entries[i].at != again.entries[i].at ||
				index.entries[i].hash != again.entries[i].hash ||
				index.entries[i].digest_len != again.entries[i].digest_len ||
				memcmp(index.entries[i].digest, again.entries[i].digest,
					index.entries[i].digest_len) != 0)
				abort();
		free(written.bytes);
	}
	free(copy);
	return 0;
}
