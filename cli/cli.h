/*
 * The command line: what its files share. A command is a row of a table: name, options, help and
 * a function that runs in a task and returns an exit code.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <anyio/anyio.h>
#include <jansson.h>
#include <kit/call.h>
#include <kit/kit.h>
#include <stdio.h>

/* Exit codes; README and the manual pages list them too. */
enum {
	CLI_OK = 0,
	CLI_FAILED = 1,    /* the work was not done; stderr says why */
	CLI_USAGE = 2,     /* wrong options or arguments */
	CLI_NOT_FOUND = 3, /* no such content, pin, setting, tier or peer */
	CLI_REPO = 4,      /* the repo is missing, locked, damaged or of another version */
	CLI_TIMEOUT = 5,   /* --timeout passed */
	CLI_INTERRUPTED = 130,
};

struct cli_option {
	const char *name; /* long name; NULL ends a table */
	char letter;      /* 0: none */
	const char *
		value; /* what to call its value in help; NULL: a flag, on or off (or one of values) */
	const char *help;
	/* What its value may be, by number, NULL after the last; NULL: anything. any: examples. */
	const char *(*values)(size_t i);
	bool any;
};

enum { CLI_OPTIONS_MAX = 24, CLI_REPEAT_MAX = 16 /* the last is NULL */ };

struct cli_command;

struct cli {
	const struct cli_command *command;
	const char *repo;      /* folder, already resolved */
	const char *repo_said; /* as --repo gave it, or NULL */
	const char *api;       /* --api, or NULL */
	const char *api_auth;  /* the API's secret, or NULL */
	const char *connect;   /* a peer to connect to first, or NULL */
	anyio_time timeout;    /* 0: none */
	bool json, progress, offline;
	const char *durability; /* as --durability gave it, or NULL */
	anyio_time durable_within;
	bool silent;             /* --progress=false was said */
	bool dies_of_pipe;       /* SIGPIPE was not ignored by whoever started this */
	bool homeless;           /* there is no $HOME: repo is below the current folder */
	const char *const *args; /* positional, NULL-terminated */
	size_t count;
	const char *values
		[CLI_OPTIONS_MAX]; /* by row of the command's options; "true"/"false" for flags */
	const char *repeats[CLI_REPEAT_MAX]; /* all values of the first option marked repeatable */
	size_t repeat_count;

	struct kit_node *node;     /* the repo, opened here; or */
	struct cli_remote *remote; /* the daemon that has it */
	char address[256];         /* and where its API listens */
	char *own_secret;          /* the repo's, or NULL */
};

struct cli_command {
	const char *name;      /* "pin add" */
	const char *arguments; /* "PATH..." */
	const char *summary;   /* one line */
	const char *help;      /* paragraphs and examples */
	const struct cli_option *options;
	int min_args, max_args; /* max -1: any number */
	bool repeats;           /* the first option may be given several times */
	bool no_repo;           /* does not want a node */
	bool fetches;           /* may wait for blocks of peers */
	bool dials; /* its first argument is a peer; without a daemon an address takes it online */
	const char *again; /* what a second run does after one that was cut off, or NULL */
	const char *(*values)(size_t i); /* what its first argument may be, to complete it */
	int (*run)(struct cli *cli);
};

/* The table, sorted by name; ends with a NULL name. */
extern const struct cli_command cli_commands[];
extern const struct cli_option cli_global_options[];

/* An option's value by name: NULL when not given. The flag form: dflt when not given. */
const char *cli_value(const struct cli *cli, const char *name);
bool cli_flag(const struct cli *cli, const char *name, bool dflt);

/* Parses argv. 0, or an exit code after having said what is wrong; -1: help was printed. */
int cli_parse(struct cli *cli, int argc, char **argv);

