variables {
  zones    = ["us-central1-a", "us-central1-b"]
  registry = "us-central1-docker.pkg.dev/acme-models/penstock"
  release  = { namespace = "penstock", service_account = "penstock" }
}

run "a_profile_of_a_gpus_name_gets_the_smallest_machine" {
  command = plan

  variables {
    gpu_nodes = { nvidia-l4 = {} }
  }

  assert {
    condition     = output.pools["nvidia-l4"].machine.type == "g2-standard-4" && output.pools["nvidia-l4"].count == 1
    error_message = "One L4 is in a g2-standard-4."
  }
  assert {
    condition     = output.pools["nvidia-l4"].min == 0 && output.pools["nvidia-l4"].zones == toset(["us-central1-a", "us-central1-b"])
    error_message = "A pool begins with no node, in all zones."
  }
}

run "a_number_of_gpus_picks_the_machine" {
  command = plan

  variables {
    gpu_nodes = { big = { gpu = "nvidia-h100", gpus = 4, zones = ["us-central1-b"], capacity = "spot" } }
  }

  assert {
    condition     = output.pools["big"].machine.type == "a3-highgpu-4g" && output.pools["big"].accelerator == "nvidia-h100-80gb"
    error_message = "Four H100 are in an a3-highgpu-4g."
  }
  assert {
    condition     = output.pools["big"].zones == toset(["us-central1-b"])
    error_message = "The pool is where it is told to be."
  }
}

run "labels_are_those_that_profiles_and_presets_ask_for" {
  command = plan

  variables {
    gpu_nodes = { l4_spot = { gpu = "nvidia-l4", labels = { team = "models" } } }
  }

  assert {
    condition = output.pools["l4_spot"].labels == {
      team                     = "models"
      "penstock.dev/hardware"  = "l4_spot"
      "nvidia.com/gpu.product" = "NVIDIA-L4"
    }
    error_message = "Labels are the user's, the profile's and the product's."
  }
  assert {
    condition     = output.pools["l4_spot"].pool == "l4-spot"
    error_message = "A node pool's name has no underscores."
  }
}

run "disks_that_a_machine_always_has_cannot_be_left_out" {
  command = plan

  variables {
    gpu_nodes = {
      nvidia-l4   = { local_disks = false }
      nvidia-h100 = { gpus = 8, local_disks = false }
    }
  }

  assert {
    condition     = output.pools["nvidia-l4"].disks == 0 && output.pools["nvidia-h100"].disks == 16
    error_message = "An a3-highgpu-8g has its sixteen disks in any case."
  }
  assert {
    condition     = yamldecode(output.helm_values).modelCache.size == "80Gi"
    error_message = "Weights have four fifths of the disk of the smallest pool."
  }
}

run "a_machine_says_what_it_starts_from" {
  command = plan

  variables {
    gpu_nodes = { nvidia-h200 = {}, nvidia-l4 = {} }
  }

  assert {
    condition     = output.pools["nvidia-h200"].disk_type == "hyperdisk-balanced" && output.pools["nvidia-l4"].disk_type == "pd-balanced"
    error_message = "The newest machines start from another kind of disk."
  }
}

run "without_databases_the_values_name_none" {
  command = plan

  variables {
    gpu_nodes = {}
  }

  assert {
    condition     = !can(yamldecode(output.helm_values).secrets) && !can(yamldecode(output.helm_values).cluster.redis)
    error_message = "What is not there is not named."
  }
}

run "with_databases_the_values_name_their_secrets" {
  command = plan

  variables {
    gpu_nodes = {}
    redis     = "10.1.2.3:6379"
    database  = true
  }

  assert {
    condition     = yamldecode(output.helm_values).secrets == { database = { name = "penstock-accounts", key = "address" }, redis = { name = "penstock-limits", key = "address" } }
    error_message = "Gateways learn of both by Secrets."
  }
  assert {
    condition     = yamldecode(output.helm_values).cluster.redis.address == "10.1.2.3:6379"
    error_message = "Ray's head keeps its state in Redis."
  }
}
