# What deploy/apply.sh does, as a module: the same tables, grants, thresholds, metrics and policies, read from the same files.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google      = { source = "hashicorp/google", version = ">= 7.0" }
    google-beta = { source = "hashicorp/google-beta", version = ">= 7.0" }
  }
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  apis = ["run", "bigquery", "logging", "iap", "cloudscheduler", "secretmanager", "iamcredentials", "monitoring", "pubsub"]
  address = (
    var.address != "" ? var.address : "https://${var.name}-${data.google_project.this.number}.${var.region}.run.app"
  )
  thresholds = { for pair in regexall("(?m)^([A-Z][A-Z0-9_]*)=(.*)$", file("${path.module}/../thresholds.env")) : pair[0] => trimspace(pair[1]) }
  common = {
    GOOGLE_CLOUD_PROJECT = var.project
    CLOUD_RUN_REGION     = var.region
    BIGQUERY_LOCATION    = var.location
  }
  watched = { WORKER_SERVICE = var.watched_worker, COORDINATOR_SERVICE = var.watched_coordinator }
  own     = { WORKER_SERVICE = "${var.name}-worker", COORDINATOR_SERVICE = "${var.name}-coordinator" }
  metrics = { for path in fileset("${path.module}/../monitoring", "metric-*.yaml") : path => yamldecode(file("${path.module}/../monitoring/${path}")) }
  policies = {
    for path in fileset("${path.module}/../monitoring", "policy-*.yaml") : path => yamldecode(file("${path.module}/../monitoring/${path}"))
  }
  statements = { for path in fileset("${path.module}/../../queries/schema", "*.sql") : path => file("${path.module}/../../queries/schema/${path}") }
}

resource "google_project_service" "api" {
  for_each           = toset(local.apis)
  project            = var.project
  service            = "${each.value}.googleapis.com"
  disable_on_destroy = false
}

resource "google_project_service_identity" "iap" {
  provider   = google-beta
  project    = var.project
  service    = "iap.googleapis.com"
  depends_on = [google_project_service.api]
}

resource "google_bigquery_dataset" "own" {
  project     = var.project
  dataset_id  = "prediction_on_call"
  location    = var.location
  description = "The on-call dashboard: batches, actions, alerts"
  depends_on  = [google_project_service.api]
  lifecycle {
    prevent_destroy = true # the record of what was done
  }
}

resource "google_bigquery_job" "table" {
  for_each = local.statements
  project  = var.project
  location = var.location
  job_id   = "on-call-${trimsuffix(each.key, ".sql")}-${md5(each.value)}"
  query {
    query              = each.value
    create_disposition = ""
    write_disposition  = ""
    use_legacy_sql     = false
  }
  depends_on = [google_bigquery_dataset.own]
}

resource "google_cloud_scheduler_job" "watchdog" {
  project          = var.project
  region           = var.region
  name             = "${var.name}-watchdog"
  schedule         = var.schedule
  time_zone        = "America/New_York"
  attempt_deadline = "60s"
  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/${google_cloud_run_v2_job.watchdog.id}:run"
    oauth_token {
      service_account_email = google_service_account.account["TICK"].email
    }
  }
}

resource "google_logging_metric" "metric" {
  for_each        = local.metrics
  project         = var.project
  name            = each.value.name
  description     = each.value.description
  filter          = each.value.filter
  value_extractor = try(each.value.valueExtractor, null)
  metric_descriptor {
    metric_kind = each.value.metricDescriptor.metricKind
    value_type  = each.value.metricDescriptor.valueType
    unit        = each.value.metricDescriptor.unit
  }
  dynamic "bucket_options" {
    for_each = try([each.value.bucketOptions.exponentialBuckets], [])
    content {
      exponential_buckets {
        num_finite_buckets = bucket_options.value.numFiniteBuckets
        growth_factor      = bucket_options.value.growthFactor
        scale              = bucket_options.value.scale
      }
    }
  }
}

resource "google_monitoring_alert_policy" "policy" {
  for_each              = local.policies
  project               = var.project
  display_name          = each.value.displayName
  combiner              = each.value.combiner
  notification_channels = var.channels
  dynamic "conditions" {
    for_each = each.value.conditions
    content {
      display_name = conditions.value.displayName
      dynamic "condition_threshold" {
        for_each = try([conditions.value.conditionThreshold], [])
        content {
          filter          = condition_threshold.value.filter
          comparison      = condition_threshold.value.comparison
          threshold_value = condition_threshold.value.thresholdValue
          duration        = condition_threshold.value.duration
          aggregations {
            alignment_period     = condition_threshold.value.aggregations[0].alignmentPeriod
            per_series_aligner   = condition_threshold.value.aggregations[0].perSeriesAligner
            cross_series_reducer = condition_threshold.value.aggregations[0].crossSeriesReducer
          }
          trigger {
            count = condition_threshold.value.trigger.count
          }
        }
      }
      dynamic "condition_absent" {
        for_each = try([conditions.value.conditionAbsent], [])
        content {
          filter   = condition_absent.value.filter
          duration = condition_absent.value.duration
          aggregations {
            alignment_period     = condition_absent.value.aggregations[0].alignmentPeriod
            per_series_aligner   = condition_absent.value.aggregations[0].perSeriesAligner
            cross_series_reducer = condition_absent.value.aggregations[0].crossSeriesReducer
          }
          trigger {
            count = condition_absent.value.trigger.count
          }
        }
      }
    }
  }
  alert_strategy {
    auto_close = each.value.alertStrategy.autoClose
  }
  documentation {
    mime_type = each.value.documentation.mimeType
    content   = each.value.documentation.content
  }
  depends_on = [google_logging_metric.metric] # new ones may take ten minutes: apply again
}
