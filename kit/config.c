/*
 * The config file: lines of "section.name = value", comments after '#'. Lists are separated by
 * spaces. Setting a value rewrites its line and keeps every other byte of the file; the file is locked
 * meanwhile, so that two that set something do not undo each other's work.
 */
#include "tiering.h"

#include <errno.h>
#include <fcntl.h>
#include <kit/call.h>
#include <multiformats/multiaddr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_MAX = 256 << 10 };
static const anyio_time lock_pause = 2 * ANYIO_MILLISECOND, lock_patience = 30 * ANYIO_SECOND;

static int check_profile(const char *value)
{
	return unixfs_profile_find(value) ? 0 : -EINVAL;
}

static int check_time(const char *value)
{
	anyio_time time;

	return kit_time_parse(value, &time);
}

static int check_some_time(const char *value)
{
	anyio_time time;

	return kit_time_parse(value, &time) || time == 0 ? -EINVAL : 0;
}

static int check_size(const char *value)
{
	uint64_t bytes;

	return kit_size_parse(value, &bytes);
}

static int explain_size(const char *value, char *why, size_t cap)
{
	const char *unit = value + strspn(value, "0123456789.");
	char one[64];

	if (!check_size(value))
		return 0;
	snprintf(one, sizeof(one), "1%s", unit);
	if (unit == value)
		snprintf(one, sizeof(one), "it does not begin with a number from 0 on");
	else if (check_size(one))
		snprintf(one, sizeof(one), "'%.20s' is no unit", unit);
	else
		snprintf(one, sizeof(one), "the number is too large, or none");
	snprintf(why, cap,
		"'%.60s' is no size: %s; give bytes, or a number with KiB, MiB, GiB or TiB (of 1024, also K, M, G, T), or with "
		"kB, MB, GB or TB (of 1000)",
		value, one);
	return -EINVAL;
}

static int check_heat(const char *value)
{
	char *end;
	double heat = strtod(value, &end);

	return *value >= '0' && *value <= '9' && !*end && heat <= 1e9 ? 0 : -EINVAL;
}

/* Whether one can listen there: ip4 or ip6, then tcp; or, for the RPC, a socket of this machine. */
static bool is_place(const char *word, size_t len, bool unix_too)
{
	struct mf_multiaddr_part host, port, rest;
	struct mf_multiaddr address;
	size_t at = 0;

	if (mf_multiaddr_parse(&address, word, len) || !mf_multiaddr_next(&address, &at, &host))
		return false;
	if (unix_too && host.code == MF_P_UNIX)
		return true;
	return (host.code == MF_P_IP4 || host.code == MF_P_IP6) &&
		mf_multiaddr_next(&address, &at, &port) && port.code == MF_P_TCP &&
		!mf_multiaddr_next(&address, &at, &rest);
}

static int are_places(const char *value, bool unix_too, char *why, size_t cap)
{
	size_t len;

	for (const char *word = value; *(word += strspn(word, " ")); word += len) {
		len = strcspn(word, " ");
		if (is_place(word, len, unix_too))
			continue;
		snprintf(why, cap, "'%.*s' is not an address to listen on; use %s",
			(int)(len < 80 ? len : 80), word,
			unix_too ? "/ip4/127.0.0.1/tcp/PORT, /ip6/::1/tcp/PORT or /unix/PATH"
				 : "/ip4/ADDRESS/tcp/PORT or /ip6/ADDRESS/tcp/PORT");
		return -EINVAL;
	}
	return 0;
}

static int check_listen(const char *value, char *why, size_t cap)
{
	return are_places(value, false, why, cap);
}

static int check_api(const char *value, char *why, size_t cap)
{
	return are_places(value, true, why, cap);
}

/* check holds for a value wherever it is from; check_new for one that is set now, and says why. In a
 * file that was edited, the daemon says what is wrong with an address. */
