/* Names on disk: making what belongs there without leaving the folder that was meant. Shared by get,
 * the unpacking of archives and single output files. */
#ifndef KIT_PLACE_H
#define KIT_PLACE_H

#include "node.h"

/* A name in an open folder. */
struct place {
	int dir; /* AT_FDCWD or an open folder */
	char name[256];
	/* The rest is said by place_open_root alone: of any other place no link is followed. */
	bool output;    /* it is what the user named */
	int descriptor; /* the one that /dev/stdout or the like means; else -1 */
	bool device;    /* a device, pipe or terminal was there: this one */
	dev_t device_dev;
	ino_t device_ino;
};

/* May this be a name inside a folder? Not empty, ".", "..", nor with '/' or NUL, at most 255 bytes. */
bool place_name_ok(const char *name, size_t len);

/* The folder and name that a path given by the user means, and what is there. It is looked at once, before
 * anything that comes from others is put there, and the folder stays the same one until place_close. */
int place_open_root(struct place *place, const char *output);
void place_close(struct place *place);
/* Where a folder is already, the place becomes the one of that name inside it; name may be NULL. */
int place_go_inside(struct place *place, const char *name);

/* Makes way for something of another kind, or says -EEXIST. 1: there is one of this kind, an S_IF..
 * value. Only files and symlinks are ever taken away: not folders, not devices. */
int place_make_way(const struct place *place, mode_t kind, bool overwrite);
/* Each: 0 also when it is there already; -EEXIST when something else is. A folder that is there is rid of
 * what earlier tries left in it. */
int place_make_directory(const struct place *place, bool overwrite, struct place *inside);
int place_make_symlink(const struct place *place, const char *target, bool overwrite);

struct place_file {
	const struct place *place;
	int fd;
	bool device;
	uint64_t at;
	char part[256];
	struct kit_sink sink; /* its arg is this file: do not copy */
};
/* Opens a part of it beside its place, locked. Of the output itself what earlier tries left beside it goes;
 * and when that is a device, the device is opened: -EEXIST when something else has come to stand there. */
int place_file_open(const struct place *place, bool overwrite, struct place_file *file);
/* Puts it in its place when rc is 0, else removes the part: also when this task is cancelled. */
int place_file_close(struct place_file *file, int rc);
/* Removes the parts in an open folder that killed processes left behind; others' files stay. Fails
 * silently: they are in nobody's way. */
void place_remove_parts(int dir);

#endif
