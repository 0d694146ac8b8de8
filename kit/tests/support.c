#include "support.h"

#include <ftw.h>
#include <dirent.h>
#include <unistd.h>

/* ---- Scenes ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

void remove_tree(const char *path)
{
	nftw(path, remove_one, 64, FTW_DEPTH | FTW_PHYS);
}

struct run {
	struct scene scene;
	int (*body)(struct scene *scene);
};

static int run_scene(void *arg)
{
	struct run *run = arg;
	struct scene *scene = &run->scene;
	struct kit_init_options init = { .test = true };
	char error[256];

	strcpy(scene->dir, "/tmp/kit-test-XXXXXX");
	CHECK(mkdtemp(scene->dir));
	snprintf(scene->repo, sizeof(scene->repo), "%s/repo", scene->dir);
	CHECK_RC(0, kit_init(scene->repo, &init));
	CHECK_RC(0, kit_open(scene->repo, NULL, &scene->node, error, sizeof(error)));
	int rc = run->body(scene);
	if (rc && scene->node)
		print_error("the node's last words: %s\n", kit_error_text(scene->node));
	if (scene->node) {
		int closed = kit_close(scene->node);
		rc = rc ? rc : closed;
	}
	remove_tree(scene->dir);
	return rc;
}

static void run_on_each(int (*body)(struct scene *scene), bool mock_clock)
{
	for (const char *const *names = anyio_backends_available(); *names; names++) {
		struct anyio_options options = { .backend = *names, .mock_clock = mock_clock };
		struct run run = { .body = body };
		assert_int_equal(anyio_run(run_scene, &run, &options), 0);
	}
}

void scene_run(int (*body)(struct scene *scene))
{
	run_on_each(body, false);
}

void scene_run_mock_clock(int (*body)(struct scene *scene))
{
	run_on_each(body, true);
}

int scene_reopen(struct scene *scene)
{
	char error[256];

	if (scene->node)
		CHECK_RC(0, kit_close(scene->node));
	return kit_open(scene->repo, NULL, &scene->node, error, sizeof(error));
}

const char *scene_path(struct scene *scene, const char *name)
{
	static char text[4][512];
	static unsigned next;
	char *out = text[next++ % 4];

	snprintf(out, sizeof(text[0]), "%s/%s", scene->dir, name);
	return out;
}

/* ---- Inputs ---- */

void fill_bytes(uint64_t seed, void *out, size_t len)
{
	uint64_t s[4];
	uint8_t *bytes = out;

	for (int i = 0; i < 4; i++) {
		seed += 0x9e3779b97f4a7c15;
		uint64_t z = seed;
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		s[i] = z ^ (z >> 31);
	}
	for (size_t at = 0; at < len; at += 8) {
		uint64_t x = s[1] * 5, t = s[1] << 17, word = (x << 7 | x >> 57) * 9;
		s[2] ^= s[0];
		s[3] ^= s[1];
		s[1] ^= s[2];
		s[0] ^= s[3];
		s[2] ^= t;
		s[3] = s[3] << 45 | s[3] >> 19;
		for (size_t i = 0; i < 8 && at + i < len; i++)
			bytes[at + i] = (uint8_t)(word >> i * 8);
	}
}

int make_file(const char *path, uint64_t seed, uint64_t size)
{
	FILE *file = fopen(path, "we");
	uint8_t *data = malloc(size + 1);

	if (!file || !data)
		return -ENOMEM;
	fill_bytes(seed, data, size);
	int rc = fwrite(data, 1, size, file) == size ? 0 : -EIO;
	free(data);
	return fclose(file) ? -EIO : rc;
}

int make_folder(
	const char *path, uint64_t seed, unsigned count, int name_len, int last_len, uint64_t size)
{
	char name[1024];
	int rc = mkdir(path, 0755) ? -errno : 0;

	for (unsigned i = 0; !rc && i < count; i++) {
		snprintf(name, sizeof(name), "%s/%0*u", path, i + 1 == count ? last_len : name_len,
			i);
		rc = make_file(name, seed + i, size);
	}
	return rc;
}

int make_deep(const char *path, uint64_t seed, unsigned depth)
{
	char at[4096], name[4200];
	int rc = mkdir(path, 0755) ? -errno : 0, n = snprintf(at, sizeof(at), "%s", path);

	for (unsigned i = 0; !rc && i < depth; i++) {
		snprintf(name, sizeof(name), "%s/file", at);
		rc = make_file(name, seed + i, i);
		n += snprintf(at + n, sizeof(at) - (size_t)n, "/d%u", i);
		if (!rc && mkdir(at, 0755))
			rc = -errno;
	}
	return rc;
}

