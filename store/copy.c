#include "copy.h"

#include <errno.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <anyio/anyio.h>

enum {
	PIECE = 64 << 20, /* copied by one call */
	WINDOW_SIZE = 256 << 10,
};

/* From the best to what always goes. */
enum way { RANGE, SEND, THROUGH };

struct step {
	struct copy *copy;
	enum way way;
	uint8_t *window; /* of THROUGH */
	size_t len;
	ssize_t copied;
};

/* Descriptors that are not the kernel's are not to be shown to it. Whoever writes to another's pipe or socket has to be
 * able to stop, which in these calls he is not; and what the kernel moves into a pipe are the file's own pages, which
 * change when a sweep cuts it before they are read there. */
static enum way first_way(const struct copy *copy)
{
	struct stat st;

	if (copy->to < 0 || strcmp(anyio_backend_name(), "sim") == 0)
		return THROUGH;
	if (copy->to_at >= 0)
		return RANGE;
	if (fstat(copy->to, &st) < 0)
		return THROUGH;
	return S_ISREG(st.st_mode) ? SEND : THROUGH;
}

static bool kernel_cannot(int rc)
{
	return rc == -EXDEV || rc == -ENOSYS || rc == -EOPNOTSUPP || rc == -EINVAL;
}

static enum way next_way(const struct copy *copy, enum way way)
{
	return way == RANGE && copy->to_at >= 0 ? SEND : THROUGH;
}

static int range_work(void *arg)
{
	struct step *step = arg;
	off_t from = step->copy->at, to = step->copy->to_at;

	step->copied = copy_file_range(step->copy->from, &from, step->copy->to, &to, step->len, 0);
	return step->copied < 0 ? -errno : 0;
}

/* It knows no place to write to but the descriptor's own. */
static int send_work(void *arg)
{
	struct step *step = arg;
	off_t from = step->copy->at, to = step->copy->to_at;

	if (to >= 0 && lseek(step->copy->to, to, SEEK_SET) < 0)
		return -errno;
	step->copied = sendfile(step->copy->to, step->copy->from, &from, step->len);
	return step->copied < 0 ? -errno : 0;
}

static int write_step(struct step *step)
{
	struct copy *copy = step->copy;

	if (copy->to < 0)
		return copy->write(copy->arg, step->window, (size_t)step->copied);
	return copy->to_at < 0
		? anyio_write_all(copy->to, step->window, (size_t)step->copied)
		: anyio_pwrite_all(copy->to, step->window, (size_t)step->copied, copy->to_at);
}

static int through_step(struct step *step)
{
	if (!step->window && !(step->window = anyio_malloc(WINDOW_SIZE)))
		return -ENOMEM;
	if (step->len > WINDOW_SIZE)
		step->len = WINDOW_SIZE;
	step->copied = anyio_pread(step->copy->from, step->window, step->len, step->copy->at);
	if (step->copied <= 0)
		return (int)step->copied;
	return write_step(step);
}

static int copy_step(struct step *step)
{
	switch (step->way) {
	case RANGE: return anyio_to_thread(range_work, step, NULL);
	case SEND: return anyio_to_thread(send_work, step, NULL);
	case THROUGH: break;
	}
	return through_step(step);
}

/* Those bytes are there now. */
static int advance(struct copy *copy, size_t copied, uint64_t *done)
{
	copy->at += copied;
	copy->len -= copied;
	*done += copied;
	if (copy->to_at >= 0)
		copy->to_at += copied;
	int rc = copy->progress ? copy->progress(copy->arg, *done) : 0;
	return rc == 0 ? anyio_checkpoint() : rc;
}

int copy_bytes(struct copy *copy)
{
	struct step step = { .copy = copy, .way = first_way(copy) };
	uint64_t done = 0;
	int rc = 0;

	while (copy->len > 0 && rc == 0) {
		step.len = copy->len < PIECE ? copy->len : PIECE;
		rc = copy_step(&step);
		if (kernel_cannot(rc) && step.way != THROUGH) {
			step.way = next_way(copy, step.way);
			rc = 0;
			continue;
		}
		if (rc == 0 && step.copied == 0)
			rc = -ESTALE;
		if (rc == 0)
			rc = advance(copy, (size_t)step.copied, &done);
	}
	anyio_free(step.window);
	return rc;
}
