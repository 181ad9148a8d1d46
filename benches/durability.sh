# Sourced by the benches that run one test of tests/durability at length. A test that is not there, or that does without
# PostgreSQL, passes in a moment: here either is a failure.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -z "${TANDEM:-}" ]; then
  cargo build --locked --release --bin tandem
  TANDEM=$PWD/target/release/tandem
fi
export TANDEM POSTGRES_IS_WANTED=1

# durability TEST: runs this one, and fails where none ran.
durability() {
  local said
  said=$(mktemp)
  cargo test --locked --test durability -- --nocapture --exact "$1" | tee "$said"
  grep -q '^test result: ok. 1 passed' "$said" || { echo "no test $1 ran"; rm -f "$said"; exit 1; }
  rm -f "$said"
}
