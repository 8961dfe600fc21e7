variable "project" {
  type        = string
  description = "The Google Cloud project."
}

variable "region" {
  type    = string
  default = "us-west2"
}

variable "location" {
  type        = string
  default     = "US"
  description = "The location of the BigQuery datasets."
}

variable "name" {
  type        = string
  default     = "prediction-on-call"
  description = "The dashboard's service; the others are named after it."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "At most 20 lower-case letters, digits and hyphens: a service account's name has 30 characters."
  }
}

variable "image" {
  type        = string
  description = "The image that Dockerfile builds."
}

variable "operators" {
  type        = list(string)
  default     = []
  description = "E-mail addresses that may act."
}

variable "people" {
  type        = list(string)
  default     = []
  description = "Who may open the dashboard, for example group:on-call@example.com."
}

variable "watched_worker" {
  type    = string
  default = "prediction-worker"
}

variable "watched_coordinator" {
  type    = string
  default = "prediction-coordinator"
}

variable "watched_runtime" {
  type        = string
  default     = ""
  description = "The watched worker's service account; needed to scale it down and restore it."
}

variable "with_write_path" {
  type        = bool
  default     = false
  description = "Also our own worker and coordinator, under names of their own."
}

variable "slack_secret" {
  type        = string
  default     = ""
  description = "Secret Manager's name of the Slack address."
}

variable "escalate_after_min" {
  type        = number
  default     = 0
  description = "Minutes until an alert that nobody acknowledged goes to the second channel; 0: never."
}

variable "escalation_format" {
  type        = string
  default     = "pagerduty"
  description = "What the second channel is: pagerduty, opsgenie or webhook."
}

variable "escalation_key_secret" {
  type        = string
  default     = ""
  description = "Secret Manager's name of the second channel's key."
}

variable "escalation_url_secret" {
  type        = string
  default     = ""
  description = "Secret Manager's name of its address; empty: the one of PagerDuty or Opsgenie."
}

variable "channels" {
  type        = list(string)
  default     = []
  description = "Cloud Monitoring's notification channels; without one the policies reach nobody."
}

variable "address" {
  type        = string
  default     = ""
  description = "The dashboard's own address, where it is not the one that Cloud Run gives."
}

variable "schedule" {
  type        = string
  default     = "*/5 * * * *"
  description = "How often the watchdog checks."
}
