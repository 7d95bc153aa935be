#!/usr/bin/env bash
# Checks what compilers do not: layering, shell scripts, and (without --fast) formatting and static analysis.
set -euo pipefail
cd "$(dirname "$0")/.."

python3 scripts/check_layers.py
git ls-files '*.sh' .ci/run 'packaging/deb/*/p*' 'installer/macos/p*' packaging/macos/claude-telemetry | xargs -r shellcheck -x -S warning
[ "${1:-}" = --fast ] && exit 0

git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror
cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
  --suppress=missingIncludeSystem -I . base platform core agent doctor server
