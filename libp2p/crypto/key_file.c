#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include <anyio/plain.h>
#include <libp2p/key.h>

static ssize_t read_small(int fd, uint8_t *out, size_t cap)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, out + len, cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int p2p_key_load(struct p2p_key *key, const char *path)
{
	uint8_t data[P2P_PRIVATE_KEY_MAX * 2];
	struct stat st;
	ssize_t n;
	int rc, fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (st.st_mode & 077)
		rc = -EPERM;
	else if ((n = read_small(fd, data, sizeof data)) < 0)
		rc = (int)n;
	else if (p2p_key_decode(key, data, (size_t)n) < 0)
		rc = -EINVAL;
	else
		rc = 0;
	close(fd);
	sodium_memzero(data, sizeof data);
	return rc;
}

static int write_whole(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* The name's durability is the directory's. */
static int sync_directory_of(const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int fd, rc;

	if (len >= sizeof dir)
		return -ENAMETOOLONG;
	memcpy(dir, path, len);
	dir[len] = 0;
	fd = open(len ? dir : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* link() refuses an existing name, so that two first starts at once do not overwrite each other. */
static int write_and_link(const uint8_t *data, size_t len, const char *temporary, const char *path)
{
	int rc, fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	rc = write_whole(fd, data, len);
	close(fd);
	if (rc == 0 && link(temporary, path) < 0)
		rc = -errno;
	unlink(temporary);
	return rc;
}

int p2p_key_save(const struct p2p_key *key, const char *path)
{
	uint8_t data[P2P_PRIVATE_KEY_MAX];
	char temporary[4096];
	ssize_t len = p2p_key_encode(key, data, sizeof data);
	int rc = snprintf(temporary, sizeof temporary, "%s.%08x", path, randombytes_random());

	if (rc < 0 || (size_t)rc >= sizeof temporary)
		return -ENAMETOOLONG;
	rc = write_and_link(data, (size_t)len, temporary, path);
	sodium_memzero(data, sizeof data);
	return rc < 0 ? rc : sync_directory_of(path);
}
