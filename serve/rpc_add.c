/*
 * add: the parts of a multipart body become a tree, and each finished entry is a line of the
 * answer. Clients send everything before they read anything, so lines go into a queue that a task
 * of its own sends: waiting for the client to read would leave both waiting for ever.
 */
#include "multipart.h"
#include "rpc.h"

#include <errno.h>
#include <jansson.h>
#include <kit/call.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 64 << 20 };

/* With progress=true a file's bytes are told this often, as Kubo does; but not to who does not read what it
 * was told already. */
enum { PROGRESS_STEP = 256 << 10, PROGRESS_QUEUE_MAX = 64 << 10 };

struct adding {
	struct rpc_stream stream;
	struct multipart parts;
	struct kit_adder *adder;
	bool finished, unserved, progress;
	char *queue;
	size_t used, size;
	size_t held;              /* of the room, for the queue */
	struct anyio_event *more; /* set when the queue has lines or nothing more will come */
	int failure;
};

static struct kit_room *room_of(const struct adding *adding)
{
	return adding->stream.request->room;
}

/* Makes room for len more. While it waits its turn, the queue may be sent. */
static int grow(struct adding *adding, size_t len)
{
	size_t size = (adding->used + len) * 2;
	int rc = size <= QUEUE_MAX ? kit_room_hold(room_of(adding), &adding->held, size) : -ENOMEM;
	char *bigger = rc ? NULL : anyio_realloc(adding->queue, size);

	if (!bigger)
		return rc ? rc : -ENOMEM;
	adding->queue = bigger;
	adding->size = size;
	return 0;
}

static int enqueue(struct adding *adding, const char *line, size_t len)
{
	int rc = adding->used + len > adding->size ? grow(adding, len) : 0;

	if (rc)
		return rc;
	memcpy(adding->queue + adding->used, line, len);
	adding->used += len;
	anyio_event_set(adding->more);
	return 0;
}

/* Takes the reference. */
static int enqueue_json(struct adding *adding, json_t *object)
{
	char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	int rc = line ? enqueue(adding, line, strlen(line)) : -ENOMEM;

	if (!rc)
		rc = enqueue(adding, "\n", 1);
	free(line);
	json_decref(object);
	return rc;
}

static int on_entry(void *arg, const char *path, const struct mf_cid *cid, uint64_t size)
{
	char text[MF_CID_TEXT_MAX], number[24];
	struct adding *adding = arg;

	mf_cid_format(cid, text, sizeof(text));
	snprintf(number, sizeof(number), "%llu", (unsigned long long)size);
	char *name = kit_json_text(path);
	json_t *object = name
		? json_pack("{s:s, s:s, s:s}", "Name", name, "Hash", text, "Size", number)
		: NULL;
	int rc = enqueue_json(adding, object);
	free(name);
	return rc;
}

/* A file's bytes on their way to the adder. */
struct counted {
	struct adding *adding;
	const char *name;
	uint64_t done, told;
	bool ended;
};

static int tell_progress(struct counted *file)
{
	struct adding *adding = file->adding;

	file->told = file->done;
	if (adding->used > PROGRESS_QUEUE_MAX)
		return 0;
	char *name = kit_json_text(file->name);
	json_t *object = name ? json_pack("{s:s}", "Name", name) : NULL;
	if (object && file->done)
		json_object_set_new(object, "Bytes", json_integer((json_int_t)file->done));
	free(name);
	return enqueue_json(adding, object);
}

static ssize_t read_counted(void *arg, void *buffer, size_t size)
{
	struct counted *file = arg;
	ssize_t n = multipart_read(&file->adding->parts, buffer, size);
	int rc = 0;

	if (n < 0 || !file->adding->progress)
		return n;
	file->done += (uint64_t)n;
	bool ends = n == 0 && !file->ended;
	if (ends || file->done - file->told >= PROGRESS_STEP)
		rc = ends && file->done && file->told == file->done ? 0 : tell_progress(file);
	file->ended |= ends;
	return rc ? rc : n;
}

/* Sends what is queued until nothing more will come. */
static int send_lines(void *arg)
{
	struct adding *adding = arg;
	int rc = 0;

	while (!rc) {
		rc = anyio_event_wait(adding->more);
		if (rc || !adding->used)
			break;
		char *lines = adding->queue;
		size_t len = adding->used, held = adding->held;
		adding->queue = NULL;
		adding->used = adding->size = adding->held = 0;
		if (!adding->finished)
			anyio_event_init(adding->more);
		rc = rpc_stream_write(&adding->stream, lines, len);
		anyio_free(lines);
		kit_room_hold(room_of(adding), &held, 0);
	}
	return rc;
}

