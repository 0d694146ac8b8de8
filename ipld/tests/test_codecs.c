/* dag-cbor, dag-json and dag-pb against the public codec fixtures and inputs of our own. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <ipld/block.h>
#include <ipld/doc.h>
#include <ipld/links.h>
#include <multiformats/multihash.h>

static const struct {
	const char *name;
	uint32_t codec;
} codecs[] = { { "dag-pb", MF_CODEC_DAG_PB }, { "dag-cbor", MF_CODEC_DAG_CBOR },
	{ "dag-json", MF_CODEC_DAG_JSON } };

enum { CODECS = 3 };

struct file {
	uint8_t *data;
	size_t len;
	char cid[256];
};

static void load_forms(const char *dir, struct file forms[CODECS])
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	memset(forms, 0, sizeof(struct file) * CODECS);
	while (d && (entry = readdir(d))) {
		char *dot = strrchr(entry->d_name, '.');

		for (int i = 0; dot && i < CODECS; i++) {
			if (strcmp(dot + 1, codecs[i].name) != 0)
				continue;
			forms[i].data = read_fixture(&forms[i].len, "%s/%s", dir, entry->d_name);
			snprintf(forms[i].cid, sizeof(forms[i].cid), "%.*s",
				(int)(dot - entry->d_name), entry->d_name);
		}
	}
	if (d)
		closedir(d);
}

static void check_pair(const char *dir, int from, int to, const struct file forms[CODECS])
{
	uint8_t *out;
	size_t len;
	int rc = ipld_transcode(codecs[from].codec, forms[from].data, forms[from].len,
		codecs[to].codec, &out, &len);

	if (rc < 0)
		fail_msg("%s: %s to %s: %d", dir, codecs[from].name, codecs[to].name, rc);
	if (len != forms[to].len || memcmp(out, forms[to].data, len) != 0)
		fail_msg("%s: %s to %s differs: %.*s", dir, codecs[from].name, codecs[to].name,
			(int)(len < 200 ? len : 200), (char *)out);
	free(out);
}

static void every_fixture_transcodes_exactly(void **state)
{
	const char *root = fixtures();
	char dir[1024], path[2048];
	struct file forms[CODECS];
	struct dirent *entry;
	int seen = 0;

	snprintf(dir, sizeof(dir), "%s/codecs/fixtures", root);
	DIR *d = opendir(dir);
	assert_non_null(d);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		load_forms(path, forms);
		for (int i = 0; i < CODECS; i++) {
			for (int k = 0; forms[i].data && k < CODECS; k++) {
				if (forms[k].data)
					check_pair(path, i, k, forms);
			}
			if (forms[i].data) {
				struct mf_cid cid = cid_of(forms[i].cid);

				assert_int_equal(cid.codec, codecs[i].codec);
				assert_int_equal(
					ipld_block_verify(&cid, forms[i].data, forms[i].len), 0);
				seen++;
			}
		}
		for (int i = 0; i < CODECS; i++)
			free(forms[i].data);
	}
	closedir(d);
	assert_in_range(seen, 250, 10000);
}

static json_t *load_list(const char *path)
{
	json_t *list = json_load_file(path, JSON_DECODE_ANY, NULL);

	if (!json_is_array(list))
		fail_msg("cannot read %s", path);
	return list;
}

static void refuse_decoding(const char *file, uint32_t codec)
{
	char path[1024];
	uint8_t bytes[4096];
	struct ipld_doc doc;
	json_t *item;
	size_t i;

	snprintf(path, sizeof(path), "%s/codecs/negative-fixtures/%s", fixtures(), file);
	json_t *list = load_list(path);
	json_array_foreach (list, i, item) {
		const char *hex = json_string_value(json_object_get(item, "hex"));
		size_t len = unhex(hex, bytes, sizeof(bytes));

		if (ipld_doc_decode(&doc, codec, bytes, len) != -EBADMSG)
			fail_msg("%s: accepted %s", file, hex);
		ipld_doc_free(&doc);
	}
	json_decref(list);
}

static void refuse_encoding(const char *file, uint32_t codec)
{
	char path[1024];
	uint8_t *out;
	json_t *item;
	size_t i, len;

	snprintf(path, sizeof(path), "%s/codecs/negative-fixtures/%s", fixtures(), file);
	json_t *list = load_list(path);
	json_array_foreach (list, i, item) {
		char *text = json_dumps(json_object_get(item, "dag-json"), JSON_ENCODE_ANY);

		if (ipld_transcode(MF_CODEC_DAG_JSON, text, strlen(text), codec, &out, &len) !=
			-EBADMSG)
			fail_msg("%s: accepted %s", file, text);
		free(text);
	}
	json_decref(list);
}

static void negative_fixtures_are_refused(void **state)
{
	refuse_decoding("dag-cbor/decode/duplicate-keys.json", MF_CODEC_DAG_CBOR);
	refuse_decoding("dag-json/decode/duplicate-keys.json", MF_CODEC_DAG_JSON);
	refuse_decoding("dag-pb/decode/edges.json", MF_CODEC_DAG_PB);
	refuse_encoding("dag-pb/encode/basic-datamodel-kinds.json", MF_CODEC_DAG_PB);
	refuse_encoding("dag-pb/encode/invalid-forms.json", MF_CODEC_DAG_PB);
}

static int decode_hex(uint32_t codec, const char *hex)
{
	uint8_t bytes[256];
	struct ipld_doc doc;
	size_t len = unhex(hex, bytes, sizeof(bytes));
	int rc = ipld_doc_decode(&doc, codec, bytes, len);

	ipld_doc_free(&doc);
	return rc;
}

static void loose_cbor_is_refused(void **state)
{
	static const char *const bad[] = {
		"",                     /* nothing */
		"1801",                 /* one in two bytes */
		"190017",               /* 23 in three bytes */
		"1b00000000ffffffff",   /* 32 bits in 64 */
		"f97e00",               /* half float */
		"fa3f800000",           /* single float */
		"fb7ff8000000000000",   /* NaN */
		"fb7ff0000000000000",   /* infinity */
		"f7",                   /* undefined */
		"9fff",                 /* indefinite list */
		"5f4100ff",             /* indefinite bytes */
		"c11a514b67b0",         /* another tag */
		"d82a40",               /* empty link */
		"d82a4100",             /* link without CID */
		"a10102",               /* integer key */
		"a2616201616102",       /* keys out of order */
		"a2626161016162",       /* truncated */
		"61ff",                 /* not UTF-8 */
		"0000",                 /* trailing byte */
		"9bffffffffffffffff",   /* list of 2^64-1 */
		"bbffffffffffffffff",   /* map of 2^64-1 */
		"9b00000000ffffffff00", /* list of 2^32-1 in nine bytes */
		"5bffffffffffffffff00", /* bytes of 2^64-1 */
		"7a7fffffff41",         /* text of 2^31-1 */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (decode_hex(MF_CODEC_DAG_CBOR, bad[i]) != -EBADMSG)
			fail_msg("accepted %s", bad[i]);
	}
	assert_int_equal(decode_hex(MF_CODEC_DAG_CBOR, "a2616101616202"), 0);
}

