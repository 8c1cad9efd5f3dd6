# Where nodes are, and how they reach the world.
mock_provider "aws" {
  source = "./tests/mocks"
}

run "each_zone_has_a_private_and_a_public_subnet" {
  command = plan

  variables {
    network = { zones = ["us-east-1a", "us-east-1b", "us-east-1c"] }
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { us-east-1a = "10.64.0.0/19", us-east-1b = "10.64.32.0/19", us-east-1c = "10.64.64.0/19" }
    error_message = "Pods have addresses of the private subnets, so these are large."
  }
  assert {
    condition     = toset([for subnet in aws_subnet.public : subnet.cidr_block]) == toset(["10.64.240.0/24", "10.64.241.0/24", "10.64.242.0/24"])
    error_message = "Public subnets come last."
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1
    error_message = "One way out is the default."
  }
}

run "each_zone_may_have_a_way_out_of_its_own" {
  command = plan

  variables {
    network = { zones = ["us-east-1a", "us-east-1b", "us-east-1c"], nat = "per-zone" }
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "One for each zone was asked for."
  }
}

run "weights_do_not_pass_the_nat_gateway" {
  command = plan

  variables {
    network = { zones = ["us-east-1a", "us-east-1b"] }
  }

  assert {
    condition     = aws_vpc_endpoint.s3[0].service_name == "com.amazonaws.us-east-1.s3" && aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway"
    error_message = "S3 is reached through a gateway endpoint, which costs nothing."
  }
}

run "a_network_that_is_there_is_left_alone" {
  command = plan

  variables {
    network   = { existing = { vpc_id = "vpc-1", private_subnet_ids = { us-east-1a = "subnet-a", us-east-1b = "subnet-b" } } }
    gpu_nodes = { nvidia-l4 = { zones = ["us-east-1b"] } }
  }

  assert {
    condition     = length(aws_vpc.this) + length(aws_subnet.private) + length(aws_nat_gateway.this) + length(aws_vpc_endpoint.s3) + length(aws_flow_log.this) == 0
    error_message = "Nothing is made of a network that is there."
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].subnet_ids == toset(["subnet-a", "subnet-b"])
    error_message = "The cluster is in the given subnets."
  }
  assert {
    condition     = aws_eks_node_group.gpu["nvidia-l4"].subnet_ids == toset(["subnet-b"])
    error_message = "Nodes are in the subnet of their zone."
  }
}

run "one_zone_is_refused" {
  command = plan

  variables {
    network = { zones = ["us-east-1a"] }
  }

  expect_failures = [var.network]
}

run "a_network_too_small_is_refused" {
  command = plan

  variables {
    network = { zones = ["us-east-1a", "us-east-1b"], cidr = "10.0.0.0/24" }
  }

  expect_failures = [var.network]
}

run "an_unknown_way_out_is_refused" {
  command = plan

  variables {
    network = { zones = ["us-east-1a", "us-east-1b"], nat = "none" }
  }

  expect_failures = [var.network]
}
