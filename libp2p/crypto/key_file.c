#include <errno.h>
#include <fcntl.h>
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

int p2p_key_save(const struct p2p_key *key, const char *path)
{
	uint8_t data[P2P_PRIVATE_KEY_MAX];
	ssize_t len = p2p_key_encode(key, data, sizeof data);
	int rc = anyio_plain_create(AT_FDCWD, path, 0600, data, (size_t)len, true);

	sodium_memzero(data, sizeof data);
	return rc;
}
