/*
 * A parallel downloader: plain HTTP/1.1, several URLs at once, each with a deadline, all with one.
 *
 * A conversation is straight-line code over a stream: send the request, read the head, copy the
 * body. Deadlines are scopes put around it; nothing inside knows of them. One download that
 * fails is its own matter; when the time for all is up, those that are still going are cancelled.
 */
#include <anyio/anyio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE_SIZE = 2048, HEAD_LINES_MAX = 100 };

static struct {
	const char *directory;
	unsigned long each, total; /* seconds */
	bool quiet;
} arguments = { .directory = ".", .each = 30, .total = 300 };

struct download {
	const char *url, *path; /* path begins at its slash, in url */
	char host[256], file[4096];
	uint16_t port;
	int fd;
	struct anyio_reader reader;
	uint64_t got, size; /* bytes of the body; size 0: not known */
	bool chunked, sized;
	unsigned status;
	int rc;
};

static int bad(struct download *download)
{
	return download->rc = -EPROTO;
}

/* One line of the head without its end. */
static int read_line(struct download *download, char line[LINE_SIZE])
{
	ssize_t size = anyio_reader_receive_until(&download->reader, "\n", 1, line, LINE_SIZE - 1);

	if (size < 0)
		return size == ANYIO_DELIMITER_NOT_FOUND ? -EPROTO : (int)size;
	if (size > 0 && line[size - 1] == '\r')
		size--;
	line[size] = 0;
	return 0;
}

static int read_head(struct download *download)
{
	char line[LINE_SIZE];
	int rc = read_line(download, line);

	if (rc < 0)
		return rc;
	if (sscanf(line, "HTTP/1.%*1[01] %3u", &download->status) != 1)
		return -EPROTO;
	for (int i = 0; i < HEAD_LINES_MAX; i++) {
		if ((rc = read_line(download, line)) < 0)
			return rc;
		if (!*line)
			return download->status == 200 ? 0 : -EPROTO;
		if (strncasecmp(line, "Content-Length:", 15) == 0) {
			download->size = strtoull(line + 15, NULL, 10);
			download->sized = true;
		} else if (strncasecmp(line, "Transfer-Encoding:", 18) == 0) {
			download->chunked = strstr(line + 18, "chunked") != NULL;
		}
	}
	return -EPROTO;
}

/* Copies size bytes to the file, or what comes until the end when to_end is set. */
static int copy(struct download *download, uint64_t size, bool to_end)
{
	const uint8_t *data;

	while (size > 0 || to_end) {
		ssize_t n = anyio_reader_peek(&download->reader, 1, &data);
		if (n == 0)
			return to_end ? 0 : ANYIO_INCOMPLETE_READ;
		if (n < 0)
			return (int)n;
		if (!to_end && (uint64_t)n > size)
			n = (ssize_t)size;
		int rc = anyio_write_all(download->fd, data, (size_t)n);
		if (rc < 0)
			return rc;
		anyio_reader_consume(&download->reader, (size_t)n);
		download->got += (uint64_t)n;
		size -= to_end ? 0 : (uint64_t)n;
	}
	return 0;
}

/* A size in hexadecimal before each chunk, an empty line after it, and a chunk of 0 at the end. */
static int copy_chunks(struct download *download)
{
	char line[LINE_SIZE], *end;
	int rc;

	while ((rc = read_line(download, line)) == 0) {
		uint64_t size = strtoull(line, &end, 16);
		if (end == line || size > INT64_MAX)
			return -EPROTO;
		if (size == 0)
			return 0; /* the connection is closed anyway: trailers are not read */
		if ((rc = copy(download, size, false)) < 0 || (rc = read_line(download, line)) < 0)
			return rc;
		if (*line)
			return -EPROTO;
	}
	return rc;
}

static int converse(struct download *download, struct anyio_stream *stream)
{
	char request[LINE_SIZE];
	int size = snprintf(request, sizeof request,
		"GET %s HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\nUser-Agent: fetch\r\n\r\n",
		*download->path ? download->path : "/", download->host, download->port);

	if (size >= (int)sizeof request)
		return -ENAMETOOLONG;
	int rc = anyio_stream_send(stream, request, (size_t)size);
	if (rc == 0)
		rc = read_head(download);
	if (rc == 0)
		rc = download->chunked ? copy_chunks(download)
				       : copy(download, download->size, !download->sized);
	return rc;
}

static int transfer(void *arg)
{
	struct download *download = arg;
	struct anyio_stream *stream;
	int rc = anyio_connect_tcp(download->host, download->port, &stream);

	if (rc < 0)
		return rc;
	anyio_reader_init(&download->reader, stream, 64 * 1024);
	rc = converse(download, stream);
	anyio_reader_destroy(&download->reader);
	anyio_stream_free(stream);
	return rc;
}

