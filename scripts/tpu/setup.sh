#!/usr/bin/env bash
# Copy this checkout to every worker and install it there.
#   BUCKET=my-bucket scripts/tpu/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
run gcloud compute tpus tpu-vm scp --recurse . "$NAME:latentax" --zone="$ZONE" --worker=all
on_workers all 'python3 -m venv .venv && .venv/bin/pip install -e ".[atari,tpu,gcs]"'
