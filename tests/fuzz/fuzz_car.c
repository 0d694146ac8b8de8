/* A CAR gives the same events however it is cut, and the same blocks in pieces. The first byte says how long the
 * pieces are. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/car.h>

struct digest {
	uint64_t events, bytes, places, roots;
	int rc;
};

/* Of a block in pieces, cut short, the first counts already. */
static struct digest read_car(
	const uint8_t *data, size_t size, size_t piece, bool zeros_end, bool in_pieces)
{
	struct digest digest = { 0 };
	struct car_reader *reader;
	struct car_event event;
	int rc = 0;

	if (car_reader_new(&reader, zeros_end) < 0)
		abort();
	if (in_pieces)
		car_reader_in_pieces(reader);
	for (size_t at = 0; at < size && rc >= 0; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		uint8_t *copy = malloc(n);
		const uint8_t *p = copy;

		memcpy(copy, data + at, n);
		while ((rc = car_reader_next(reader, &p, &n, &event)) == 1) {
			digest.events += event.kind != CAR_MORE;
			if (event.kind == CAR_HEADER) {
				struct mf_cid roots[100];
				size_t count = car_header_roots(&event.header, roots, 100);

				for (size_t i = 0; i < count; i++)
					digest.roots += roots[i].codec;
				continue;
			}
			if (event.kind == CAR_BLOCK)
				digest.places += event.data_at * 3 + event.section_at;
			for (size_t i = 0; i < event.have; i++)
				digest.bytes = digest.bytes * 31 + event.data[i];
		}
		if (rc == 0 && n)
			abort();
		free(copy);
	}
	digest.rc = rc < 0 ? rc : car_reader_finish(reader);
	car_reader_free(reader);
	return digest;
}

/* What it says is what is written of it. */
static void read_v2(const uint8_t *data)
{
	struct car_v2 v2, again;
	uint8_t bytes[CAR_V2_SIZE];

	if (car_v2_decode(&v2, data) < 0)
		return;
	car_v2_encode(&v2, bytes);
	if (car_v2_decode(&again, bytes) < 0 || again.data_at != v2.data_at ||
		again.data_size != v2.data_size || again.index_at != v2.index_at)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct car_section section;

	if (size < 2)
		return 0;
	bool zeros_end = data[0] & 0x80;
	struct digest a = read_car(data + 1, size - 1, (data[0] & 0x7f) + 1, zeros_end, false);
	struct digest b = read_car(data + 1, size - 1, size, zeros_end, false);
	struct digest c = read_car(data + 1, size - 1, (data[0] & 0x7f) + 1, zeros_end, true);
	if (memcmp(&a, &b, offsetof(struct digest, rc)) != 0 || a.rc != b.rc)
		abort();
	if ((c.rc == 0) != (a.rc == 0) ||
		(c.rc == 0 && memcmp(&a, &c, offsetof(struct digest, rc)) != 0))
		abort();
	car_section_decode(&section, data + 1, size - 1);
	if (size - 1 >= CAR_V2_SIZE)
		read_v2(data + 1);
	return 0;
}
