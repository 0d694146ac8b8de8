/*
 * The CAR stream reader. Whatever it reads next is a "unit": a varint length and that many bytes
 * (the header, then sections), or one of version 2's fixed pieces. A unit that lies whole in the
 * caller's bytes is used in place; else it is gathered in a buffer that doubles as bytes arrive, so
 * a length that lies costs no more than the bytes that were really sent.
 */
#include <ipld/car.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/varint.h>

enum { V2_PRAGMA_SIZE = 11, V2_HEADER_SIZE = CAR_V2_SIZE - V2_PRAGMA_SIZE };

enum stage {
	STAGE_FIRST,
	STAGE_V2_HEADER,
	STAGE_PADDING,
	STAGE_HEADER,
	STAGE_SECTIONS,
	STAGE_REST, /* of a block that comes in pieces */
	STAGE_TAIL,
};

struct car_reader {
	enum stage stage;
	bool zeros_end;
	bool in_pieces;
	size_t rest;      /* bytes of the block that are still to come */
	uint64_t at;      /* bytes of the stream used up */
	uint64_t start;   /* version 2: where the payload starts */
	uint64_t end;     /* where it ends; UINT64_MAX in version 1 */
	uint8_t *buffer;  /* the unit being gathered, or the one just given out */
	size_t held, cap; /* bytes in buffer and its room */
	bool given;       /* the buffer's unit was given out; forget it at the next call */
};

int car_reader_new(struct car_reader **out, bool zeros_end)
{
	struct car_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->zeros_end = zeros_end;
	r->end = UINT64_MAX;
	*out = r;
	return 0;
}

void car_reader_in_pieces(struct car_reader *r)
{
	r->in_pieces = true;
}

void car_reader_free(struct car_reader *r)
{
	if (r)
		free(r->buffer);
	free(r);
}

static int grow(struct car_reader *r, size_t need)
{
	size_t cap = r->cap ? r->cap : 256;

	while (cap < need)
		cap *= 2;
	if (cap == r->cap)
		return 0;
	uint8_t *grown = realloc(r->buffer, cap);
	if (!grown)
		return -ENOMEM;
	r->buffer = grown;
	r->cap = cap;
	return 0;
}

/* Moves bytes from the input to the buffer until it holds want. Returns 1 when it does, 0 when the
 * input ran out. */
static int gather(struct car_reader *r, const uint8_t **data, size_t *len, size_t want)
{
	size_t n = want - r->held < *len ? want - r->held : *len;

	if (n) {
		int rc = grow(r, r->held + n);
		if (rc < 0)
			return rc;
		memcpy(r->buffer + r->held, *data, n);
		r->held += n;
		*data += n;
		*len -= n;
	}
	return r->held == want;
}

/* Takes a unit of size bytes, in place when it is whole. */
static int take(
	struct car_reader *r, const uint8_t **data, size_t *len, size_t size, const uint8_t **unit)
{
	if (!r->held && *len >= size) {
		*unit = *data;
		*data += size;
		*len -= size;
	} else {
		int rc = gather(r, data, len, size);
		if (rc <= 0)
			return rc;
		*unit = r->buffer;
		r->given = true;
	}
	r->at += size;
	return 1;
}

/* Reads the length of the next unit, gathering it byte by byte when it is split. Returns the bytes
 * of the length itself, 0 when more input is needed. The length stays part of the unit. */
static int peek_length(struct car_reader *r, const uint8_t **data, size_t *len, uint64_t *length)
{
	int n;

	if (!r->held) {
		n = mf_varint_decode(*data, *len, length);
	} else {
		n = mf_varint_decode(r->buffer, r->held, length);
		while (n == -EAGAIN && *len) {
			int rc = gather(r, data, len, r->held + 1);
			if (rc < 0)
				return rc;
			n = mf_varint_decode(r->buffer, r->held, length);
		}
	}
	if (n == -EAGAIN) {
		int rc = gather(r, data, len, r->held + *len);
		return rc < 0 ? rc : 0;
	}
	return n < 0 ? -EBADMSG : n;
}

/* Takes the next unit that starts with its length, at most limit bytes after it; or, if it is not there whole, only
 * the length and the first least bytes. */
static int take_unit(struct car_reader *r, const uint8_t **data, size_t *len, uint64_t limit,
	size_t least, const uint8_t **unit, size_t *head, size_t *size)
{
	uint64_t length;
	int n = peek_length(r, data, len, &length);

	if (n <= 0)
		return n;
	if (length > limit)
		return -EMSGSIZE;
	if (length + (unsigned)n > r->end - r->at)
		return -EBADMSG;
	*head = (size_t)n;
	*size = (size_t)length;
	if (*size > least && (r->held || *len < *head + *size))
		*size = least;
	return take(r, data, len, *head + *size, unit);
}

