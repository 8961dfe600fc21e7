output "address" {
  description = "Where the dashboard answers."
  value       = local.address
}
