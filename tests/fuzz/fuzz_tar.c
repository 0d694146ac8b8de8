/*
 * An archive of any bytes is unpacked into a folder of its own and nowhere else: the folder around
 * it holds nothing but that folder and a sentinel afterwards, and the sentinel is as it was.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <anyio/anyio.h>
#include <kit/kit.h>

struct archive {
	const uint8_t *data;
	size_t size, at, piece;
	char output[96];
};

static char dir[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static void leave(void)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void prepare(void)
{
	char path[96];

	if (*dir)
		return;
	strcpy(dir, "/tmp/fuzz-tar-XXXXXX");
	if (!mkdtemp(dir))
		abort();
	atexit(leave);
	snprintf(path, sizeof(path), "%s/sentinel", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "as it was", 9) != 9)
		abort();
	close(fd);
}

static void check_around(void)
{
	char path[96], text[16] = "";
	DIR *around = opendir(dir);

	for (struct dirent *entry; around && (entry = readdir(around));)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
			strcmp(entry->d_name, "out") && strcmp(entry->d_name, "sentinel"))
			abort();
	closedir(around);
	snprintf(path, sizeof(path), "%s/sentinel", dir);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text)) != 9 || memcmp(text, "as it was", 9))
		abort();
	close(fd);
}

static ssize_t take(void *arg, void *buffer, size_t size)
{
	struct archive *archive = arg;
	size_t n = archive->size - archive->at;

	n = n < archive->piece ? n : archive->piece;
	n = n < size ? n : size;
	memcpy(buffer, archive->data + archive->at, n);
	archive->at += n;
	return (ssize_t)n;
}

/* Checksums are made right first, or nearly every input would end at the first header. */
static void mend(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + 512 <= size; at += 512) {
		unsigned sum = 8 * ' ';
		char text[16];
		for (size_t i = 0; i < 512; i++)
			sum += i >= 148 && i < 156 ? 0 : data[at + i];
		snprintf(text, sizeof(text), "%06o", sum);
		memcpy(data + at + 148, text, 7);
		data[at + 155] = ' ';
	}
}

static int unpack(void *arg)
{
	static const struct kit_get_options options = { .overwrite = true };
	struct archive *archive = arg;
	struct kit_source source = { take, archive };

	kit_untar(&source, archive->output, &options);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct archive archive = { .size = size };

	if (size < 2 || size > 64 << 10)
		return 0;
	prepare();
	snprintf(archive.output, sizeof(archive.output), "%s/out", dir);
	uint8_t *copy = malloc(size - 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 0x80)
		mend(copy, size - 1);
	archive.data = copy;
	archive.size = size - 1;
	archive.piece = (size_t)(data[0] & 0x7f) * 41 + 1;
	if (anyio_run(unpack, &archive, NULL))
		abort();
	free(copy);
	check_around();
	nftw(archive.output, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}
