locals {
  catalog = yamldecode(file("${path.module}/gpus.yaml"))
  gpus    = local.catalog.gpus

  zones = toset(var.network.existing == null ? var.network.zones : keys(var.network.existing.private_subnet_ids))

  # Each group with its machine: the one with as many GPUs as asked for, else the smallest.
  groups = {
    for name, group in var.gpu_nodes : name => merge(group, {
      gpu     = coalesce(group.gpu, name)
      product = local.gpus[coalesce(group.gpu, name)].product
      count   = local.counts[name]
      machine = local.gpus[coalesce(group.gpu, name)].machines[local.counts[name]]
      zones   = length(group.zones) == 0 ? local.zones : group.zones
    })
  }
  counts = {
    for name, group in var.gpu_nodes : name => tostring(coalesce(
      group.gpus,
      min([for count in keys(local.gpus[coalesce(group.gpu, name)].machines) : tonumber(count)]...),
    ))
  }

  taint_key   = "nvidia.com/gpu"
  taint_value = "present"
  labels = {
    for name, group in local.groups : name => merge(group.labels, {
      "penstock.dev/hardware" = name
      # As NVIDIA's feature discovery labels them. A group that has no node yet is known by these alone.
      "nvidia.com/gpu.product" = group.product
      "nvidia.com/gpu.present" = "true"
    })
  }
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.name
}