/* What was not downloaded whole leaves no file. */
static int run_download(void *arg)
{
	struct download *download = arg;

	download->fd = anyio_open(download->file, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (download->fd < 0) {
		download->rc = download->fd;
		return download->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
	}
	download->rc = ANYIO_CANCELLED; /* until it is known better */
	download->rc =
		anyio_fail_after((anyio_time)arguments.each * ANYIO_SECOND, transfer, download);
	anyio_close(download->fd);
	if (download->rc < 0)
		remove(download->file);
	return download->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

struct batch {
	struct download *downloads;
	size_t count;
};

static int show_progress(void *arg)
{
	struct batch *batch = arg;
	int rc;

	while ((rc = anyio_sleep(200 * ANYIO_MILLISECOND)) == 0) {
		for (size_t i = 0; i < batch->count; i++) {
			const struct download *at = &batch->downloads[i];
			fprintf(stderr, at->size ? "%s %3llu%%  " : "%s %llu bytes  ", at->file,
				(unsigned long long)(at->size ? at->got * 100 / at->size
							      : at->got));
		}
		fputc('\n', stderr);
	}
	return rc;
}

static int download_all(void *arg)
{
	struct batch *batch = arg;

	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < batch->count; i++)
		anyio_start_soon(
			&group, run_download, &batch->downloads[i], batch->downloads[i].url);
	return anyio_task_group_exit(&group, 0);
}

static int body(void *arg)
{
	struct batch *batch = arg;

	ANYIO_TASK_GROUP(group);
	if (!arguments.quiet)
		anyio_start_soon(&group, show_progress, batch, "progress");
	int rc = anyio_move_on_after(
		(anyio_time)arguments.total * ANYIO_SECOND, download_all, batch);
	anyio_task_group_cancel(&group, "done"); /* progress would go on for ever */
	return anyio_task_group_exit(&group, rc);
}

/* http://HOST[:PORT][/PATH]; the file is called as the path's last name. */
static int parse_url(struct download *download, const char *url)
{
	unsigned port = 80;
	int end = 0, host = 0;

	download->url = url;
	if (sscanf(url, "http://%255[^/:]%n:%5u%n", download->host, &host, &port, &end) < 1)
		return bad(download);
	download->path = url + (end > host ? end : host);
	if (port == 0 || port > UINT16_MAX || (*download->path && *download->path != '/'))
		return bad(download);
	download->port = (uint16_t)port;
	const char *name = strrchr(download->path, '/');
	name = name && name[1] ? name + 1 : "index.html";
	int size =
		snprintf(download->file, sizeof download->file, "%s/%s", arguments.directory, name);
	return size < (int)sizeof download->file && strcmp(name, "..") != 0 ? 0 : bad(download);
}

static int report(const struct batch *batch)
{
	int failed = 0;

	for (size_t i = 0; i < batch->count; i++) {
		const struct download *at = &batch->downloads[i];
		if (at->rc == 0)
			printf("%s: %llu bytes\n", at->file, (unsigned long long)at->got);
		else if (at->status && at->status != 200)
			printf("%s: status %u\n", at->url, at->status);
		else
			printf("%s: %s\n", at->url, anyio_error_text(at->rc));
		failed |= at->rc != 0;
	}
	return failed;
}

static char **parse(char **argv)
{
	for (; *argv && strncmp(*argv, "--", 2) == 0; argv++) {
		if (strcmp(*argv, "--quiet") == 0) {
			arguments.quiet = true;
		} else if (!argv[1]) {
			return NULL;
		} else if (strcmp(*argv, "--directory") == 0) {
			arguments.directory = *++argv;
		} else {
			unsigned long seconds = strtoul(argv[1], NULL, 10);
			bool each = strcmp(*argv, "--each") == 0;
			if ((!each && strcmp(*argv, "--total") != 0) || !seconds || seconds > 86400)
				return NULL;
			*(each ? &arguments.each : &arguments.total) = seconds;
			argv++;
		}
	}
	return *argv ? argv : NULL;
}

int main(int argc, char **argv)
{
	char **urls = parse(argv + 1);

	if (!urls) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: fetch [--directory DIR] [--each SECONDS] [--total SECONDS] [--quiet] URL...\n\n"
			"Downloads http:// URLs at the same time into new files of DIR (here), each within\n"
			"30 s and all within 300 s. 1 when one of them could not be had.\n");
		return help ? 0 : 2;
	}
	struct batch batch = { calloc((size_t)argc, sizeof(struct download)), 0 };
	for (; batch.downloads && *urls; batch.count++)
		if (parse_url(&batch.downloads[batch.count], *urls++) < 0) {
			fprintf(stderr, "fetch: not a URL of http: %s\n", urls[-1]);
			free(batch.downloads);
			return 2;
		}
	int rc = batch.downloads ? anyio_run(body, &batch, NULL) : -ENOMEM;
	int failed = report(&batch);
	if (rc < 0)
		fprintf(stderr, "fetch: %s\n", anyio_error_text(rc));
	free(batch.downloads);
	return rc == ANYIO_CANCELLED ? 130 : rc < 0 || failed;
}
