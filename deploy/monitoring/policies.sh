#!/usr/bin/env bash
# What Cloud Monitoring counts in the log lines of the pipeline and of the watchdog (metric-*), and what it alerts on (policy-*).
# Part of apply.sh and undo.sh; alone: PROJECT=… CHANNEL=… deploy/monitoring/policies.sh [--do]. Applying again updates.
# The names match the customer's services and ours (config.sh); the phrases match, in any case, textPayload (the customer's
# lines) and jsonPayload.message (ours). `gcloud beta monitoring channels list` prints what CHANNEL can be.
# `gcloud alpha monitoring`: the oldest gcloud that is accepted has it only there, and newer ones still do.
if [[ -z ${NAME:-} ]]; then
  source "$(dirname "${BASH_SOURCE[0]}")/../config.sh"
  ALONE=yes
fi

apply_metrics() {
  local file verb name
  for file in deploy/monitoring/metric-*.yaml; do
    verb=create name=$(sed -n 's/^name: //p' "$file")
    if [[ $DO == yes ]] && exists gcloud logging metrics describe "$name" --project="$PROJECT"; then verb=update; fi
    run gcloud logging metrics "$verb" "$name" --project="$PROJECT" --config-from-file="$file" --quiet
  done
}

list_policies() { ask gcloud alpha monitoring policies list --project="$PROJECT" --format="$1"; }

apply_policies() {
  local file title known='' name enabled channels
  if [[ $DO == yes ]]; then known=$(list_policies 'value[separator="|"](displayName,name,enabled,notificationChannels.list())'); fi
  for file in deploy/monitoring/policy-*.yaml; do
    title=$(sed -n 's/^displayName: //p' "$file")
    IFS='|' read -r title name enabled channels <<<"$(grep -F "$title|" <<<"$known" || echo "$title|||")"
    if [[ -z $name ]]; then
      run gcloud alpha monitoring policies create --project="$PROJECT" ${CHANNEL:+--notification-channels="$CHANNEL"} --policy-from-file="$file" --quiet
      continue
    fi
    if [[ -n $CHANNEL && ,$channels, != *",$CHANNEL,"* ]]; then channels+=${channels:+,}$CHANNEL; fi
    # The file replaces the whole policy: what it does not name has to be given again.
    run gcloud alpha monitoring policies update "$name" --project="$PROJECT" --policy-from-file="$file" \
      ${channels:+--set-notification-channels="$channels"} $([[ $enabled == False ]] && echo --no-enabled) --quiet
  done
  if [[ -z $CHANNEL ]]; then echo "# CHANNEL is empty: new policies raise incidents in Cloud Monitoring, and reach nobody."; fi
}

remove_policies_and_metrics() {
  local file title name known=''
  if [[ $DO == yes ]]; then known=$(list_policies 'value[separator="|"](displayName,name)'); fi
  for file in deploy/monitoring/policy-*.yaml; do
    title=$(sed -n 's/^displayName: //p' "$file")
    name="the policy named '$title'"
    if [[ $DO == yes ]]; then name=$(grep -F "$title|" <<<"$known" | cut -d'|' -f2 || true); fi
    if [[ -n $name ]]; then try gcloud alpha monitoring policies delete "$name" --project="$PROJECT" --quiet; fi
  done
  for file in deploy/monitoring/metric-*.yaml; do
    try gcloud logging metrics delete "$(sed -n 's/^name: //p' "$file")" --project="$PROJECT" --quiet
  done
}

if [[ ${ALONE:-} == yes ]]; then
  if [[ $DO == yes ]]; then check_tools; fi
  apply_metrics
  apply_policies
fi
