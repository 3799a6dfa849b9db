#!/usr/bin/env bash
# Copy the checked-out commit to every worker and install it there. What is not committed does not travel.
#   BUCKET=my-bucket scripts/tpu/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
archive=$(mktemp -d)/latentax.tar.gz
run git archive --output="$archive" HEAD
run gcloud compute tpus tpu-vm scp "$archive" "$NAME:" --zone="$ZONE" --worker=all
run gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker=all \
  --command="mkdir -p latentax && tar -xzf latentax.tar.gz -C latentax"
rm -rf "$(dirname "$archive")"
on_workers all 'python3 -m venv .venv && .venv/bin/pip install -e ".[atari,tpu,gcs]"'
