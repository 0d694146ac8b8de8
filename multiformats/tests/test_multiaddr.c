#include <arpa/inet.h>
#include <errno.h>

#include <multiformats/multiaddr.h>

#include "fixture.h"

#define PEER  "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC"
#define ONION "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd"

static struct mf_multiaddr parsed(const char *text)
{
	struct mf_multiaddr addr;

	assert_int_equal(mf_multiaddr_parse(&addr, text, strlen(text)), 0);
	return addr;
}

static void assert_text(const struct mf_multiaddr *addr, const char *expected)
{
	char text[MF_MULTIADDR_TEXT_MAX];

	assert_int_equal(mf_multiaddr_format(addr, text, sizeof(text)), strlen(expected));
	assert_string_equal(text, expected);
	assert_int_equal(mf_multiaddr_format(addr, text, strlen(expected)), -ENOSPC);
}

/* Text that is canonical, and its bytes where other implementations' tests tell them. */
static const struct {
	const char *text, *hex;
} known[] = {
	{ "/", "" },
	{ "/ip4/1.2.3.4", "0401020304" },
	{ "/ip4/127.0.0.1/udp/1234", "047f000001910204d2" },
	{ "/ip4/127.0.0.1/tcp/4321", "047f0000010610e1" },
	{ "/ip4/127.0.0.1/udp/1234/ip4/127.0.0.1/tcp/4321", "047f000001910204d2047f0000010610e1" },
	{ "/ip6/2001:8a0:7ac5:4201:3ac9:86ff:fe31:7095/tcp/8000",
		"29200108a07ac542013ac986fffe317095061f40" },
	{ "/ip6zone/x/ip6/fe80::1", "2a017829fe800000000000000000000000000001" },
	{ "/ip4/1.2.3.4/ipcidr/24", "04010203042b18" },
	{ "/onion/timaq4ygg2iegci7:80", "bc039a18087306369043091f0050" },
	{ "/onion3/" ONION ":1234",
		"bd03adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139ed7e30304d2" },
	{ "/sctp/1234", "840104d2" },
	{ "/dccp/1234", "2104d2" },
	{ "/udp/1234/udt", "910204d2ad02" },
	{ "/udp/1234/utp", "910204d2ae02" },
	{ "/udp/1234/quic", "910204d2cc03" },
	{ "/udp/1234/quic-v1/webtransport", "910204d2cd03d103" },
	{ "/tcp/1234/http", "0604d2e003" },
	{ "/tcp/1234/https", "0604d2bb03" },
	{ "/tcp/1234/tls/sni/example.com/ws", "0604d2c003c1030b6578616d706c652e636f6ddd03" },
	{ "/dns4/example.com/tcp/443/wss", "360b6578616d706c652e636f6d0601bbde03" },
	{ "/dns/example.com", "350b6578616d706c652e636f6d" },
	{ "/dns6/example.com", "370b6578616d706c652e636f6d" },
	{ "/dnsaddr/bootstrap.libp2p.io", "3813626f6f7473747261702e6c69627032702e696f" },
	{ "/unix/a/b/c/d/e", "90030a2f612f622f632f642f65" },
	{ "/p2p/" PEER,
		"a503221220d52ebb89d85b02a284948203a62ff28389c57c9f42beec4ec20db76a68911c0b" },
	{ "/ip4/127.0.0.1/tcp/4001/p2p/" PEER "/p2p-circuit", NULL },
	{ "/ip4/127.0.0.1/udp/9090/webrtc-direct/certhash/"
	  "uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
		"047f00000191022382"
		"9802d203221220"
		"c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa383d4a3960714caef0c4f2" },
	{ "/ip4/1.2.3.4/tcp/80/tls/http/http-path/foo%2Fbar",
		"04010203040600"
		"50c003e003e10307666f6f2f626172" },
	{ "/memory/7", "89060000000000000007" },
	{ "/memory/18446744073709551615", "8906ffffffffffffffff" },
	{ "/ip4/127.0.0.1/tcp/1/noise", NULL },
	{ "/ip4/127.0.0.1/tcp/1/plaintextv2", NULL },
	{ "/garlic32/566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzuq", NULL },
};

