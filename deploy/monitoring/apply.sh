#!/usr/bin/env bash
# Applies metrics.yaml and policies.yaml to a project: ./apply.sh PROJECT NOTIFICATION_CHANNEL
# The channel is a resource name, as `gcloud beta monitoring channels list` prints it. Applying again updates.
set -euo pipefail
project=${1:?project}
channel=${2:?notification channel}
here=$(cd "$(dirname "$0")" && pwd)
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
split() { csplit --quiet --suppress-matched --elide-empty-files --prefix="$parts/$2-" --suffix-format=%02d.yaml "$1" '/^---$/' '{*}'; }

split "$here/metrics.yaml" metric
for file in "$parts"/metric-*; do
  name=$(sed -n 's/^name: //p' "$file")
  verb=create
  if gcloud logging metrics describe "$name" --project="$project" >/dev/null 2>&1; then verb=update; fi
  gcloud logging metrics "$verb" "$name" --project="$project" --config-from-file="$file"
done

split "$here/policies.yaml" policy
for file in "$parts"/policy-*; do
  title=$(sed -n 's/^displayName: //p' "$file")
  known=$(gcloud monitoring policies list --project="$project" --filter="displayName=\"$title\"" --format="value(name)")
  if [ -n "$known" ]; then
    gcloud monitoring policies update "$known" --project="$project" --policy-from-file="$file"
  else
    gcloud monitoring policies create --project="$project" --notification-channels="$channel" --policy-from-file="$file"
  fi
done
