output "yaml" {
  description = "Values that the chart takes as they are: helm install -f <(terraform output -raw helm_values). They hold no secret."
  value       = yamlencode({ for key, part in local.parts : key => part if part != null })
}