static int decode_json(const char *text)
{
	struct ipld_doc doc;
	int rc = ipld_doc_decode(&doc, MF_CODEC_DAG_JSON, text, strlen(text));

	ipld_doc_free(&doc);
	return rc;
}

static void loose_json_is_refused(void **state)
{
	static const char *const bad[] = { "", " ", "nul", "truex", "[1,]", "[1 2]", "[", "]", "{",
		"{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "\"", "\"\\\"", "\"\\x\"", "\"\t\"",
		"\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\xff\"", "01", "1.", ".5", "+1", "1e",
		"NaN", "1e999", "18446744073709551616", "-18446744073709551617", "1 2", "[1}",
		"{\"a\":1]", "{\"/\":\"nonsense\"}", "{\"/\":\"bafkqaaa\",\"a\":1}",
		"{\"a\":1,\"/\":\"bafkqaaa\"}", "{\"/\":{\"bytes\":\"A\"}}",
		"{\"/\":{\"bytes\":\"AB!!\"}}", "{\"/\":{\"bytes\":\"AA\",\"x\":1}}",
		"{\"/\":{\"bytes\":\"AB\"}}", "{\"a\":1,\"b\":2,\"a\":3}",
		"{\"a\":1,\"\\u0061\":3}" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (decode_json(bad[i]) != -EBADMSG)
			fail_msg("accepted %s", bad[i]);
	}
}