static void text_and_bytes_agree(void **state)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct mf_multiaddr addr = parsed(known[i].text), back;
		if (known[i].hex)
			assert_hex(addr.bytes, addr.len, known[i].hex);
		assert_text(&addr, known[i].text);
		assert_int_equal(mf_multiaddr_decode(&back, addr.bytes, addr.len), 0);
		assert_true(mf_multiaddr_equal(&addr, &back));
	}
}

static void garlic64(void **state)
{
	char text[MF_MULTIADDR_TEXT_MAX] = "/garlic64/";
	struct mf_multiaddr addr;

	/* 387 bytes that use the two digits I2P has for itself. */
	for (int i = 0; i < 516; i++)
		strcat(text, i % 2 ? "-" : "~");
	addr = parsed(text);
	assert_int_equal(addr.len, 2 + 2 + 387);
	assert_text(&addr, text);
	text[10] = '+';
	assert_int_equal(mf_multiaddr_parse(&addr, text, strlen(text)), -EINVAL);
}

static void other_spellings_become_canonical(void **state)
{
	struct mf_multiaddr addr = parsed("/ip4/1.2.3.4/tcp/80/ipfs/" PEER "//");

	assert_text(&addr, "/ip4/1.2.3.4/tcp/80/p2p/" PEER);
	addr = parsed("/ip6/0:0:0:0:0:0:0:1/tcp/080");
	assert_text(&addr, "/ip6/::1/tcp/80");
	addr = parsed("/p2p/bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe");
	assert_text(&addr, "/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N");
	addr = parsed("/certhash/zQmbWTwYGcmdyK9CYfNBcfs9nhZs17a6FQ4Y8oea278xx41");
	assert_text(&addr, "/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g");
}

