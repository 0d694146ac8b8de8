/*
 * Writing the log's vector out. What lies on boundaries, in memory and in the file, goes straight to
 * the disk; the rest goes through the page cache, past it when it is much, and nobody is to find it there.
 */
#include <errno.h>
#include <anyio/anyio.h>
#include <store/block.h>
#include "collecting.h"

enum {
	HINT_SIZE = 8 << 20, /* bytes in the page cache after which write-out is started */
	BULK_SIZE = 1 << 20, /* a write of this many bytes goes past the page cache: filling fresh
	                      * pages of it costs more than the disk does */
};

static bool is_aligned(uint64_t offset, const void *data, size_t len)
{
	return (offset | (uintptr_t)data | len) % SEGMENT_ALIGN == 0;
}

bool log_is_bulk(const void *data, size_t len)
{
	return len >= STORE_BULK && is_aligned(0, data, len);
}

void log_open_direct(struct store *store)
{
	struct log *log = &store->log;

	if (log->no_direct || log->direct_fd >= 0)
		return;
	int fd = segment_file_open_direct(&store->segments, log->active);
	if (fd >= 0)
		log->direct_fd = fd;
	else if (fd != -EMFILE && fd != -ENFILE && fd != -ENOMEM && fd != ANYIO_CANCELLED)
		log->no_direct = true;
}

void log_close_direct(struct log *log)
{
	if (log->direct_fd >= 0)
		anyio_close(log->direct_fd);
	log->direct_fd = -1;
}

/* Those who read while a collection moves blocks find in the page cache what they had in it. */
static bool is_to_stay(const struct store *store)
{
	return store->collecting && collecting_is_sweeping(store->collecting) &&
		store_is_read(store);
}

static int write_cached(
	struct store *store, const struct iovec *iov, int count, uint64_t at, size_t len)
{
	struct log *log = &store->log;

	if (len >= BULK_SIZE && !is_to_stay(store))
		return anyio_pwritev_all_uncached(log->active->fd, iov, count, at);
	log->cached += len;
	return anyio_pwritev_all(log->active->fd, iov, count, at);
}

/* Some disks want more than a boundary: then it is the page cache after all. */
static int write_direct(
	struct store *store, const struct iovec *iov, int count, uint64_t at, size_t len)
{
	struct log *log = &store->log;
	int rc = anyio_pwritev_all(log->direct_fd, iov, count, at);

	if (rc != -EINVAL)
		return rc;
	log->no_direct = true;
	log_close_direct(log);
	return write_cached(store, iov, count, at, len);
}

/* Neighbours that can be written by one call, from the first: how many; their bytes go to *len. */
static int take_run(const struct iovec *iov, int count, uint64_t at, bool aligned, size_t *len)
{
	int n = 0;

	for (*len = 0; n < count; n++) {
		if (is_aligned(at + *len, iov[n].iov_base, iov[n].iov_len) != aligned)
			break;
		*len += iov[n].iov_len;
	}
	return n;
}

/* The vector, run by run. */
static int write_vector(void *arg)
{
	struct store *store = arg;
	struct log *log = &store->log;
	uint64_t at = log->base;
	int rc = 0;

	for (int i = 0, n; i < log->count && rc == 0; i += n) {
		const struct iovec *iov = &log->vector[i];
		bool direct = log->direct_fd >= 0 && is_aligned(at, iov->iov_base, iov->iov_len);
		size_t len = 0;

		if (log->direct_fd >= 0)
			n = take_run(iov, log->count - i, at, direct, &len);
		else
			for (n = 0; n < log->count - i; n++)
				len += iov[n].iov_len;
		rc = direct && len >= STORE_BULK ? write_direct(store, iov, n, at, len)
						 : write_cached(store, iov, n, at, len);
		at += len;
	}
	return rc;
}

int log_flush(struct store *store)
{
	struct log *log = &store->log;
	struct anyio_cancel_scope scope;

	if (log->count == 0)
		return 0;
	/* Cancelled before it begins, or not at all. */
	int rc = anyio_checkpoint_if_cancelled();
	if (rc < 0)
		return rc;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	rc = anyio_cancel_scope_run(&scope, write_vector, store);
	if (rc < 0) {
		log->torn = true;
		return rc;
	}
	log->base = log->active->size = log->end;
	log->staged = 0;
	log->count = 0;
	if (log->cached >= HINT_SIZE) {
		anyio_sync_range(log->active->fd, 0, log->base);
		log->cached = 0;
	}
	return 0;
}