int make_tree(const char *path)
{
	static const struct {
		const char *name, *target;
		uint64_t seed, size;
	} parts[] = { { "" }, { "/sub" }, { "/.den" }, { "/void" }, { "/a", "", 1, 100 },
		{ "/sub/b", "", 2, 300000 }, { "/.hidden", "", 3, 10 }, { "/.den/empty", "", 4, 0 },
		{ "/sub/up", "../a" } };
	char name[1024];
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(name, sizeof(name), "%s%s", path, parts[i].name);
		if (!parts[i].target)
			rc = mkdir(name, 0755) ? -errno : 0;
		else if (*parts[i].target)
			rc = symlink(parts[i].target, name) ? -errno : 0;
		else
			rc = make_file(name, parts[i].seed, parts[i].size);
	}
	return rc;
}

/* ---- Comparing ---- */

static int compare_files(const char *a, const char *b)
{
	FILE *one = fopen(a, "re"), *two = fopen(b, "re");
	int rc = one && two ? 0 : -ENOENT, c = 0;

	while (!rc && c != EOF) {
		c = getc(one);
		rc = c == getc(two) ? 0 : -EBADMSG;
	}
	if (one)
		fclose(one);
	if (two)
		fclose(two);
	return rc;
}

/* Every name of a is in b, and as many. */
static int compare_folders(const char *a, const char *b)
{
	char *one, *two;
	struct dirent *entry;
	long count = 0;
	DIR *dir = opendir(a);
	int rc = dir ? 0 : -errno;

	while (!rc && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		assert_true(asprintf(&one, "%s/%s", a, entry->d_name) > 0);
		assert_true(asprintf(&two, "%s/%s", b, entry->d_name) > 0);
		rc = compare_trees(one, two);
		free(one);
		free(two);
		count++;
	}
	if (dir)
		closedir(dir);
	dir = rc ? NULL : opendir(b);
	while (dir && (entry = readdir(dir)))
		count--;
	if (dir)
		closedir(dir);
	return rc ? rc : count == -2 ? 0 : -EBADMSG;
}

int compare_trees(const char *a, const char *b)
{
	char one[512] = "", two[512] = "";
	struct stat sa, sb;

	if (lstat(a, &sa) || lstat(b, &sb))
		return -errno;
	if ((sa.st_mode & S_IFMT) != (sb.st_mode & S_IFMT))
		return -EBADMSG;
	if (S_ISDIR(sa.st_mode))
		return compare_folders(a, b);
	if (!S_ISLNK(sa.st_mode))
		return compare_files(a, b);
	if (readlink(a, one, sizeof(one) - 1) < 0 || readlink(b, two, sizeof(two) - 1) < 0)
		return -errno;
	return strcmp(one, two) ? -EBADMSG : 0;
}

/* ---- Bytes ---- */

int bytes_append(struct bytes *bytes, const void *data, size_t len)
{
	if (bytes->len + len > bytes->size) {
		size_t size = (bytes->len + len) * 2;
		uint8_t *bigger = realloc(bytes->data, size);
		if (!bigger)
			return -ENOMEM;
		bytes->data = bigger;
		bytes->size = size;
	}
	if (len)
		memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
	return 0;
}

static int bytes_write(void *arg, const void *data, size_t len)
{
	return bytes_append(arg, data, len);
}

static ssize_t bytes_read(void *arg, void *buffer, size_t size)
{
	struct bytes *bytes = arg;
	size_t n = bytes->len - bytes->at < size ? bytes->len - bytes->at : size;

	if (bytes->step && n > bytes->step)
		n = bytes->step;
	if (n)
		memcpy(buffer, bytes->data + bytes->at, n);
	bytes->at += n;
	return (ssize_t)n;
}

void bytes_init(struct bytes *bytes)
{
	*bytes = (struct bytes){ .sink = { bytes_write, bytes }, .source = { bytes_read, bytes } };
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	bytes_init(bytes);
}

int add_text(
	struct kit_node *node, const char *path, const struct kit_add_options *options, char *text)
{
	struct kit_add_options defaults = KIT_ADD_DEFAULTS;
	struct mf_cid cid;

	defaults.recursive = true;
	int rc = kit_add_path(node, path, options ? options : &defaults, &cid);
	if (!rc)
		mf_cid_format(&cid, text, MF_CID_TEXT_MAX);
	return rc;
}
