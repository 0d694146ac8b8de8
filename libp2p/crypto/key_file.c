#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include <anyio/plain.h>
#include <libp2p/key.h>

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
	else if ((n = anyio_plain_read_blocking(fd, data, sizeof data)) < 0)
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