static void refuses_malformed_text(void **state)
{
	static const char *const bad[] = { "", "ip4/1.2.3.4", "//ip4/1.2.3.4", "/ip4", "/ip4/",
		"/ip4//tcp/1", "/ip4/::1", "/ip4/fdpsofodsajfdoisa", "/ip4/1.2.3", "/ip4/1.2.3.4.5",
		"/ip4/256.1.1.1", "/ip6/1.2.3.4", "/ip6/:::1", "/ip6/fe80::1%eth0", "/ip6zone/",
		"/ip6zone//ip6/fe80::1", "/ipcidr/256", "/ipcidr/-1", "/tcp", "/tcp/", "/tcp/jjj",
		"/tcp/65536", "/tcp/-1", "/tcp/+1", "/tcp/ 1", "/tcp/1 ", "/tcp/0x50",
		"/tcp/18446744073709551617", "/udp//udt", "/dns4", "/dns4//tcp/1",
		"/onion/9imaq4ygg2iegci7:80", "/onion/aaimaq4ygg2iegci7:80",
		"/onion/timaq4ygg2iegci7:0", "/onion/timaq4ygg2iegci7:-1",
		"/onion/timaq4ygg2iegci7", "/onion/timaq4ygg2iegci@:666", "/onion3/" ONION ":0",
		"/onion3/" ONION, "/garlic32/566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzu",
		"/garlic64/jT~", "/p2p", "/p2p/", "/p2p/tcp", "/p2p/Qm", "/p2p/bafkqaaa", "/unix",
		"/unix/", "/certhash", "/certhash/u", "/certhash/b2uaraocy6yrdblb4sfptaddgimjmmp",
		"/http-path", "/http-path/%", "/http-path/%2", "/http-path/%zz",
		"/memory/18446744073709551616", "/memory/x", "/ip4/1.2.3.4/tcp" };
	struct mf_multiaddr addr = { .len = 3 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (mf_multiaddr_parse(&addr, bad[i], strlen(bad[i])) != -EINVAL)
			fail_msg("accepted %s", bad[i]);
	assert_int_equal(addr.len, 3); /* untouched */
	assert_int_equal(mf_multiaddr_parse(&addr, "/ip5/1", 6), -EPROTONOSUPPORT);
	assert_int_equal(mf_multiaddr_parse(&addr, "/ip4/1.2.3.4/foo", 16), -EPROTONOSUPPORT);
	assert_int_equal(mf_multiaddr_parse(&addr, "/dns4/a\0b", 9), -EINVAL);
	assert_int_equal(mf_multiaddr_parse(&addr, "/ip4/1.2.3.4\0", 13), -EINVAL);
}

static void refuses_malformed_bytes(void **state)
{
	static const char *const bad[] = {
		"04010203",   /* cut short */
		"84",         /* code cut short */
		"0480",       /* a value, but too short */
		"840004d2",   /* code not minimal */
		"3600",       /* an empty name */
		"36",         /* no length */
		"3605616263", /* longer than the rest */
		"36ffffffffffffff7f61",
		"3603612f62", /* a slash in a name */
		"3603610062", /* a NUL in a name */
		"a5030112",   /* no peer id */
		"a50302aaaa",
		"d2030112",                     /* no multihash */
		"9003022f61047f000001",         /* a path that is not last */
		"900302612f",                   /* a path that does not begin with a slash */
		"9003032f612f",                 /* or ends in one */
		"bc039a18087306369043091f0000", /* port 0 */
		"be0302aaaa",                   /* a short garlic64 */
		"bf0302aaaa",
		"e10300",
	};
	struct mf_multiaddr addr;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t bytes[64];
		size_t len = unhex(bad[i], bytes, sizeof(bytes));
		if (mf_multiaddr_decode(&addr, bytes, len) != -EINVAL)
			fail_msg("accepted %s", bad[i]);
	}
	assert_int_equal(mf_multiaddr_decode(&addr, (const uint8_t *)"\x7f", 1), -EPROTONOSUPPORT);
}

static void size_and_parts_are_bounded(void **state)
{
	static uint8_t bytes[MF_MULTIADDR_BYTES_MAX + 2];
	char text[4096] = "", name[600];
	struct mf_multiaddr addr;

	for (size_t i = 0; i < sizeof(bytes); i += 2)
		memcpy(bytes + i, "\xcc\x03", 2);
	assert_int_equal(mf_multiaddr_decode(&addr, bytes, sizeof(bytes)), -E2BIG);
	assert_int_equal(mf_multiaddr_decode(&addr, bytes, 2 * MF_MULTIADDR_PARTS_MAX + 2), -E2BIG);
	assert_int_equal(mf_multiaddr_decode(&addr, bytes, 2 * MF_MULTIADDR_PARTS_MAX), 0);
	assert_int_equal(mf_multiaddr_append(&addr, MF_P_QUIC, NULL, 0), -E2BIG);
	for (int i = 0; i <= MF_MULTIADDR_PARTS_MAX; i++)
		strcat(text, "/p2p-websocket-star");
	assert_int_equal(mf_multiaddr_parse(&addr, text, strlen(text)), -E2BIG);
	memset(name, 'a', sizeof(name));
	memcpy(name, "/dns4/", 6);
	assert_int_equal(mf_multiaddr_parse(&addr, name, sizeof(name)), -E2BIG);
	addr.len = 0;
	assert_int_equal(mf_multiaddr_append(&addr, MF_P_DNS, name + 6, 508), -E2BIG);
	assert_int_equal(mf_multiaddr_append(&addr, MF_P_DNS, name + 6, 507), 0);
	assert_int_equal(addr.len, 510);
}

