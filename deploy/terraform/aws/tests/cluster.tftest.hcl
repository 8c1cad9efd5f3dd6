# The control plane, and who reaches it.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  network = { zones = ["us-east-1a", "us-east-1b"] }
}

run "nobody_reaches_it_from_the_internet_unless_named" {
  command = plan

  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].endpoint_private_access
    error_message = "The private address alone is the default."
  }
}

run "who_is_named_reaches_it" {
  command = plan

  variables {
    cluster = { public_from = ["203.0.113.7/32"], admins = { ops = "arn:aws:iam::123456789012:role/ops" } }
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "These addresses, and no others."
  }
  assert {
    condition     = aws_eks_access_entry.admin["ops"].principal_arn == "arn:aws:iam::123456789012:role/ops" && endswith(aws_eks_access_policy_association.admin["ops"].policy_arn, "AmazonEKSClusterAdminPolicy")
    error_message = "Admins get the policy of admins."
  }
}

run "secrets_and_logs_are_encrypted" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"])
    error_message = "Kubernetes' Secrets are encrypted by a key of ours."
  }
  assert {
    condition     = toset([for group in aws_cloudwatch_log_group.this : group.name]) == toset(["/aws/eks/penstock/cluster", "/aws/vpc/penstock/flows"]) && alltrue([for group in aws_cloudwatch_log_group.this : group.retention_in_days == 365])
    error_message = "EKS writes into the group of this name, kept for a year."
  }
  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "All logs of the control plane are kept."
  }
}

run "network_policies_are_enforced" {
  command = plan

  assert {
    condition     = jsondecode(aws_eks_addon.node["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "The chart's network policies need it."
  }
}

run "the_whole_internet_is_refused" {
  command = plan

  variables {
    cluster = { public_from = ["0.0.0.0/0"] }
  }

  expect_failures = [var.cluster]
}

run "an_old_kubernetes_is_refused" {
  command = plan

  variables {
    cluster = { version = "1.27" }
  }

  expect_failures = [var.cluster]
}

run "an_admin_that_is_no_arn_is_refused" {
  command = plan

  variables {
    cluster = { admins = { ops = "ops" } }
  }

  expect_failures = [var.cluster]
}

run "days_that_cloudwatch_does_not_know_are_refused" {
  command = plan

  variables {
    cluster = { log_days = 100 }
  }

  expect_failures = [var.cluster]
}

run "no_system_node_is_refused" {
  command = plan

  variables {
    system_nodes = { min = 0 }
  }

  expect_failures = [var.system_nodes]
}

run "a_name_that_aws_would_not_take_is_refused" {
  command = plan

  variables {
    name = "Penstock_1"
  }

  expect_failures = [var.name]
}
