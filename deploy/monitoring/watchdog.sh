#!/usr/bin/env bash
# The watchdog as a Cloud Run job that Cloud Scheduler starts every minute: ./watchdog.sh PROJECT REGION IMAGE SERVICE_ACCOUNT DASHBOARD_URL
# SLACK_WEBHOOK_URL comes from Secret Manager, secret `slack-webhook`. The account reads BigQuery, Logging, Scheduler and Cloud Run,
# writes prediction_on_call, and may update prediction-worker.
set -euo pipefail
project=${1:?project} region=${2:?region} image=${3:?image} account=${4:?service account} dashboard=${5:?dashboard address}
gcloud run jobs deploy prediction-watchdog --project="$project" --region="$region" --image="$image" --service-account="$account" \
  --command=python --args=-m,services.watchdog --max-retries=0 --task-timeout=30m \
  --set-secrets=SLACK_WEBHOOK_URL=slack-webhook:latest \
  --set-env-vars=GOOGLE_CLOUD_PROJECT="$project",CLOUD_RUN_REGION="$region",DASHBOARD_URL="$dashboard"
gcloud scheduler jobs create http prediction-watchdog --project="$project" --location="$region" --schedule="* * * * *" --http-method=POST \
  --uri="https://run.googleapis.com/v2/projects/$project/locations/$region/jobs/prediction-watchdog:run" \
  --oauth-service-account-email="$account"
