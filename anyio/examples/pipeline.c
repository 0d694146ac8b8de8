/*
 * A pipeline over memory streams: lines come in, several workers turn each into its digest, and one
 * task writes them out.
 *
 *	read_lines -> (lines) -> digest, digest, ... -> (results) -> write_results
 *
 * Each arrow is a bounded queue: when the output stands still so does everything before it, and a
 * file of any size goes through in the same memory. Each stage closes its ends when it is done.
 * The next one sees the end of its stream when the last of those before it has closed, and closes
 * in turn: so the end runs down the pipeline, and so does a failure.
 */
#include <anyio/anyio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_SIZE = 1000, QUEUE = 16 };

struct line {
	unsigned long number;
	size_t size;
	char text[LINE_MAX_SIZE];
};

struct result {
	unsigned long number;
	uint64_t digest;
};

/* The ends that one stage owns. */
struct stage {
	struct anyio_receiver *in;
	struct anyio_sender *out;
};

/* What a read gives that does not keep the program from being interrupted: the wait is cancelled at
 * once, where a read on a worker thread would have to be waited for. */
static ssize_t read_some(void *buffer, size_t size)
{
	int rc = anyio_wait_readable(0);

	if (rc < 0 && rc != -EPERM) /* plain files are always readable, and say so this way */
		return rc;
	return anyio_read(0, buffer, size);
}

static int read_lines(void *arg)
{
	struct stage *stage = arg;
	struct line line = { .number = 1 };
	char buffer[4096];
	ssize_t size = 0;
	int rc = 0;

	while (rc == 0 && (size = read_some(buffer, sizeof buffer)) > 0) {
		for (ssize_t i = 0; i < size && rc == 0; i++) {
			bool ends = buffer[i] == '\n';
			if (!ends && line.size == LINE_MAX_SIZE)
				rc = -EOVERFLOW;
			else if (!ends)
				line.text[line.size++] = buffer[i];
			else if ((rc = anyio_send(stage->out, &line)) == 0)
				line = (struct line){ .number = line.number + 1 };
		}
	}
	if (rc == 0 && size == 0 && line.size > 0)
		rc = anyio_send(stage->out, &line);
	anyio_sender_close(stage->out);
	return size < 0 ? (int)size : rc;
}

static int digest(void *arg)
{
	struct stage *stage = arg;
	struct line line;
	int rc;

	while ((rc = anyio_receive(stage->in, &line)) == 0) {
		struct result result = { line.number, 14695981039346656037u }; /* FNV-1a */
		for (size_t i = 0; i < line.size; i++)
			result.digest =
				(result.digest ^ (unsigned char)line.text[i]) * 1099511628211u;
		if ((rc = anyio_send(stage->out, &result)) < 0)
			break;
	}
	anyio_receiver_close(stage->in);
	anyio_sender_close(stage->out);
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

static int write_results(void *arg)
{
	struct stage *stage = arg;
	struct result result;
	char text[64];
	int rc;

	while ((rc = anyio_receive(stage->in, &result)) == 0) {
		int size = snprintf(text, sizeof text, "%lu %016llx\n", result.number,
			(unsigned long long)result.digest);
		if ((rc = anyio_write_all(1, text, (size_t)size)) < 0)
			break;
	}
	anyio_receiver_close(stage->in);
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

static int run_stages(
	struct stage *reader, struct stage *workers, size_t count, struct stage *writer)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, read_lines, reader, "reader");
	for (size_t i = 0; i < count; i++)
		anyio_start_soon(&group, digest, &workers[i], "digest");
	anyio_start_soon(&group, write_results, writer, "writer");
	return anyio_task_group_exit(&group, 0);
}

/* The first worker gets the original ends, the others clones: each closes its own. */
static int body(void *arg)
{
	size_t count = *(size_t *)arg;
	struct stage reader, writer, workers[64];
	int rc =
		anyio_channel_create(sizeof(struct line), QUEUE, NULL, &reader.out, &workers[0].in);

	if (rc == 0)
		rc = anyio_channel_create(
			sizeof(struct result), QUEUE, NULL, &workers[0].out, &writer.in);
	for (size_t i = 1; i < count && rc == 0; i++) {
		rc = anyio_receiver_clone(workers[0].in, &workers[i].in);
		if (rc == 0)
			rc = anyio_sender_clone(workers[0].out, &workers[i].out);
	}
	return rc ? rc : run_stages(&reader, workers, count, &writer);
}

int main(int argc, char **argv)
{
	char *end = "";
	size_t workers = 4;

	if (argc == 3 && strcmp(argv[1], "--workers") == 0)
		workers = strtoul(argv[2], &end, 10);
	else if (argc > 1)
		workers = 0;
	if (*end || workers < 1 || workers > 64) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: pipeline [--workers N]\n\n"
			"Writes number and FNV-1a digest of each line of standard input, in the order in\n"
			"which N (4, at most 64) workers are done with them.\n");
		return help ? 0 : 2;
	}
	int rc = anyio_run(body, &workers, NULL);
	if (rc < 0)
		fprintf(stderr, "pipeline: %s\n", anyio_error_text(rc));
	return rc == ANYIO_CANCELLED ? 130 : rc < 0;
}