static void assert_transcodes(const char *json, const char *canonical)
{
	uint8_t *cbor, *text;
	size_t cbor_len, len;

	assert_int_equal(ipld_transcode(MF_CODEC_DAG_JSON, json, strlen(json), MF_CODEC_DAG_CBOR,
				 &cbor, &cbor_len),
		0);
	assert_int_equal(
		ipld_transcode(MF_CODEC_DAG_CBOR, cbor, cbor_len, MF_CODEC_DAG_JSON, &text, &len),
		0);
	assert_int_equal(len, strlen(canonical));
	assert_memory_equal(text, canonical, len);
	free(cbor);
	free(text);
}

static void json_becomes_canonical(void **state)
{
	assert_transcodes(
		" { \"b\" : [ 1 , -1.50e1 ] , \"a\" : { } } ", "{\"a\":{},\"b\":[1,-15.0]}");
	assert_transcodes(
		"\"\\u0041\\ud83d\\ude00\\/\\b\\u0001\"", "\"A\xf0\x9f\x98\x80/\\b\\u0001\"");
	assert_transcodes(
		"[1.0,0.0,-0.0,1e21,1e20,1e-6,1e-7,123456789.125,5e-324,1.7976931348623157e308]",
		"[1.0,0.0,-0.0,1e+21,100000000000000000000.0,0.000001,1e-7,123456789.125,5e-324,"
		"1.7976931348623157e+308]");
	assert_transcodes("[18446744073709551615,-18446744073709551616,-0,9007199254740993]",
		"[18446744073709551615,-18446744073709551616,0,9007199254740993]");
	assert_transcodes("{\"/\":{\"bytes\":\"AA==\"}}", "{\"/\":{\"bytes\":\"AA\"}}");
	assert_transcodes("{\"/\":1}", "{\"/\":1}");
	assert_transcodes("[[],{},[[]],{\"aa\":1,\"b\":{\"c\":[{}]}}]",
		"[[],{},[[]],{\"aa\":1,\"b\":{\"c\":[{}]}}]");
}

static void nesting_has_a_floor(void **state)
{
	enum { DEEP = 100000 };
	uint8_t *deep = malloc(DEEP);
	struct ipld_doc doc;

	memset(deep, 0x81, DEEP);
	assert_int_equal(ipld_doc_decode(&doc, MF_CODEC_DAG_CBOR, deep, DEEP), -EMSGSIZE);
	ipld_doc_free(&doc);
	assert_int_equal(ipld_links(MF_CODEC_DAG_CBOR, deep, DEEP, NULL, NULL), -EMSGSIZE);
	memset(deep, '[', DEEP);
	assert_int_equal(ipld_doc_decode(&doc, MF_CODEC_DAG_JSON, deep, DEEP), -EMSGSIZE);
	ipld_doc_free(&doc);
	assert_int_equal(ipld_links(MF_CODEC_DAG_JSON, deep, DEEP, NULL, NULL), -EMSGSIZE);
	memset(deep, 0x81, IPLD_DEPTH_MAX);
	deep[IPLD_DEPTH_MAX] = 0;
	assert_int_equal(ipld_doc_decode(&doc, MF_CODEC_DAG_CBOR, deep, IPLD_DEPTH_MAX + 1), 0);
	ipld_doc_free(&doc);
	free(deep);
}

