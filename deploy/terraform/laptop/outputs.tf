output "endpoint" {
  description = "The OpenAI-compatible address, which answers."
  value       = local.endpoint

  # Who is told where it is can use it.
  depends_on = [terraform_data.release]
}

output "helm_values" {
  description = "Values that the chart takes as they are, laid over those of `values`."
  value       = local.helm_values
}

output "kubeconfig_command" {
  description = "Lets kubectl and helm of this shell talk to the cluster."
  value       = "export KUBECONFIG=${local.kubeconfig}"
}

output "next_command" {
  description = "What to run next."
  value       = "curl ${local.endpoint}/models"
}
