output "helm_values" {
  description = "Values that the chart takes as they are: helm install -f <(terraform output -raw helm_values). They hold no secret."
  value       = module.helm_values.yaml
}

output "kubeconfig_command" {
  description = "Writes the access to the cluster into the kubeconfig at hand."
  value       = "aws eks update-kubeconfig --region ${local.region} --name ${aws_eks_cluster.this.name}"

  # Who is told how to reach the cluster can use it.
  depends_on = [aws_eks_node_group.system, aws_eks_addon.dns, aws_eks_access_policy_association.admin]
}

output "next_command" {
  description = "What to run after the first apply, with the document in penstock.yaml: the operators, the Secrets, and the release."
  value = templatefile("${path.module}/files/next.sh.tftpl", {
    region    = local.region
    name      = aws_eks_cluster.this.name
    namespace = var.release.namespace
    registry  = local.registry
    prefix    = "${local.registry}/${var.name}"
    gpus      = length(var.gpu_nodes) > 0
    database  = var.database == null ? null : { secret = local.secret_names.database, id = aws_secretsmanager_secret.postgres["postgres"].name }
    redis     = var.redis == null ? null : { secret = local.secret_names.limits, address = "rediss://${aws_elasticache_replication_group.this["redis"].primary_endpoint_address}:6379/0" }
  })

  depends_on = [aws_eks_pod_identity_association.this, aws_secretsmanager_secret_version.postgres]
}

output "registry" {
  description = "Where Penstock's images are pushed to, by their names without the registry."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.repository_url }
}

output "weights" {
  description = "The bucket of weights: models name it as s3://BUCKET/PATH."
  value       = { bucket = aws_s3_bucket.weights.id, region = local.region, key = aws_kms_key.this["data"].arn }
}

output "nodes" {
  description = "Node groups with GPUs by hardware profile: type of machine, how many, labels and taints."
  value = {
    for name, group in local.groups : name => {
      machine = group.machine.type
      min     = group.min
      max     = group.max
      labels  = local.labels[name]
      taints  = [{ key = local.taint_key, value = local.taint_value, effect = "NoSchedule" }]
    }
  }
}

output "data" {
  description = "What holds data, for a guard with prevent_destroy in the root: ARNs that change where something of it would be lost."
  value = {
    weights  = aws_s3_bucket.weights.arn
    key      = aws_kms_key.this["data"].arn
    postgres = try(aws_db_instance.this["postgres"].arn, null)
    redis    = try(aws_elasticache_replication_group.this["redis"].arn, null)
  }
}
