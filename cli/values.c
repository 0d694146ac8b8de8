/* What options and arguments may be: completion offers it, parsing refuses what is not in it. */
#include "cli.h"

#include <ipld/unixfs_profile.h>
#include <multiformats/cid.h>
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
	static const char *const types[] = { "all", "direct", "recursive" };

	return VALUE_AT(types, i);
}

const char *cli_shells(size_t i)
{
	static const char *const shells[] = { "bash", "zsh", "fish" };

	return VALUE_AT(shells, i);
}

static const struct {
	const char *name;
	uint32_t codec;
} codecs[] = { { "raw", MF_CODEC_RAW }, { "dag-pb", MF_CODEC_DAG_PB },
	{ "dag-cbor", MF_CODEC_DAG_CBOR }, { "dag-json", MF_CODEC_DAG_JSON },
	{ "cbor", MF_CODEC_CBOR }, { "json", MF_CODEC_JSON } };

const char *cli_codecs(size_t i)
{
	return i < sizeof(codecs) / sizeof(*codecs) ? codecs[i].name : NULL;
}

uint32_t cli_codec_find(const char *name)
{
	for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
		if (!strcmp(codecs[i].name, name))
			return codecs[i].codec;
	return 0;
}

bool cli_is_value(const char *(*values)(size_t i), const char *text)
{
	const char *value;

	for (size_t i = 0; (value = values(i)); i++)
		if (!strcmp(value, text))
			return true;
	return false;
}
