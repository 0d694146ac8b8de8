/*
 * A segment goes out as the CAR file it is. The blocks of the log lie still once they are written, so that all of them
 * are verified first, and then copied by whoever can do it fastest.
 */
#include <store/wal.h>

#include <errno.h>
#include <string.h>
#include <ipld/car.h>
#include <multiformats/varint.h>
#include "copy.h"
#include "inner.h"
#include "replay.h"
#include "segment_adopted.h"
#include "segment_remote.h"

struct exporting {
	struct store *store;
	const struct store_wal_export_options *options;
	struct store_wal_exported *exported;
	struct segment_file *file;
	uint64_t from, to; /* bytes of the file that are the archive */
	uint64_t done, total;
};

static int tell(struct exporting *exporting, uint64_t done)
{
	const struct store_wal_export_options *options = exporting->options;

	return options->progress ? options->progress(options->arg, done, exporting->total) : 0;
}

static void add_fault(
	struct exporting *exporting, uint64_t from, uint64_t to, const struct mf_cid *cid)
{
	const struct store_wal_export_options *options = exporting->options;

	exporting->exported->faults++;
	if (options->fault)
		options->fault(options->arg, from, to, cid);
}

/* ---- What is exported ---- */

/* Of an adopted file: only of a CARv2 does the archive not begin with the file. */
static int find_adopted(struct exporting *exporting)
{
	const struct segment_adopted *adopted = exporting->file->adopted;
	uint8_t bytes[CAR_V2_SIZE];
	struct car_v2 v2;
	size_t len = adopted->from < sizeof(bytes) ? adopted->from : sizeof(bytes);
	int rc = anyio_pread_all(exporting->file->fd, bytes, len, 0);

	exporting->from = 0;
	exporting->to = adopted->to;
	if (rc < 0 || !car_is_v2(bytes, len))
		return rc;
	if (len == sizeof(bytes) && car_v2_decode(&v2, bytes) == 0 && v2.data_at < adopted->from)
		exporting->from = v2.data_at;
	return 0;
}

/* What is not durable yet is not promised to anybody. */
static int find_archive(struct exporting *exporting)
{
	const struct log *log = &exporting->store->log;
	struct segment_file *file = exporting->file;

	if (file->adopted)
		return find_adopted(exporting);
	exporting->to = file == log->active ? log->durable_end : file->size;
	return 0;
}

/* ---- Verifying ---- */

static int on_block(void *arg, const struct replay_block *block)
{
	return 0;
}

/* One that a collection has taken away, or cut, cannot be gone through any more. */
static int on_fault(void *arg, const struct replay_fault *fault)
{
	struct exporting *exporting = arg;

	if (!exporting->file->set || exporting->file->size < exporting->to)
		return -ENOENT;
	add_fault(exporting, fault->from, fault->to, fault->cid);
	return 0;
}

static int on_progress(void *arg, uint64_t bytes)
{
	struct exporting *exporting = arg;

	exporting->done += bytes;
	return tell(exporting, exporting->done);
}

/* Whether the header of an adopted archive ends where its sections begin. */
static bool is_header(const uint8_t *data, size_t size)
{
	struct car_header header;
	uint64_t len;
	int n = mf_varint_decode(data, size, &len);

	return n > 0 && len == size - n && car_header_decode(&header, data + n, len) == 0;
}

static int verify_header(struct exporting *exporting)
{
	const struct segment_file *file = exporting->file;
	uint64_t end = file->adopted ? file->adopted->from : SEGMENT_HEADER_SIZE;
	size_t size = end - exporting->from;
	uint8_t *data = size <= CAR_HEADER_MAX + MF_VARINT_READ_MAX ? anyio_malloc(size + 1) : NULL;
	int rc = data ? anyio_pread_all(file->fd, data, size, exporting->from) : -ENOMEM;

	if (rc == 0 &&
		!(file->adopted ? is_header(data, size) : !memcmp(data, segment_header, size)))
		add_fault(exporting, exporting->from, end, NULL);
	anyio_free(data);
	return rc;
}

static int verify(struct exporting *exporting)
{
	static const struct replay_calls calls = { on_block, on_fault, NULL, on_progress };
	static const struct index_position start = { 0 };
	struct segment_file *file = exporting->file;
	bool last = file == exporting->store->log.active;
	struct replay replay = {
		.store = exporting->store, .calls = &calls, .arg = exporting, .check_all = true
	};
	int rc = verify_header(exporting);

	if (rc == 0)
		rc = file->adopted ? replay_adopted(&replay, file)
				   : replay_segment(&replay, file, &start, exporting->to, last);
	if (rc == 0)
		rc = replay_finish(&replay);
	if (rc == 0 && last && replay.tail < exporting->to)
		add_fault(exporting, replay.tail, exporting->to, NULL);
	replay_free(&replay);
	return rc < 0 || !exporting->exported->faults ? rc : -EBADMSG;
}

/* ---- Copying ---- */

static int on_copied(void *arg, uint64_t done)
{
	struct exporting *exporting = arg;

	return tell(exporting, exporting->done + done);
}

static int write_piece(void *arg, const void *data, size_t len)
{
	const struct store_wal_export_options *options = ((struct exporting *)arg)->options;

	return options->write(options->arg, data, len);
}

static int copy_archive(struct exporting *exporting)
{
	const struct store_wal_export_options *options = exporting->options;
	struct copy copy = { .from = exporting->file->fd,
		.to = options->fd,
		.at = (off_t)exporting->from,
		.to_at = options->place ? 0 : -1,
		.len = exporting->to - exporting->from,
		.write = write_piece,
		.progress = on_copied,
		.arg = exporting };

	exporting->exported->bytes = copy.len;
	return copy_bytes(&copy);
}

/* Whose file it is may have written to it meanwhile, and set its time back, but for that of the change. */
static int check_unchanged(const struct segment_file *file, const struct timespec *changed)
{
	struct stat st;
	int rc = file->adopted ? anyio_fstat(file->fd, &st) : 0;

	if (rc < 0 || !file->adopted)
		return rc;
	return segment_adopted_is(file->adopted, &st) && st.st_ctim.tv_sec == changed->tv_sec &&
			st.st_ctim.tv_nsec == changed->tv_nsec
		? 0
		: -ESTALE;
}

/* The file is in use. */
static int export(struct exporting *exporting)
{
	bool unverified = exporting->options->unverified;
	struct stat before;
	int rc = anyio_fstat(exporting->file->fd, &before);

	if (rc == 0)
		rc = find_archive(exporting);
	exporting->total = (exporting->to - exporting->from) * (unverified ? 1 : 2);
	if (rc == 0 && !unverified)
		rc = verify(exporting);
	/* How far the verification came is told to the byte only when it is over. */
	exporting->done = exporting->total - (exporting->to - exporting->from);
	if (rc == 0)
		rc = copy_archive(exporting);
	return rc == 0 ? check_unchanged(exporting->file, &before.st_ctim) : rc;
}

int store_wal_export(struct store *store, uint32_t segment,
	const struct store_wal_export_options *options, struct store_wal_exported *exported)
{
	struct segment_set *segments = &store->segments;
	struct exporting exporting = { .store = store,
		.options = options,
		.exported = exported,
		.file = segment_set_find(segments, segment) };

	*exported =
		(struct store_wal_exported){ .remote = segment_set_find_remote(segments, segment) };
	if (!exporting.file)
		return -ENOENT;
	int rc = segment_file_use(segments, exporting.file);
	if (rc < 0)
		return rc;
	rc = export(&exporting);
	segment_file_release(exporting.file);
	return rc;
}
