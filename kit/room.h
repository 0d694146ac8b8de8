#ifndef KIT_ROOM_H
#define KIT_ROOM_H

#include <kit/kit.h>

/* How many bytes one reader should ask for now, up to most, 0: as few as it can; room may be NULL. */
size_t room_share(const struct kit_room *room, size_t most);

/* Holds so many bytes instead of *held if that is possible at once; else nothing changes. */
bool room_try(struct kit_room *room, size_t *held, size_t bytes);

#endif
