output "helm_values" {
  description = "Values that the chart takes as they are."
  value       = module.penstock.helm_values
}

output "kubeconfig_command" {
  description = "Writes the access to the cluster into the kubeconfig at hand."
  value       = module.penstock.kubeconfig_command
}

output "next_command" {
  description = "What to run next: bash -c \"$(terraform output -raw next_command)\"."
  value       = module.penstock.next_command
}

output "registry" {
  description = "Where Penstock's images are pushed to."
  value       = module.penstock.registry
}

output "weights" {
  description = "The bucket of weights."
  value       = module.penstock.weights
}

output "nodes" {
  description = "Node groups with GPUs by hardware profile."
  value       = module.penstock.nodes
}
