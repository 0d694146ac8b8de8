/*
 * What the machine can do, to measure ourselves against, and a runner that tells peak memory.
 *
 *	limits sha256 THREADS BYTES    OpenSSL's SHA-256, a reused context a thread: MiB/s of all
 *	limits chacha BYTES            OpenSSL's ChaCha20-Poly1305 on one core: MiB/s
 *	limits write FILE BYTES        one file of that size written and fdatasynced: MiB/s
 *	limits uncached FILE BYTES     the same by RWF_DONTCACHE, where the kernel has it: MiB/s
 *	limits peak COMMAND...         runs it, its output thrown away: peak resident MiB
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

enum {
	HASHED = 1 << 20,  /* a block of the default profile */
	SEALED = 64 << 10, /* a Noise message */
	WRITTEN = 8 << 20,
	THREADS_MAX = 64,
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint8_t *filled(size_t size)
{
	uint8_t *data = aligned_alloc(4096, size);

	if (!data)
		die("memory");
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	return data;
}

static void print_rate(size_t bytes, double began)
{
	printf("%.2f\n", (double)bytes / (1 << 20) / (now() - began));
}

struct hashing {
	pthread_barrier_t *start;
	size_t bytes;
};

static void *hash(void *arg)
{
	struct hashing *hashing = arg;
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t *data = filled(16 * HASHED), digest[32];

	pthread_barrier_wait(hashing->start);
	for (size_t done = 0; done < hashing->bytes; done += HASHED) {
		EVP_DigestInit_ex2(context, sha256, NULL);
		EVP_DigestUpdate(context, data + done % (16 * HASHED), HASHED);
		EVP_DigestFinal_ex(context, digest, NULL);
	}
	EVP_MD_CTX_free(context);
	EVP_MD_free(sha256);
	free(data);
	return NULL;
}

static int sha256(int threads, size_t bytes)
{
	pthread_t ids[THREADS_MAX];
	pthread_barrier_t start;
	struct hashing hashing = { &start, bytes / (size_t)threads };

	if (threads < 1 || threads > THREADS_MAX)
		return 1;
	pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, hash, &hashing))
			die("pthread_create");
	pthread_barrier_wait(&start);
	double began = now();
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	print_rate(bytes, began);
	return 0;
}

static int chacha(size_t bytes)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	uint8_t *data = filled(SEALED), *out = filled(SEALED), key[32] = { 1 }, nonce[12] = { 0 },
		tag[16];
	double began = now();
	int n;

	for (size_t done = 0; done < bytes; done += SEALED) {
		memcpy(nonce + 4, &done, sizeof(done));
		EVP_EncryptInit_ex2(context, cipher, key, nonce, NULL);
		EVP_EncryptUpdate(context, out, &n, data, SEALED);
		EVP_EncryptFinal_ex(context, out, &n);
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, sizeof(tag), tag);
	}
	print_rate(bytes, began);
	EVP_CIPHER_CTX_free(context);
	EVP_CIPHER_free(cipher);
	free(data);
	free(out);
	return 0;
}

static int write_file(const char *path, size_t bytes, int flags)
{
	uint8_t *data = filled(WRITTEN);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	double began = now();

	if (fd < 0)
		die(path);
	for (size_t done = 0; done < bytes;) {
		size_t left = bytes - done < WRITTEN ? bytes - done : WRITTEN;
		struct iovec piece = { data, left };
		ssize_t n = pwritev2(fd, &piece, 1, -1, flags);
		if (n < 0 && errno == EOPNOTSUPP && flags) {
			flags = 0;
			continue;
		}
		if (n <= 0)
			die("write");
		done += (size_t)n;
	}
	if (fdatasync(fd))
		die("fdatasync");
	print_rate(bytes, began);
	close(fd);
	free(data);
	return 0;
}

static int peak(char **command)
{
	struct rusage usage;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		execvp(command[0], command);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
		die("wait4");
	printf("%.2f\n", (double)usage.ru_maxrss / 1024);
	return status != 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "sha256") == 0)
		return sha256(atoi(argv[2]), strtoull(argv[3], NULL, 0));
	if (argc == 3 && strcmp(argv[1], "chacha") == 0)
		return chacha(strtoull(argv[2], NULL, 0));
	if (argc == 4 && strcmp(argv[1], "write") == 0)
		return write_file(argv[2], strtoull(argv[3], NULL, 0), 0);
	if (argc == 4 && strcmp(argv[1], "uncached") == 0)
		return write_file(argv[2], strtoull(argv[3], NULL, 0), RWF_DONTCACHE);
	if (argc > 2 && strcmp(argv[1], "peak") == 0)
		return peak(argv + 2);
	fprintf(stderr,
		"usage: limits sha256 THREADS BYTES | chacha BYTES | write|uncached FILE BYTES | "
		"peak COMMAND...\n");
	return 2;
}
