#include "known_hosts.h"

#include <errno.h>
#include <multiformats/multibase.h>
#include <stdio.h>
#include <string.h>

#include "why.h"

enum { PLAIN = LIBSSH2_KNOWNHOST_TYPE_PLAIN, SHA256_SIZE = 32 };

/* The kinds of keys, in the order in which they are asked for. */
static const struct kind_of_key {
	const char *name, *short_name;
	int type, known; /* LIBSSH2_HOSTKEY_TYPE_x, LIBSSH2_KNOWNHOST_KEY_x */
} kinds[] = {
	{ "ssh-ed25519", "ed25519", LIBSSH2_HOSTKEY_TYPE_ED25519, LIBSSH2_KNOWNHOST_KEY_ED25519 },
	{ "ecdsa-sha2-nistp256", "ecdsa", LIBSSH2_HOSTKEY_TYPE_ECDSA_256,
		LIBSSH2_KNOWNHOST_KEY_ECDSA_256 },
	{ "ecdsa-sha2-nistp384", "ecdsa", LIBSSH2_HOSTKEY_TYPE_ECDSA_384,
		LIBSSH2_KNOWNHOST_KEY_ECDSA_384 },
	{ "ecdsa-sha2-nistp521", "ecdsa", LIBSSH2_HOSTKEY_TYPE_ECDSA_521,
		LIBSSH2_KNOWNHOST_KEY_ECDSA_521 },
	{ "ssh-rsa", "rsa", LIBSSH2_HOSTKEY_TYPE_RSA, LIBSSH2_KNOWNHOST_KEY_SSHRSA },
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

int known_hosts_begin(struct known_hosts *known, LIBSSH2_SESSION *session)
{
	size_t len;

	snprintf(known->name, sizeof(known->name), known->port == 22 ? "%s" : "[%s]:%u",
		known->host, known->port);
	known->hosts = ssh2.knownhost_init(session);
	if (!known->hosts)
		return -ENOMEM;
	for (const char *line = known->text; *line; line += len) {
		len = strcspn(line, "\n");
		len += line[len] == '\n'; /* without it libssh2 drops what stands before */
		/* A line that it does not understand says nothing about any host. */
		if (*line != '@' &&
			ssh2.knownhost_readline(known->hosts, line, len,
				LIBSSH2_KNOWNHOST_FILE_OPENSSH) == LIBSSH2_ERROR_ALLOC)
			return -ENOMEM;
	}
	return 0;
}

void known_hosts_end(struct known_hosts *known)
{
	if (known->hosts)
		ssh2.knownhost_free(known->hosts);
	known->hosts = NULL;
}

/* Port -1: the name has it already; with a number libssh2 would take the plain name's key too. */
static int check(struct known_hosts *known, const char *key, size_t len, int more)
{
	return ssh2.knownhost_checkp(known->hosts, known->name, -1, key, len, PLAIN | more, NULL);
}

/* A key that nobody has differs from the one that is known, where one is. */
static int knows(struct known_hosts *known, const struct kind_of_key *kind)
{
	return check(known, "-", 1, LIBSSH2_KNOWNHOST_KEYENC_BASE64 | kind->known) ==
		LIBSSH2_KNOWNHOST_CHECK_MISMATCH;
}

int known_hosts_prefer(struct known_hosts *known, LIBSSH2_SESSION *session)
{
	char list[200];
	size_t len = 0;

	for (int wanted = 1; wanted >= 0; wanted--)
		for (size_t i = 0; i < KINDS; i++)
			if (knows(known, &kinds[i]) == wanted)
				len += (size_t)sprintf(
					list + len, "%s%s", len ? "," : "", kinds[i].name);
	return ssh2.session_method_pref(session, LIBSSH2_METHOD_HOSTKEY, list) ? -ENOMEM : 0;
}

static const struct kind_of_key *find_kind(int type)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

/* A line "@revoked HOSTS KIND KEY" with this key. */
static int is_revoked(const struct known_hosts *known, const char *key, size_t key_len)
{
	char base64[2 * 1024];
	size_t len;

	if (mf_multibase_encode('M', (const uint8_t *)key, key_len, base64, sizeof(base64)) < 0)
		return 1; /* no key is that long */
	for (const char *line = known->text; *line; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		if (!strncmp(line, "@revoked", 8) &&
			memmem(line, len, base64 + 1, strlen(base64 + 1)))
			return 1;
	}
	return 0;
}

static int refuse_unknown(const struct known_hosts *known, const struct kind_of_key *kind,
	const char *print, struct remote_why *why)
{
	char hint[240];

	snprintf(hint, sizeof(hint),
		"compare it with what 'ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub' says there; then "
		"'ssh-keyscan -t %s -p %u %.40s >> %.40s'",
		kind->short_name, kind->short_name, known->port, known->host, known->file);
	return explain(why, -EKEYREJECTED, hint, "%s is not in %s; it shows the key %s SHA256:%s",
		known->name, known->file, kind->name, print);
}

static int refuse_changed(const struct known_hosts *known, const struct kind_of_key *kind,
	const char *print, struct remote_why *why)
{
	char hint[240];

	snprintf(hint, sizeof(hint),
		"somebody may be in between; where the server was set up anew: 'ssh-keygen -R %.50s -f %.50s', "
		"and begin again",
		known->name, known->file);
	return explain(why, -EKEYREJECTED, hint,
		"%s shows the key %s SHA256:%s, which is not the one in %s", known->name,
		kind->name, print, known->file);
}

int known_hosts_check(struct known_hosts *known, LIBSSH2_SESSION *session, struct remote_why *why)
{
	size_t len;
	int type, changed = 0, found;
	const char *key = ssh2.session_hostkey(session, &len, &type);
	const char *hash = ssh2.hostkey_hash(session, LIBSSH2_HOSTKEY_HASH_SHA256);
	const struct kind_of_key *kind = find_kind(type);
	char print[64];

	if (!key || !hash || !kind ||
		mf_multibase_encode('m', (const uint8_t *)hash, SHA256_SIZE, print, sizeof(print)) <
			0)
		return explain(why, -EKEYREJECTED, "give it an ed25519 key",
			"%s shows no host key of a kind that is known here", known->name);
	if (is_revoked(known, key, len))
		return explain(why, -EKEYREJECTED, "give the server another key",
			"%s shows the key SHA256:%s, which %s says is revoked", known->name,
			print + 1, known->file);
	found = check(known, key, len, LIBSSH2_KNOWNHOST_KEYENC_RAW | kind->known);
	if (found == LIBSSH2_KNOWNHOST_CHECK_MATCH)
		return 0;
	for (size_t i = 0; i < KINDS; i++)
		changed += knows(known, &kinds[i]);
	return changed ? refuse_changed(known, kind, print + 1, why)
		       : refuse_unknown(known, kind, print + 1, why);
}
