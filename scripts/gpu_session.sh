#!/usr/bin/env bash
# Ten minutes of an accelerator: all measurements, then training until the time is up.
# Usage: scripts/gpu_session.sh [--minutes 10] [--out FOLDER] [--env UpNDown] [--rehearse]
# Needs Python with jax (cuda) and this project's dependencies; no network.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python}" -m benchmarks.gpu_session "$@"
