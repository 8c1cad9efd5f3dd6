# What node groups are made of hardware profiles.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  network = { zones = ["us-east-1a", "us-east-1b"] }
}

run "a_profile_named_after_a_gpu_needs_no_more" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = {} }
  }

  assert {
    condition     = tolist(aws_eks_node_group.gpu["nvidia-l4"].instance_types) == tolist(["g6.xlarge"])
    error_message = "The smallest machine with an L4 is g6.xlarge."
  }
  assert {
    condition     = aws_eks_node_group.gpu["nvidia-l4"].ami_type == "AL2023_x86_64_NVIDIA"
    error_message = "Nodes with a GPU need the image with the driver."
  }
  assert {
    condition     = aws_eks_node_group.gpu["nvidia-l4"].scaling_config[0].min_size == 0 && aws_eks_node_group.gpu["nvidia-l4"].scaling_config[0].desired_size == 0 && aws_eks_node_group.gpu["nvidia-l4"].scaling_config[0].max_size == 1
    error_message = "It begins with no node, and has one at most."
  }
  assert {
    condition     = aws_eks_node_group.gpu["nvidia-l4"].labels["nvidia.com/gpu.product"] == "NVIDIA-L4"
    error_message = "The built-in profile nvidia-l4 selects nodes by this label."
  }
  assert {
    condition     = [for taint in aws_eks_node_group.gpu["nvidia-l4"].taint : "${taint.key}=${taint.value}:${taint.effect}"] == ["nvidia.com/gpu=present:NO_SCHEDULE"]
    error_message = "Nothing but what asks for a GPU may stand on such a node."
  }
}

run "the_autoscaler_knows_a_group_without_a_node" {
  command = plan

  variables {
    gpu_nodes = { l4-four = { gpu = "nvidia-l4", gpus = 4 } }
  }

  assert {
    condition = { for tag in aws_autoscaling_group_tag.template : tag.tag[0].key => tag.tag[0].value } == {
      "k8s.io/cluster-autoscaler/node-template/label/nvidia.com/gpu.present" = "true"
      "k8s.io/cluster-autoscaler/node-template/label/nvidia.com/gpu.product" = "NVIDIA-L4"
      "k8s.io/cluster-autoscaler/node-template/label/penstock.dev/hardware"  = "l4-four"
      "k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage"  = "3496Gi"
      "k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu"     = "4"
      "k8s.io/cluster-autoscaler/node-template/taint/nvidia.com/gpu"         = "present:NoSchedule"
    }
    error_message = "The tags tell of labels, the taint, GPUs and disk what a node would have."
  }
}

run "a_replica_of_four_gpus_gets_a_machine_of_four" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = { gpus = 4 } }
  }

  assert {
    condition     = tolist(aws_eks_node_group.gpu["nvidia-l4"].instance_types) == tolist(["g6.12xlarge"])
    error_message = "g6.12xlarge has four L4."
  }
}

run "spot_nodes_are_bought_as_such" {
  command = plan

  variables {
    gpu_nodes = { l4-spot = { gpu = "nvidia-l4", capacity = "spot", max = 8 } }
  }

  assert {
    condition     = aws_eks_node_group.gpu["l4-spot"].capacity_type == "SPOT"
    error_message = "capacity = spot is SPOT at EKS."
  }
  assert {
    condition     = length(aws_launch_template.node["l4-spot"].capacity_reservation_specification) == 0
    error_message = "Without a reservation none is named."
  }
}

run "reserved_nodes_come_from_the_reservation" {
  command = plan

  variables {
    gpu_nodes = { nvidia-h100 = { gpus = 8, capacity = "reserved", reservation = "cr-0123456789abcdef0", zones = ["us-east-1b"] } }
  }

  assert {
    condition     = aws_launch_template.node["nvidia-h100"].capacity_reservation_specification[0].capacity_reservation_target[0].capacity_reservation_id == "cr-0123456789abcdef0"
    error_message = "The launch template names the reservation."
  }
  assert {
    condition     = length(aws_eks_node_group.gpu["nvidia-h100"].subnet_ids) == 1 && aws_eks_node_group.gpu["nvidia-h100"].capacity_type == "ON_DEMAND"
    error_message = "A reservation is in one zone, and bought on demand."
  }
}

run "a_capacity_block_is_asked_for_by_the_launch_template" {
  command = plan

  variables {
    gpu_nodes = { nvidia-h200 = { capacity = "block", reservation = "cr-0123456789abcdef0", zones = ["us-east-1a"] } }
  }

  assert {
    condition     = aws_eks_node_group.gpu["nvidia-h200"].capacity_type == "CAPACITY_BLOCK" && aws_launch_template.node["nvidia-h200"].instance_market_options[0].market_type == "capacity-block"
    error_message = "Node group and launch template both say that it is a block."
  }
  assert {
    condition     = aws_launch_template.node["nvidia-h200"].instance_type == "p5en.48xlarge"
    error_message = "For a block the launch template names the machine."
  }
}

run "local_disks_become_one" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = {} }
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.node["nvidia-l4"].user_data), "strategy: RAID0")
    error_message = "Images and weights belong on the machine's own disks."
  }
  assert {
    condition     = aws_launch_template.node["system"].user_data == null
    error_message = "System nodes have no disks of their own."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.node : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "Pods must not reach the rights of their node."
  }
}

run "an_unknown_gpu_is_refused" {
  command = plan

  variables {
    gpu_nodes = { fast = {} }
  }

  expect_failures = [var.gpu_nodes]
}

run "a_number_of_gpus_that_no_machine_has_is_refused" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = { gpus = 3 } }
  }

  expect_failures = [var.gpu_nodes]
}

run "a_reservation_without_reserved_capacity_is_refused" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = { reservation = "cr-0123456789abcdef0" } }
  }

  expect_failures = [var.gpu_nodes]
}

run "reserved_capacity_without_a_reservation_is_refused" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = { capacity = "reserved" } }
  }

  expect_failures = [var.gpu_nodes]
}

run "more_at_least_than_at_most_is_refused" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = { min = 2 } }
  }

  expect_failures = [var.gpu_nodes]
}

run "a_zone_that_the_network_lacks_is_refused" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = { zones = ["us-east-1c"] } }
  }

  expect_failures = [var.gpu_nodes]
}