static ipld_ref path(const struct ipld_doc *doc, ipld_ref at, const char *name)
{
	return ipld_doc_step(doc, at, name, strlen(name));
}

static void paths_are_walked(void **state)
{
	static const char json[] = "{\"a\":[7,{\"b\":{\"/\":\"bafkqaaa\"}}],\"0\":true}";
	struct ipld_doc doc;

	assert_int_equal(ipld_doc_decode(&doc, MF_CODEC_DAG_JSON, json, strlen(json)), 0);
	ipld_ref list = path(&doc, 0, "a");
	assert_int_equal(doc.nodes[path(&doc, list, "0")].magnitude, 7);
	assert_int_equal(doc.nodes[path(&doc, path(&doc, list, "1"), "b")].kind, IPLD_LINK);
	assert_int_equal(doc.nodes[path(&doc, 0, "0")].kind, IPLD_BOOL);
	assert_int_equal(path(&doc, list, "2"), IPLD_NONE);
	assert_int_equal(path(&doc, list, "01"), IPLD_NONE);
	assert_int_equal(path(&doc, list, "-1"), IPLD_NONE);
	assert_int_equal(path(&doc, list, ""), IPLD_NONE);
	assert_int_equal(path(&doc, list, "99999999999999999999"), IPLD_NONE);
	assert_int_equal(path(&doc, 0, "c"), IPLD_NONE);
	assert_int_equal(path(&doc, path(&doc, 0, "0"), "c"), IPLD_NONE);
	assert_int_equal(path(&doc, IPLD_NONE, "c"), IPLD_NONE);
	ipld_doc_free(&doc);
}

/* Each value of a document, made a document of its own, is written as it stood there. */
static void values_become_documents(void **state)
{
	static const char json[] =
		"{\"a\":[7,{\"b\":{\"/\":\"bafkqaaa\"},\"a\":[]},[[{}]]],\"zz\":{\"y\":1,\"x\":\"s\"},\"c\":true}";
	static const struct {
		const char *way[3], *text;
	} values[] = {
		{ { NULL },
			"{\"a\":[7,{\"a\":[],\"b\":{\"/\":\"bafkqaaa\"}},[[{}]]],\"c\":true,\"zz\":{\"x\":\"s\",\"y\":1}}" },
		{ { "a" }, "[7,{\"a\":[],\"b\":{\"/\":\"bafkqaaa\"}},[[{}]]]" },
		{ { "a", "0" }, "7" }, { { "a", "1" }, "{\"a\":[],\"b\":{\"/\":\"bafkqaaa\"}}" },
		{ { "a", "1", "b" }, "{\"/\":\"bafkqaaa\"}" }, { { "a", "1", "a" }, "[]" },
		{ { "a", "2" }, "[[{}]]" }, { { "zz" }, "{\"x\":\"s\",\"y\":1}" },
		{ { "zz", "x" }, "\"s\"" }, { { "c" }, "true" }
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		struct mf_pb_writer out = mf_pb_write_growing(1);
		struct ipld_doc doc;
		ipld_ref at = 0;
		assert_int_equal(ipld_doc_decode(&doc, MF_CODEC_DAG_JSON, json, strlen(json)), 0);
		for (size_t j = 0; j < 3 && values[i].way[j]; j++)
			at = path(&doc, at, values[i].way[j]);
		ipld_doc_narrow(&doc, at);
		assert_int_equal(ipld_doc_encode(&doc, MF_CODEC_DAG_CBOR, &out), 0);
		out.len = 0;
		assert_int_equal(ipld_doc_encode(&doc, MF_CODEC_DAG_JSON, &out), 0);
		assert_int_equal(mf_pb_finish(&out), strlen(values[i].text));
		assert_memory_equal(out.data, values[i].text, out.len);
		free(out.data);
		ipld_doc_free(&doc);
	}
}

