# The grants of ../permissions.txt, the list that apply.sh reads too.

locals {
  accounts = merge(
    { READ = "reads", ACT = "acts", TICK = "starts the watchdog" },
    var.with_write_path ? { PIPELINE = "worker and coordinator" } : {},
  )
  targets = {
    ACT                   = try(google_service_account.account["ACT"].name, "")
    PIPELINE              = try(google_service_account.account["PIPELINE"].name, "")
    WATCHED_RUNTIME       = var.watched_runtime == "" ? "" : "projects/${var.project}/serviceAccounts/${var.watched_runtime}"
    SLACK_SECRET          = var.slack_secret
    ESCALATION_KEY_SECRET = var.escalation_key_secret
    ESCALATION_URL_SECRET = var.escalation_url_secret
    WATCHED_WORKER        = var.watched_worker
    WATCHED_COORDINATOR   = var.watched_coordinator
    WORKER                = var.with_write_path ? "${var.name}-worker" : ""
    COORDINATOR           = var.with_write_path ? "${var.name}-coordinator" : ""
    WATCHDOG              = "${var.name}-watchdog"
  }
  lines = [for line in split("\n", file("${path.module}/../permissions.txt")) : regexall("[^ ]+", line) if length(regexall("^[a-z]", line)) > 0]
  # Of which key, account, role, kind of resource and its name in capitals, if any. Keys are known before anything is made.
  grants = merge([
    for words in local.lines : {
      for who in split(",", words[0]) : "${who} ${join(" ", slice(words, 1, length(words)))}" => {
        account = upper(who)
        role    = words[1]
        kind    = words[2]
        target  = try(words[3], "")
      } if contains(keys(local.accounts), upper(who)) && contains(local.present, try(words[3], ""))
    }
  ]...)
  present = concat(
    ["", "ACT", "WATCHED_WORKER", "WATCHED_COORDINATOR", "WATCHDOG"],
    ["nba_analytics", "nba_raw", "nba_reference", "nba_predictions", "prediction_on_call"],
    var.watched_runtime == "" ? [] : ["WATCHED_RUNTIME"],
    var.escalation_key_secret == "" ? [] : ["ESCALATION_KEY_SECRET"],
    var.escalation_url_secret == "" ? [] : ["ESCALATION_URL_SECRET"],
    var.slack_secret == "" ? [] : ["SLACK_SECRET"],
    var.with_write_path ? ["PIPELINE", "WORKER", "COORDINATOR"] : [],
  )
}

resource "google_service_account" "account" {
  for_each     = local.accounts
  project      = var.project
  account_id   = "${var.name}-${lower(each.key)}"
  display_name = "On-call dashboard: ${each.value}"
}

# Run, pause and resume scheduled jobs, and nothing else: the predefined role may delete jobs too.
resource "google_project_iam_custom_role" "jobs" {
  project     = var.project
  role_id     = "predictionOnCallJobs"
  title       = "On-call dashboard: scheduled jobs"
  permissions = ["cloudscheduler.jobs.run", "cloudscheduler.jobs.pause", "cloudscheduler.jobs.enable"]
}

resource "google_project_iam_member" "grant" {
  for_each   = { for key, grant in local.grants : key => grant if grant.kind == "project" }
  project    = var.project
  role       = replace(each.value.role, "projects/PROJECT/", "projects/${var.project}/")
  member     = google_service_account.account[each.value.account].member
  depends_on = [google_project_iam_custom_role.jobs]
}

resource "google_bigquery_dataset_iam_member" "grant" {
  for_each   = { for key, grant in local.grants : key => grant if grant.kind == "dataset" }
  project    = var.project
  dataset_id = each.value.target
  role       = each.value.role
  member     = google_service_account.account[each.value.account].member
  depends_on = [google_bigquery_dataset.own]
}

resource "google_service_account_iam_member" "grant" {
  for_each           = { for key, grant in local.grants : key => grant if grant.kind == "account" }
  service_account_id = local.targets[each.value.target]
  role               = each.value.role
  member             = google_service_account.account[each.value.account].member
}

resource "google_secret_manager_secret_iam_member" "grant" {
  for_each  = { for key, grant in local.grants : key => grant if grant.kind == "secret" }
  project   = var.project
  secret_id = local.targets[each.value.target]
  role      = each.value.role
  member    = google_service_account.account[each.value.account].member
}

resource "google_cloud_run_v2_service_iam_member" "grant" {
  for_each   = { for key, grant in local.grants : key => grant if grant.kind == "service" }
  project    = var.project
  location   = var.region
  name       = local.targets[each.value.target]
  role       = each.value.role
  member     = google_service_account.account[each.value.account].member
  depends_on = [google_cloud_run_v2_service.pipeline]
}

resource "google_cloud_run_v2_job_iam_member" "grant" {
  for_each = { for key, grant in local.grants : key => grant if grant.kind == "job" }
  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_job.watchdog.name
  role     = each.value.role
  member   = google_service_account.account[each.value.account].member
}

resource "google_cloud_run_v2_service_iam_member" "iap_agent" {
  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.dashboard.name
  role     = "roles/run.invoker"
  member   = google_project_service_identity.iap.member
}

resource "google_iap_web_cloud_run_service_iam_member" "people" {
  for_each               = toset(var.people)
  project                = var.project
  location               = var.region
  cloud_run_service_name = google_cloud_run_v2_service.dashboard.name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.value
}