static int read_v2_header(struct car_reader *r, const uint8_t *unit)
{
	struct car_v2 v2 = { 0 };
	uint8_t whole[CAR_V2_SIZE];

	/* The pragma went by before. */
	car_v2_encode(&v2, whole);
	memcpy(whole + V2_PRAGMA_SIZE, unit, V2_HEADER_SIZE);
	int rc = car_v2_decode(&v2, whole);
	if (rc < 0)
		return rc;
	r->start = v2.data_at;
	r->end = v2.data_at + v2.data_size;
	r->stage = STAGE_PADDING;
	return 0;
}

static void skip(struct car_reader *r, const uint8_t **data, size_t *len, uint64_t until)
{
	size_t n = until - r->at < *len ? (size_t)(until - r->at) : *len;

	r->at += n;
	*data += n;
	*len -= n;
}

static int next_header(
	struct car_reader *r, const uint8_t **data, size_t *len, struct car_event *event)
{
	const uint8_t *unit;
	size_t head, size;
	int rc = take_unit(r, data, len, CAR_HEADER_MAX, SIZE_MAX, &unit, &head, &size);

	if (rc <= 0)
		return rc;
	if (r->stage == STAGE_FIRST && head + size == V2_PRAGMA_SIZE &&
		car_is_v2(unit, head + size)) {
		r->stage = STAGE_V2_HEADER;
		return 0;
	}
	event->kind = CAR_HEADER;
	if (car_header_decode(&event->header, unit + head, size) < 0)
		return -EBADMSG;
	r->stage = STAGE_SECTIONS;
	return 1;
}

static int next_section(
	struct car_reader *r, const uint8_t **data, size_t *len, struct car_event *event)
{
	struct car_section section;
	const uint8_t *unit;
	size_t head, size;
	int rc;

	event->section_at = r->at;
	rc = take_unit(r, data, len, CAR_SECTION_MAX, r->in_pieces ? MF_CID_BYTES_MAX : SIZE_MAX,
		&unit, &head, &size);
	if (rc <= 0)
		return rc;
	if (!size && r->zeros_end) {
		r->stage = STAGE_TAIL;
		return 0;
	}
	rc = car_section_decode(&section, unit, head + size);
	if (rc < 0)
		return rc == -EAGAIN ? -EBADMSG : rc;
	event->kind = CAR_BLOCK;
	event->cid = section.cid;
	event->data = unit + section.data_at;
	event->len = section.data_len;
	event->have = head + size - section.data_at;
	event->data_at = event->section_at + section.data_at;
	r->rest = event->len - event->have;
	if (r->rest)
		r->stage = STAGE_REST;
	return 1;
}

static int next_piece(
	struct car_reader *r, const uint8_t **data, size_t *len, struct car_event *event)
{
	if (!*len)
		return 0;
	event->kind = CAR_MORE;
	event->data = *data;
	event->have = *len < r->rest ? *len : r->rest;
	skip(r, data, len, r->at + event->have);
	r->rest -= event->have;
	if (!r->rest)
		r->stage = STAGE_SECTIONS;
	return 1;
}

static int step(struct car_reader *r, const uint8_t **data, size_t *len, struct car_event *event)
{
	const uint8_t *unit;
	int rc;

	switch (r->stage) {
	case STAGE_FIRST:
	case STAGE_HEADER: return next_header(r, data, len, event);
	case STAGE_V2_HEADER:
		rc = take(r, data, len, V2_HEADER_SIZE, &unit);
		return rc > 0 ? read_v2_header(r, unit) : rc;
	case STAGE_PADDING:
		skip(r, data, len, r->start);
		if (r->at == r->start)
			r->stage = STAGE_HEADER;
		return 0;
	case STAGE_SECTIONS:
		if (r->at != r->end)
			return next_section(r, data, len, event);
		r->stage = STAGE_TAIL;
		return 0;
	case STAGE_REST: return next_piece(r, data, len, event);
	case STAGE_TAIL:
	default: skip(r, data, len, UINT64_MAX); return 0;
	}
}

int car_reader_next(
	struct car_reader *r, const uint8_t **data, size_t *len, struct car_event *event)
{
	enum stage before;
	int rc;

	do {
		if (r->given) {
			r->held = 0;
			r->given = false;
		}
		before = r->stage;
		rc = step(r, data, len, event);
	} while (rc == 0 && (*len || r->stage != before));
	return rc;
}

int car_reader_finish(const struct car_reader *r)
{
	bool whole = r->given || !r->held;
	bool ended = r->end == UINT64_MAX || r->at == r->end;

	if (r->stage == STAGE_TAIL)
		return 0;
	return r->stage == STAGE_SECTIONS && whole && ended ? 0 : -EBADMSG;
}
