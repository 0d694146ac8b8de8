/* The table of commands. Help is taken from here, and completions, and the manual pages,
 * whose names dist/meson.build reads off the first line of each row. */
#include "cli.h"

static const struct cli_option add_table[] = {
	{ "recursive", 'r', NULL, "add directories with all they hold" },
	{ "quiet", 'q', NULL, "print CIDs only" },
	{ "quieter", 'Q', NULL, "print the root CID alone" },
	{ "only-hash", 'n', NULL, "compute CIDs and store nothing" },
	{ "hidden", 'H', NULL, "take names that begin with a dot" },
	{ "wrap-with-directory", 'w', NULL,
		"put one directory around all, so that names are kept" },
	{ "profile", 0, "NAME", "unixfs-v1-2025 (default), unixfs-v0-2015 or kubo-cid-v1",
		cli_profiles },
	{ "cid-version", 0, "N", "0 or 1; 1 alone means what Kubo makes of it (kubo-cid-v1)",
		cli_cid_versions },
	{ "raw-leaves", 0, NULL, "chunks are raw blocks; --raw-leaves=false wraps them in dag-pb" },
	{ "chunker", 's', "ALGORITHM", "how files are cut: size-BYTES", cli_chunkers, true },
	{ "pin", 0, NULL, "pin the root (default); --pin=false leaves it unpinned" },
	{ "pin-name", 0, "NAME", "what the pin is called in 'pin ls --names'" },
	{ "dereference-args", 0, NULL, "follow symlinks given as arguments" },
	{ "stdin-name", 0, "NAME", "what standard input is called" },
	{ 0 },
};
static const struct cli_option init_table[] = {
	{ "profile", 0, "NAME",
		"how files become blocks: unixfs-v1-2025 (default), unixfs-v0-2015, kubo-cid-v1",
		cli_profiles, true },
	{ "test", 0, NULL, "listen on loopback only, on ports of the system's choice" },
	{ 0 },
};
static const struct cli_option daemon_table[] = {
	{ "listen", 0, "MULTIADDR",
		"listen for peers here instead of the config's; may be given several times" },
	{ "api", 0, "ADDR", "serve the RPC here: /ip4/127.0.0.1/tcp/PORT or /unix/PATH" },
	{ "perf", 0, NULL, "answer /perf/1.0.0 measurements" },
	{ 0 },
};
static const struct cli_option range_table[] = {
	{ "offset", 'o', "BYTES", "begin here" },
	{ "length", 'l', "BYTES", "at most so many" },
	{ 0 },
};
static const struct cli_option get_table[] = {
	{ "output", 'o', "PATH",
		"where to write it (default: the last name of the path); a file goes into a folder" },
	{ "force", 'f', NULL,
		"replace a file or symlink of another kind, or a symlink with another target" },
	{ 0 },
};
static const struct cli_option ls_table[] = {
	{ "headers", 'v', NULL, "a line above that names the columns" },
	{ "size", 0, NULL, "sizes of files (default); --size=false leaves them out" },
	{ 0 },
};
static const struct cli_option export_table[] = {
	{ "output", 'o', "FILE",
		"write to a file, which appears when it is whole and synced (default: standard output)" },
	{ "car-version", 0, "N", "1 (default), or 2: with an index of it at the end",
		cli_car_versions },
	{ 0 },
};
static const struct cli_option import_table[] = {
	{ "adopt", 0, NULL,
		"make each file a part of the repo as it is; --adopt=link: by hard link, without a copy",
		cli_adoptions },
	{ "allow-big-block", 0, NULL,
		"with --adopt: blocks may have up to 8 MiB; those over 2 MiB go to no peer" },
	{ "pin-roots", 0, NULL, "pin the roots (default); --pin-roots=false does not" },
	{ "stats", 0, NULL, "say how many blocks and bytes there were" },
	{ 0 },
};
static const struct cli_option block_put_table[] = {
	{ "cid-codec", 0, "NAME", "raw (default), dag-pb, dag-cbor, dag-json, cbor, json",
		cli_codecs },
	{ "mhtype", 0, "NAME", "the hash function (default sha2-256)", cli_hashes, true },
	{ "pin", 0, NULL, "pin it with all it links to; fetches what is missing" },
	{ 0 },
};
static const struct cli_option dag_get_table[] = {
	{ "output-codec", 0, "NAME", "dag-json (default), dag-cbor, dag-pb or raw",
		cli_document_codecs },
	{ 0 },
};
static const struct cli_option dag_put_table[] = {
	{ "input-codec", 0, "NAME", "what the files are: dag-json (default), dag-cbor, dag-pb, raw",
		cli_document_codecs },
	{ "store-codec", 0, "NAME",
		"what the blocks become: dag-cbor (default), dag-json, dag-pb, raw",
		cli_document_codecs },
	{ "hash", 0, "NAME", "the hash function (default sha2-256)", cli_hashes, true },
	{ "pin", 0, NULL, "pin it with all it links to; fetches what is missing" },
	{ 0 },
};
static const struct cli_option pin_add_table[] = {
	{ "recursive", 'r', NULL,
		"with all it links to (default); --recursive=false pins the block alone" },
	{ "name", 'n', "NAME", "what it is called in 'pin ls --names'" },
	{ "meta", 0, "JSON", "strings to keep with it: '{\"from\":\"camera\"}'" },
	{ 0 },
};
static const struct cli_option pin_update_table[] = {
	{ "unpin", 0, NULL, "take the old pin away (default); --unpin=false keeps both" },
	{ 0 },
};
static const struct cli_option pin_rm_table[] = {
	{ "recursive", 'r', NULL, "pins of either kind (default); there is no other way" },
	{ 0 },
};
static const struct cli_option resolve_table[] = {
	{ "recursive", 'r', NULL, "to the end of the path (default); there is no other way" },
	{ 0 },
};
static const struct cli_option pin_ls_table[] = {
	{ "type", 't', "KIND", "all (default), direct, recursive or indirect", cli_pin_types },
	{ "quiet", 'q', NULL, "print CIDs only" },
	{ "names", 0, NULL, "print names too" },
	{ "name", 'n', "TEXT", "only those with TEXT in their name; prints names" },
	{ 0 },
};
static const struct cli_option heat_top_table[] = {
	{ "count", 'n', "N", "at most so many, up to 1000 (default 20)" },
	{ "headers", 'v', NULL, "a line above that names the columns" },
	{ 0 },
};
static const struct cli_option tier_policy_table[] = {
	{ "cold", 0, "HEAT", "set tier.cold" },
	{ "hot", 0, "HEAT", "set tier.hot" },
	{ "interval", 0, "TIME", "set tier.interval: 10m, 1h; 0: nothing moves by itself" },
	{ 0 },
};
static const struct cli_option verbose_table[] = {
	{ "verbose", 'v', NULL, "print latency and direction too" },
	{ 0 },
};
static const struct cli_option ping_table[] = {
	{ "count", 'n', "N", "how many (default 10)" },
	{ 0 },
};
static const struct cli_option gc_table[] = {
	{ "quiet", 'q', NULL, "print CIDs only" },
	{ "silent", 0, NULL, "print nothing of single blocks" },
	{ 0 },
};
static const struct cli_option verify_table[] = {
	{ "accept-loss", 0, NULL,
		"give up what is damaged or missing, and go on with what is left (see above)" },
	{ "heal", 0, NULL,
		"take what is damaged from tiers; a daemon asks peers, also for what is missing" },
	{ "heal-timeout", 0, "TIME",
		"give up each after so long, a time above zero (default 30s)" },
	{ "tiers", 0, NULL, "read what lies in tiers, too: all of it comes from there once" },
	{ 0 },
};
static const struct cli_option wal_export_table[] = {
	{ "output", 'o', "FILE",
		"write to a file, which appears when it is whole and synced (default: standard output)" },
	{ "no-verify", 0, NULL,
		"do not read the blocks first; what is damaged is exported as it lies" },
	{ 0 },
};
static const struct cli_option wal_list_table[] = {
	{ "segment", 0, "N", "begin with this segment, or the next that is there" },
	{ "offset", 0, "BYTE", "and in it at this byte" },
	{ "records", 0, NULL, "leave the blocks out" },
	{ "pending", 0, NULL, "only what is not durable yet" },
	{ 0 },
};
static const struct cli_option wal_verify_table[] = {
	{ "all", 0, NULL, "from the very start, as when there is no index" },
	{ 0 },
};
static const struct cli_option human_table[] = {
	{ "human", 'H', NULL, "print sizes for people" },
	{ 0 },
};
static const struct cli_option version_table[] = {
	{ "number", 'n', NULL, "print the number alone" },
	{ 0 },
};

