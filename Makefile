# The two commands that do everything on a fresh Debian machine with the Rust toolchain.
#   make demo   the main job, on embedded SQLite, with the real notary CLI  (DEMO_ARGS=--exit to end by itself)
#   make test   every test, with the real clients
# One that shows the gates, as root:
#   make gate-demo  two people sign, an engine and a Deployment get only what both have signed  (DEMO_ARGS=--exit)
# One that searches:
#   make fuzz   what strangers write and gates read, fuzzed for FUZZ_SECONDS each
# And two that measure:
#   make counts instructions of the parts that cost most, compared with those that are kept
#   make bench  ours beside Notary's programs, figures and plots into docs/bench  (BENCH_ARGS=--quick for a look)

# What runs on every engine; the other tests choose theirs, or have nothing to do with one.
SUITE = $(addsuffix ::,api attacks attesting_refused audit bundle changes checking client_certificates damage denials docker_content_trust events gates issuing \
	keys_and_changes keys_of_others limits notary_flows one_meaning open_connections own_bundles pages pages_access pages_tuf password_guesses passwords \
	pending_keys policy policy_routes publish_mutations publish_races publish_refusals reading refreshing reloading \
	replaced_delegates requirements slow_clients starting stopping tokens transfer tuf_hosting tuf_operators tuf_serving unknown_keys upload_memory \
	uploaded_snapshots)
# Names are matched by a part: these end like one of those, and choose their engine themselves.
SKIPPED = --skip _tokens::

.PHONY: demo gate-demo test test-release bench counts fuzz lint requirements

demo:
	scripts/install-requirements.sh build openssl notary
	scripts/demo.sh $(DEMO_ARGS)

gate-demo:
	scripts/install-requirements.sh build openssl docker gate-demo
	scripts/gate-demo.sh $(DEMO_ARGS)

# Each command is for the whole workspace, so that nothing is built once more with other features; and the tests are told
# where the programs are, because building these alone would be one more set of features.
test: export COUNTERSIGN_TEST_PROGRAMS = $(abspath $(or $(CARGO_TARGET_DIR),target))/debug
test: requirements
	cargo build --workspace --bins --tests --locked
	cargo test --workspace --locked --no-fail-fast
	COUNTERSIGN_TEST_ENGINE=postgres cargo test --workspace --locked --test suites -- $(SUITE) $(SKIPPED)
	COUNTERSIGN_TEST_ENGINE=mysql cargo test --workspace --locked --test suites -- $(SUITE) $(SKIPPED)

# Release programs, as they are delivered: with an OpenSSL of their own where the system's is old. Their database clients
# have the system's all the same.
test-release:
	scripts/install-requirements.sh build openssl database notary
	cargo build --release --locked --package countersign-server --package countersign-signer $$(scripts/openssl-features.sh)
	COUNTERSIGN_TEST_PROGRAMS=$(abspath $(or $(CARGO_TARGET_DIR),target))/release cargo test --package tests --locked --test suites -- \
		database_tls:: client_certificates:: wrong_certificates:: notary_flows::

bench:
	scripts/install-requirements.sh build openssl database notary
	scripts/bench.sh $(BENCH_ARGS)

# Counts the instructions of the parts that cost most; COUNTS_ARGS=--update after a change that is meant to change them.
counts:
	scripts/install-requirements.sh build counts
	scripts/instruction-counts.sh $(COUNTS_ARGS)

# Fuzzes what gates read; FUZZ_SECONDS for each target.
fuzz:
	scripts/install-requirements.sh build fuzz
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),60)

requirements:
	scripts/install-requirements.sh build database notary docker browser tuf cosign gate-demo test

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo doc --workspace --no-deps --locked
