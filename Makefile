# The two commands that do everything on a fresh Debian machine with the Rust toolchain.
#   make demo   the main job, on embedded SQLite, with the real notary CLI  (DEMO_ARGS=--exit to end by itself)
#   make test   every test, with the real clients

.PHONY: demo test lint requirements

demo:
	scripts/install-requirements.sh build notary
	scripts/demo.sh $(DEMO_ARGS)

test: requirements
	cargo build --workspace --bins --locked
	cargo test --workspace --locked

requirements:
	scripts/install-requirements.sh build database notary docker test

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo doc --workspace --no-deps --locked
