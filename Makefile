# The front door. Everything is built by Meson into $(BUILD); this file only remembers the commands.
BUILD ?= build
PREFIX ?= /usr/local
NINJA = ninja -C $(BUILD)

.PHONY: all program deps run check test conformance coverage valgrind interop bench fuzz model lint format docs install install-anyio clean help

all: program    ## build everything
	@echo "$(BUILD)/ipfs-kit is ready: 'make run' shows two nodes, 'make install' installs, '$(BUILD)/ipfs-kit --help' says more"

program: $(BUILD)/build.ninja ## the same without a word
	@$(NINJA) $(ONLY)
	@ln -sf cli/ipfs-kit $(BUILD)/ipfs-kit

$(BUILD)/build.ninja:
	@./deps.sh
	@meson setup $(BUILD) --buildtype=release -Db_ndebug=false >$(BUILD).log 2>&1 || \
		{ cat $(BUILD).log; rm -rf $(BUILD); exit 1; }
	@rm -f $(BUILD).log

deps:       ## install what building and testing need (Debian packages)
	@./deps.sh test

# A first look need not wait until the tests are built.
run: ONLY = cli/ipfs-kit
run: program    ## two nodes: add to one, fetch from the other over libp2p, compare
	@./examples/two-nodes.sh $(BUILD)/ipfs-kit

# Filling memory as it comes and goes, as Meson has it and 'make test' does, takes as long as the tests themselves.
check: $(BUILD)/build.ninja ## the quick suites on both backends, no network, under three minutes; builds what they run
	@MALLOC_PERTURB_=0 meson test -C $(BUILD) --setup quick --print-errorlogs

test: deps  ## everything: suites, sanitizers, crashes, hostile input, fuzzing, interop; FULL=1 for full sizes
	@BUILD=$(BUILD) FULL=$(FULL) ./tests/run

conformance: program ## the runtime's contract: 65 cases, 17 rules, by backend and mode, SEEDS=1000 on sim; a million cancelled operations
	@BUILD=$(BUILD) SEEDS=$(SEEDS) ./tests/run conformance

coverage: deps  ## lines and branches of anyio/ that its tests reach; fails below 95 and 85 of a hundred
	@BUILD=$(BUILD) ./tests/run coverage

valgrind: deps program ## the runtime's tests under memcheck, on libuv
	@BUILD=$(BUILD) ./tests/run valgrind

interop: program ## with Kubo and Helia, both directions, both backends; with S3 stores and SFTP servers
	@BUILD=$(BUILD) FULL=$(FULL) ./tests/run interop

bench: program  ## ours and the peers side by side; writes build/bench.json; BENCH="store policy" for some parts
	@./deps.sh bench || echo "bench: peers that are not installed are not run" >&2
	@BUILD=$(BUILD) FULL=$(FULL) ./bench/run $(BENCH)

fuzz: deps  ## every decoder's fuzz target; SECONDS_EACH=60 to run longer
	@BUILD=$(BUILD) ./tests/run fuzz

model: deps program  ## the runtime's wake and cancel protocol: a model checked by spin, the same bounds on the real code
	@meson test -C $(BUILD) anyio-model anyio-explore --print-errorlogs

lint:       ## formatting, folder rules, file sizes
	@./tests/lint.sh

format:     ## lay the sources out as clang-format does
	@git ls-files '*.c' '*.h' '*.cc' '*.hpp' | xargs clang-format -i

docs:       ## the reference of the runtime as pages to browse (doxygen)
	@mkdir -p $(BUILD)/docs/anyio
	@{ cat docs/anyio/Doxyfile; echo "OUTPUT_DIRECTORY = $(BUILD)/docs/anyio"; } | doxygen -
	@echo "$(BUILD)/docs/anyio/html/index.html"

install: program ## put program, manual pages, completions, unit and library in place (PREFIX, DESTDIR)
	@DESTDIR=$(DESTDIR) meson configure $(BUILD) -Dprefix=$(PREFIX) >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)
	@[ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || true
	@[ -n "$(DESTDIR)" ] || ./dist/installed.sh $(BUILD) $(PREFIX)

install-anyio: ## the runtime alone: its library, headers, anyio.pc and manual pages (PREFIX, DESTDIR)
	@./deps.sh anyio
	@[ -f $(BUILD)-anyio/build.ninja ] || meson setup $(BUILD)-anyio --buildtype=release -Db_ndebug=false \
		-Donly_anyio=true -Dtests=false >/dev/null
	@meson configure $(BUILD)-anyio -Dprefix=$(PREFIX) >/dev/null
	@ninja -C $(BUILD)-anyio
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)-anyio --no-rebuild
	@[ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || true
	@[ -n "$(DESTDIR)" ] || ./dist/installed.sh $(BUILD)-anyio $(PREFIX)

clean:      ## remove what was built
	@rm -rf $(BUILD) $(BUILD)-anyio $(BUILD)-aarch64 $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz $(BUILD)-coverage

help:       ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## / — /'