static int count_link(void *arg, const struct mf_cid *cid)
{
	int *left = arg;

	return --*left == 0 ? 7 : 0;
}

static void links_are_found_and_can_stop(void **state)
{
	static const char json[] =
		"{\"a\":{\"/\":\"bafkqaaa\"},\"b\":[{\"/\":\"bafkqaaa\"},{\"/\":{\"bytes\":\"\"}}]}";
	static const uint32_t both[] = { MF_CODEC_DAG_JSON, MF_CODEC_DAG_CBOR };

	for (int i = 0; i < 2; i++) {
		uint8_t *block;
		size_t len;
		int left = 100;

		assert_int_equal(ipld_transcode(MF_CODEC_DAG_JSON, json, strlen(json), both[i],
					 &block, &len),
			0);
		assert_int_equal(ipld_links(both[i], block, len, count_link, &left), 0);
		assert_int_equal(left, 98);
		left = 1;
		assert_int_equal(ipld_links(both[i], block, len, count_link, &left), 7);
		assert_int_equal(ipld_links(both[i], block, len - 1, count_link, &left), -EBADMSG);
		free(block);
	}
	assert_int_equal(ipld_links(MF_CODEC_RAW, "x", 1, count_link, NULL), 0);
}

static void malformed_pb_is_refused(void **state)
{
	static const char *const bad[] = {
		"0a",                       /* no length */
		"0a05aa",                   /* data past the end */
		"0affffffffffffffff7faa",   /* data of 2^63-1 */
		"0a010a0a010b",             /* data twice */
		"1a00",                     /* field 3 */
		"0801",                     /* data as varint */
		"12ffffffffffffffffff010a", /* link of 2^64-1 */
		"12070a0155000012ff",       /* link with its CID cut short */
		"120a0a0401550000120212",   /* name past its link's end */
		"120a1800"
		"0a0401550000"
		"00", /* Tsize before Hash */
		"120c0a0401550000"
		"0a0401550000", /* Hash twice */
		"12080a050155000000"
		"00", /* CID with a byte after it */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (decode_hex(MF_CODEC_DAG_PB, bad[i]) != -EBADMSG)
			fail_msg("accepted %s", bad[i]);
	}
	/* Data first, and a Tsize of 2^64-1. */
	assert_int_equal(decode_hex(MF_CODEC_DAG_PB, "0a010112060a0401550000"), 0);
	assert_int_equal(decode_hex(MF_CODEC_DAG_PB, "12110a040155000018ffffffffffffffffff01"), 0);
}

static void the_gate_refuses(void **state)
{
	struct mf_cid cid, other;
	uint8_t *big = calloc(1, IPLD_BLOCK_MAX + 1);

	mf_cid_of(&cid, 1, MF_CODEC_RAW, "hello", 5);
	assert_int_equal(ipld_block_verify(&cid, "hello", 5), 0);
	assert_int_equal(ipld_block_verify(&cid, "hellO", 5), -EBADMSG);
	assert_int_equal(ipld_block_verify(&cid, "hell", 4), -EBADMSG);
	assert_int_equal(ipld_block_verify(&cid, big, IPLD_BLOCK_MAX + 1), -EMSGSIZE);
	mf_cid_of(&other, 1, MF_CODEC_RAW, big, IPLD_BLOCK_MAX);
	assert_int_equal(ipld_block_verify(&other, big, IPLD_BLOCK_MAX), 0);
	other = cid;
	other.digest_len = 19;
	assert_int_equal(ipld_block_verify(&other, "hello", 5), -EPROTONOSUPPORT);
	other.digest_len = 33;
	assert_int_not_equal(ipld_block_verify(&other, "hello", 5), 0);
	other = cid;
	other.hash = 0xd5; /* md5 */
	assert_int_equal(ipld_block_verify(&other, "hello", 5), -EPROTONOSUPPORT);
	other.hash = 0x7777;
	assert_int_equal(ipld_block_verify(&other, "hello", 5), -EPROTONOSUPPORT);
	other = cid_of("bafkqablimvwgy3y"); /* identity "hello" */
	assert_int_equal(ipld_block_verify(&other, "hello", 5), 0);
	assert_int_equal(ipld_block_verify(&other, "hellO", 5), -EBADMSG);
	free(big);
}

