#include "scan.h"

#include <errno.h>
#include <string.h>

enum { WINDOW_LEAST = SEGMENT_HEAD_MAX + SEGMENT_FILL_MAX };

void scan_start_at(struct scan *scan, const struct segment_keys *keys, uint32_t number,
	uint64_t size, uint64_t at, uint64_t sequence, uint32_t ordinal)
{
	*scan = (struct scan){ .keys = keys,
		.number = number,
		.size = size,
		.at = at,
		.start = at,
		.tail = at,
		.sequence = sequence,
		.ordinal = ordinal };
	segment_sum_start(&scan->sum, keys);
}

void scan_start_plain(struct scan *scan, const struct segment_keys *keys, uint32_t number,
	uint64_t size, uint64_t at)
{
	scan_start_at(scan, keys, number, size, at, 0, 0);
	scan->plain = true;
}

void scan_start(struct scan *scan, const struct segment_keys *keys, uint32_t number, uint64_t size)
{
	scan_start_at(scan, keys, number, size, SEGMENT_HEADER_SIZE, 0, 0);
}

static void want(struct scan *scan, struct scan_event *event, uint64_t from, uint64_t len)
{
	event->what = SCAN_MORE;
	event->offset = from;
	event->len = len < scan->size - from ? len : scan->size - from;
}

/* The bytes of the window at offset; *len is how many. */
static const uint8_t *look(const uint8_t *window, uint64_t from, size_t *len, uint64_t offset)
{
	if (offset < from || offset >= from + *len) {
		*len = 0;
		return window;
	}
	*len -= offset - from;
	return window + (offset - from);
}

/* A record, whole in the window. */
static void take_record(struct scan *scan, const uint8_t *bytes, struct scan_event *event)
{
	const struct segment_record *record = &event->record;
	size_t len = event->section.head + event->section.len;
	uint8_t heads[SEGMENT_SEAL_SIZE];

	event->what = SCAN_RECORD;
	event->ordinal = scan->ordinal;
	event->intact = false;
	scan->at += len;
	if (record->kind == SEGMENT_RECORD_COMMIT) {
		segment_sum_get(&scan->sum, heads);
		event->intact = !scan->broken && record->commit.start == scan->start &&
			record->commit.count == scan->sum.count &&
			memcmp(heads, record->commit.heads, sizeof(heads)) == 0;
		scan->sequence = record->sequence;
	} else if (record->kind != SEGMENT_RECORD_SEGMENT) {
		segment_sum_add(&scan->sum, bytes, event->section.head);
		return;
	}
	scan->start = scan->tail = scan->at;
	scan->broken = false;
	segment_sum_start(&scan->sum, scan->keys);
}

/* Whether a record with this sequence may stand here: after the last commit, or, opening a segment,
 * anywhere. */
static bool is_next(const struct scan *scan, const struct segment_record *record)
{
	return record->sequence > scan->sequence ||
		(record->kind == SEGMENT_RECORD_SEGMENT && scan->sequence == 0);
}

/* Looks for the magic from scan->search on; ends the search at a record that holds. */
static void search(struct scan *scan, const uint8_t *window, uint64_t from, size_t len,
	struct scan_event *event)
{
	for (;;) {
		size_t left = len;
		const uint8_t *bytes = look(window, from, &left, scan->search);
		const uint8_t *hit =
			left ? memmem(bytes, left, segment_magic, SEGMENT_MAGIC_SIZE) : NULL;

		if (!hit) {
			if (left >= SEGMENT_MAGIC_SIZE)
				scan->search += left - (SEGMENT_MAGIC_SIZE - 1);
			break;
		}
		scan->search += hit - bytes;
		/* The record says itself where its section starts: 37 or 38 bytes before. */
		for (uint64_t head = 37; head <= 38; head++) {
			uint64_t offset = scan->search - head;
			size_t there = len;
			const uint8_t *start = look(window, from, &there, offset);

			if (scan->search < scan->at + head)
				continue;
			if (there < WINDOW_LEAST &&
				(offset < from || offset + there < scan->size)) {
				want(scan, event, offset, 2 * WINDOW_LEAST);
				return;
			}
			if (segment_section_decode(&event->section, start, there) !=
					(ssize_t)head ||
				there < head + event->section.len ||
				!segment_record_decode(scan->keys, &event->section, start + head,
					scan->number, offset, &event->record) ||
				!is_next(scan, &event->record))
				continue;
			event->what = SCAN_LOST;
			event->offset = scan->at;
			event->len = offset - scan->at;
			scan->at = offset;
			scan->searching = false;
			return;
		}
		scan->search++;
	}
	if (scan->search + SEGMENT_MAGIC_SIZE > scan->size)
		event->what = SCAN_END;
	else
		want(scan, event, scan->search > 38 ? scan->search - 38 : 0, 2 * WINDOW_LEAST);
}

/* All that is left, of sections alone. */
static void lose_rest(struct scan *scan, struct scan_event *event)
{
	scan->broken = true;
	event->what = SCAN_LOST;
	event->offset = scan->at;
	event->len = scan->size - scan->at;
	scan->at = scan->size;
}

/* Nothing here makes sense: search on from the byte after. */
static void lose(struct scan *scan)
{
	scan->broken = true;
	scan->searching = true;
	scan->search = scan->at;
}

/* The section at scan->at; false when there is none. */
static bool step(
	struct scan *scan, const uint8_t *bytes, size_t len, bool last, struct scan_event *event)
{
	struct segment_section *section = &event->section;
	ssize_t head = segment_section_decode(section, bytes, len);

	if (head == -EAGAIN && !last) {
		want(scan, event, scan->at, WINDOW_LEAST);
		return true;
	}
	if (head < 0 || scan->at + section->head + section->len > scan->size)
		return false;
	event->offset = scan->at;
	event->len = section->head + section->len;
	if (!scan->plain && section->len <= SEGMENT_FILL_MAX) {
		if (len < event->len) {
			want(scan, event, scan->at, WINDOW_LEAST);
			return !last;
		}
		if (segment_record_decode(scan->keys, section, bytes + head, scan->number, scan->at,
			    &event->record) &&
			is_next(scan, &event->record)) {
			take_record(scan, bytes, event);
			return true;
		}
	}
	event->what = SCAN_BLOCK;
	event->ordinal = scan->ordinal++;
	segment_sum_add(&scan->sum, bytes, head);
	scan->at += event->len;
	return true;
}

void scan_next(struct scan *scan, const uint8_t *window, uint64_t from, size_t len,
	struct scan_event *event)
{
	if (scan->searching) {
		search(scan, window, from, len, event);
		return;
	}
	if (scan->at >= scan->size) {
		event->what = SCAN_END;
		return;
	}
	size_t left = len;
	const uint8_t *bytes = look(window, from, &left, scan->at);

	if (left == 0) {
		want(scan, event, scan->at, WINDOW_LEAST);
		return;
	}
	if (step(scan, bytes, left, scan->at + left >= scan->size, event))
		return;
	if (scan->plain) {
		lose_rest(scan, event);
	} else {
		lose(scan);
		search(scan, window, from, len, event);
	}
}
