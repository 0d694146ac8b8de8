#include "identify_codec.h"

#include <errno.h>
#include <string.h>

int p2p_identify_decode(struct p2p_identify *message, const uint8_t *data, size_t len)
{
	struct mf_pb_reader in = mf_pb_read(data, len);
	struct mf_pb_field field;
	int rc;

	message->address_count = message->protocol_count = 0;
	message->public_key = message->observed_address = (struct mf_pb_view){ 0 };
	message->protocol_version = message->agent_version = (struct mf_pb_view){ 0 };
	message->signed_record = (struct mf_pb_view){ 0 };
	while ((rc = mf_pb_next(&in, &field)) > 0) {
		switch (field.key) {
		case MF_PB_KEY(1, MF_PB_BYTES): message->public_key = field.bytes; break;
		case MF_PB_KEY(2, MF_PB_BYTES):
			if (message->address_count == P2P_ADDRESSES_PER_PEER)
				return -E2BIG;
			message->addresses[message->address_count++] = field.bytes;
			break;
		case MF_PB_KEY(3, MF_PB_BYTES):
			if (message->protocol_count == P2P_PROTOCOLS_PER_PEER)
				return -E2BIG;
			message->protocols[message->protocol_count++] = field.bytes;
			break;
		case MF_PB_KEY(4, MF_PB_BYTES): message->observed_address = field.bytes; break;
		case MF_PB_KEY(5, MF_PB_BYTES): message->protocol_version = field.bytes; break;
		case MF_PB_KEY(6, MF_PB_BYTES): message->agent_version = field.bytes; break;
		case MF_PB_KEY(8, MF_PB_BYTES): message->signed_record = field.bytes; break;
		}
	}
	return rc;
}

static void put_view(struct mf_pb_writer *writer, uint32_t number, struct mf_pb_view view)
{
	if (view.len)
		mf_pb_put_bytes(writer, number, view.data, view.len);
}

/* Puts as many as fit; room stays for `reserve` bytes. */
static void put_views(struct mf_pb_writer *writer, uint32_t number, const struct mf_pb_view *views,
	size_t count, size_t reserve)
{
	for (size_t i = 0; i < count; i++) {
		if (mf_pb_size_bytes(number, views[i].len) + reserve > writer->cap - writer->len)
			continue;
		mf_pb_put_bytes(writer, number, views[i].data, views[i].len);
	}
}

ssize_t p2p_identify_encode(const struct p2p_identify *message, uint8_t *out, size_t cap)
{
	struct mf_pb_writer writer = mf_pb_write_fixed(out, cap);
	size_t protocols = 0;

	for (size_t i = 0; i < message->protocol_count; i++)
		protocols += mf_pb_size_bytes(3, message->protocols[i].len);
	put_view(&writer, 1, message->public_key);
	put_view(&writer, 4, message->observed_address);
	put_view(&writer, 5, message->protocol_version);
	put_view(&writer, 6, message->agent_version);
	put_view(&writer, 8, message->signed_record);
	if (!writer.error) {
		put_views(&writer, 2, message->addresses, message->address_count, protocols);
		put_views(&writer, 3, message->protocols, message->protocol_count, 0);
	}
	return mf_pb_finish(&writer);
}
