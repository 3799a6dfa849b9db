#!/usr/bin/env bash
# Give the machine back. What lies in the bucket stays.
#   BUCKET=my-bucket scripts/tpu/delete.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

run gcloud compute tpus queued-resources delete "$NAME" --zone="$ZONE" --force --quiet