/* Many at once get what each gets alone, and a name is what the check then wants. */
static void the_gate_is_one(void **state)
{
	enum { COUNT = 53 };
	static const struct mf_cid hashes[] = { { .hash = MF_HASH_SHA2_256, .digest_len = 32 },
		{ .hash = MF_HASH_SHA2_256, .digest_len = 20 },
		{ .hash = MF_HASH_SHA2_256, .digest_len = 19 },
		{ .hash = MF_HASH_SHA2_256, .digest_len = 33 },
		{ .hash = MF_HASH_SHA2_512, .digest_len = 64 },
		{ .hash = MF_HASH_BLAKE2B_256, .digest_len = 32 },
		{ .hash = MF_HASH_BLAKE3, .digest_len = 100 },
		{ .hash = MF_HASH_MD5, .digest_len = 16 }, { .hash = 0x7777, .digest_len = 32 } };
	enum { HASHES = sizeof(hashes) / sizeof(hashes[0]) };
	struct mf_cid cids[COUNT];
	struct ipld_block blocks[COUNT];
	uint8_t *data = calloc(1, IPLD_BLOCK_MAX + 1);

	for (size_t i = 0; i < COUNT; i++) {
		size_t len = i == 5 ? IPLD_BLOCK_MAX + 1 : i;

		cids[i] = hashes[i % HASHES];
		cids[i].version = 1;
		cids[i].codec = MF_CODEC_RAW;
		blocks[i] = (struct ipld_block){ .cid = &cids[i],
			.data = len ? data : NULL,
			.len = len,
			.name = cids[i].digest,
			.result = 1 };
	}
	ipld_blocks_pass(blocks, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		static const int named[HASHES] = { 0, 0, -EPROTONOSUPPORT, -EPROTONOSUPPORT, 0, 0,
			0, -EPROTONOSUPPORT, -EPROTONOSUPPORT };

		assert_int_equal(blocks[i].result, i == 5 ? -EMSGSIZE : named[i % HASHES]);
		blocks[i].name = NULL;
		if (i > 40)
			cids[i].digest[i % 19] ^= 1;
	}
	ipld_blocks_pass(blocks, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const struct ipld_block *block = &blocks[i];

		assert_int_equal(
			block->result, ipld_block_verify(block->cid, block->data, block->len));
		assert_int_equal(block->result == 0,
			i <= 40 && i != 5 && ipld_block_allowed(&cids[i], block->len) == 0 &&
				!(cids[i].hash == MF_HASH_SHA2_256 && cids[i].digest_len > 32));
	}
	ipld_blocks_pass(NULL, 0);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fixture_transcodes_exactly),
		cmocka_unit_test(negative_fixtures_are_refused),
		cmocka_unit_test(loose_cbor_is_refused),
		cmocka_unit_test(loose_json_is_refused),
		cmocka_unit_test(json_becomes_canonical),
		cmocka_unit_test(nesting_has_a_floor),
		cmocka_unit_test(paths_are_walked),
		cmocka_unit_test(values_become_documents),
		cmocka_unit_test(links_are_found_and_can_stop),
		cmocka_unit_test(malformed_pb_is_refused),
		cmocka_unit_test(the_gate_refuses),
		cmocka_unit_test(the_gate_is_one),
	};

	return ipld_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
