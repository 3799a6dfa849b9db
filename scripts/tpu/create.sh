#!/usr/bin/env bash
# Ask for a TPU machine. It costs money from the moment it is there until delete.sh.
#   BUCKET=my-bucket scripts/tpu/create.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

spot=()
if [ "$SPOT" = 1 ]; then spot=(--spot); fi
run gcloud compute tpus queued-resources create "$NAME" --node-id="$NAME" --zone="$ZONE" --accelerator-type="$TYPE" \
  --runtime-version="$VERSION" ${spot[@]+"${spot[@]}"}
echo "wait until this says ACTIVE: gcloud compute tpus queued-resources describe $NAME --zone=$ZONE"
