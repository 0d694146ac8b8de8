/*
 * UNIX datagrams, as a system's log takes them: whole, in order, and none is lost.
 */
#include <anyio/datagram.h>
#include <anyio/file.h>
#include <stdio.h>

static int log_to(const char *path, void *arg)
{
	struct anyio_datagram *log, *program;
	struct anyio_datagram_info info;
	struct anyio_address address;
	char place[120], line[64];
	ssize_t size = 0;

	snprintf(place, sizeof place, "%s/log", path);
	int rc = anyio_address_unix(&address, place);
	if (rc < 0 || (rc = anyio_datagram_bind(&address, NULL, &log)) < 0)
		return rc;
	if ((rc = anyio_datagram_connect(&address, NULL, NULL, &program)) == 0) {
		rc = anyio_datagram_send(program, "disk is full", 12);
		if (rc == 0)
			rc = anyio_datagram_send(program, "disk is empty", 13);
		anyio_datagram_free(program);
	}
	for (int i = 0; i < 2 && rc == 0; i++) {
		size = anyio_datagram_receive(log, line, sizeof line, &info);
		rc = size < 0 ? (int)size : 0;
		if (rc == 0) /* a socket without a name cannot be answered */
			printf("%s: %.*s\n", info.from.len ? "named" : "nameless", (int)size, line);
	}
	anyio_datagram_free(log);
	return rc;
}

static int body(void *arg)
{
	return anyio_temporary_directory_run(NULL, log_to, NULL);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "datagram_unix: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * nameless: disk is full
 * nameless: disk is empty
 */