static const struct {
	const char *key, *dflt, *about;
	int (*check)(const char *value);
	int (*check_new)(const char *value, char *why, size_t cap);
} settings[] = {
	{ "add.profile", "unixfs-v1-2025",
		"How files become blocks: unixfs-v1-2025, unixfs-v0-2015 (Kubo's default), or kubo-cid-v1.",
		check_profile },
	{ "swarm.listen", "/ip4/0.0.0.0/tcp/4001 /ip6/::/tcp/4001",
		"Where the daemon listens for peers: multiaddrs, separated by spaces.", NULL,
		check_listen },
	{ "api.listen", "/ip4/127.0.0.1/tcp/5001",
		"Where the daemon serves its RPC: loopback addresses or /unix/PATH, separated by spaces.",
		NULL, check_api },
	{ "api.origins", "",
		"Web pages that may call the RPC: origins such as http://localhost:3000, separated by spaces.",
		NULL },
	{ "api.secret", "",
		"A secret that every call to the RPC must carry (Authorization: Bearer SECRET). Empty: none.",
		NULL },
	{ "daemon.grace", "5s",
		"How long requests that run when the daemon is told to stop may go on: 5s, 1m30s. 0: not at all.",
		check_time },
	{ "heat.half_life", "24h",
		"How long until a use of content counts half as much ('ipfs-kit heat top'): 24h, 30m.",
		check_some_time },
	{ "tier.places", "",
		"Colder places, separated by spaces: NAME=file:///FOLDER, NAME=s3://HOST[:PORT]/BUCKET[/PREFIX][?region=REGION] "
		"(s3+http:// without TLS), NAME=sftp://USER@HOST[:PORT]/FOLDER. Folders and buckets have to exist. By itself only the "
		"first is used.",
		tier_places_check, tier_places_explain },
	{ "tier.interval", "10m",
		"How often roots are moved between the tiers ('ipfs-kit tier policy'): 10m, 1h. 0: never.",
		check_time },
	{ "tier.cold", "0.1",
		"A number, 0 or more: roots with less heat than it leave the repo when it is near store.max.",
		check_heat },
	{ "tier.hot", "1.5",
		"A number, 0 or more: roots with more heat than it come back. It counts as at least four times tier.cold.",
		check_heat },
	{ "store.max", "0",
		"Bytes the repo may take on the disk, such as 10GiB (also: storage_max). Near it, what no pin keeps goes. 0: no bound.",
		check_size, explain_size },
	{ "store.cache", "16MiB",
		"Bytes of what is read again and again that a daemon keeps in memory, such as 64MiB. 0: none.",
		check_size, explain_size },
};
enum { SETTINGS = sizeof(settings) / sizeof(*settings) };

struct kit_config {
	struct stat from;       /* the file when it was read */
	char *text;             /* its bytes */
	char *values[SETTINGS]; /* NULL: not in the file */
};

static int setting_of(const char *key, size_t len)
{
	static const char also[] = "storage_max"; /* as others call it */

	if (len == strlen(also) && !memcmp(key, also, len))
		return setting_of("store.max", strlen("store.max"));
	for (int i = 0; i < SETTINGS; i++)
		if (strlen(settings[i].key) == len && !memcmp(settings[i].key, key, len))
			return i;
	return -1;
}

/* A line's key and value; false for blanks and comments, *bad for what is neither. */
static bool split_line(const char *line, size_t len, const char **key, size_t *key_len,
	const char **value, size_t *value_len, bool *bad)
{
	const char *end = line + len, *equals;

	*bad = false;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	while (end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	if (line == end || *line == '#')
		return false;
	equals = memchr(line, '=', (size_t)(end - line));
	if (!equals) {
		*bad = true;
		return false;
	}
	*key = line;
	for (*key_len = (size_t)(equals - line);
		*key_len && (line[*key_len - 1] == ' ' || line[*key_len - 1] == '\t');)
		--*key_len;
	for (*value = equals + 1; *value < end && (**value == ' ' || **value == '\t');)
		++*value;
	*value_len = (size_t)(end - *value);
	return true;
}

/* from may be NULL. */
static int read_file(const char *dir, char **out, struct stat *from)
{
	char path[4200];
	int n = snprintf(path, sizeof(path), "%s/config", dir);

	*out = NULL;
	if (n >= (int)sizeof(path))
		return -ENAMETOOLONG;
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file) {
		int failure = fd < 0 ? fd : -ENOMEM;
		if (fd >= 0)
			close(fd);
		return failure;
	}
	/* Before it is read: a change meanwhile makes it look old. */
	if (from && fstat(fileno(file), from)) {
		int failure = -errno;
		fclose(file);
		return failure;
	}
	char *text = malloc(CONFIG_MAX + 1);
	size_t len = text ? fread(text, 1, CONFIG_MAX + 1, file) : 0;
	int rc = !text                 ? -ENOMEM
		: ferror(file)         ? -EIO
		: len > CONFIG_MAX     ? -EFBIG
		: memchr(text, 0, len) ? -EBADMSG
				       : 0;
	fclose(file);
	if (rc) {
		free(text);
		return rc;
	}
	text[len] = 0;
	*out = text;
	return 0;
}

void kit_config_free(struct kit_config *config)
{
	if (!config)
		return;
	for (int i = 0; i < SETTINGS; i++)
		free(config->values[i]);
	free(config->text);
	free(config);
}

