#!/usr/bin/env bash
# Fuzzes every decoder of outside bytes with libFuzzer, SECONDS_EACH=60 each; finds go to build/fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh libclang-rt-dev
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
mkdir -p build/fuzz/findings
status=0
for target in build/fuzz/tests/fuzz_*; do
  [ -x "$target" ] || continue
  name=${target##*/fuzz_}
  mkdir -p "build/fuzz/corpus/$name"
  echo "== $name"
  "$target" -max_total_time="${SECONDS_EACH:-60}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$name-" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
    2>&1 | grep -E '^(==|SUMMARY|stat::number_of_executed|stat::average)' || true
  ls build/fuzz/findings/"$name"-* >/dev/null 2>&1 && status=1
done
[ $status -eq 0 ] || echo "findings in build/fuzz/findings" >&2
exit $status
