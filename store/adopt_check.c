/*
 * Looking through a CAR file that is to be adopted: header, sections, and every block through the gate. While the
 * blocks of one window are hashed, the next window is read.
 */
#include <errno.h>
#include <string.h>
#include <ipld/car.h>
#include <multiformats/multihash.h>
#include <multiformats/varint.h>
#include <store/gate.h>
#include "adopting.h"

enum {
	/* Sixteen blocks of 1 MiB, hashed side by side; and more than one of any length. */
	WINDOW_SIZE = (16 << 20) + (64 << 10),
	WINDOW_BLOCKS = 4096,
};

struct window {
	struct adopting *adopting;
	uint64_t at; /* bytes of the file that it begins with */
	size_t len;
	uint8_t *data;
	struct store_block *blocks;
	uint64_t *sections; /* where they stand in the file */
	int *results;
	size_t count;
};

struct check {
	struct adopting *adopting;
	uint64_t next;     /* the section to go on with */
	int failure;       /* of what comes behind the blocks of the window at hand */
	struct mf_cid cid; /* where it is, if has_cid */
	bool has_cid;
};

static int refuse(struct adopting *adopting, int rc, uint64_t at, const struct mf_cid *cid)
{
	adopting->result->at = at;
	adopting->result->has_cid = cid != NULL;
	if (cid)
		adopting->result->cid = *cid;
	return rc;
}

/* ---- The header ---- */

/* Where the archive is in the file. */
static int find_archive(struct adopting *adopting)
{
	struct segment_adopted *adopted = &adopting->adopted;
	uint8_t bytes[CAR_V2_SIZE];
	struct car_v2 v2;
	size_t len = adopted->size < sizeof(bytes) ? adopted->size : sizeof(bytes);
	int rc = anyio_pread_all(adopting->fd, bytes, len, 0);

	adopted->from = 0;
	adopted->to = adopted->size;
	if (rc < 0 || !car_is_v2(bytes, len))
		return rc;
	if (len < sizeof(bytes) || car_v2_decode(&v2, bytes) < 0 || v2.data_at > adopted->size ||
		v2.data_size > adopted->size - v2.data_at)
		return refuse(adopting, -EBADMSG, 0, NULL);
	adopted->from = v2.data_at;
	adopted->to = v2.data_at + v2.data_size;
	return 0;
}

static int take_roots(struct adopting *adopting, const struct car_header *header)
{
	adopting->roots = anyio_calloc(header->root_count + 1, sizeof(*adopting->roots));
	if (!adopting->roots)
		return -ENOMEM;
	adopting->root_count = car_header_roots(header, adopting->roots, header->root_count);
	return 0;
}

/* Leaves adopted->from at the first section. */
static int read_header(struct adopting *adopting)
{
	struct segment_adopted *adopted = &adopting->adopted;
	uint64_t there = adopted->to - adopted->from, len;
	uint8_t prefix[MF_VARINT_READ_MAX], *cbor;
	struct car_header header;
	size_t have = there < sizeof(prefix) ? there : sizeof(prefix);
	int rc = anyio_pread_all(adopting->fd, prefix, have, adopted->from);

	if (rc < 0)
		return rc;
	int n = mf_varint_decode(prefix, have, &len);
	if (n < 0)
		return refuse(adopting, -EBADMSG, adopted->from, NULL);
	if (len > CAR_HEADER_MAX)
		return refuse(adopting, -EMSGSIZE, adopted->from, NULL);
	if (len > there - n)
		return refuse(adopting, -EBADMSG, adopted->from, NULL);
	cbor = anyio_malloc(len + 1);
	rc = cbor ? anyio_pread_all(adopting->fd, cbor, len, adopted->from + n) : -ENOMEM;
	if (rc == 0 && car_header_decode(&header, cbor, len) < 0)
		rc = refuse(adopting, -EBADMSG, adopted->from, NULL);
	if (rc == 0)
		rc = take_roots(adopting, &header);
	anyio_free(cbor);
	adopted->from += n + len;
	return rc;
}

/* ---- Sections ---- */

static size_t block_max(const struct adopting *adopting)
{
	return adopting->options->big ? IPLD_BLOCK_BIG_MAX : IPLD_BLOCK_MAX;
}

/* The section at data, of which len bytes are there: its length; 0 when it is not whole, or wrong. */
static size_t parse(struct check *check, struct window *window, const uint8_t *data, size_t len)
{
	struct adopting *adopting = check->adopting;
	uint64_t left = adopting->adopted.to - check->next, size;
	bool last = len == left;
	int head = mf_varint_decode(data, len, &size);

	check->has_cid = false;
	if (head < 0 || size == 0) {
		if (head != -EAGAIN || last)
			check->failure = -EBADMSG;
		return 0;
	}
	size_t there = len - head < size ? len - head : size;
	ssize_t cid_len = mf_cid_decode(&check->cid, data + head, there);
	if (cid_len < 0) {
		if (there == size || there >= MF_CID_BYTES_MAX || last)
			check->failure = -EBADMSG;
		return 0;
	}
	check->has_cid = true;
	if (size - cid_len > block_max(adopting)) {
		check->failure = -EMSGSIZE;
		return 0;
	}
	if (size > left - head) {
		check->failure = -EBADMSG;
		adopting->result->cut = true;
		return 0;
	}
	if (check->cid.hash != MF_HASH_IDENTITY &&
		ipld_big_block_allowed(&check->cid, size - cid_len) < 0) {
		check->failure = -EPROTONOSUPPORT;
		return 0;
	}
	if (len < head + size)
		return 0;
	segment_sum_add(&adopting->sum, data, head + (size_t)cid_len);
	if (check->cid.hash != MF_HASH_IDENTITY) {
		window->sections[window->count] = check->next;
		window->blocks[window->count++] = (struct store_block){
			.cid = check->cid, .data = data + head + cid_len, .len = size - cid_len
		};
	}
	return head + size;
}

