/*
 * Speaks TCP, multistream-select and Noise honestly, and carries whatever bytes its parent wants
 * above that: what comes in on standard input is sealed and sent, what is received is opened and
 * written to standard output. The tests say the hostile part, in Python.
 *
 *	p2p_raw PORT [PAYLOAD]       to 127.0.0.1; PAYLOAD in hex stands in for the Noise payload
 *	p2p_raw PORT crowd COUNT     so many connections, each of an identity of its own
 *
 * Writes one byte 'R' when the handshake is done. Exits 0 when the other end has closed, 1 when the
 * handshake failed, 2 for wrong use. The muxer is agreed on inside the handshake.
 *
 * Each of a crowd sends all of standard input once its handshake is done, then answers pings and
 * says no more. 'R' is written for each that came in, 'X' for each that did not, '.' when all have
 * tried, and from then on 'C' for each that was closed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libp2p/mux/yamux/frame.h"
#include "libp2p/security/noise/handshake.h"
#include "libp2p/security/noise/payload.h"

static const char select_noise[] = "\x13/multistream/1.0.0\n\x07/noise\n";
static const char *const muxers[] = { "/yamux/1.0.0" };

struct bridge {
	int fd;
	struct p2p_cipher send, receive;
};

static bool read_all(int fd, uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = read(fd, data, len);
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_message(int fd, const uint8_t *data, size_t len)
{
	uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	return write_all(fd, head, 2) && write_all(fd, data, len);
}

static ssize_t receive_message(int fd, uint8_t *data)
{
	uint8_t head[2];

	if (!read_all(fd, head, 2))
		return -1;
	size_t len = (size_t)head[0] << 8 | head[1];
	return read_all(fd, data, len) ? (ssize_t)len : -1;
}

static int dial(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	uint8_t answer[sizeof(select_noise) - 1];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	int one = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
		connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
		!write_all(fd, (const uint8_t *)select_noise, sizeof(answer)) ||
		!read_all(fd, answer, sizeof(answer)) ||
		memcmp(answer, select_noise, sizeof(answer)))
		return -1;
	return fd;
}

static size_t from_hex(const char *text, uint8_t *out, size_t cap)
{
	size_t n = 0;
	unsigned byte;

	for (; n < cap && sscanf(text, "%2x", &byte) == 1; text += 2)
		out[n++] = (uint8_t)byte;
	return n;
}

static bool shake_hands(struct bridge *bridge, const char *payload_hex)
{
	static uint8_t message[P2P_NOISE_MESSAGE_MAX], payload[P2P_NOISE_MESSAGE_MAX];
	struct p2p_noise_keypair own, ephemeral;
	struct p2p_noise_handshake handshake;
	struct p2p_aead aead;
	struct p2p_key key;
	uint8_t *inside;

	p2p_key_generate(&key);
	p2p_noise_keypair_generate(&own);
	p2p_noise_keypair_generate(&ephemeral);
	p2p_noise_handshake_init(&handshake, true, NULL, 0, &own, &ephemeral);
	if (p2p_aead_init(&aead))
		return false;
	ssize_t len = payload_hex
		? (ssize_t)from_hex(payload_hex, payload, sizeof(payload) - P2P_NOISE_OVERHEAD)
		: p2p_noise_payload_encode(&key, own.public, muxers, 1, payload, sizeof(payload));
	ssize_t n = p2p_noise_handshake_write(&handshake, &aead, NULL, 0, message, sizeof(message));
	bool good = len >= 0 && n > 0 && send_message(bridge->fd, message, (size_t)n) &&
		(n = receive_message(bridge->fd, message)) >= 0 &&
		p2p_noise_handshake_read(&handshake, &aead, message, (size_t)n, &inside) >= 0 &&
		(n = p2p_noise_handshake_write(
			 &handshake, &aead, payload, (size_t)len, message, sizeof(message))) > 0 &&
		send_message(bridge->fd, message, (size_t)n) &&
		p2p_noise_handshake_split(&handshake, &bridge->send, &bridge->receive) == 0;
	p2p_aead_destroy(&aead);
	return good;
}

/* Standard input to the peer; its end is the connection's. */
static void *outward(void *arg)
{
	static uint8_t plain[P2P_NOISE_MESSAGE_MAX - P2P_AEAD_TAG], sealed[P2P_NOISE_MESSAGE_MAX];
	struct bridge *bridge = arg;
	struct p2p_aead aead;
	ssize_t n;

	if (p2p_aead_init(&aead))
		return NULL;
	while ((n = read(0, plain, sizeof(plain))) > 0) {
		struct iovec iov = { plain, (size_t)n };
		struct p2p_gather from = { &iov, 1, 0 };
		if (p2p_cipher_seal(&aead, &bridge->send, NULL, 0, &from, (size_t)n, sealed) ||
			!send_message(bridge->fd, sealed, (size_t)n + P2P_AEAD_TAG))
			break;
	}
	shutdown(bridge->fd, SHUT_RDWR);
	p2p_aead_destroy(&aead);
	return NULL;
}

