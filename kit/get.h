/* Writing trees to disk without leaving them; shared by get and the unpacking of archives. */
#ifndef KIT_GET_H
#define KIT_GET_H

#include "node.h"

/* A name in an open folder. */
struct get_place {
	int dir; /* AT_FDCWD or an open folder */
	char name[256];
};

/* May this be a name inside a folder? Not empty, ".", "..", nor with '/' or NUL, at most 255 bytes. */
bool get_name_ok(const char *name, size_t len);

/* The folder and name that a path given by the user means. */
int get_open_root(struct get_place *place, const char *output);
void get_close_place(struct get_place *place);

/* Each: 0 also when it is there already; -EEXIST when something else is. */
int get_make_directory(const struct get_place *place, bool overwrite, struct get_place *inside);
int get_make_symlink(const struct get_place *place, const char *target, bool overwrite);

struct get_file {
	const struct get_place *place;
	int fd;
	bool device;
	uint64_t at;
	char part[256];
	struct kit_sink sink; /* its arg is this file: do not copy */
};
/* top: a device that is there may be written to. */
int get_open_file(const struct get_place *place, bool top, bool overwrite, struct get_file *file);
/* Puts it in its place when rc is 0, else removes the part. */
int get_close_file(struct get_file *file, int rc);

#endif
