/*
 * What an SFTP server answers: nothing that is read lies outside the packet, a list comes to an end, and a name that
 * stands for a part of a key is the one that is written for it.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "remote/sftp_name.h"
#include "remote/sftp_packet.h"

static void is_within(struct sftp_bytes part, const uint8_t *data, size_t size)
{
	assert(part.len == 0 ||
		(part.at >= data && part.len <= size && part.at + part.len <= data + size));
}

static void try_name(struct sftp_bytes name)
{
	char part[SFTP_NAME_MAX + 1];
	struct text again = { 0 };

	if (!sftp_name_decode(name.at, name.len, part))
		return;
	assert(part[0] && !strstr(part, "//") && strcmp(part, ".") && strcmp(part, "..") &&
		strcmp(part, "../"));
	assert(strcspn(part, "/") + 1 >= strlen(part));
	assert(sftp_name_encode(&again, part) == 0);
	assert(again.len == name.len && !memcmp(again.chars, name.at, name.len));
	text_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sftp_reply reply;
	struct sftp_entry entry;
	int rc = sftp_parse(data, size, &reply);

	assert(rc == 0 || rc == -EPROTO);
	try_name((struct sftp_bytes){ data, size });
	if (rc)
		return 0;
	is_within(reply.bytes, data, size);
	is_within(reply.names, data, size);
	sftp_is_full(&reply);
	while ((rc = sftp_next(&reply, &entry)) == 1) {
		is_within(entry.name, data, size);
		assert(entry.attrs.size <= INT64_MAX);
		try_name(entry.name);
	}
	assert(rc == 0 || rc == -EPROTO);
	return 0;
}
