# The services of ../dashboard.yaml, ../worker.yaml, ../coordinator.yaml and the job of ../watchdog.yaml; the reasons are there.

locals {
  parts = var.with_write_path ? {
    worker = {
      command = "services.pipeline.worker", timeout = "300s", concurrency = 5, min = 0, max = 20, idle = true, env = {}
    }
    coordinator = {
      command = "services.pipeline.coordinator", timeout = "540s", concurrency = 8, min = 1, max = 1, idle = false, env = local.thresholds
    }
  } : {}
}

resource "google_cloud_run_v2_service" "pipeline" {
  for_each            = local.parts
  project             = var.project
  location            = var.region
  name                = "${var.name}-${each.key}"
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = false
  labels              = { part-of = "prediction-on-call" }
  scaling {
    min_instance_count = each.value.min
    max_instance_count = each.value.max
  }
  template {
    service_account                  = google_service_account.account["PIPELINE"].email
    timeout                          = each.value.timeout
    max_instance_request_concurrency = each.value.concurrency
    containers {
      image   = var.image
      command = ["python", "-m", each.value.command]
      ports {
        container_port = 8080
      }
      resources {
        limits   = { cpu = "1", memory = "1Gi" }
        cpu_idle = each.value.idle
      }
      dynamic "env" {
        for_each = merge(local.common, local.own, each.value.env)
        content {
          name  = env.key
          value = env.value
        }
      }
      startup_probe {
        period_seconds    = 2
        failure_threshold = 30
        http_get {
          path = "/health"
        }
      }
      liveness_probe {
        period_seconds  = 30
        timeout_seconds = 5
        http_get {
          path = "/health"
        }
      }
    }
  }
  lifecycle { # the dashboard sets the capacity, and notes on the service what it was
    ignore_changes = [
      annotations,
      scaling,
      template[0].scaling,
      template[0].max_instance_request_concurrency,
    ]
  }
  depends_on = [google_bigquery_job.table]
}

resource "google_cloud_run_v2_service" "dashboard" {
  provider            = google-beta # iap_enabled
  project             = var.project
  location            = var.region
  name                = var.name
  ingress             = "INGRESS_TRAFFIC_ALL"
  launch_stage        = "BETA"
  iap_enabled         = true
  deletion_protection = false
  labels              = { part-of = "prediction-on-call" }
  scaling {
    min_instance_count = 1
    max_instance_count = 1
  }
  template {
    service_account                  = google_service_account.account["READ"].email
    timeout                          = "3600s"
    max_instance_request_concurrency = 400
    session_affinity                 = true
    containers {
      image = var.image
      ports {
        container_port = 8080
      }
      resources {
        limits            = { cpu = "1", memory = "1Gi" }
        cpu_idle          = false
        startup_cpu_boost = true
      }
      dynamic "env" {
        for_each = merge(local.common, local.watched, local.thresholds, {
          IAP_AUDIENCE       = "/projects/${data.google_project.this.number}/locations/${var.region}/services/${var.name}"
          OPERATORS          = join(",", var.operators)
          ESCALATE_AFTER_MIN = tostring(var.escalate_after_min)
          DASHBOARD_URL      = local.address
          DASHBOARD_HOSTS    = trimprefix(local.address, "https://")
          ACTING_ACCOUNT     = google_service_account.account["ACT"].email
        })
        content {
          name  = env.key
          value = env.value
        }
      }
      startup_probe {
        period_seconds    = 2
        failure_threshold = 30
        http_get {
          path = "/_stcore/health"
        }
      }
      liveness_probe {
        period_seconds  = 30
        timeout_seconds = 5
        http_get {
          path = "/_stcore/health"
        }
      }
    }
  }
  depends_on = [google_bigquery_job.table, google_project_service_identity.iap]
}

resource "google_cloud_run_v2_job" "watchdog" {
  project             = var.project
  location            = var.region
  name                = "${var.name}-watchdog"
  deletion_protection = false
  labels              = { part-of = "prediction-on-call" }
  template {
    task_count = 1
    template {
      service_account = google_service_account.account["ACT"].email
      max_retries     = 0
      timeout         = "300s"
      containers {
        image   = var.image
        command = ["python", "-m", "services.alerts.watchdog"]
        resources {
          limits = { cpu = "1", memory = "1Gi" }
        }
        dynamic "env" {
          for_each = merge(local.common, local.watched, local.thresholds, {
            DASHBOARD_URL                        = local.address
            SELF_HEALING_ALERT_ON_DML_LIMIT      = "true"
            SELF_HEALING_AUTO_REDUCE_CONCURRENCY = "true"
            SELF_HEALING_RESUME_STALLED          = "true"
            SELF_HEALING_CONSOLIDATE_LEFTOVERS   = "true"
            ESCALATE_AFTER_MIN                   = tostring(var.escalate_after_min)
            ESCALATION_FORMAT                    = var.escalation_format
          })
          content {
            name  = env.key
            value = env.value
          }
        }
        dynamic "env" {
          for_each = { for name, secret in {
            SLACK_WEBHOOK_URL = var.slack_secret
            ESCALATION_KEY    = var.escalation_key_secret
            ESCALATION_URL    = var.escalation_url_secret
          } : name => secret if secret != "" }
          content {
            name = env.key
            value_source {
              secret_key_ref {
                secret  = env.value
                version = "latest"
              }
            }
          }
        }
      }
    }
  }
  depends_on = [google_bigquery_job.table, google_secret_manager_secret_iam_member.grant]
}