static void parts_can_be_walked_found_and_cut(void **state)
{
	struct mf_multiaddr addr = parsed("/ip4/1.2.3.4/tcp/80/p2p/" PEER "/p2p-circuit/p2p/" PEER);
	static const uint32_t codes[] = { MF_P_IP4, MF_P_TCP, MF_P_P2P, MF_P_P2P_CIRCUIT,
		MF_P_P2P };
	struct mf_multiaddr_part part, last;
	size_t at = 0, n = 0;

	for (; mf_multiaddr_next(&addr, &at, &part); n++)
		assert_int_equal(part.code, codes[n]);
	assert_int_equal(n, 5);
	assert_true(mf_multiaddr_find(&addr, MF_P_P2P, &part));
	assert_true(mf_multiaddr_find_last(&addr, MF_P_P2P, &last));
	assert_true(part.start < last.start);
	assert_int_equal(part.len, 34);
	assert_false(mf_multiaddr_find(&addr, MF_P_UDP, NULL));
	assert_true(mf_multiaddr_cut(&addr, MF_P_P2P_CIRCUIT));
	assert_text(&addr, "/ip4/1.2.3.4/tcp/80/p2p/" PEER);
	assert_false(mf_multiaddr_cut(&addr, MF_P_UDP));
	assert_true(mf_multiaddr_cut(&addr, MF_P_IP4));
	assert_text(&addr, "/");
}

static void the_peer_is_the_last_part(void **state)
{
	struct mf_multiaddr addr = parsed("/ip4/1.2.3.4/tcp/80/p2p/" PEER);
	char text[MF_PEER_ID_TEXT_MAX];
	struct mf_peer_id id;

	assert_int_equal(mf_multiaddr_peer(&addr, &id), 0);
	mf_peer_id_format(&id, text, sizeof(text));
	assert_string_equal(text, PEER);
	assert_int_equal(mf_multiaddr_append(&addr, MF_P_P2P_CIRCUIT, NULL, 0), 0);
	assert_int_equal(mf_multiaddr_peer(&addr, &id), -ENOENT);
	assert_int_equal(mf_multiaddr_add_peer(&addr, &id), 0);
	assert_text(&addr, "/ip4/1.2.3.4/tcp/80/p2p/" PEER "/p2p-circuit/p2p/" PEER);
	addr.len = 0;
	assert_int_equal(mf_multiaddr_peer(&addr, &id), -ENOENT);
}

static void addresses_can_be_joined(void **state)
{
	struct mf_multiaddr addr = parsed("/ip4/1.2.3.4/tcp/80"), ws = parsed("/ws"),
			    path = parsed("/unix/a"), none = parsed("/");

	assert_int_equal(mf_multiaddr_join(&addr, &ws), 0);
	assert_int_equal(mf_multiaddr_join(&addr, &path), 0);
	assert_text(&addr, "/ip4/1.2.3.4/tcp/80/ws/unix/a");
	assert_int_equal(mf_multiaddr_join(&addr, &ws), -EINVAL);
	assert_int_equal(mf_multiaddr_join(&addr, &none), 0);
	assert_int_equal(mf_multiaddr_append(&addr, MF_P_WS, NULL, 0), -EINVAL);
	assert_text(&addr, "/ip4/1.2.3.4/tcp/80/ws/unix/a");
}

static void append_checks_the_value(void **state)
{
	struct mf_multiaddr addr = { .len = 0 };

	assert_int_equal(mf_multiaddr_append(&addr, MF_P_IP4, "\1\2\3", 3), -EINVAL);
	assert_int_equal(mf_multiaddr_append(&addr, MF_P_WS, "\1", 1), -EINVAL);
	assert_int_equal(mf_multiaddr_append(&addr, MF_P_DNS4, "a/b", 3), -EINVAL);
	assert_int_equal(mf_multiaddr_append(&addr, MF_P_DNS4, NULL, 0), -EINVAL);
	assert_int_equal(mf_multiaddr_append(&addr, 0x7f, NULL, 0), -EPROTONOSUPPORT);
	assert_int_equal(addr.len, 0);
	assert_string_equal(mf_protocol_name(MF_P_P2P), "p2p");
	assert_null(mf_protocol_name(0x7f));
}

