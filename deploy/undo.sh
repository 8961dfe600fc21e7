#!/usr/bin/env bash
# Removes what apply.sh created, or began to create. The records (dataset prediction_on_call) stay unless RECORDS=delete is set.
#   PROJECT=nba-props-platform deploy/undo.sh          prints every command
#   PROJECT=nba-props-platform deploy/undo.sh --do     runs them
WITH_WRITE_PATH=yes   # removed where it is there
source "$(dirname "${BASH_SOURCE[0]}")/config.sh"
RETRY_FOR=0
if [[ $DO == yes ]]; then
  check_tools
  ask gcloud projects describe "$PROJECT" --format='value(projectNumber)' >/dev/null
fi
[[ -z $LOCATION ]] || BQ+=(--location="$LOCATION")

say "The timer first, so that nothing is started any more"
try gcloud scheduler jobs delete "$WATCHDOG" --project="$PROJECT" --location="$REGION" --quiet
try gcloud run jobs delete "$WATCHDOG" "${HERE[@]}"
for service in "$NAME" "$COORDINATOR" "$WORKER"; do try gcloud run services delete "$service" "${HERE[@]}"; done

say "Alert policies, then the metrics they count"
source deploy/monitoring/policies.sh
remove_policies_and_metrics

say "Permissions, then the identities that had them"
grants revoke project dataset account secret service
try gcloud iam roles delete predictionOnCallJobs --project="$PROJECT" --quiet
for who in "$READ" "$ACT" "$TICK" "$PIPELINE"; do
  try gcloud iam service-accounts delete "$who" --project="$PROJECT" --quiet
done

if [[ ${RECORDS:-keep} == delete ]]; then
  say "The records: who did what, and every batch's sums"
  try bq rm --project_id="$PROJECT" -r -f --dataset "$PROJECT:prediction_on_call"
else
  printf '\n# The dataset prediction_on_call is kept: it is the record of what was done. RECORDS=delete removes it too.\n'
fi
if [[ $DO == no ]]; then printf '\n# Nothing was changed. Run it with --do to take it back.\n'; fi
if [[ ${#FAILED[@]} -gt 0 ]]; then
  printf '\n# %s commands failed; run this again when they can succeed:\n' "${#FAILED[@]}" >&2
  printf '%s\n' "${FAILED[@]}" >&2
  exit 1
fi
