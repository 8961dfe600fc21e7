#!/usr/bin/env bash
# Removes what apply.sh created. The records (dataset prediction_on_call) stay unless RECORDS=delete is set.
#   PROJECT=nba-props-platform deploy/undo.sh          prints every command
#   PROJECT=nba-props-platform deploy/undo.sh --do     runs them
source "$(dirname "${BASH_SOURCE[0]}")/config.sh"

here=(--project="$PROJECT" --region="$REGION" --quiet)

say "The timer first, so that nothing is started any more"
try gcloud scheduler jobs delete "$WATCHDOG" --project="$PROJECT" --location="$REGION" --quiet
try gcloud run jobs delete "$WATCHDOG" "${here[@]}"
try gcloud run services delete "$NAME" "${here[@]}"
if [[ $WITH_WRITE_PATH == yes ]]; then
  try gcloud run services delete "$COORDINATOR" "${here[@]}"
  try gcloud run services delete "$WORKER" "${here[@]}"
fi

say "Alert policies, then the metrics they count"
for file in deploy/monitoring/policy-*.yaml; do
  title=$(sed -n 's/^displayName: //p' "$file")
  policy="the policy named '$title'"
  if [[ $DO == yes ]]; then policy=$(gcloud monitoring policies list --project="$PROJECT" --filter="displayName=\"$title\"" --format='value(name)'); fi
  if [[ -n $policy ]]; then try gcloud monitoring policies delete "$policy" --project="$PROJECT" --quiet; fi
done
for file in deploy/monitoring/metric-*.yaml; do
  try gcloud logging metrics delete "$(sed -n 's/^name: //p' "$file")" --project="$PROJECT" --quiet
done

say "Permissions, then the identities that had them"
accounts=("$READ" "$ACT")
if [[ $WITH_WRITE_PATH == yes ]]; then accounts+=("$PIPELINE"); fi
for who in "${accounts[@]}"; do
  for role in bigquery.jobUser bigquery.resourceViewer logging.viewer cloudscheduler.viewer logging.logWriter; do
    try gcloud projects remove-iam-policy-binding "$PROJECT" --member="serviceAccount:$who" --role="roles/$role" --condition=None --quiet
  done
  for service in "$WATCHED_WORKER" "$WATCHED_COORDINATOR"; do
    for role in run.viewer run.invoker run.developer; do
      try gcloud run services remove-iam-policy-binding "$service" "${here[@]}" --member="serviceAccount:$who" --role="roles/$role"
    done
  done
  for dataset in "${LOOK_AT[@]}" "${CHANGE[@]}"; do
    for role in dataViewer dataEditor; do
      try bq query --project_id="$PROJECT" --location="$LOCATION" --use_legacy_sql=false --quiet \
        "REVOKE \`roles/bigquery.$role\` ON SCHEMA \`$PROJECT.$dataset\` FROM \"serviceAccount:$who\""
    done
  done
done
if [[ -n $WATCHED_RUNTIME ]]; then
  try gcloud iam service-accounts remove-iam-policy-binding "$WATCHED_RUNTIME" --project="$PROJECT" \
    --member="serviceAccount:$ACT" --role=roles/iam.serviceAccountUser --quiet
fi
if [[ -n $SLACK_SECRET ]]; then
  try gcloud secrets remove-iam-policy-binding "$SLACK_SECRET" --project="$PROJECT" --member="serviceAccount:$ACT" \
    --role=roles/secretmanager.secretAccessor --quiet
fi
for who in "${accounts[@]}" "$TICK"; do
  try gcloud iam service-accounts delete "$who" --project="$PROJECT" --quiet
done

if [[ ${RECORDS:-keep} == delete ]]; then
  say "The records: who did what, and every batch's sums"
  try bq rm --project_id="$PROJECT" -r -f --dataset "$PROJECT:prediction_on_call"
else
  printf '\n# The dataset prediction_on_call is kept: it is the record of what was done. RECORDS=delete removes it too.\n'
fi
if [[ $DO == no ]]; then printf '\n# Nothing was changed. Run it with --do to take it back.\n'; fi