static void inward(struct bridge *bridge)
{
	static uint8_t message[P2P_NOISE_MESSAGE_MAX];
	struct p2p_aead aead;
	ssize_t n;

	if (p2p_aead_init(&aead))
		return;
	while ((n = receive_message(bridge->fd, message)) >= 0 &&
		(n = p2p_cipher_open(&aead, &bridge->receive, NULL, 0, message, (size_t)n)) >= 0 &&
		write_all(1, message, (size_t)n))
		;
	p2p_aead_destroy(&aead);
}

/* ---- a crowd ---- */

struct member {
	struct bridge bridge;
	uint8_t header[P2P_YAMUX_HEADER];
	size_t header_len, body_left;
};

static struct p2p_aead crowd_aead;

static bool say(struct bridge *bridge, const uint8_t *data, size_t len)
{
	static uint8_t sealed[P2P_NOISE_MESSAGE_MAX];

	while (len) {
		size_t n = len < 60000 ? len : 60000;
		struct iovec iov = { (void *)data, n };
		struct p2p_gather from = { &iov, 1, 0 };
		if (p2p_cipher_seal(&crowd_aead, &bridge->send, NULL, 0, &from, n, sealed) ||
			!send_message(bridge->fd, sealed, n + P2P_AEAD_TAG))
			return false;
		data += n;
		len -= n;
	}
	return true;
}

static bool on_header(struct member *member)
{
	struct p2p_yamux_frame frame;

	member->header_len = 0;
	if (p2p_yamux_frame_decode(&frame, member->header) < 0)
		return false;
	member->body_left = frame.type == P2P_YAMUX_DATA ? frame.length : 0;
	if (frame.type != P2P_YAMUX_PING || frame.flags & P2P_YAMUX_ACK)
		return frame.type != P2P_YAMUX_GO_AWAY;
	frame.flags = P2P_YAMUX_ACK;
	p2p_yamux_frame_encode(&frame, member->header);
	return say(&member->bridge, member->header, sizeof(member->header));
}

/* Takes one message; false at the end of the connection. */
static bool listen_to(struct member *member)
{
	static uint8_t message[P2P_NOISE_MESSAGE_MAX];
	ssize_t len = receive_message(member->bridge.fd, message);

	if (len >= 0)
		len = p2p_cipher_open(
			&crowd_aead, &member->bridge.receive, NULL, 0, message, (size_t)len);
	if (len < 0)
		return false;
	for (ssize_t i = 0; i < len; i++) {
		if (member->body_left > 0) {
			member->body_left--;
			continue;
		}
		member->header[member->header_len++] = message[i];
		if (member->header_len == P2P_YAMUX_HEADER && !on_header(member))
			return false;
	}
	return true;
}

static bool leave(struct pollfd *fd)
{
	close(fd->fd);
	fd->fd = -1;
	return write_all(1, (const uint8_t *)"C", 1);
}

/* Those who came in early are listened to while others come, and answer their pings. */
static bool listen_to_all(struct member *members, struct pollfd *fds, nfds_t count, int timeout)
{
	int ready = poll(fds, count, timeout);

	for (nfds_t i = 0; i < count && ready > 0; i++)
		if (fds[i].fd >= 0 && fds[i].revents && !listen_to(&members[i]) && !leave(&fds[i]))
			return false;
	return ready >= 0;
}

static int crowd(uint16_t port, nfds_t count)
{
	struct member *members = calloc(count, sizeof(*members));
	struct pollfd *fds = calloc(count, sizeof(*fds));
	uint8_t *words = NULL;
	size_t len = 0;
	ssize_t n;

	do {
		words = realloc(words, len + 65536);
		n = words ? read(0, words + len, 65536) : -1;
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	if (!members || !fds || n < 0 || p2p_aead_init(&crowd_aead))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	for (nfds_t i = 0; i < count; i++) {
		struct bridge *bridge = &members[i].bridge;
		bridge->fd = dial(port);
		bool in = bridge->fd >= 0 && shake_hands(bridge, NULL) && say(bridge, words, len);
		if (!in && bridge->fd >= 0)
			close(bridge->fd);
		fds[i] = (struct pollfd){ .fd = in ? bridge->fd : -1, .events = POLLIN };
		if (!write_all(1, (const uint8_t *)(in ? "R" : "X"), 1) ||
			!listen_to_all(members, fds, i + 1, 0))
			return 1;
	}
	if (!write_all(1, (const uint8_t *)".", 1))
		return 1;
	while (listen_to_all(members, fds, count, -1))
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct bridge bridge;
	pthread_t thread;

	if (argc == 4 && strcmp(argv[2], "crowd") == 0)
		return crowd((uint16_t)atoi(argv[1]), (nfds_t)atoi(argv[3]));
	if (argc < 2 || argc > 3)
		return 2;
	bridge.fd = dial((uint16_t)atoi(argv[1]));
	if (bridge.fd < 0 || !shake_hands(&bridge, argc > 2 ? argv[2] : NULL))
		return 1;
	if (!write_all(1, (const uint8_t *)"R", 1) ||
		pthread_create(&thread, NULL, outward, &bridge))
		return 1;
	inward(&bridge);
	_exit(0);
}