/* One part into the tree. Names come from the network: the adder refuses what leaves the tree. */
static int take_part(struct adding *adding)
{
	struct multipart *parts = &adding->parts;
	const char *path = parts->filename;
	char target
		[4097]; /* 4095 bytes are the most that Linux makes one of, as when it is added from disk */
	ssize_t n, len = 0;

	while (*path == '/')
		path++;
	if (!strcmp(parts->type, "application/x-directory"))
		return kit_adder_directory(adding->adder, path);
	if (!strcmp(parts->type, "application/symlink")) {
		while ((n = multipart_read(parts, target + len, sizeof(target) - 1 - (size_t)len)) >
			0)
			len += n;
		if (n < 0)
			return (int)n;
		if (len == sizeof(target) - 1)
			return -ENAMETOOLONG;
		target[len] = 0;
		return memchr(target, 0, (size_t)len)
			? -EINVAL
			: kit_adder_symlink(adding->adder, path, target);
	}
	struct counted file = { .adding = adding, .name = path };
	struct kit_source source = { read_counted, &file };
	return kit_adder_file(adding->adder, path, &source);
}

static int add_parts(struct adding *adding, const struct kit_add_options *options)
{
	struct mf_cid root;
	int rc = kit_adder_begin(adding->stream.request->node, options, &adding->adder);

	if (rc)
		return rc;
	while ((rc = multipart_next(&adding->parts)) == 1)
		if ((rc = take_part(adding)))
			break;
	if (rc) {
		kit_adder_abandon(adding->adder);
		return rc;
	}
	return kit_adder_finish(adding->adder, &root);
}

static int tristate(const struct http_connection *http, const char *name)
{
	const char *value = http_param(http, name, 0);

	return value ? http_flag(http, name, true) : -1;
}

static int converse(struct adding *adding, const struct kit_add_options *options)
{
	ANYIO_TASK_GROUP(group);
	int rc = anyio_try_start_soon(&group, send_lines, adding, "add answers");
	adding->unserved = rc != 0;
	if (!rc)
		rc = add_parts(adding, options);
	adding->failure = rc;
	adding->finished = true;
	anyio_event_set(adding->more);
	/* A failure to add is told to the client; only a lost client ends the conversation. */
	return anyio_task_group_exit(&group, rc == ANYIO_CANCELLED ? rc : 0);
}

int rpc_add(struct rpc_request *request)
{
	const struct http_connection *http = request->http;
	struct anyio_event more;
	struct adding adding = { .more = &more,
		.stream = { .request = request,
			.type = "application/json",
			.headers = "X-Chunked-Output: 1\r\n" } };
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	const char *version = http_param(http, "cid-version", 0),
		   *profile = http_param(http, "profile", 0),
		   *pin_name = http_param(http, "pin-name", 0);
	int rc;

	options.profile = profile && *profile ? profile : NULL;
	options.cid_version = !version || !*version ? -1
		: !strcmp(version, "0")             ? 0
		: !strcmp(version, "1")             ? 1
						    : 2;
	options.raw_leaves = tristate(http, "raw-leaves");
	options.chunker = http_param(http, "chunker", 0);
	options.only_hash = http_flag(http, "only-hash", false);
	options.no_pin = !http_flag(http, "pin", true);
	options.pin_name = pin_name && *pin_name ? pin_name : NULL;
	options.wrap = http_flag(http, "wrap-with-directory", false);
	options.recursive = options.hidden = true;
	adding.progress = http_flag(http, "progress", false);
	options.entry = on_entry;
	options.arg = &adding;
	if (options.cid_version > 1)
		return rpc_fail_text(request, -EINVAL, "cid-version is 0 or 1");
	anyio_event_init(&more);
	rc = multipart_open(&adding.parts, http->content_type, rpc_read_body, request->http);
	if (rc)
		return http_reply(request->http, 400, "text/plain",
			"a multipart/form-data body is required\n");
	request->http->holds_body = true;
	rc = converse(&adding, &options);
	request->http->holds_body = false;
	multipart_close(&adding.parts);
	anyio_free(adding.queue);
	kit_room_hold(request->room, &adding.held, 0);
	if (rc)
		return rc;
	if (adding.unserved)
		return rpc_fail_text(request, adding.failure, anyio_error_text(adding.failure));
	return rpc_stream_end(&adding.stream, adding.failure);
}
