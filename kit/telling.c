#include "telling.h"

#include "room.h"

#include <errno.h>
#include <string.h>

enum { KEPT_MAX = 8 << 20, PACE = 1 << 20, HEAD = sizeof(uint32_t) };
static const anyio_time patience = 5 * ANYIO_SECOND;

void telling_wake(struct telling *telling)
{
	anyio_event_set(&telling->more);
}

/* What is little is not counted, as by kit_limit. */
static bool make_place(struct telling *telling, size_t need)
{
	size_t place = telling->place ? telling->place * 2 : 4096;

	if (need <= telling->place)
		return true;
	while (place < need)
		place *= 2;
	if (place > KEPT_MAX ||
		(telling->room && place > KIT_ROOM_SMALL &&
			!room_try(telling->room, &telling->held, place)))
		return false;
	return !anyio_grow(&telling->notes, &telling->place, place, 1);
}

void telling_note(struct telling *telling, const void *note, size_t len)
{
	uint32_t head = (uint32_t)len;

	if (telling->failed || telling->lost)
		return;
	if (!make_place(telling, telling->used + HEAD + len)) {
		telling->lost = true;
		return;
	}
	memcpy(telling->notes + telling->used, &head, HEAD);
	memcpy(telling->notes + telling->used + HEAD, note, len);
	telling->used += HEAD + len;
	telling_wake(telling);
}

static int tell_each(struct telling *telling, const uint8_t *notes, size_t used)
{
	uint32_t len;
	int rc = telling->tell(telling->arg, NULL, 0);

	for (size_t at = 0; at < used && !rc; at += HEAD + len) {
		memcpy(&len, notes + at, HEAD);
		rc = telling->tell(telling->arg, notes + at + HEAD, len);
	}
	return rc;
}

/* What is kept by now is taken away, so that others can be kept while it is told. */
static int tell_kept(struct telling *telling)
{
	uint8_t *notes = telling->notes;
	size_t used = telling->used, held = telling->held;

	telling->notes = NULL;
	telling->used = telling->place = telling->held = 0;
	anyio_event_set(&telling->taken);
	int rc = tell_each(telling, notes, used);
	anyio_free(notes);
	if (telling->room)
		kit_room_hold(telling->room, &held, 0);
	return rc;
}

static int tell_all(void *arg)
{
	struct telling *telling = arg;
	bool over = false;
	int rc = 0;

	while (!rc && !over) {
		rc = anyio_event_wait(&telling->more);
		if (rc)
			break;
		over = telling->over;
		anyio_event_init(&telling->more);
		rc = tell_kept(telling);
	}
	telling->failed = rc;
	anyio_event_set(&telling->taken);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static int wait_until_taken(void *arg)
{
	return anyio_event_wait(&((struct telling *)arg)->taken);
}

int telling_pace(struct telling *telling)
{
	if (telling->used <= PACE || telling->failed || telling->too_slow)
		return 0;
	anyio_event_init(&telling->taken);
	int rc = anyio_move_on_after(patience, wait_until_taken, telling);
	telling->too_slow = telling->used > PACE;
	return rc;
}

int telling_run(struct telling *telling, anyio_task_fn body, void *arg)
{
	anyio_event_init(&telling->more);
	anyio_event_init(&telling->taken);
	ANYIO_TASK_GROUP(group);
	int rc = anyio_try_start_soon(&group, tell_all, telling, "telling");
	if (!rc)
		rc = body(arg);
	telling->over = true;
	telling_wake(telling);
	int ended = anyio_task_group_exit(&group, rc == ANYIO_CANCELLED ? rc : 0);
	anyio_free(telling->notes);
	if (telling->room)
		kit_room_hold(telling->room, &telling->held, 0);
	return rc ? rc : ended;
}
