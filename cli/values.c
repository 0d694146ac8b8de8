/* What options and arguments may be: completion offers it, parsing refuses what is not in it. And what some
 * of them mean. */
#include "cli.h"

#include <ipld/unixfs_profile.h>
#include <multiformats/multihash.h>
#include <string.h>

#define VALUE_AT(table, i) ((i) < sizeof(table) / sizeof(*(table)) ? (table)[i] : NULL)

const char *cli_profiles(size_t i)
{
	static const struct unixfs_profile *const profiles[] = { &unixfs_v1_2025, &unixfs_v0_2015,
		&unixfs_kubo_cid_v1 };
	const struct unixfs_profile *profile = VALUE_AT(profiles, i);

	return profile ? profile->name : NULL;
}

const char *cli_cid_versions(size_t i)
{
	static const char *const versions[] = { "0", "1" };

	return VALUE_AT(versions, i);
}

const char *cli_chunkers(size_t i)
{
	static const char *const chunkers[] = { "size-262144", "size-1048576" };

	return VALUE_AT(chunkers, i);
}

const char *cli_hashes(size_t i)
{
	static const char *const hashes[] = { "sha2-256", "sha2-512", "sha3-256", "sha3-512",
		"blake2b-256", "blake2s-256", "blake3" };

	return VALUE_AT(hashes, i);
}

const char *cli_pin_types(size_t i)
{
	static const char *const types[] = { "all", "direct", "recursive", "indirect" };

	return VALUE_AT(types, i);
}

const char *cli_adoptions(size_t i)
{
	static const char *const ways[] = { "link" };

	return VALUE_AT(ways, i);
}

const char *cli_car_versions(size_t i)
{
	static const char *const versions[] = { "1", "2" };

	return VALUE_AT(versions, i);
}

const char *cli_encodings(size_t i)
{
	static const char *const encodings[] = { "json", "text" };

	return VALUE_AT(encodings, i);
}

const char *cli_durabilities(size_t i)
{
	static const char *const modes[] = { "durable", "batched", "none" };

	return VALUE_AT(modes, i);
}

const char *cli_shells(size_t i)
{
	static const char *const shells[] = { "bash", "zsh", "fish" };

	return VALUE_AT(shells, i);
}

const char *cli_codecs(size_t i)
{
	static const char *const codecs[] = { "raw", "dag-pb", "dag-cbor", "dag-json", "cbor",
		"json" };

	return VALUE_AT(codecs, i);
}

const char *cli_document_codecs(size_t i)
{
	static const char *const codecs[] = { "dag-json", "dag-cbor", "dag-pb", "raw" };

	return VALUE_AT(codecs, i);
}

bool cli_is_value(const char *(*values)(size_t i), const char *text)
{
	const char *value;

	for (size_t i = 0; (value = values(i)); i++)
		if (!strcmp(value, text))
			return true;
	return false;
}

uint32_t cli_codec(const struct cli *cli, const char *option, uint32_t dflt)
{
	const char *name = cli_value(cli, option);

	return name ? kit_codec_of(name) : dflt;
}

int cli_hash(const struct cli *cli, const char *option, uint32_t *hash)
{
	const char *name = cli_value(cli, option);

	return mf_hash_find(name ? name : "sha2-256", hash)
		? cli_refuse(cli, CLI_USAGE,
			  "no hash function is called '%s'; give sha2-256 or another of multicodec's names",
			  name)
		: 0;
}
