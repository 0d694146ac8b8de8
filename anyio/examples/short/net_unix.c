/*
 * A UNIX socket over which an open file is handed to another: who gets it may have no right to open it.
 */
#include <anyio/file.h>
#include <anyio/net.h>
#include <stdio.h>

static int give(struct anyio_stream *stream)
{
	int fd = anyio_temporary_file_unnamed(NULL);

	if (fd < 0)
		return fd;
	struct anyio_descriptors descriptors = { .count = 1, .fds = { fd } };
	int rc = anyio_pwrite_all(fd, "in the file", 11, 0);
	if (rc == 0)
		rc = anyio_stream_send_descriptors(stream, "here", 4, &descriptors, NULL);
	anyio_close(fd); /* the other side has its own */
	return rc;
}

static int take(struct anyio_stream *stream)
{
	struct anyio_descriptors descriptors;
	char word[4], text[11];
	ssize_t size = anyio_stream_receive_descriptors(stream, word, sizeof word, &descriptors);

	if (size < 0)
		return (int)size;
	printf("%.*s: %zu descriptor\n", (int)size, word, descriptors.count);
	int rc = descriptors.count == 1 ? anyio_pread_all(descriptors.fds[0], text, sizeof text, 0)
					: ANYIO_BROKEN;
	if (rc == 0)
		printf("%.11s\n", text);
	anyio_descriptors_close(&descriptors);
	return rc;
}

static int use(const char *dir, void *arg)
{
	/* Whoever does not ask for descriptors is sent none. */
	struct anyio_listen_options options = { .descriptors = true };
	struct anyio_stream *client = NULL, *server = NULL;
	struct anyio_listener *listener;
	char path[120];

	snprintf(path, sizeof path, "%s/socket", dir);
	int rc = anyio_listen_unix(path, &options, &listener);
	if (rc < 0)
		return rc;
	rc = anyio_connect_unix(path, &client);
	if (rc == 0)
		rc = anyio_accept(listener, &server);
	if (rc == 0)
		rc = give(client);
	if (rc == 0)
		rc = take(server);
	anyio_stream_free(client);
	anyio_stream_free(server);
	anyio_listener_free(listener);
	return rc;
}

static int body(void *arg)
{
	return anyio_temporary_directory_run(NULL, use, NULL);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "net_unix: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * here: 1 descriptor
 * in the file
 */
