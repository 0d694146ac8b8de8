/* Reads a message, writes its fields, reads that: the same fields. Nested bytes are read too, and
 * tried as public keys, but never deeper than one level: depth is the message's business. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/pb.h>
#include <multiformats/peer_id.h>

static void write_field(struct mf_pb_writer *writer, const struct mf_pb_field *field)
{
	switch (field->wire) {
	case MF_PB_VARINT: mf_pb_put_varint(writer, field->number, field->value); break;
	case MF_PB_FIXED64: mf_pb_put_fixed64(writer, field->number, field->value); break;
	case MF_PB_FIXED32: mf_pb_put_fixed32(writer, field->number, (uint32_t)field->value); break;
	case MF_PB_BYTES: {
		size_t mark = mf_pb_open(writer, field->number);
		mf_pb_put_raw(writer, field->bytes.data, field->bytes.len);
		mf_pb_close(writer, mark);
	}
	}
}

static void same_field(const struct mf_pb_field *a, const struct mf_pb_field *b)
{
	if (a->key != b->key || a->value != b->value || a->bytes.len != b->bytes.len)
		abort();
	if (a->wire == MF_PB_BYTES && memcmp(a->bytes.data, b->bytes.data, a->bytes.len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_pb_reader in = mf_pb_read(data, size), nested, back;
	struct mf_pb_writer writer = mf_pb_write_growing(0);
	struct mf_pb_field field, inner;
	struct mf_public_key key;

	while (mf_pb_next(&in, &field) > 0) {
		write_field(&writer, &field);
		nested = mf_pb_read(field.bytes.data, field.bytes.len);
		while (mf_pb_next(&nested, &inner) > 0)
			continue;
	}
	if (mf_pb_finish(&writer) < 0)
		abort();
	in = mf_pb_read(data, size);
	back = mf_pb_read(writer.data, writer.len);
	while (mf_pb_next(&in, &field) > 0) {
		if (mf_pb_next(&back, &inner) != 1)
			abort();
		same_field(&field, &inner);
	}
	if (mf_pb_next(&back, &inner) != 0)
		abort();
	free(writer.data);
	if (mf_public_key_decode(&key, data, size) == 0) {
		struct mf_peer_id id;
		mf_peer_id_of_key(&id, data, size);
	}
	return 0;
}
