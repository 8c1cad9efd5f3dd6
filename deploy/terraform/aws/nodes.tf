resource "aws_iam_role" "node" {
  name_prefix        = "${var.name}-node-"
  assume_role_policy = data.aws_iam_policy_document.service["ec2.amazonaws.com"].json
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"])

  role       = aws_iam_role.node.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.key}"
}

resource "aws_launch_template" "node" {
  for_each = merge({ system = { disk = var.system_nodes.disk, machine = null, capacity = "on-demand" } }, local.groups)

  name_prefix            = "${var.name}-${replace(each.key, ".", "-")}-"
  update_default_version = true
  # A capacity block is asked for with the type of the machine; elsewhere the node group names it.
  instance_type = each.value.capacity == "block" ? each.value.machine.type : null
  # The machine's own disks become one, for images, weights and all else that pods write.
  user_data = try(each.value.machine.disks.count, 0) > 0 ? base64encode(file("${path.module}/files/nvme.mime")) : null

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_type           = "gp3"
      volume_size           = each.value.disk
      encrypted             = true
      delete_on_termination = true
    }
  }

  # Pods get their rights from the pod identity agent; the node's own are one hop too far for them.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  dynamic "instance_market_options" {
    for_each = each.value.capacity == "block" ? ["capacity-block"] : []
    content {
      market_type = instance_market_options.value
    }
  }

  dynamic "capacity_reservation_specification" {
    for_each = contains(["reserved", "block"], each.value.capacity) ? [each.value.reservation] : []
    content {
      capacity_reservation_target {
        capacity_reservation_id = capacity_reservation_specification.value
      }
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]
    content {
      resource_type = tag_specifications.value
      tags          = { Name = "${var.name}-${each.key}" }
    }
  }
}

resource "aws_eks_node_group" "system" {
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "system"
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = [for zone in sort(tolist(local.zones)) : local.private_subnet_ids[zone]]
  ami_type        = "AL2023_x86_64_STANDARD"
  instance_types  = [coalesce(var.system_nodes.machine, local.catalog.system.type)]
  labels          = local.system_labels

  scaling_config {
    min_size     = var.system_nodes.min
    desired_size = var.system_nodes.min
    max_size     = var.system_nodes.max
  }

  update_config {
    max_unavailable = 1
  }

  node_repair_config {
    enabled = true
  }

  launch_template {
    id      = aws_launch_template.node["system"].id
    version = aws_launch_template.node["system"].latest_version
  }

  # Without the network's plugin no node gets ready.
  depends_on = [aws_eks_addon.node, aws_iam_role_policy_attachment.node]

  lifecycle {
    ignore_changes = [scaling_config[0].desired_size] # the autoscaler's
  }
}

resource "aws_eks_node_group" "gpu" {
  for_each = local.groups

  cluster_name    = aws_eks_cluster.this.name
  node_group_name = replace(each.key, ".", "-")
  node_role_arn   = aws_iam_role.node.arn
  subnet_ids      = [for zone in sort(tolist(each.value.zones)) : local.private_subnet_ids[zone]]
  ami_type        = "AL2023_x86_64_NVIDIA" # with the driver and the container toolkit
  capacity_type   = { on-demand = "ON_DEMAND", reserved = "ON_DEMAND", spot = "SPOT", block = "CAPACITY_BLOCK" }[each.value.capacity]
  instance_types  = each.value.capacity == "block" ? null : [each.value.machine.type]
  labels          = local.labels[each.key]

  # A GPU is paid by the hour: only what tolerates this, which is what asks for a GPU, may stand beside it.
  taint {
    key    = local.taint_key
    value  = local.taint_value
    effect = "NO_SCHEDULE"
  }

  scaling_config {
    min_size     = each.value.min
    desired_size = each.value.min
    max_size     = each.value.max
  }

  update_config {
    max_unavailable = 1
  }

  node_repair_config {
    enabled = true
  }

  launch_template {
    id      = aws_launch_template.node[each.key].id
    version = aws_launch_template.node[each.key].latest_version
  }

  depends_on = [aws_eks_addon.node, aws_iam_role_policy_attachment.node]

  lifecycle {
    ignore_changes = [scaling_config[0].desired_size] # the autoscaler's
  }
}

locals {
  system_labels = { "penstock.dev/nodes" = "system" }

  # What a node of a group would be, for the autoscaler to know while there is none.
  template = "k8s.io/cluster-autoscaler/node-template"
  template_tags = merge([
    for name, group in local.groups : merge(
      { for key, value in local.labels[name] : "${name} label ${key}" => { group = name, key = "${local.template}/label/${key}", value = value } },
      {
        "${name} taint" = { group = name, key = "${local.template}/taint/${local.taint_key}", value = "${local.taint_value}:NoSchedule" }
        "${name} gpus"  = { group = name, key = "${local.template}/resources/nvidia.com/gpu", value = group.count }
        "${name} disk" = {
          group = name
          key   = "${local.template}/resources/ephemeral-storage"
          value = "${group.machine.disks.count > 0 ? floor(group.machine.disks.count * group.machine.disks.gb * 0.93) : group.disk}Gi"
        }
      },
    )
  ]...)
}

resource "aws_autoscaling_group_tag" "template" {
  for_each = local.template_tags

  autoscaling_group_name = aws_eks_node_group.gpu[each.value.group].resources[0].autoscaling_groups[0].name

  tag {
    key                 = each.value.key
    value               = each.value.value
    propagate_at_launch = false
  }
}
