# What is handed on: to the chart, and to whoever goes on from here.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  network = { zones = ["us-east-1a", "us-east-1b"] }
}

run "the_chart_gets_profiles_registry_and_identity" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = {}, l4-spot = { gpu = "nvidia-l4", capacity = "spot" } }
  }

  assert {
    condition     = yamldecode(output.helm_values).hardware.l4-spot.nodeSelector == { "nvidia.com/gpu.product" = "NVIDIA-L4", "penstock.dev/hardware" = "l4-spot" }
    error_message = "Two profiles with the same GPU are told apart by their name."
  }
  assert {
    condition     = yamldecode(output.helm_values).hardware.nvidia-l4.resources == { "nvidia.com/gpu" = "1", cpu = "3", memory = "12Gi" }
    error_message = "A pod asks for what fits on the machine."
  }
  assert {
    condition     = yamldecode(output.helm_values).image.registry == "123456789012.dkr.ecr.us-east-1.amazonaws.com/penstock"
    error_message = "Images come from the registry that is made."
  }
  assert {
    condition     = yamldecode(output.helm_values).serviceAccount.name == "penstock" && aws_eks_pod_identity_association.this["engine"].service_account == "penstock"
    error_message = "The right to read weights is bound to the chart's service account."
  }
  assert {
    condition     = yamldecode(output.helm_values).modelCache.size == "186Gi"
    error_message = "Weights get four fifths of the machine's own disk."
  }
  assert {
    condition     = strcontains(output.next_command, "nvidia-device-plugin") && strcontains(output.next_command, "kuberay-operator") && strcontains(output.next_command, "cluster-autoscaler")
    error_message = "Each operator that the chart needs is installed."
  }
  assert {
    condition     = output.kubeconfig_command == "aws eks update-kubeconfig --region us-east-1 --name penstock"
    error_message = "The command names region and cluster."
  }
}

run "databases_are_named_by_secrets_of_the_cluster" {
  command = plan

  variables {
    database = {}
    redis    = {}
  }

  assert {
    condition     = yamldecode(output.helm_values).secrets == { database = { name = "penstock-accounts", key = "address" }, redis = { name = "penstock-limits", key = "address" } }
    error_message = "The chart reads addresses from Secrets."
  }
  assert {
    condition     = yamldecode(output.helm_values).cluster.redis.address == "redis.made-up.cache.amazonaws.com:6379"
    error_message = "Ray's head keeps its state in Redis."
  }
  assert {
    condition     = strcontains(output.next_command, "penstock-accounts") && strcontains(output.next_command, "penstock-limits") && strcontains(output.next_command, "get-secret-value")
    error_message = "The next command makes both Secrets from what AWS keeps."
  }
  assert {
    condition     = output.data.postgres != null && output.data.redis != null
    error_message = "A guard in the root needs to know of both."
  }
}

run "without_gpus_nothing_is_installed_for_them" {
  command = plan

  assert {
    condition     = !strcontains(output.next_command, "nvidia-device-plugin") && !can(yamldecode(output.helm_values).hardware)
    error_message = "No profile, no device plugin."
  }
}

run "a_namespace_that_kubernetes_would_not_take_is_refused" {
  command = plan

  variables {
    release = { namespace = "Penstock" }
  }

  expect_failures = [var.release]
}
