#!/usr/bin/env bash
# Start a training on every worker, or go on with it; it runs on when you log out. Arguments go on to `train`.
#   BUCKET=my-bucket scripts/tpu/run.sh --preset atari100k --env Pong --run-dir gs://my-bucket/pong
# One host by default; a slice of several hosts needs DISTRIBUTED=on.
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

: "${DISTRIBUTED:=auto}"
options=$(printf ' %q' "$@")
on_workers all "JAX_COMPILATION_CACHE_DIR=gs://$BUCKET/programs nohup .venv/bin/python -m jaxrl.jedi train --distributed $DISTRIBUTED$options > train.log 2>&1 &"
echo "watch it: gcloud compute tpus tpu-vm ssh $NAME --zone=$ZONE --worker=0 --command='tail -f latentax/train.log'"
