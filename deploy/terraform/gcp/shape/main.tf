locals {
  catalog = yamldecode(file("${path.module}/../gpus.yaml"))
  gpus    = local.catalog.gpus

  # Each pool with its machine: the one with as many GPUs as asked for, else the smallest.
  pools = {
    for name, group in var.gpu_nodes : name => merge(group, {
      pool        = replace(name, "/[._]/", "-")
      count       = tonumber(local.counts[name])
      machine     = local.machines[name]
      accelerator = local.gpus[coalesce(group.gpu, name)].accelerator
      zones       = length(group.zones) == 0 ? var.zones : group.zones
      disk_type   = try(local.machines[name].bootDisk, "pd-balanced")
      disks       = group.local_disks || try(local.machines[name].disks.bundled, false) ? local.machines[name].disks.count : 0
      labels = merge(group.labels, {
        "penstock.dev/hardware" = name
        # As NVIDIA's feature discovery labels them. A pool that has no node yet is known by these alone.
        "nvidia.com/gpu.product" = local.gpus[coalesce(group.gpu, name)].product
      })
    })
  }
  machines = { for name, group in var.gpu_nodes : name => local.gpus[coalesce(group.gpu, name)].machines[local.counts[name]] }
  counts = {
    for name, group in var.gpu_nodes : name => tostring(coalesce(
      group.gpus,
      min([for count in keys(local.gpus[coalesce(group.gpu, name)].machines) : tonumber(count)]...),
    ))
  }

  # GKE sets this one by itself as well; written down it is there for the autoscaler before there is a node.
  taints        = [{ key = "nvidia.com/gpu", value = "present", effect = "NoSchedule" }]
  system_labels = { "penstock.dev/nodes" = "system" }

  # A pod's share of the disks of its machine, where all its GPUs have a pod each, with a fifth left for images and logs.
  shares = [
    for pool in local.pools :
    floor((pool.disks > 0 ? pool.disks * pool.machine.disks.gb * 0.93 : pool.disk) * 0.8 / pool.count)
  ]

  # Kubernetes' Secrets that the next command makes.
  secret_names = {
    database = var.database ? "penstock-accounts" : ""
    limits   = var.redis != null ? "penstock-limits" : ""
  }
}

module "helm_values" {
  source = "../../modules/helm-values"

  profiles = {
    for name, pool in local.pools : name => {
      resources     = { "nvidia.com/gpu" = "1", cpu = tostring(pool.machine.pod.cpu), memory = pool.machine.pod.memory }
      node_selector = { for key in ["penstock.dev/hardware", "nvidia.com/gpu.product"] : key => pool.labels[key] }
      tolerations   = [for taint in local.taints : { key = taint.key, operator = "Exists", effect = taint.effect }]
    }
  }
  image_registry       = var.registry
  service_account      = { name = var.release.service_account }
  system_node_selector = local.system_labels
  model_cache_size     = length(local.shares) == 0 ? "" : "${min(local.shares...)}Gi"
  redis                = var.redis == null ? null : { address = var.redis, password_secret = "penstock-redis" }
  secrets              = local.secret_names
}
