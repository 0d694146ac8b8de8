/* What to do next, for failures whose sentence does not say it. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_one_of(const struct cli *cli, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(cli->command->name, *names))
			return true;
	return false;
}

static const char *not_found(const struct cli *cli)
{
	static const char *const pins[] = { "pin ls", "pin rm", "pin update", NULL };
	static const char *const puts[] = { "block put", "dag put", NULL }; /* of files on disk */

	if (is_one_of(cli, pins))
		return "'ipfs-kit pin ls' lists what is pinned";
	return cli->command->fetches && !is_one_of(cli, puts)
		? "check the path; 'ipfs-kit ls' lists what a folder holds"
		: "check the path";
}

/* What came from outside is to be looked at there; only what was stored may be the repo's fault. */
static const char *malformed(const struct cli *cli)
{
	static const char *const from_outside[] = { "dag import", "block put", "migrate-from-kubo",
		NULL };

	if (!strcmp(cli->command->name, "dag put"))
		return "check the input, or tell with --input-codec what it is";
	return is_one_of(cli, from_outside)
		? "check that it is whole, and of the kind that was said"
		: "'ipfs-kit repo verify' tells whether the repo is damaged";
}

static const struct {
	int code;
	const char *step;
} steps[] = {
	{ -EACCES, "allow it to the user who runs this" },
	{ -EPERM, "allow it to the user who runs this" },
	{ -ENOTDIR, "check the path: what is before the last / must be a folder" },
	{ -EISDIR, "give a file" },
	{ -ELOOP, "check where its symlinks lead" },
	{ -ENAMETOOLONG, "use a shorter name" },
	{ -ENOSPC, "make room there, and run it again" },
	{ -EDQUOT, "make room there, and run it again" },
	{ -EFBIG, "allow larger files ('ulimit -f'), and run it again" },
	{ -EROFS, "choose a place that can be written" },
	{ -EIO, "look after the disk" },
	{ -EMFILE, "allow more open files with 'ulimit -n'" },
	{ -ENFILE, "allow more open files on this machine" },
	{ -ENOMEM, "free some memory, and run it again" },
	{ -EBUSY, "wait until that has ended, and run it again" },
	{ -EADDRINUSE, "stop what uses it, or choose another address" },
	{ -EADDRNOTAVAIL, "choose an address of this machine" },
	{ -ECONNREFUSED, "check the address, and that it runs there" },
	{ -ECONNRESET, "check that it still runs there, and run it again" },
	{ -EHOSTUNREACH, "check the address and the network" },
	{ -ENETUNREACH, "check the address and the network" },
	{ -ETIMEDOUT, "check the address and the network" },
	{ -ENOTCONN, "'ipfs-kit swarm peers' lists who is connected" },
};

const char *cli_next_step_to_peer(const char *address)
{
	bool id_alone =
		*address != '/' || !strncmp(address, "/p2p/", 5) || !strncmp(address, "/ipfs/", 6);

	return id_alone || !strstr(address, "/p2p/")
		? "give the whole address of a peer that runs: /ip4/ADDRESS/tcp/PORT/p2p/ID"
		: "check that address, and that the peer runs";
}

const char *cli_next_step(const struct cli *cli, int code)
{
	static const char *const with_peers[] = { "ping", "swarm connect", "swarm disconnect",
		NULL };
	static char help[80];

	if (!cli->command)
		return "'ipfs-kit --help' lists the commands";
	if (code == -EINVAL) {
		snprintf(
			help, sizeof(help), "'ipfs-kit %s --help' explains it", cli->command->name);
		return help;
	}
	if (code == -ENOENT && !is_one_of(cli, with_peers))
		return not_found(cli);
	if (code == -EBADMSG)
		return malformed(cli);
	if (code == -ENOENT && !strcmp(cli->command->name, "swarm disconnect"))
		return "'ipfs-kit swarm peers' lists who is connected";
	if (code != -ENOTCONN && is_one_of(cli, with_peers) && *cli->args)
		return cli_next_step_to_peer(*cli->args);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (steps[i].code == code)
			return steps[i].step;
	return NULL;
}