const struct cli_command cli_commands[] = {
	{ "add", "[PATH...]", "Add files and folders; prints their CIDs",
		"Splits files into blocks, stores them, and pins the root. When add returns, all of it is on disk.\n"
		"Without a path, or for -, standard input is added. An add that was interrupted goes on where it\n"
		"stopped when it is run again. Through a daemon all is sent and hashed anew, but what was stored\n"
		"before is not stored twice.\n\n"
		"  ipfs-kit add -r photos\n"
		"  tar c project | ipfs-kit add -Q",
		add_table, 0, -1, .again = "what was stored is not stored twice", .run = cmd_add },
	{ "block get", "PATH", "Print a block's bytes",
		"The bytes as they are, on standard output.\n\n  ipfs-kit block get bafy... >block",
		NULL, 1, 1, .fetches = true, .run = cmd_block_get },
	{ "block put", "[FILE]", "Store one block; prints its CID",
		"The block is the file's bytes, or standard input's, at most 2 MiB.\n\n"
		"  ipfs-kit block put --cid-codec=dag-cbor value.cbor",
		block_put_table, 0, 1, .fetches = true, .run = cmd_block_put },
	{ "block stat", "PATH", "Print a block's CID and size",
		"Fetches the block when it is not here.\n\n  ipfs-kit block stat bafy...", NULL, 1,
		1, .fetches = true, .run = cmd_block_stat },
	{ "cat", "PATH...", "Print a file's content",
		"Paths look like CID, CID/name or /ipfs/CID/name. Of a symlink, its target is printed.\n\n"
		"  ipfs-kit cat bafy.../README.md\n"
		"  ipfs-kit cat --offset=1048576 --length=4096 bafy...",
		range_table, 1, -1, .fetches = true,
		.again = "what was fetched does not come again", .run = cmd_cat },
	{ "completion", "SHELL", "Print a completion script for bash, zsh or fish",
		"'man' in the place of a shell prints the manual page. For bash, a line for ~/.bashrc:\n\n"
		"  source <(ipfs-kit completion bash)\n\n"
		"For fish, once:\n\n"
		"  ipfs-kit completion fish >~/.config/fish/completions/ipfs-kit.fish",
		NULL, 1, 2, .no_repo = true, .values = cli_shells, .run = cmd_completion },
	{ "config", "KEY [VALUE]", "Print or change a setting",
		"Settings live in the file config of the repo, with their explanations; comments are kept.\n"
		"A daemon takes add.profile, store.max, tier.cold, tier.hot and tier.interval at once, the others when\n"
		"it starts.\n\n"
		"  ipfs-kit config swarm.listen\n"
		"  ipfs-kit config api.listen /ip4/127.0.0.1/tcp/5002",
		NULL, 1, 2, .no_repo = true, .values = kit_config_key, .run = cmd_config },
	{ "config show", "", "Print the whole config file",
		"With its comments; with --json the settings alone, as one object.\n\n  ipfs-kit config show",
		NULL, 0, 0, .no_repo = true, .run = cmd_config_show },
	{ "daemon", "", "Go online: serve peers and the RPC until stopped",
		"Prints where it listens, then 'daemon is ready'. While it runs, other commands talk to it.\n"
		"SIGTERM, SIGINT and 'ipfs-kit shutdown' stop it cleanly: it takes no more requests, and those that\n"
		"run have the time that daemon.grace of the config gives them (5s at first). What is not done by\n"
		"then, or when a second signal comes, is cut off by name. SIGQUIT has it write to standard error\n"
		"what it is at, as a tree of tasks, and go on. Blocks that are found damaged while it runs are\n"
		"warned of there, ten a minute at most and then how many more: a disk may be failing.\n\n"
		"  ipfs-kit daemon --listen /ip4/0.0.0.0/tcp/4001 --listen /ip6/::/tcp/4001",
		daemon_table, 0, 0, .repeats = true, .run = cmd_daemon },
	{ "dag export", "PATH", "Write everything under a CID as a CAR archive",
		"Each block once, depth first. --car-version=2 puts an index at the end, by which others find\n"
		"blocks in it; all is walked twice then.\n\n"
		"  ipfs-kit dag export -o photos.car bafy...",
		export_table, 1, 1, .fetches = true,
		.again = "what was fetched does not come again", .run = cmd_dag_export },
	{ "dag get", "PATH", "Print a document or one of its values",
		"The path leads through fields and links of dag-cbor and dag-json, through folders by name, and\n"
		"through other dag-pb by the names of links; under /ipld/CID dag-pb too has fields, Data and Links.\n"
		"Without a newline at the end: the bytes are the codec's. After dag-json, --json writes one.\n\n"
		"  ipfs-kit dag get bafy.../authors/0/name",
		dag_get_table, 1, 1, .fetches = true,
		.again = "what was fetched does not come again", .run = cmd_dag_get },
	{ "dag import", "[FILE...]", "Take the blocks of CAR archives",
		"CARv1 or CARv2, from files or standard input. Every block is checked against its CID; the roots\n"
		"are pinned. When import returns, all of it is on disk. A bad block ends it: it is named, with the\n"
		"byte where it starts; nothing is pinned then, and the blocks before it stay. Of an archive that names no\n"
		"roots nothing is pinned either, which a warning says. A root below which a block is missing is not\n"
		"pinned: it is told with that block, what was imported stays until a 'repo gc', and the exit code is 1.\n\n"
		"--adopt takes a file in whole, once all of it is checked, or not at all, and writes no block of it\n"
		"again: the file system shares its bytes with the repo where it can, else they are copied.\n"
		"--adopt=link takes a hard link to a file of your own: who changes that file afterwards loses the\n"
		"blocks in it, which is noticed whenever one is read. A copy of the repo has no link: import the file\n"
		"again there. No daemon may have the repo meanwhile.\n\n"
		"  ipfs-kit dag import photos.car\n"
		"  ipfs-kit dag import --adopt=link /archive/photos.car",
		import_table, 0, -1, .again = "what was stored is not stored twice",
		.run = cmd_dag_import },
	{ "dag put", "[FILE...]", "Store documents; prints their CIDs",
		"Each file, or standard input, is read in one codec and stored in another, canonically. Links are\n"
		"written as {\"/\": \"CID\"}, bytes as {\"/\": {\"bytes\": \"BASE64\"}}.\n\n"
		"  echo '{\"name\": \"notes\", \"root\": {\"/\": \"bafy...\"}}' | ipfs-kit dag put --pin",
		dag_put_table, 0, -1, .fetches = true, .run = cmd_dag_put },
	{ "get", "PATH", "Fetch a file or folder to disk",
		"Missing blocks are fetched from peers, checked and kept in the repo. Nothing is written outside\n"
		"the output; files that are there already are replaced, as Kubo does. A get that was interrupted\n"
		"goes on where it stopped when it is run again.\n\n"
		"  ipfs-kit get -o photos bafy...\n"
		"  ipfs-kit get --connect /ip4/192.0.2.7/tcp/4001/p2p/12D3... bafy...",
		get_table, 1, 1, .fetches = true, .again = "it goes on where it stopped",
		.run = cmd_get },
	{ "heat top", "", "List the content that is most in use",
		"One line a content root, the CID that a path begins with, hottest first: its heat, how often it was\n"
		"read here (cat, get, dag get, dag export), how often a peer was given its first block, when it was\n"
		"last used (UTC), how many bytes it has as far as its first block tells, and whether it is pinned.\n"
		"A read adds 1 to the heat and a peer 1/4; in every heat.half_life of the config (24h at first) it\n"
		"is halved, and below 1/64 forgotten. At most 65536 roots have any. A daemon writes it down every\n"
		"five minutes and when it ends: that much a crash forgets.\n\n"
		"  ipfs-kit heat top -v -n 10",
		heat_top_table, 0, 0, .run = cmd_heat_top },
	{ "help", "[COMMAND]", "Explain a command",
		"The same as COMMAND --help.\n\n  ipfs-kit help pin add", NULL, 0, 2,
		.no_repo = true, .run = cmd_help },
	{ "id", "", "Print this node's identity and addresses",
		"Addresses are printed while a daemon runs: give one that another machine can reach to its\n"
		"swarm connect.\n\n"
		"  ipfs-kit id",
		NULL, 0, 0, .run = cmd_id },
	{ "init", "", "Make a repo",
		"Makes the folder with a config file, an Ed25519 identity and an empty store. An existing repo is\n"
		"never touched.\n\n"
		"  ipfs-kit init\n"
		"  ipfs-kit --repo /srv/ipfs init --profile=unixfs-v0-2015",
		init_table, 0, 0, .no_repo = true, .run = cmd_init },
	{ "ls", "PATH...", "List a folder",
		"Prints CID, size and name of each entry; folders end with /.\n\n  ipfs-kit ls bafy.../photos",
		ls_table, 1, -1, .fetches = true, .again = "what was fetched does not come again",
		.run = cmd_ls },
	{ "metrics", "", "Print what the node counts, as Prometheus reads it",
		"Bytes and blocks of the repo, its log, cache and tiers, collections, heat, bitswap, peers, and the process, in\n"
		"Prometheus's text format; each metric says what it is. A daemon answers the same to GET\n"
		"/debug/metrics/prometheus at its API, where it is to be scraped. Most counters begin at 0 when the repo is\n"
		"opened, so that without a daemon they tell of this command alone.\n\n"
		"  ipfs-kit metrics",
		NULL, 0, 0, .run = cmd_metrics },
	{ "migrate-from-kubo", "DIR", "Take the blocks and pins of a stopped Kubo repo",
		"Reads DIR (a repo with a flatfs block store), checks every block, and pins what was pinned there.\n"
		"DIR is not changed. When interrupted, run it again: what was taken is not read twice.\n\n"
		"  ipfs-kit migrate-from-kubo ~/.ipfs",
		NULL, 1, 1, .again = "it goes on where it stopped", .run = cmd_migrate },
	{ "pin add", "PATH...", "Keep content for good",
		"Fetches what is missing, then pins it: with all it links to, unless told otherwise. Of what is pinned\n"
		"already the name and what is kept with it stay when they are not given; an empty one takes it away.\n\n"
		"  ipfs-kit pin add bafy...",
		pin_add_table, 1, -1, .fetches = true, .again = "it goes on where it stopped",
		.run = cmd_pin_add },
	{ "pin ls", "[CID...]", "List what is pinned",
		"With a CID, tells whether that one is pinned, and when it lies below what is, through which pin;\n"
		"exit code 3 means that it is not. Without one, what is kept indirectly is not listed.\n\n"
		"  ipfs-kit pin ls --type=recursive -q",
		pin_ls_table, 0, -1, .run = cmd_pin_ls },
	{ "pin rm", "PATH...", "Take a pin away",
		"The blocks stay in the repo until it is collected ('ipfs-kit repo gc'). Of several paths one is taken after\n"
		"the other, up to the first that is not pinned, which ends it, and tells how many were before it. What is no\n"
		"path is refused before that.\n\n"
		"  ipfs-kit pin rm bafy...",
		pin_rm_table, 1, -1, .run = cmd_pin_rm },
	{ "pin update", "OLD NEW", "Let a pin keep other content",
		"Pins NEW as if by pin add, with the name that the recursive pin of OLD has,\n"
		"then takes that one away: both are durable together.\n\n"
		"  ipfs-kit pin update bafyold... bafynew...",
		pin_update_table, 2, 2, .fetches = true, .again = "it goes on where it stopped",
		.run = cmd_pin_update },
	{ "ping", "PEER", "Measure the way to a peer",
		"PEER is a multiaddr that ends with /p2p/ID, or the ID alone of a peer that is connected. Without a\n"
		"daemon, an address is dialled for as long as this runs.\n\n"
		"  ipfs-kit ping -n 3 /ip4/192.0.2.7/tcp/4001/p2p/12D3...",
		ping_table, 1, 1, .dials = true, .run = cmd_ping },
	{ "repo gc", "", "Remove what no pin keeps",
		"Every block that is neither pinned nor below a recursive pin goes, and is printed; nothing can be had of\n"
		"it any more. Space is given back where a fifth or more of a segment is free by then: what lives in it\n"
		"is written anew, verified, then the file goes. Others read and write meanwhile, and what is just being\n"
		"added stays. To stop it, or to kill it, is harmless. When a pin lacks a node, so that what lies below\n"
		"cannot be told, nothing is removed. It needs some room itself, for what it writes anew and for the index; where\n"
		"the disk has little, segments go in small parts: a few MiB free are enough, 40 where much was added at once.\n"
		"A repo with a limit ('ipfs-kit config storage_max 10GiB') collects by itself.\n\n"
		"  ipfs-kit repo gc --silent",
		gc_table, 0, 0, .again = "what is gone is gone, and it goes on from there",
		.run = cmd_repo_gc },
	{ "repo stat", "", "Print what the repo holds",
		"Blocks, bytes on disk, where it is.\n\n  ipfs-kit repo stat -H", human_table, 0, 0,
		.run = cmd_repo_stat },
	{ "repo verify", "", "Read every byte back and check every block",
		"Checks each block against its CID, the index against the log, and that all that pins need is here.\n"
		"Exit code 0 means that nothing is damaged, 4 that something is: what, is printed, each with the file\n"
		"it lies in. A segment that comes back from a copy is whole again; so is a block that is added or\n"
		"fetched again. When the end of the log is lost, the repo is only read before that. --accept-loss is\n"
		"for what cannot be had back: it is printed and forgotten, nothing is cut or removed, and the repo is\n"
		"written to again. Pins stay, but those that a damaged operation log (ops/) had and no index knows: look\n"
		"at 'ipfs-kit pin ls' before a collection removes what no pin keeps. What a pin lacks is told until it is\n"
		"there again or the pin taken away. A changed link that was given up stays in segments/ until you remove it.\n"
		"--heal looks for what is damaged in tiers, where what was moved back lies until a collection, and has a\n"
		"daemon ask the peers it is connected to, and tells of each whether it came; exit code 0 means then that\n"
		"all is whole again.\n"
		"What lies in tiers is checked whenever it is read, and by --tiers now. A tier that cannot be asked is\n"
		"told once, is no loss, and makes the exit code 4 as well, as nobody knows whether it is whole.\n"
		"With --json each problem has a Kind: block, bytes, unindexed, segment, changed, operations, pointers, tier-block,\n"
		"tier-index, unread, pin, healed, unhealed; and Cid, File, Offset, End, Blocks, Missing, Tier, Object and GivenUp as\n"
		"far as there are such. kit/problem.h explains them.\n\n"
		"  ipfs-kit repo verify\n"
		"  ipfs-kit repo verify --tiers",
		verify_table, 0, 0, .again = "it begins anew", .run = cmd_repo_verify },
	{ "resolve", "PATH", "Print the CID a path leads to",
		"Follows names through folders.\n\n  ipfs-kit resolve bafy.../photos/first.jpg",
		resolve_table, 1, 1, .fetches = true,
		.again = "what was fetched does not come again", .run = cmd_resolve },
	{ "shutdown", "", "Stop the daemon",
		"The same as sending it SIGTERM; returns when it has been told. Requests that run have the time of\n"
		"daemon.grace to end.\n\n  ipfs-kit shutdown",
		NULL, 0, 0, .run = cmd_shutdown },
	{ "stat", "PATH", "Print size and kind of a file or folder",
		"Of the node that the path leads to.\n\n  ipfs-kit stat bafy.../photos", NULL, 1, 1,
		.fetches = true, .again = "what was fetched does not come again", .run = cmd_stat },
	{ "swarm connect", "ADDR...", "Connect to a peer",
		"ADDR is a multiaddr that ends with /p2p/ID. The daemon stays connected.\n\n"
		"  ipfs-kit swarm connect /ip4/192.0.2.7/tcp/4001/p2p/12D3...",
		NULL, 1, -1, .run = cmd_swarm_connect },
	{ "swarm disconnect", "ADDR...", "Close the connections to a peer",
		"ADDR as for swarm connect.\n\n  ipfs-kit swarm disconnect /p2p/12D3...", NULL, 1,
		-1, .run = cmd_swarm_disconnect },
	{ "swarm peers", "", "List the peers we are connected to",
		"One multiaddr a line.\n\n  ipfs-kit swarm peers -v", verbose_table, 0, 0,
		.run = cmd_swarm_peers },
	{ "version", "", "Print the version",
		"Of this program; with --api, of that daemon.\n\n  ipfs-kit version -n",
		version_table, 0, 0, .no_repo = true, .run = cmd_version },
	{ "tier list", "", "List the places where blocks can lie",
		"One line a tier: its name, its kind, whether it can be asked, how many objects it has, their bytes, and what\n"
		"it fails with. Without a daemon a folder is looked at now; nothing waits for what is on another machine, which\n"
		"is 'not asked yet' until a daemon has wanted something of it.\n\n"
		"'fast' is the repo itself. The others are what the config calls tier.places, as cold=file:///mnt/cold: another\n"
		"disk (file://), any S3-compatible store (s3://; s3+http:// for one that has no TLS, where everybody on the way\n"
		"reads what is sent), a folder of an SFTP server (sftp://); folders and buckets have to be there already. Keys\n"
		"and passwords are no part of it: they come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,\n"
		"SFTP_PASSWORD), or from the file tier-NAME.credentials in the repo, which nobody else may read.\n\n"
		"What lies in a place does not follow its name. Before a tier gets another place, move it out\n"
		"('tier move PATH fast', then 'repo gc'), or bring along all that lies there. The file ipfs-kit-tier says that it is\n"
		"the place; do not write it into another one, as all that lies in the first counts as lost then.\n\n"
		"  ipfs-kit tier list",
		NULL, 0, 0, .run = cmd_tier_list },
	{ "tier move", "PATH TIER", "Move content to a tier, or back ('fast')",
		"The raw leaves below PATH move, which is nearly all of a file's bytes; what has links stays, so that ls and\n"
		"stat wait for no tier. They are read back and compared before they count as moved, and are read from there by\n"
		"whoever wants them. 'ipfs-kit repo gc' gives back the room they took, where a fifth or more of a segment is\n"
		"free by then. Interrupted, everything is where it was, or there. Leaves that are nowhere are counted, and make\n"
		"the exit code 3; the others move.\n\n"
		"  ipfs-kit tier move bafy... cold\n"
		"  ipfs-kit tier move bafy... fast",
		NULL, 2, 2,
		.again = "it goes on behind the last part, of up to 256 MiB, that was moved whole",
		.run = cmd_tier_move },
	{ "tier policy", "", "Print or change when content moves by itself",
		"While a daemon runs, it looks every tier.interval: pinned roots with less heat than tier.cold go to the first\n"
		"tier while the repo is above two thirds of store.max, those with more than tier.hot come back while it is\n"
		"below half of it, or has no bound. What a warmer root needs too stays; what was moved rests for\n"
		"heat.half_life. Hot counts as at least four times cold, so that nothing goes to and fro. The options change the\n"
		"config, and a daemon that runs takes them at its next look.\n\n"
		"  ipfs-kit tier policy\n"
		"  ipfs-kit tier policy --cold=0.5 --interval=1h",
		tier_policy_table, 0, 0, .run = cmd_tier_policy },
	{ "tier stat", "", "Print what each tier has and has done",
		"Objects, blocks and bytes that are there; unwanted objects, which are still to be removed; unread ones, whose\n"
		"blocks the index does not know yet; and since the repo was opened: what was read from there, moved\n"
		"there and back, and how often it failed.\n\n"
		"  ipfs-kit tier stat",
		NULL, 0, 0, .run = cmd_tier_stat },
	{ "wal checkpoint", "", "Write the index, so that the next opening has nothing to read",
		"Makes durable what is pending, and writes what the index holds in memory to its file. A repo does so\n"
		"by itself when it is idle, and when it is closed.\n\n"
		"  ipfs-kit wal checkpoint",
		NULL, 0, 0, .run = cmd_wal_checkpoint },
	{ "wal export", "SEGMENT", "Write a segment of the log as a CAR archive",
		"A segment is a CARv1 already: its bytes are copied, into a file by the kernel, up to where they are durable, and\n"
		"'dag import' of any node takes them. All blocks in it go out, also those that nothing needs any more, and\n"
		"the log's own records, as raw blocks. Every block is verified first; when one is damaged, it is named and\n"
		"nothing is written. An adopted file goes out as it was adopted. What lies in a tier is no file here.\n"
		"A daemon that has the repo verifies as well, and sends the bytes.\n\n"
		"  ipfs-kit wal export -o 00000001.car 1",
		wal_export_table, 1, 1, .again = "it begins anew", .run = cmd_wal_export },
	{ "wal list", "", "Print what lies where in the log",
		"One line a section: SEGMENT:OFFSET LENGTH COMMIT TYPE. Then what that type has: the CID of a block,\n"
		"CID and kind of a pin ('none' takes one away), sections of a commit. COMMIT is the number of the commit that\n"
		"covers it, 0 when bytes before it are lost; what is written and not yet covered ends with 'pending'.\n"
		"Blocks are not read: 'ipfs-kit repo verify' does that.\n\n"
		"  ipfs-kit wal list --records",
		wal_list_table, 0, 0, .run = cmd_wal_list },
	{ "wal status", "", "Print how far the log is durable, and the index behind it",
		"Durable: everything up to here was acknowledged, and survives a crash. Pending: bytes behind that,\n"
		"which nobody was promised. Checkpoint: the index on disk knows everything up to here. Behind: what an\n"
		"opening after a crash reads again. Without a daemon this command is such an opening: it tells what it\n"
		"found, and leaves nothing behind.\n\n"
		"  ipfs-kit wal status",
		NULL, 0, 0, .run = cmd_wal_status },
	{ "wal verify", "", "Try out what an opening after a crash would do",
		"Reads the log from the checkpoint on as an opening would, and changes nothing by it. Exit code 0 means that\n"
		"nothing durable is damaged there, 4 that something is, and where. Blocks that are proven durable are\n"
		"not read: 'ipfs-kit repo verify' reads every byte. Without a daemon the repo is opened for it as by any\n"
		"command, and closed with nothing left to read: asked again, there is nothing. Who wants to keep what a\n"
		"crash left copies the folder first.\n\n"
		"  ipfs-kit wal verify --all",
		wal_verify_table, 0, 0, .again = "it begins anew", .run = cmd_wal_verify },
	{ NULL },
};
