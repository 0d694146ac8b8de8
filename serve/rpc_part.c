/* Bodies coming in: as a stream of parts, or a part whole in memory. */
#include "multipart.h"
#include "rpc.h"

#include <errno.h>

ssize_t rpc_read_body(void *arg, void *buffer, size_t size)
{
	return http_body(arg, buffer, size);
}

int rpc_open_part(struct rpc_request *request, struct multipart *parts)
{
	int rc = multipart_open(parts, request->http->content_type, rpc_read_body, request->http);

	if (!rc) {
		rc = multipart_next(parts);
		if (rc == 1)
			return 0;
		multipart_close(parts);
		rc = rc ? rc : -EINVAL;
	}
	/* Whoever ends the request says why. */
	if (rc == ANYIO_CANCELLED)
		return rc;
	int sent = http_reply(request->http, 400, "text/plain",
		"a multipart/form-data body with a file is required\n");
	return sent ? sent : rc;
}

enum { PART_MAX = 2 << 20 };

/* All of it at once: who holds some of the room may not wait for more. Twice, since the block that is
 * made of a document may be as long. */
static int grow_part(struct rpc_request *request, struct rpc_part *part)
{
	int rc = kit_room_hold(request->room, &part->held, 2 * PART_MAX);
	char *bigger = rc ? NULL : anyio_realloc(part->data, PART_MAX + 1);

	if (!bigger)
		return rc ? rc : -ENOMEM;
	part->data = bigger;
	request->http->holds_body = true;
	return 0;
}

int rpc_part_read(struct rpc_request *request, struct multipart *parts, struct rpc_part *part)
{
	size_t size = KIT_ROOM_SMALL;
	ssize_t n;

	*part = (struct rpc_part){ .data = anyio_malloc(size) };
	if (!part->data)
		return -ENOMEM;
	while ((n = multipart_read(parts, part->data + part->len, size - part->len)) > 0) {
		part->len += (size_t)n;
		if (part->len > PART_MAX)
			break;
		if (part->len == size) {
			int rc = grow_part(request, part);
			if (rc)
				return rc;
			size = PART_MAX + 1;
		}
	}
	if (n <= 0)
		return (int)n;
	part->why = "a block or a document is at most 2 MiB";
	return -EMSGSIZE;
}

void rpc_part_free(struct rpc_request *request, struct rpc_part *part)
{
	anyio_free(part->data);
	kit_room_hold(request->room, &part->held, 0);
	request->http->holds_body = false;
}
