#include "archives.h"

#include <unistd.h>

void archive_bytes(struct archive *archive, const void *data, size_t len)
{
	if (archive->len + len >= archive->cap) {
		archive->cap = (archive->len + len + 1) * 2;
		archive->bytes = realloc(archive->bytes, archive->cap);
	}
	memcpy(archive->bytes + archive->len, data, len);
	archive->len += len;
}

void archive_section(
	struct archive *archive, const struct mf_cid *cid, const void *data, size_t len)
{
	uint8_t prefix[CAR_PREFIX_MAX];

	archive_bytes(
		archive, prefix, (size_t)car_section_prefix(cid, len, prefix, sizeof(prefix)));
	archive_bytes(archive, data, len);
}

void archive_header(struct archive *archive, const struct mf_cid *root)
{
	struct mf_pb_writer head = mf_pb_write_growing(128);

	car_put_header(&head, root, root ? 1 : 0);
	archive_bytes(archive, head.data, (size_t)mf_pb_finish(&head));
	free(head.data);
}

/* Blocks number from..to, of a length. */
void archive_blocks(struct archive *archive, int from, int to, size_t len)
{
	uint8_t *data = malloc(len + 8);
	struct mf_cid cid;

	for (int i = from; i < to; i++) {
		test_block(i, len, data, &cid);
		archive_section(archive, &cid, data, len);
	}
	free(data);
}

struct archive archive_make(int from, int to)
{
	struct archive archive = { 0 };
	static uint8_t data[ARCHIVE_BLOCK];
	struct mf_cid root;

	test_block(from, ARCHIVE_BLOCK, data, &root);
	archive_header(&archive, &root);
	archive_blocks(&archive, from, to, ARCHIVE_BLOCK);
	return archive;
}

const char *archive_path(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", test_repo, name);
	return path;
}

void archive_save(const struct archive *archive, const char *name)
{
	FILE *file = fopen(archive_path(name), "w");

	assert_int_equal(fwrite(archive->bytes, 1, archive->len, file), archive->len);
	fclose(file);
}

int archive_adopt_with(struct store *store, const char *name,
	const struct store_adopt_options *options, struct store_adopt_result *result)
{
	int fd = open(archive_path(name), O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : store_adopt(store, fd, options, result);

	if (fd >= 0)
		close(fd);
	return rc;
}

/* Writes the archive down, and adopts it. */
int archive_adopt(
	struct store *store, struct archive *archive, bool link, struct store_adopt_result *result)
{
	struct store_adopt_options options = { .link = link };

	archive_save(archive, "given.car");
	free(archive->bytes);
	return archive_adopt_with(store, "given.car", &options, result);
}

int archive_there(struct store *store, int from, int to)
{
	int there = 0;

	for (int i = from; i < to; i++)
		there += test_get(store, i, ARCHIVE_BLOCK) == 0;
	return there;
}

int archive_adopted(struct store *store)
{
	struct store_stat stat;

	store_stat(store, &stat);
	return (int)stat.adopted;
}
