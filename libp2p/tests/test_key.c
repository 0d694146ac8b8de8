/* The low-level RSA calls make a key no generator would. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "check.h"

#include <sys/stat.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <libp2p/key.h>
#include <multiformats/pb.h>

/* libp2p/specs peer-ids, test vectors. */
static const char spec_private[] =
	"080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"
	"1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";
static const char spec_public[] =
	"080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";

static void spec_vector(void **state)
{
	uint8_t bytes[128], expected[128];
	struct p2p_key key;
	size_t len = from_hex(spec_private, bytes, sizeof bytes);

	assert_int_equal(p2p_key_decode(&key, bytes, len), 0);
	assert_int_equal(p2p_key_encode(&key, expected, sizeof expected), len);
	assert_memory_equal(bytes, expected, len);
	len = from_hex(spec_public, bytes, sizeof bytes);
	assert_int_equal(p2p_key_public(&key, expected, sizeof expected), len);
	assert_memory_equal(bytes, expected, len);
}

static void old_96_byte_form(void **state)
{
	uint8_t bytes[128];
	struct p2p_key key;
	size_t len = from_hex(spec_private, bytes, sizeof bytes);

	bytes[3] = 96;
	memcpy(bytes + len, bytes + len - 32, 32);
	assert_int_equal(p2p_key_decode(&key, bytes, len + 32), 0);
	bytes[len + 1] ^= 1;
	assert_int_equal(p2p_key_decode(&key, bytes, len + 32), -EINVAL);
}

static void halves_that_do_not_match(void **state)
{
	uint8_t bytes[128];
	struct p2p_key key;
	size_t len = from_hex(spec_private, bytes, sizeof bytes);

	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		assert_true(p2p_key_decode(&key, bytes, len) < 0);
		bytes[i] ^= 1;
	}
}

static void sign_and_verify(void **state)
{
	uint8_t public[64], signature[64];
	struct mf_peer_id own, derived;
	struct p2p_key key;
	ssize_t len;

	p2p_key_generate(&key);
	len = p2p_key_public(&key, public, sizeof public);
	p2p_key_sign(&key, "text", 4, signature);
	assert_int_equal(p2p_public_key_verify(public, (size_t)len, "text", 4, signature, 64), 0);
	assert_int_equal(
		p2p_public_key_verify(public, (size_t)len, "Text", 4, signature, 64), -EBADMSG);
	assert_int_equal(
		p2p_public_key_verify(public, (size_t)len, "text", 4, signature, 63), -EBADMSG);
	assert_int_equal(p2p_public_key_peer_id(public, (size_t)len, &derived), 0);
	p2p_key_peer_id(&key, &own);
	assert_true(mf_peer_id_equal(&own, &derived));
}

/* Keys of other types, made and used by OpenSSL as other peers would. */
static void openssl_key(EVP_PKEY *key, enum p2p_key_type type, int expected)
{
	uint8_t message[4096], *der = NULL, *data, point[33], signature[2048];
	struct mf_pb_writer writer = mf_pb_write_fixed(message, sizeof message);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t len = sizeof signature, point_len;
	struct mf_peer_id id;
	int n = i2d_PUBKEY(key, &der);

	assert_true(n > 0);
	data = der;
	if (type == P2P_KEY_SECP256K1) {
		EVP_PKEY_set_utf8_string_param(key, "point-format", "compressed");
		assert_int_equal(EVP_PKEY_get_octet_string_param(
					 key, "pub", point, sizeof point, &point_len),
			1);
		data = point;
		n = (int)point_len;
	}
	mf_pb_put_varint(&writer, 1, type);
	mf_pb_put_bytes(&writer, 2, data, (size_t)n);
	EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key);
	assert_int_equal(EVP_DigestSign(context, signature, &len, (const uint8_t *)"text", 4), 1);
	assert_int_equal(
		p2p_public_key_verify(message, writer.len, "text", 4, signature, len), expected);
	assert_int_equal(p2p_public_key_peer_id(message, writer.len, &id), expected);
	if (expected == 0)
		assert_int_equal(
			p2p_public_key_verify(message, writer.len, "Text", 4, signature, len),
			-EBADMSG);
	EVP_MD_CTX_free(context);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

static void other_types(void **state)
{
	openssl_key(EVP_RSA_gen(2048), P2P_KEY_RSA, 0);
	openssl_key(EVP_EC_gen("P-256"), P2P_KEY_ECDSA, 0);
	openssl_key(EVP_EC_gen("secp256k1"), P2P_KEY_SECP256K1, 0);
}

static void keys_of_the_wrong_kind(void **state)
{
	openssl_key(EVP_RSA_gen(1024), P2P_KEY_RSA, -EINVAL);
	openssl_key(EVP_RSA_gen(2048), P2P_KEY_ECDSA, -EINVAL);
	openssl_key(EVP_EC_gen("P-256"), P2P_KEY_RSA, -EINVAL);
}

/* RSA keys over 8192 bits are refused whatever their modulus is: nothing is computed with them. */
static void giant_rsa(void **state)
{
	static uint8_t message[8192], signature[1024];
	struct mf_pb_writer writer;
	BIGNUM *n = BN_new(), *e = BN_new();
	uint8_t *der = NULL;
	RSA *rsa = RSA_new();
	EVP_PKEY *key = EVP_PKEY_new();
	int len;

	BN_set_bit(n, 8192 + 7);
	BN_set_bit(n, 0);
	BN_set_word(e, 65537);
	RSA_set0_key(rsa, n, e, NULL);
	EVP_PKEY_assign_RSA(key, rsa);
	len = i2d_PUBKEY(key, &der);
	assert_true(len > 0);
	writer = mf_pb_write_fixed(message, sizeof message);
	mf_pb_put_varint(&writer, 1, P2P_KEY_RSA);
	mf_pb_put_bytes(&writer, 2, der, (size_t)len);
	assert_int_equal(
		p2p_public_key_verify(message, writer.len, "text", 4, signature, sizeof signature),
		-EINVAL);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

static void in_temporary_directory(void (*body)(const char *path))
{
	char dir[] = "/tmp/p2p-key-XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/key", dir);
	body(path);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

static void file_body(const char *path)
{
	struct p2p_key key, again;
	struct stat st;
	FILE *file;

	assert_int_equal(p2p_key_load(&key, path), -ENOENT);
	p2p_key_generate(&key);
	assert_int_equal(p2p_key_save(&key, path), 0);
	assert_int_equal(p2p_key_save(&key, path), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(p2p_key_load(&again, path), 0);
	assert_memory_equal(&key, &again, sizeof key);
	chmod(path, 0644);
	assert_int_equal(p2p_key_load(&again, path), -EPERM);
	chmod(path, 0600);
	file = fopen(path, "r+");
	fseek(file, 10, SEEK_SET);
	fputc(key.secret[6] ^ 1, file);
	fclose(file);
	assert_int_equal(p2p_key_load(&again, path), -EINVAL);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(p2p_key_load(&again, path), -EINVAL);
}

static void key_file(void **state)
{
	in_temporary_directory(file_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spec_vector),
		cmocka_unit_test(old_96_byte_form),
		cmocka_unit_test(halves_that_do_not_match),
		cmocka_unit_test(sign_and_verify),
		cmocka_unit_test(other_types),
		cmocka_unit_test(keys_of_the_wrong_kind),
		cmocka_unit_test(giant_rsa),
		cmocka_unit_test(key_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
