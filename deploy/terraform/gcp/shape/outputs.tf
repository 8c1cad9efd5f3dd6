output "pools" {
  description = "Node pools by hardware profile, each with all that is decided of it."
  value       = local.pools
}

output "taints" {
  description = "Taints of every node with a GPU."
  value       = local.taints
}

output "system_labels" {
  description = "Labels of the nodes without a GPU."
  value       = local.system_labels
}

output "system_machine" {
  description = "Type of the machines without a GPU that `penstock plan` counts with."
  value       = local.catalog.system.type
}

output "secret_names" {
  description = "Names of Kubernetes' Secrets that the chart's values name."
  value       = local.secret_names
}

output "helm_values" {
  description = "Values that the chart takes as they are. They hold no secret."
  value       = module.helm_values.yaml
}
