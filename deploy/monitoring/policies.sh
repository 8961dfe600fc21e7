#!/usr/bin/env bash
# What Cloud Monitoring counts in the log lines of the pipeline and of the watchdog (metric-*), and what it alerts on (policy-*).
# Part of apply.sh; alone: PROJECT=… CHANNEL=… deploy/monitoring/policies.sh [--do]. Applying again updates.
# The names match the customer's services and ours (config.sh); the phrases match, in any case, textPayload (the customer's
# lines) and jsonPayload.message (ours). `gcloud beta monitoring channels list` prints what CHANNEL can be.
if [[ -z ${NAME:-} ]]; then source "$(dirname "${BASH_SOURCE[0]}")/../config.sh"; fi

metric() {
  local name verb=create; name=$(sed -n 's/^name: //p' "$1")
  if [[ $DO == yes ]] && gcloud logging metrics describe "$name" --project="$PROJECT" >/dev/null 2>&1; then verb=update; fi
  run gcloud logging metrics "$verb" "$name" --project="$PROJECT" --config-from-file="$1" --quiet
}

policy() {
  local title known=; title=$(sed -n 's/^displayName: //p' "$1")
  if [[ $DO == yes ]]; then
    known=$(gcloud monitoring policies list --project="$PROJECT" --filter="displayName=\"$title\"" --format='value(name)')
  fi
  if [[ -n $known ]]; then
    run gcloud monitoring policies update "$known" --project="$PROJECT" --policy-from-file="$1" --quiet
  else
    run gcloud monitoring policies create --project="$PROJECT" ${CHANNEL:+--notification-channels="$CHANNEL"} --policy-from-file="$1" --quiet
  fi
}

for file in deploy/monitoring/metric-*.yaml; do metric "$file"; done
for file in deploy/monitoring/policy-*.yaml; do policy "$file"; done
if [[ -z $CHANNEL ]]; then echo "# CHANNEL is empty: the policies raise incidents in Cloud Monitoring, and reach nobody."; fi
