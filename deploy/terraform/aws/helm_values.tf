locals {
  registry = split("/", aws_ecr_repository.this["penstock/gateway"].repository_url)[0]

  # Kubernetes' Secrets that the next command makes of what AWS keeps.
  secret_names = {
    database = var.database == null ? "" : "penstock-accounts"
    limits   = var.redis == null ? "" : "penstock-limits"
  }

  # A pod's share of the disks of its machine, where all its GPUs have a pod each, with a fifth left for images and logs.
  shares = [
    for group in local.groups :
    floor((group.machine.disks.count > 0 ? group.machine.disks.count * group.machine.disks.gb * 0.93 : group.disk) * 0.8 / tonumber(group.count))
  ]
}

module "helm_values" {
  source = "../modules/helm-values"

  profiles = {
    for name, group in local.groups : name => {
      resources = { "nvidia.com/gpu" = "1", cpu = tostring(group.machine.pod.cpu), memory = group.machine.pod.memory }
      node_selector = {
        "nvidia.com/gpu.product" = group.product
        "penstock.dev/hardware"  = name
      }
      tolerations = [{ key = local.taint_key, operator = "Exists", effect = "NoSchedule" }]
    }
  }
  image_registry       = "${local.registry}/${var.name}"
  service_account      = { name = var.release.service_account }
  s3_region            = local.region
  system_node_selector = local.system_labels
  model_cache_size     = length(local.shares) == 0 ? "" : "${min(local.shares...)}Gi"
  redis                = var.redis == null ? null : { address = "${aws_elasticache_replication_group.this["redis"].primary_endpoint_address}:6379" }
  secrets              = local.secret_names
}