/* What options and arguments may be (values.c). */
const char *cli_profiles(size_t i);
const char *cli_cid_versions(size_t i);
const char *cli_chunkers(size_t i);
const char *cli_hashes(size_t i);
const char *cli_pin_types(size_t i);
const char *cli_encodings(size_t i);
const char *cli_adoptions(size_t i);
const char *cli_car_versions(size_t i);
const char *cli_durabilities(size_t i);
const char *cli_shells(size_t i);
const char *cli_codecs(size_t i);
const char *cli_document_codecs(size_t i);
/* Where an archive is written to: the file that --output names, or standard output (cmd_archive.c). */
struct cli_target {
	struct kit_output *output; /* NULL: standard output */
	struct kit_sink sink;      /* the same */
	int written;               /* set: what writing gave, for which the node has no words */
};
/* Has write fill it, and puts it in its place. With --json the answer says what was written, `of` being what the
 * first argument is. An exit code. */
int cli_write_target(
	struct cli *cli, const char *of, int (*write)(struct cli *cli, struct cli_target *target));
bool cli_is_value(const char *(*values)(size_t i), const char *text);
/* The codec that an option names, dflt when it is not given; 0 for a name that is none. */
uint32_t cli_codec(const struct cli *cli, const char *option, uint32_t dflt);
/* The hash function that an option names, sha2-256 when it is not given. 0 or an exit code. */
int cli_hash(const struct cli *cli, const char *option, uint32_t *hash);

/* Say which word is wrong and what may have been meant; return CLI_USAGE. second may be NULL. */
int cli_unknown_option(const struct cli *cli, const char *word, size_t len);
int cli_unknown_command(const struct cli *cli, const char *first, const char *second);
int cli_wrong_value(const struct cli *cli, const struct cli_option *option, const char *value);
int cli_wrong_argument(const struct cli *cli, const char *value);
int cli_unexpected_argument(const struct cli *cli, const char *value);

void cli_print_help(const struct cli_command *command); /* NULL: the overview */
/* Whether there are two-word commands that begin with this one, as "swarm"; and what they are. */
bool cli_is_family(const char *name);
void cli_print_family(FILE *out, const char *name);
bool cli_has_option(const struct cli_option *table, const char *name); /* table may be NULL */
extern const char cli_first_steps[]; /* what to begin with: lines "  ipfs-kit init   make a repo" */

/* A command's manual page, in roff (man.c); NULL: that of the whole. */
void cli_print_man(FILE *out, const struct cli_command *command);
/* All of them into a folder, as ipfs-kit.1, ipfs-kit-block-get.1 and so on. An exit code. */
int cli_write_man(const struct cli *cli, const char *directory);

/*
 * "ipfs-kit COMMAND: text" on stderr, made safe for a terminal (cli_put_safe); with --json one line,
 * {"Error": text, "Code": kind, "Exit": exit code, "Hint": what to do next, when text has it}. The text
 * is "CAUSE; NEXT STEP". A command that it shows, 'ipfs-kit WORDS', is given the --repo and --api of
 * this one, so that it can be run as it is shown. Returns exit_code.
 */
