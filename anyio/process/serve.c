/* A child that answers requests, as it sees itself: no loop, calls that block. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <anyio/process.h>
#include "../core/core.h"
#include "frame.h"

/* All of it: 1; 0 when it ended before the first byte; -EPROTO when inside. */
static int read_whole(int fd, void *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, (char *)buffer + done, size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return done == 0 ? 0 : -EPROTO;
		done += n > 0 ? (size_t)n : 0;
	}
	return 1;
}

static int answer(int out, anyio_worker_fn fn, uint64_t number, const void *request, size_t size)
{
	struct frame frame = { .kind = FRAME_ANSWER, .number = number };
	void *data = NULL;
	size_t data_size = 0;
	int rc;

	frame.result = fn(request, size, &data, &data_size);
	frame.size = data_size;
	rc = anyio_write_blocking(out, &frame, sizeof(frame));
	if (rc == 0)
		rc = anyio_write_blocking(out, data, data_size);
	anyio_free(data);
	return rc;
}

/* 1 when there may be more, 0 at the end. */
static int serve_one(int in, int out, anyio_worker_fn fn, size_t most)
{
	struct frame frame;
	void *request;
	int rc = read_whole(in, &frame, sizeof(frame));

	if (rc <= 0)
		return rc;
	if (frame.kind != FRAME_REQUEST)
		return -EPROTO;
	if (frame.size > most)
		return -EOVERFLOW;
	request = anyio_malloc((size_t)frame.size + 1);
	if (request == NULL)
		return -ENOMEM;
	rc = read_whole(in, request, (size_t)frame.size);
	if (rc == 0)
		rc = -EPROTO;
	if (rc > 0)
		rc = answer(out, fn, frame.number, request, (size_t)frame.size);
	anyio_free(request);
	return rc < 0 ? rc : 1;
}

/* Takes the two descriptors that carry the requests out of everybody else's way. */
static int descriptors_take(int *in, int *out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), rc = 0;

	*in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	*out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (null < 0 || *in < 0 || *out < 0 || dup2(null, STDIN_FILENO) < 0 ||
		(dup2(STDERR_FILENO, STDOUT_FILENO) < 0 && dup2(null, STDOUT_FILENO) < 0))
		rc = -errno;
	if (null >= 0)
		close(null);
	return rc;
}

int anyio_worker_serve(anyio_worker_fn fn, size_t max_request)
{
	size_t most = max_request == 0 ? FRAME_MOST_DEFAULT : max_request;
	int in, out, rc = descriptors_take(&in, &out);

	if (most > SIZE_MAX / 2)
		most = SIZE_MAX / 2;
	if (rc == 0)
		do
			rc = serve_one(in, out, fn, most);
		while (rc > 0);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return rc;
}
