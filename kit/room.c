/*
 * A bound on bytes that several tasks hold. Who asks first is served first: the one at the head
 * waits for bytes to come back, the others wait for its place. So the head is taken only while
 * somebody waits, and a large request is not starved by small ones.
 */
#include "room.h"

#include <errno.h>

struct kit_room {
	size_t size, left;
	bool used; /* since kit_room_was_used was asked */
	struct anyio_lock head;
	struct anyio_event given;
};

int kit_room_create(size_t bytes, struct kit_room **room)
{
	*room = anyio_calloc(1, sizeof(**room));
	if (!*room)
		return -ENOMEM;
	(*room)->size = (*room)->left = bytes;
	anyio_lock_init(&(*room)->head);
	anyio_event_init(&(*room)->given);
	return 0;
}

void kit_room_free(struct kit_room *room)
{
	anyio_free(room);
}

static int wait_for(struct kit_room *room, size_t bytes)
{
	int rc = anyio_lock_acquire(&room->head);

	if (rc)
		return rc;
	while (!rc && room->left < bytes) {
		anyio_event_init(&room->given);
		rc = anyio_event_wait(&room->given);
	}
	anyio_lock_release(&room->head);
	return rc;
}

int kit_room_hold(struct kit_room *room, size_t *held, size_t bytes)
{
	int rc = 0;

	if (*held) {
		room->left += *held;
		anyio_event_set(&room->given);
	}
	*held = 0;
	if (bytes <= KIT_ROOM_SMALL)
		return 0;
	bytes = bytes < room->size ? bytes : room->size;
	if (kit_room_is_wanted(room) || room->left < bytes)
		rc = wait_for(room, bytes);
	if (rc)
		return rc;
	room->left -= bytes;
	*held = bytes;
	room->used = true;
	return 0;
}

bool room_try(struct kit_room *room, size_t *held, size_t bytes)
{
	bytes = bytes <= KIT_ROOM_SMALL ? 0 : bytes < room->size ? bytes : room->size;
	if (bytes > *held && (kit_room_is_wanted(room) || room->left < bytes - *held))
		return false;
	if (bytes < *held)
		anyio_event_set(&room->given);
	room->left = room->left + *held - bytes;
	*held = bytes;
	room->used = true;
	return true;
}

bool kit_room_is_wanted(const struct kit_room *room)
{
	return anyio_lock_locked(&room->head);
}

bool kit_room_was_used(struct kit_room *room)
{
	bool used = room->used;

	room->used = room->left < room->size;
	return used;
}

size_t room_share(const struct kit_room *room, size_t most)
{
	/* The less there is, the less one reader takes, and the least while others wait: many are
	 * served a little at a time, and those that do not take it are found out together. */
	size_t share = !room ? most : kit_room_is_wanted(room) ? 0 : room->left / 16;

	return share < most ? share : most;
}