int cli_refuse(const struct cli *cli, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What is worth knowing and stops nobody: "ipfs-kit: warning: text", or {"Warning": text, "Hint": ...}. */
void cli_warn(const struct cli *cli, const char *text);
/* The same as cli_refuse for a negative result code; returns its exit code. Silent when it was interrupted. */
int cli_fail(const struct cli *cli, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same, with the sentence that the node or the daemon gave. subject: what it is about, told first
 * unless the sentence has it; or NULL. */
int cli_fail_node(const struct cli *cli, int code, const char *subject);
/* The same for a file or folder of this machine that cannot be read or written. */
int cli_fail_file(const struct cli *cli, int code, const char *path);
/* The same for a peer that was not reached at this address. */
int cli_fail_peer(const struct cli *cli, int code, const char *address);
/* Whether standard output is a pipe that nobody reads any more. */
bool cli_nobody_reads(void);
/* Whether a failure was that, and nothing was said of it: the program dies of SIGPIPE, as others do. */
bool cli_ended_unread(void);
/* Says when the repo is one of Kubo, which is no repo of ours. CLI_OK when it is not, or CLI_REPO. */
int cli_refuse_kubo_repo(const struct cli *cli);
/* For a repo that cannot be opened, with why; returns CLI_REPO. */
int cli_fail_repo(const struct cli *cli, int code, const char *text);
/* That sentence, "" when there is none. */
const char *cli_node_error(const struct cli *cli);
/* What to do after a result code, when the sentence does not say; or NULL. cli_fail appends it. */
const char *cli_next_step(const struct cli *cli, int code);
/* What to do when a peer was not reached at this address. */
const char *cli_next_step_to_peer(const char *address);
int cli_exit_code(int code);

/* Opens the repo, or finds the daemon that has it. 0 or an exit code. */
int cli_open(struct cli *cli);
/* The same without a word, for what is only told by the way. */
bool cli_try_open(struct cli *cli);
/* Says when the repo could not be closed, which loses nothing that was acknowledged; quietly: not. */
void cli_close(struct cli *cli, bool quietly);
/* Whether a daemon has the repo and answers. */
bool cli_daemon_runs(struct cli *cli);
/* Asks the repo's daemon, if one runs, whatever it answers. */
void cli_ask_daemon(struct cli *cli, const char *command, const char *arg);
/* Another handle to the same node or daemon, for a task that fails by itself. 0 or a negative code. */
int cli_open_aside(const struct cli *cli, struct cli *aside);
void cli_close_aside(struct cli *aside);

/* Runs one of the small commands here or in the daemon and gives each answer, parsed. */
int cli_call(struct cli *cli, const char *command, const char *const *args,
	const struct kit_call_option *options, int (*each)(void *arg, json_t *answer), void *arg);
/* The same for commands that print: with --json each answer is printed as it is, else print is
 * called. Returns an exit code. */
int cli_call_print(struct cli *cli, const char *command, const char *const *args,
	const struct kit_call_option *options, int (*print)(struct cli *cli, json_t *answer));
/* The same for what takes long: answers with Progress, of Total, which it was asked for, are a bar that says `what` is done. */
int cli_call_watch(struct cli *cli, const char *what, const char *command, const char *const *args,
	const struct kit_call_option *options, int (*print)(struct cli *cli, json_t *answer));

/* Progress on stderr, when it is a terminal: bytes, rate, time left. */
struct cli_progress {
	const char *what;
	uint64_t done, total;
	anyio_time started, shown;
	bool on;
};
void cli_progress_start(struct cli_progress *progress, const struct cli *cli, const char *what);
void cli_progress_update(void *progress, uint64_t done, uint64_t total);
void cli_progress_clear(const struct cli_progress *progress); /* so that a line can be printed */
void cli_progress_end(struct cli_progress *progress);

/* The bytes of all files that an add of these paths takes; 0 when standard input is among them, for nobody
 * knows. */
uint64_t cli_tree_size(const char *const *paths, const struct kit_add_options *options);

/* How far the command came, by its progress. */
struct cli_how_far {
	const char *what;     /* "fetching"; NULL: it tells of none */
	uint64_t done, total; /* bytes; total 0: not known */
	anyio_time still;     /* since it last moved */
};
void cli_progress_latest(struct cli_how_far *far);

/* Connects the node or the daemon to a peer, by its address or its ID. An exit code. */
int cli_connect(struct cli *cli, const char *address);
/* Runs body; when it takes more than a moment, a line on a terminal says which address is waited for. */
int cli_tell_when_slow(
	struct cli *cli, const char *address, int (*body)(struct cli *cli, const char *address));
/* Runs the command, and tells on standard error what it waits for when nobody has what it wants: as that
 * changes on a terminal, else once; not when it is to be silent or JSON. An exit code. */
int cli_run_telling(struct cli *cli);
/* What the command was waiting for when it was last looked at, "" when for nothing: "bafy...: 2 peers
 * connected, none has it". */
const char *cli_waited_for(void);
/* Whether blocks were coming: it wanted another one at each of the last looks. */
bool cli_wants_moved(void);
/* Whether some peer may have what it was waiting for. */
bool cli_somebody_may_have_it(void);

/* "1.5 MiB"; a static buffer of the calling thread. */
const char *cli_size(uint64_t bytes);

/*
 * Text from strangers: names of content, what peers and daemons say of themselves. Control characters
 * (C0, DEL, C1), bytes that are not UTF-8, marks of direction and separators of lines become \xHH or
 * \uHHHH. Standard error always gets it so: it is read by people. Standard output gets it so on a
 * terminal only; a pipe or a file gets the bytes as they are, as Kubo gives them.
 */
void cli_put_safe(FILE *out, const char *text, size_t len);
void cli_note(const char *format, ...) /* a line on standard error that is no failure */
	__attribute__((format(printf, 1, 2)));
/* The same, and commands that it shows, 'ipfs-kit WORDS', get the --repo and --api of this one. */
void cli_tell(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As cli_tell, on standard output. */
void cli_print_shown(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void cli_print_text(const char *text); /* on standard output; NULL prints nothing */
/* One line of JSON, in ASCII alone on a terminal and on standard error. Takes the reference; -ENOMEM for
 * NULL. */
int cli_put_json(FILE *out, json_t *value);
/* Any bytes as a JSON string, see kit_json_text. A new reference, or NULL. */
json_t *cli_json_text(const char *bytes);

/* Standard output as a sink, standard input as a source. */
extern const struct kit_sink cli_stdout;
extern const struct kit_source cli_stdin;

/* A file that an argument names, or standard input (input.c). */
struct cli_input {
	const char *name; /* the path, or "standard input" */
	struct kit_source source;
	int fd; /* -1: standard input */
};
/* NULL and "-" are standard input. 0 or an exit code. Do not move it while it is open. */
int cli_input_open(struct cli *cli, const char *path, struct cli_input *input);
void cli_input_close(struct cli_input *input);
/* All of it; *data is malloc'd. -EMSGSIZE over 4 MiB, or what reading gave. */
int cli_input_read(struct cli_input *input, char **data, size_t *len);

/* One function a command; files cmd_*.c. */
int cmd_add(struct cli *cli);
int cmd_block_get(struct cli *cli);
int cmd_block_put(struct cli *cli);
int cmd_block_stat(struct cli *cli);
int cmd_cat(struct cli *cli);
int cmd_completion(struct cli *cli);
int cmd_config(struct cli *cli);
int cmd_config_show(struct cli *cli);
int cmd_daemon(struct cli *cli);
int cmd_dag_export(struct cli *cli);
int cmd_dag_get(struct cli *cli);
int cmd_dag_import(struct cli *cli);
int cmd_dag_put(struct cli *cli);
int cmd_get(struct cli *cli);
int cmd_heat_top(struct cli *cli);
int cmd_help(struct cli *cli);
int cmd_id(struct cli *cli);
int cmd_init(struct cli *cli);
int cmd_ls(struct cli *cli);
int cmd_metrics(struct cli *cli);
int cmd_migrate(struct cli *cli);
int cmd_pin_add(struct cli *cli);
int cmd_pin_ls(struct cli *cli);
int cmd_pin_rm(struct cli *cli);
int cmd_pin_update(struct cli *cli);
int cmd_ping(struct cli *cli);
int cmd_repo_stat(struct cli *cli);
int cmd_repo_gc(struct cli *cli);
int cmd_repo_verify(struct cli *cli);
int cmd_resolve(struct cli *cli);
int cmd_shutdown(struct cli *cli);
int cmd_stat(struct cli *cli);
int cmd_swarm_connect(struct cli *cli);
int cmd_swarm_disconnect(struct cli *cli);
int cmd_swarm_peers(struct cli *cli);
int cmd_version(struct cli *cli);
int cmd_tier_list(struct cli *cli);
int cmd_tier_move(struct cli *cli);
int cmd_tier_policy(struct cli *cli);
int cmd_tier_stat(struct cli *cli);
int cmd_wal_checkpoint(struct cli *cli);
int cmd_wal_export(struct cli *cli);
int cmd_wal_list(struct cli *cli);
int cmd_wal_status(struct cli *cli);
int cmd_wal_verify(struct cli *cli);

#endif
