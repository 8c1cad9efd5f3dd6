variables {
  zones    = ["us-central1-a"]
  registry = "us-central1-docker.pkg.dev/acme-models/penstock"
  release  = { namespace = "penstock", service_account = "penstock" }
}

run "an_unknown_type_of_gpu" {
  command = plan
  variables {
    gpu_nodes = { nvidia-a10g = {} }
  }
  expect_failures = [var.gpu_nodes]
}

run "a_number_of_gpus_that_no_machine_has" {
  command = plan
  variables {
    gpu_nodes = { nvidia-l4 = { gpus = 3 } }
  }
  expect_failures = [var.gpu_nodes]
}

run "more_nodes_at_least_than_at_most" {
  command = plan
  variables {
    gpu_nodes = { nvidia-l4 = { min = 2 } }
  }
  expect_failures = [var.gpu_nodes]
}

run "a_zone_that_the_network_does_not_have" {
  command = plan
  variables {
    gpu_nodes = { nvidia-l4 = { zones = ["us-central1-f"] } }
  }
  expect_failures = [var.gpu_nodes]
}

run "reserved_without_a_reservation" {
  command = plan
  variables {
    gpu_nodes = { nvidia-l4 = { capacity = "reserved" } }
  }
  expect_failures = [var.gpu_nodes]
}

run "a_reservation_without_reserved" {
  command = plan
  variables {
    gpu_nodes = { nvidia-l4 = { reservation = "mine" } }
  }
  expect_failures = [var.gpu_nodes]
}

run "an_unknown_capacity" {
  command = plan
  variables {
    gpu_nodes = { nvidia-l4 = { capacity = "preemptible" } }
  }
  expect_failures = [var.gpu_nodes]
}

run "two_profiles_whose_pools_would_have_one_name" {
  command = plan
  variables {
    gpu_nodes = { "a.b" = { gpu = "nvidia-l4" }, a_b = { gpu = "nvidia-l4" } }
  }
  expect_failures = [var.gpu_nodes]
}

run "the_name_of_the_nodes_without_gpus" {
  command = plan
  variables {
    gpu_nodes = { system = { gpu = "nvidia-l4" } }
  }
  expect_failures = [var.gpu_nodes]
}