static int parse(struct kit_config *config, const char *dir, char *error, size_t cap)
{
	const char *key, *value, *next;
	size_t key_len, value_len;
	int number = 1;
	bool bad;

	for (const char *line = config->text; *line; line = next, number++) {
		size_t len = strcspn(line, "\n");
		next = line + len + (line[len] == '\n');
		if (!split_line(line, len, &key, &key_len, &value, &value_len, &bad)) {
			if (!bad)
				continue;
			snprintf(error, cap,
				"%s/config, line %d: '%.*s' is not 'section.name = value'", dir,
				number, (int)(len < 60 ? len : 60), line);
			return -EBADMSG;
		}
		int i = setting_of(key, key_len);
		if (i < 0) {
			snprintf(error, cap, "%s/config, line %d: no setting is called '%.*s'", dir,
				number, (int)(key_len < 60 ? key_len : 60), key);
			return -EBADMSG;
		}
		free(config->values[i]);
		config->values[i] = strndup(value, value_len);
		if (!config->values[i])
			return -ENOMEM;
		if (settings[i].check && settings[i].check(config->values[i])) {
			snprintf(error, cap, "%s/config, line %d: '%.60s' is no value for %s", dir,
				number, config->values[i], settings[i].key);
			return -EBADMSG;
		}
	}
	return 0;
}

int kit_config_load(const char *dir, struct kit_config **out, char *error, size_t cap)
{
	struct kit_config *config = calloc(1, sizeof(*config));
	int rc = config ? read_file(dir, &config->text, &config->from) : -ENOMEM;

	*out = NULL;
	if (rc)
		snprintf(error, cap, "%s/config: %s", dir, anyio_error_text(rc));
	else if ((rc = parse(config, dir, error, cap)) == -ENOMEM)
		snprintf(error, cap, "out of memory");
	if (rc)
		kit_config_free(config);
	else
		*out = config;
	return rc;
}

static bool unchanged(const struct kit_config *config, const struct stat *now)
{
	const struct stat *then = &config->from;

	return then->st_ino == now->st_ino && then->st_dev == now->st_dev &&
		then->st_size == now->st_size && then->st_mtim.tv_sec == now->st_mtim.tv_sec &&
		then->st_mtim.tv_nsec == now->st_mtim.tv_nsec;
}

int kit_config_now(struct kit_node *node, const struct kit_config **config)
{
	struct kit_core *core = node->core;
	struct kit_config *fresh;
	char path[4200], error[256];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/config", core->dir);
	int rc = n < (int)sizeof(path) ? anyio_fstatat(AT_FDCWD, path, &st, 0) : -ENAMETOOLONG;

	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc || !unchanged(core->config, &st)) {
		rc = kit_config_load(core->dir, &fresh, error, sizeof(error));
		if (rc)
			return kit_fail(node, rc, "%s", error);
		kit_config_free(core->config);
		core->config = fresh;
	}
	*config = core->config;
	return 0;
}

const char *kit_config_value(const struct kit_config *config, const char *key)
{
	int i = setting_of(key, strlen(key));

	return i < 0 ? NULL : config->values[i] ? config->values[i] : settings[i].dflt;
}

uint64_t kit_config_size(const struct kit_config *config, const char *key)
{
	uint64_t bytes = 0;

	kit_size_parse(kit_config_value(config, key), &bytes);
	return bytes;
}

/* ---- Writing ---- */

