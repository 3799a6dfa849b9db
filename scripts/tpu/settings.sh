# Read by the scripts beside it: the machine, the bucket, and `run`, which prints every command before it is carried out.
# With DRY_RUN=1 commands are only printed.
set -euo pipefail

: "${NAME:=latentax}"                    # the machine
: "${ZONE:=us-west4-a}"
: "${TYPE:=v5litepod-8}"
: "${VERSION:=v2-alpha-tpuv5-lite}"      # the runtime image; it goes with TYPE
: "${BUCKET:?set BUCKET to the name of your Cloud Storage bucket, without gs://}"
: "${SPOT:=0}"                           # 1: cheaper, may be taken away at any time
: "${DRY_RUN:=0}"

run() {
  printf '%q ' "$@"
  printf '\n'
  if [ "$DRY_RUN" != 1 ]; then
    "$@"
  fi
}

# on_workers WHICH COMMAND: in the project's folder on worker WHICH, or on "all".
on_workers() {
  run gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker="$1" --command="cd latentax && $2"
}
