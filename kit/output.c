/* A file written for whoever asks, that gets its place when it is whole and durable and not before. */
#include "place.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct kit_output {
	struct place place;
	struct place_file file;
};

/* A link to a file stays one: its file is replaced. One to an open descriptor means that one. */
static int find_place(struct kit_output *output, const char *path)
{
	int rc = place_open_root(&output->place, path);
	char *real = !rc && output->place.descriptor < 0 ? realpath(path, NULL) : NULL;

	if (real) {
		place_close(&output->place);
		rc = place_open_root(&output->place, real);
	}
	free(real);
	return rc;
}

/* A file that is there must be one that may be written, as if it were; the new one gets its mode. */
static int open_file(struct kit_output *output, const char *path)
{
	struct stat old;
	bool there = stat(path, &old) == 0;

	if (there && S_ISDIR(old.st_mode))
		return -EISDIR;
	if (there && access(path, W_OK))
		return -errno;
	int rc = place_file_open(&output->place, false, &output->file);
	if (!rc && there && !output->file.device && fchmod(output->file.fd, old.st_mode & 0777))
		rc = place_file_close(&output->file, -errno);
	return rc;
}

int kit_output_open(const char *path, struct kit_output **out)
{
	struct kit_output *output = anyio_calloc(1, sizeof(*output));
	int rc = output ? find_place(output, path) : -ENOMEM;

	*out = NULL;
	if (!rc && (rc = open_file(output, path)))
		place_close(&output->place);
	if (rc)
		anyio_free(output);
	else
		*out = output;
	return rc;
}

struct kit_sink kit_output_sink(struct kit_output *output)
{
	return output->file.sink;
}

int kit_output_descriptor(struct kit_output *output, bool *place)
{
	*place = !output->file.device;
	return output->file.fd;
}

/* A rename is durable once its folder is. */
static int sync_folder(const struct place *place)
{
	int fd = anyio_openat(place->dir, ".", O_RDONLY | O_DIRECTORY, 0);
	int rc = fd < 0 ? fd : anyio_fsync(fd);

	if (fd >= 0)
		anyio_close(fd);
	return rc;
}

int kit_output_close(struct kit_output *output, int rc)
{
	bool device = output->file.device;

	if (!rc)
		rc = anyio_fsync(output->file.fd);
	/* There are devices and pipes that know nothing of it. */
	if (device && (rc == -EINVAL || rc == -EROFS || rc == -ENOTSUP))
		rc = 0;
	rc = place_file_close(&output->file, rc);
	if (!rc && !device)
		rc = sync_folder(&output->place);
	place_close(&output->place);
	anyio_free(output);
	return rc;
}