/* The sections that are whole in the window, up to the first that is wrong. */
static void parse_window(struct check *check, struct window *window)
{
	size_t at = 0, n;

	window->count = 0;
	while (at < window->len && window->count < WINDOW_BLOCKS &&
		(n = parse(check, window, window->data + at, window->len - at)) > 0) {
		at += n;
		check->next += n;
	}
}

/* Those that the repo has already. */
static int look_up(struct adopting *adopting, const struct window *window)
{
	struct store *store = adopting->store;
	struct index_place place;
	int rc = 0;

	for (size_t i = 0; i < window->count && rc == 0; i++) {
		const struct store_block *block = &window->blocks[i];

		adopting->result->blocks++;
		adopting->result->bytes += block->len;
		rc = store_find(store, &block->cid, &place);
		if (rc == 0)
			adopting->absent++;
		if (rc <= 0)
			continue;
		if (adopting->ticket < place.sequence)
			adopting->ticket = place.sequence;
		rc = store_touch(store, &place);
	}
	return rc;
}

static int check_blocks(struct adopting *adopting, struct window *window)
{
	int rc = window->count
		? store_gate_check_big(window->blocks, window->count, window->results)
		: 0;

	for (size_t i = 0; i < window->count && rc == 0; i++)
		if (window->results[i] < 0)
			return refuse(adopting, window->results[i], window->sections[i],
				&window->blocks[i].cid);
	return rc < 0 ? rc : look_up(adopting, window);
}

/* ---- Windows ---- */

static int read_window(void *arg)
{
	struct window *window = arg;

	return anyio_pread_all(window->adopting->fd, window->data, window->len, window->at);
}

/* What is read next. */
static void aim(const struct check *check, struct window *window)
{
	uint64_t left = check->adopting->adopted.to - check->next;

	window->at = check->next;
	window->len = left < WINDOW_SIZE ? left : WINDOW_SIZE;
}

/* The blocks of one window, while the next is read, if there is one. */
static int check_window(struct check *check, struct window *window, struct window *next)
{
	struct adopting *adopting = check->adopting;

	parse_window(check, window);
	aim(check, next);
	if (check->failure || next->len == 0)
		return check_blocks(adopting, window);
	ANYIO_TASK_GROUP(group);
	int rc = anyio_try_start_soon(&group, read_window, next, "read ahead");
	bool ahead = rc == 0;
	rc = check_blocks(adopting, window);
	rc = anyio_task_group_exit(&group, rc);
	return rc == 0 && !ahead ? read_window(next) : rc;
}

static int window_make(struct adopting *adopting, struct window *window)
{
	uint64_t all = adopting->adopted.to - adopting->adopted.from;

	window->adopting = adopting;
	window->data = anyio_malloc(all < WINDOW_SIZE ? all + 1 : WINDOW_SIZE);
	window->blocks = anyio_calloc(WINDOW_BLOCKS, sizeof(*window->blocks));
	window->sections = anyio_calloc(WINDOW_BLOCKS, sizeof(*window->sections));
	window->results = anyio_calloc(WINDOW_BLOCKS, sizeof(*window->results));
	return window->data && window->blocks && window->sections && window->results ? 0 : -ENOMEM;
}

static void window_free(struct window *window)
{
	anyio_free(window->data);
	anyio_free(window->blocks);
	anyio_free(window->sections);
	anyio_free(window->results);
}

static int check_sections(struct adopting *adopting, struct window windows[2])
{
	const struct store_adopt_options *options = adopting->options;
	struct check check = { .adopting = adopting, .next = adopting->adopted.from };
	int rc;

	aim(&check, &windows[0]);
	rc = read_window(&windows[0]);
	for (size_t turn = 0; rc == 0 && windows[turn].len > 0; turn = !turn) {
		rc = check_window(&check, &windows[turn], &windows[!turn]);
		if (rc == 0 && check.failure)
			rc = refuse(adopting, check.failure, check.next,
				check.has_cid ? &check.cid : NULL);
		if (rc == 0 && options->progress)
			rc = options->progress(options->arg, check.next, adopting->adopted.size);
	}
	return rc;
}

/* Whoever has it too may have written to it meanwhile. */
static int is_unchanged(struct adopting *adopting)
{
	struct stat st;
	int rc = anyio_fstat(adopting->fd, &st);

	return rc < 0 ? rc : segment_adopted_is(&adopting->adopted, &st) ? 0 : -ESTALE;
}

int adopt_check(struct adopting *adopting)
{
	struct window windows[2] = { 0 };
	int rc = find_archive(adopting);

	segment_sum_start(&adopting->sum, &adopting->store->keys);
	if (rc == 0)
		rc = read_header(adopting);
	if (rc == 0)
		rc = window_make(adopting, &windows[0]);
	if (rc == 0)
		rc = window_make(adopting, &windows[1]);
	if (rc == 0)
		rc = check_sections(adopting, windows);
	window_free(&windows[0]);
	window_free(&windows[1]);
	segment_sum_get(&adopting->sum, adopting->adopted.heads);
	adopting->adopted.summed = true;
	if (rc == ANYIO_INCOMPLETE_READ)
		rc = -ESTALE;
	return rc < 0 ? rc : is_unchanged(adopting);
}
