# Two commands do all the set-up: `make dev` and `make test`. What must be there before: npm with any Node >= 18, make, and
# Python or Go.

ARGS ?=
# Of the fault suite: what decides everything in a run, and how long it lasts.
SEED ?= $(shell date +%s)
MINUTES ?= 5

# The fault suite; docs/RELIABILITY.md.
CHAOS := chaos chaos-cluster chaos-mutations chaos-power chaos-overload

.PHONY: help dev test bench $(CHAOS) check format build clean

help:
	@echo 'make dev     install what is missing, run everything, print the address to open'
	@echo 'make test    install what is missing, run every test     (ARGS="test/domain" for some)'
	@echo 'make bench   measure, beside the limits of the same run  (ARGS="--rows direct-1,group-500")'
	@echo 'make chaos           the fault suite: kill, cut, fill, delete, and check every promise  (SEED=7 MINUTES=5)'
	@echo 'make chaos-cluster   the same on three nodes: leaders lost, nodes parted  (SEED=7 MINUTES=5)'
	@echo 'make chaos-power     cut the power under load, measure what was lost'
	@echo 'make chaos-mutations what the checker of the suite sees, a deliberate fault at a time'
	@echo 'make chaos-overload  twice the load that saturates             (MINUTES=5)'
	@echo 'make check   types, lint, dependency rules'
	@echo 'make format  put the code into its one form, and mend what lint can mend'
	@echo 'make build   what is published, into dist/'
	@echo 'make clean   remove what was installed and built (not data/)'

# The stamp is newer than the lock file once its packages are installed with the Node in use. No package needs its install
# script (prebuilt binaries lie in the packages), and newer npm would block them anyway. `tap build` goes wrong the first
# time after a fresh install, when the plugins it is told to drop are still the ones it loads.
node_modules/.installed: package.json package-lock.json scripts/node.sh
	@PATH="$$(./scripts/node.sh):$$PATH" && echo 'rookery: installing packages …' >&2 && \
	npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error && \
	{ node_modules/.bin/tap build >/dev/null 2>&1 || node_modules/.bin/tap build; }
	@touch $@

# What the gateway serves at /: made of these.
WEB_SOURCES := $(shell find src/web src/sdk src/protocol src/domain -type f) scripts/build-web.ts

dist/web/index.html: node_modules/.installed $(WEB_SOURCES)
	@PATH="$$(./scripts/node.sh):$$PATH" && echo 'rookery: building the web client …' >&2 && node scripts/build-web.ts >&2
	@touch $@

dev: node_modules/.installed dist/web/index.html
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node src/cli/rookery.ts dev $(ARGS)

test: node_modules/.installed dist/web/index.html
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node scripts/run-tests.ts $(ARGS)

bench: node_modules/.installed
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node bench/main.ts $(ARGS)

chaos: node_modules/.installed
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node test/chaos/main.ts --seed $(SEED) --minutes $(MINUTES) $(ARGS)

chaos-cluster: node_modules/.installed
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node test/chaos/main.ts --nodes 3 --seed $(SEED) --minutes $(MINUTES) $(ARGS)

chaos-mutations: node_modules/.installed
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node test/chaos/mutations/main.ts $(ARGS)

chaos-power: node_modules/.installed
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node test/chaos/power.ts $(ARGS)

chaos-overload: node_modules/.installed
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node test/chaos/overload/main.ts --minutes $(MINUTES) $(ARGS)

check: node_modules/.installed
	@PATH="$$(./scripts/node.sh):$$PATH" && exec npm run --silent check

format: node_modules/.installed
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node_modules/.bin/biome check --write .

# A gateway that runs here serves dist/web: that stays where it is, and is made anew only where its sources have changed.
build: node_modules/.installed dist/web/index.html
	@find dist -mindepth 1 -maxdepth 1 ! -name web -exec rm -rf {} +
	@PATH="$$(./scripts/node.sh):$$PATH" && exec node_modules/.bin/tsc -p tsconfig.build.json

clean:
	rm -rf node_modules .tools .tap dist