/* like is the file that is replaced, locked by the caller; NULL when it is the first one. */
static int write_file(const char *dir, const char *text, const struct stat *like)
{
	char path[4200];

	if (snprintf(path, sizeof(path), "%s/config", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	/* It may hold a secret. */
	return anyio_plain_replace(AT_FDCWD, path, 0600, like, text, strlen(text), true);
}

/* Locks the file against others that set something, waiting for its turn: the lock's descriptor, or a
 * negative code; -EBUSY when somebody has not let go of it for lock_patience. Whoever had the lock has
 * put another file in its place: that one is the one to lock then. */
static int lock_config(const char *dir)
{
	char path[4200];
	struct stat named, opened;
	int n = snprintf(path, sizeof(path), "%s/config", dir), rc = 0;

	if (n >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (anyio_time waited = 0; !rc; waited += lock_pause) {
		int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);
		if (fd < 0)
			return fd;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			if (!fstat(fd, &opened) && !stat(path, &named) &&
				opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
				return fd;
		} else if (errno != EWOULDBLOCK) {
			rc = -errno;
		} else {
			rc = waited < lock_patience ? anyio_sleep(lock_pause) : -EBUSY;
		}
		close(fd);
	}
	return rc;
}

int kit_config_create(const char *dir, const char *profile, bool test)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	fprintf(out,
		"# The configuration of an ipfs-kit repo. Lines are 'section.name = value'; what is\n"
		"# not set has the value shown here at first. A daemon takes add.profile, store.max, tier.cold,\n"
		"# tier.hot and tier.interval at once when they change, the others when it starts.\n");
	for (int i = 0; i < SETTINGS; i++) {
		const char *value = settings[i].dflt;
		if (!strcmp(settings[i].key, "add.profile") && profile)
			value = profile;
		if (test && !strcmp(settings[i].key, "swarm.listen"))
			value = "/ip4/127.0.0.1/tcp/0";
		if (test && !strcmp(settings[i].key, "api.listen"))
			value = "/ip4/127.0.0.1/tcp/0";
		fprintf(out, "\n# %s\n%s = %s\n", settings[i].about, settings[i].key, value);
	}
	int rc = fclose(out) ? -ENOMEM : write_file(dir, text, NULL);
	free(text);
	return rc;
}

int kit_config_get(const char *dir, const char *key, char **value)
{
	struct kit_config *config;
	char error[256];
	int rc = kit_config_load(dir, &config, error, sizeof(error));

	*value = NULL;
	if (rc)
		return rc;
	const char *found = kit_config_value(config, key);
	rc = !found ? -ENOENT : (*value = strdup(found)) ? 0 : -ENOMEM;
	kit_config_free(config);
	return rc;
}

int kit_config_show(const char *dir, char **text)
{
	return read_file(dir, text, NULL);
}

/* The text with one setting's line changed, malloc'd; NULL when memory is short. */
static char *change(const char *text, int setting, const char *value)
{
	const char *k, *v, *next, *key = settings[setting].key;
	size_t key_len, value_len, len = 0;
	char *changed = NULL;
	bool bad, found = false;
	FILE *out = open_memstream(&changed, &len);

	if (!out)
		return NULL;
	for (const char *line = text; *line; line = next) {
		size_t line_len = strcspn(line, "\n");
		next = line + line_len + (line[line_len] == '\n');
		if (split_line(line, line_len, &k, &key_len, &v, &value_len, &bad) &&
			setting_of(k, key_len) == setting) {
			fprintf(out, "%s = %s\n", key, value);
			found = true;
		} else {
			fwrite(line, 1, (size_t)(next - line), out);
		}
	}
	if (!found) {
		bool open_line = *text && text[strlen(text) - 1] != '\n';
		fprintf(out, "%s%s = %s\n", open_line ? "\n" : "", key, value);
	}
	if (fclose(out) == 0)
		return changed;
	free(changed);
	return NULL;
}

static int change_file(const char *dir, int setting, const char *value)
{
	char *text = NULL, *changed = NULL;
	struct stat from;
	int lock = lock_config(dir);
	int rc = lock < 0 ? lock : read_file(dir, &text, &from);

	if (!rc)
		rc = (changed = change(text, setting, value)) ? write_file(dir, changed, &from)
							      : -ENOMEM;
	if (lock >= 0)
		close(lock);
	free(changed);
	free(text);
	return rc;
}

int kit_config_set(const char *dir, const char *key, const char *value, char *error, size_t cap)
{
	int i = setting_of(key, strlen(key));

	if (i < 0) {
		snprintf(error, cap,
			"no setting is called '%.60s'; 'ipfs-kit config show' prints all", key);
		return -ENOENT;
	}
	if (settings[i].check_new && settings[i].check_new(value, error, cap))
		return -EINVAL;
	if (strpbrk(value, "\n\r") || (settings[i].check && settings[i].check(value))) {
		snprintf(error, cap, "'%.60s' is no value for %s; it is: %s", value, key,
			settings[i].about);
		return -EINVAL;
	}
	int rc = change_file(dir, i, value);
	if (rc == -EBUSY)
		snprintf(error, cap,
			"%s/config: another process has kept it locked for half a minute; nothing was changed",
			dir);
	else if (rc)
		snprintf(error, cap, "%s/config: %s", dir, anyio_error_text(rc));
	return rc;
}

int kit_config_check(const char *dir, char *error, size_t cap)
{
	struct kit_config *config;
	int rc = kit_config_load(dir, &config, error, cap);

	kit_config_free(config);
	return rc;
}

const char *kit_config_key(size_t i)
{
	return i < SETTINGS ? settings[i].key : NULL;
}
