/*
 * The parts of a body are the same however it is cut, and no byte of one is read past its end. The
 * first byte says how long the pieces are. A part that was made here comes back as it was.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/multipart.h"

struct body {
	const uint8_t *data;
	size_t size, at, piece;
};

struct digest {
	uint64_t value;
	unsigned parts;
	int rc;
};

static ssize_t take(void *arg, void *buffer, size_t size)
{
	struct body *body = arg;
	size_t n = body->size - body->at;

	n = n < body->piece ? n : body->piece;
	n = n < size ? n : size;
	memcpy(buffer, body->data + body->at, n);
	body->at += n;
	return (ssize_t)n;
}

static void mix(struct digest *digest, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		digest->value = (digest->value ^ (uint8_t)data[i]) * 0x100000001b3u;
}

static struct digest parts_of(const uint8_t *data, size_t size, size_t piece)
{
	struct body body = { data, size, 0, piece };
	struct digest digest = { 0 };
	struct multipart *parts = malloc(sizeof(*parts));
	char buffer[777];
	ssize_t n = 0;

	if (!parts || multipart_open(parts, "multipart/form-data; boundary=\"b\"", take, &body))
		abort();
	while ((digest.rc = multipart_next(parts)) == 1) {
		digest.parts++;
		mix(&digest, parts->filename, strlen(parts->filename) + 1);
		mix(&digest, parts->type, strlen(parts->type) + 1);
		mix(&digest, parts->name, strlen(parts->name) + 1);
		while ((n = multipart_read(parts, buffer, sizeof(buffer))) > 0)
			mix(&digest, buffer, (size_t)n);
		if (n < 0)
			break;
	}
	digest.rc = n < 0 ? (int)n : digest.rc;
	multipart_close(parts);
	free(parts);
	return digest;
}

/* The input as one part: read back whole when the boundary does not lie in it. */
static void round_trip(const uint8_t *data, size_t size, size_t piece)
{
	static const char head[] =
		"--b\r\nContent-Disposition: form-data; filename=\"%66\"\r\n\r\n",
			  tail[] = "\r\n--b--\r\n";
	size_t len = sizeof(head) - 1 + size + sizeof(tail) - 1, at = 0;
	struct multipart *parts = malloc(sizeof(*parts));
	uint8_t *whole = malloc(len);
	char buffer[512];
	ssize_t n;

	if (!parts || !whole || memmem(data, size, "\r\n--b", 5)) {
		free(parts);
		free(whole);
		return;
	}
	memcpy(whole, head, sizeof(head) - 1);
	memcpy(whole + sizeof(head) - 1, data, size);
	memcpy(whole + sizeof(head) - 1 + size, tail, sizeof(tail) - 1);
	struct body body = { whole, len, 0, piece };
	if (multipart_open(parts, "multipart/form-data; boundary=b", take, &body) ||
		multipart_next(parts) != 1 || strcmp(parts->filename, "f"))
		abort();
	while ((n = multipart_read(parts, buffer, sizeof(buffer))) > 0) {
		if (at + (size_t)n > size || memcmp(data + at, buffer, (size_t)n))
			abort();
		at += (size_t)n;
	}
	if (n || at != size || multipart_next(parts) != 0)
		abort();
	multipart_close(parts);
	free(parts);
	free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t piece = (size_t)data[0] % 97 + 1;
	struct digest whole = parts_of(data + 1, size - 1, size);
	struct digest cut = parts_of(data + 1, size - 1, piece);
	if (whole.parts != cut.parts || whole.value != cut.value || (whole.rc < 0) != (cut.rc < 0))
		abort();
	round_trip(data + 1, size - 1, piece);
	return 0;
}