static void check_sockaddr(const char *text, int transport, const char *canonical)
{
	struct mf_multiaddr addr = parsed(text), back;
	struct sockaddr_storage storage;
	socklen_t len = 0;

	assert_int_equal(mf_multiaddr_to_sockaddr(&addr, &storage, &len), transport);
	assert_int_equal(len,
		storage.ss_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6));
	assert_int_equal(
		mf_multiaddr_from_sockaddr(&back, (struct sockaddr *)&storage, transport), 0);
	assert_text(&back, canonical);
}

static void socket_addresses(void **state)
{
	struct sockaddr_storage out;
	struct mf_multiaddr addr;
	socklen_t len;

	check_sockaddr("/ip4/1.2.3.4/tcp/80/ws", MF_P_TCP, "/ip4/1.2.3.4/tcp/80");
	check_sockaddr("/ip4/1.2.3.4/udp/80/quic-v1", MF_P_UDP, "/ip4/1.2.3.4/udp/80");
	check_sockaddr("/ip6/2001:db8::1/tcp/65535", MF_P_TCP, "/ip6/2001:db8::1/tcp/65535");
	check_sockaddr("/ip6zone/12/ip6/fe80::1/udp/9", MF_P_UDP, "/ip6zone/12/ip6/fe80::1/udp/9");
	check_sockaddr("/ip6/::ffff:1.2.3.4/tcp/1", MF_P_TCP, "/ip4/1.2.3.4/tcp/1");

	addr = parsed("/ip4/1.2.3.4/tcp/80");
	mf_multiaddr_to_sockaddr(&addr, &out, &len);
	assert_int_equal(ntohs(((struct sockaddr_in *)&out)->sin_port), 80);
	assert_int_equal(ntohl(((struct sockaddr_in *)&out)->sin_addr.s_addr), 0x01020304);

	static const char *const none[] = { "/", "/ip4/1.2.3.4", "/dns4/a/tcp/1", "/tcp/1",
		"/ip4/1.2.3.4/sctp/1", "/ip6zone/eth0/ip6/fe80::1/tcp/1",
		"/ip6zone/1/ip4/1.2.3.4/tcp/1", "/unix/a" };
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		addr = parsed(none[i]);
		assert_int_equal(mf_multiaddr_to_sockaddr(&addr, &out, &len), -EAFNOSUPPORT);
	}
	struct sockaddr local = { .sa_family = AF_UNIX };
	assert_int_equal(mf_multiaddr_from_sockaddr(&addr, &local, MF_P_TCP), -EAFNOSUPPORT);
	assert_int_equal(mf_multiaddr_from_sockaddr(&addr, &local, MF_P_WS), -EINVAL);
}

static void codes_are_the_tables(void **state)
{
	FILE *file = fixture_open("multicodec/table.csv");
	char line[1024], name[128], tag[64];
	unsigned code;
	int checked = 0;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%127[^,], %63[^,], %x", name, tag, &code) != 3 ||
			strcmp(tag, "multiaddr") != 0 || !mf_protocol_name(code))
			continue;
		assert_string_equal(mf_protocol_name(code), name);
		checked++;
	}
	fclose(file);
	assert_int_equal(checked, 40); /* all of ours but memory, which the table lacks */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_bytes_agree),
		cmocka_unit_test(garlic64),
		cmocka_unit_test(other_spellings_become_canonical),
		cmocka_unit_test(refuses_malformed_text),
		cmocka_unit_test(refuses_malformed_bytes),
		cmocka_unit_test(size_and_parts_are_bounded),
		cmocka_unit_test(parts_can_be_walked_found_and_cut),
		cmocka_unit_test(the_peer_is_the_last_part),
		cmocka_unit_test(addresses_can_be_joined),
		cmocka_unit_test(append_checks_the_value),
		cmocka_unit_test(socket_addresses),
		cmocka_unit_test(codes_are_the_tables),
	};
	return fixtures_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
