/*
 * Makes the files and trees that the interop tests add and compare. The same words on the command
 * line give the same bytes on every machine.
 *
 * The bytes of a file are the output of xoshiro256** (Blackman and Vigna), its four words of state
 * being the first four outputs of splitmix64 started at SEED, each 64-bit output written in
 * little-endian order and the last one cut to fit.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_WORDS ((size_t)8192)

struct rng {
	uint64_t s[4];
};

static void die(const char *what)
{
	fprintf(stderr, "gen: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static void rng_seed(struct rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		seed += 0x9e3779b97f4a7c15;
		uint64_t z = seed;
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
		rng->s[i] = z ^ (z >> 31);
	}
}

static uint64_t rng_next(struct rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

static void write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("write");
		bytes += n;
		len -= (size_t)n;
	}
}

static void fill(int fd, uint64_t seed, uint64_t size)
{
	static uint64_t block[BLOCK_WORDS];
	struct rng rng;
	rng_seed(&rng, seed);
	while (size > 0) {
		size_t len = size < sizeof(block) ? (size_t)size : sizeof(block);
		for (size_t i = 0; i < (len + 7) / 8; i++)
			block[i] = htole64(rng_next(&rng));
		write_all(fd, (const uint8_t *)block, len);
		size -= len;
	}
}

static void make_file(const char *path, uint64_t seed, uint64_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		die(path);
	fill(fd, seed, size);
	if (close(fd) < 0)
		die(path);
}

static void enter_new_dir(const char *path)
{
	if (mkdir(path, 0755) < 0 || chdir(path) < 0)
		die(path);
}

/* COUNT files named by their index, padded with zeros to NAME_LEN bytes, the last to LAST_LEN. */
static void make_dir(
	uint64_t seed, unsigned count, int name_len, int last_len, uint64_t size, const char *path)
{
	enter_new_dir(path);
	for (unsigned i = 0; i < count; i++) {
		char name[256];
		int len = i + 1 == count ? last_len : name_len;
		if (snprintf(name, sizeof(name), "%0*u", len, i) != len) {
			errno = EINVAL;
			die("the index does not fit the length of the name");
		}
		make_file(name, seed + i, size);
	}
}

static void make_link(const char *target, const char *path)
{
	if (symlink(target, path) < 0)
		die(path);
}

/* A little of everything that a real folder holds. */
static void make_mixed(uint64_t seed, const char *path)
{
	static const char *const names[] = {
		"grüße.txt",
		"日本語.txt",
		"Ελληνικά.txt",
		"עברית.txt",
		"emoji \xf0\x9f\x99\x82.txt",
		"composed \xc3\xa9",
		"decomposed e\xcc\x81",
		"space and 'quote' and \"quotes\"",
		"per%cent %2F",
		"back\\slash",
		"star*question?[bracket]",
		"-dash",
		"a",
		"A",
		"zz.",
	};
	enter_new_dir(path);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		make_file(names[i], seed + i, 100 + i);
	char longest[256];
	memset(longest, 'n', 255);
	longest[255] = '\0';
	make_file(longest, seed, 1);
	make_file("empty", 0, 0);
	make_file("program.sh", seed + 100, 3000);
	if (chmod("program.sh", 0755) < 0 || mkdir("empty dir", 0755) < 0)
		die("program.sh, empty dir");
	make_file(".hidden", seed + 101, 10);
	if (mkdir(".hidden dir", 0755) < 0)
		die(".hidden dir");
	make_file(".hidden dir/inside", seed + 102, 10);
	make_link("a", "link to a");
	make_link("nowhere/at/all", "dangling");
	make_link("empty dir", "link to dir");
	make_link("日本語.txt", "link to 日本語");
	if (mkdir("sub", 0755) < 0)
		die("sub");
	make_file("sub/two chunks", seed + 103, 300000);
	make_file("sub/same as a", seed + 12, 112);
	make_link("../a", "sub/up");
}

/* COUNT folders, each with a file of its own and one that all have: blocks that many want at once. */
static void make_shared(uint64_t seed, unsigned count, const char *path)
{
	enter_new_dir(path);
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%u", i);
		enter_new_dir(name);
		make_file("own", seed + i + 1, 100);
		make_file("shared", seed, 100);
		if (chdir("..") < 0)
			die("..");
	}
}

static void make_deep(uint64_t seed, unsigned depth, const char *path)
{
	enter_new_dir(path);
	for (unsigned i = 0; i < depth; i++) {
		char name[16];
		make_file("file", seed + i, i);
		snprintf(name, sizeof(name), "d%u", i);
		enter_new_dir(name);
	}
}

static uint64_t number(const char *text)
{
	char *end;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (errno == 0 && (end == text || *end != '\0'))
		errno = EINVAL;
	if (errno != 0)
		die(text);
	return value;
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	if (strcmp(kind, "file") == 0 && argc == 5)
		make_file(argv[4], number(argv[2]), number(argv[3]));
	else if (strcmp(kind, "dir") == 0 && argc == 8)
		make_dir(number(argv[2]), (unsigned)number(argv[3]), (int)number(argv[4]),
			(int)number(argv[5]), number(argv[6]), argv[7]);
	else if (strcmp(kind, "mixed") == 0 && argc == 4)
		make_mixed(number(argv[2]), argv[3]);
	else if (strcmp(kind, "shared") == 0 && argc == 5)
		make_shared(number(argv[2]), (unsigned)number(argv[3]), argv[4]);
	else if (strcmp(kind, "deep") == 0 && argc == 5)
		make_deep(number(argv[2]), (unsigned)number(argv[3]), argv[4]);
	else if (strcmp(kind, "symlink") == 0 && argc == 4)
		make_link(argv[2], argv[3]);
	else {
		fprintf(stderr,
			"usage: gen file SEED SIZE PATH\n"
			"       gen dir SEED COUNT NAME_LEN LAST_LEN SIZE PATH\n"
			"       gen mixed SEED PATH\n"
			"       gen shared SEED COUNT PATH\n"
			"       gen deep SEED DEPTH PATH\n"
			"       gen symlink TARGET PATH\n");
		return 2;
	}
	return 0;
}
