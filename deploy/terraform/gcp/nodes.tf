module "shape" {
  source = "./shape"

  zones     = var.network.zones
  gpu_nodes = var.gpu_nodes
  registry  = local.registry
  release   = var.release
  redis     = var.redis == null ? null : "${google_redis_instance.this["redis"].host}:${google_redis_instance.this["redis"].port}"
  database  = var.database != null
}

locals {
  scopes = ["https://www.googleapis.com/auth/cloud-platform"] # the account's roles are the limit, not these
  labels = { project = "penstock", cluster = var.name }
}

resource "google_container_node_pool" "system" {
  project        = var.project
  name           = "system"
  cluster        = google_container_cluster.this.id
  node_locations = var.network.zones

  autoscaling {
    total_min_node_count = var.system_nodes.min
    total_max_node_count = var.system_nodes.max
    location_policy      = "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    max_surge       = 1
    max_unavailable = 0
  }

  node_config {
    machine_type      = coalesce(var.system_nodes.machine, module.shape.system_machine)
    image_type        = "COS_CONTAINERD"
    disk_type         = "pd-balanced"
    disk_size_gb      = var.system_nodes.disk
    boot_disk_kms_key = google_kms_crypto_key.this["data"].id
    service_account   = google_service_account.nodes.email
    oauth_scopes      = local.scopes
    labels            = module.shape.system_labels
    resource_labels   = local.labels
    metadata          = { disable-legacy-endpoints = "true" }

    gcfs_config {
      enabled = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    kubelet_config {
      insecure_kubelet_readonly_port_enabled = "FALSE"
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count] # the autoscaler's
  }
}

resource "google_container_node_pool" "gpu" {
  for_each = module.shape.pools

  project        = var.project
  name           = each.value.pool
  cluster        = google_container_cluster.this.id
  node_locations = each.value.zones
  # Of each zone; from there on the autoscaler decides.
  initial_node_count = ceil(each.value.min / length(each.value.zones))

  autoscaling {
    total_min_node_count = each.value.min
    total_max_node_count = each.value.max
    location_policy      = "ANY" # wherever there is a GPU
  }

  management {
    auto_repair  = each.value.capacity != "flex-start"
    auto_upgrade = true
  }

  # A GPU more for the time of an upgrade may not be there to be had.
  upgrade_settings {
    max_surge       = 0
    max_unavailable = 1
  }

  node_config {
    machine_type      = each.value.machine.type
    image_type        = "COS_CONTAINERD"
    disk_type         = each.value.disk_type
    disk_size_gb      = each.value.disk
    boot_disk_kms_key = google_kms_crypto_key.this["data"].id
    spot              = each.value.capacity == "spot"
    flex_start        = each.value.capacity == "flex-start" ? true : null
    max_run_duration  = each.value.capacity == "flex-start" ? "604800s" : null
    service_account   = google_service_account.nodes.email
    oauth_scopes      = local.scopes
    labels            = each.value.labels
    resource_labels   = local.labels
    metadata          = { disable-legacy-endpoints = "true" }

    guest_accelerator {
      type  = each.value.accelerator
      count = each.value.count
      gpu_driver_installation_config {
        gpu_driver_version = "LATEST"
      }
    }

    # A GPU is paid by the hour: only what tolerates this, which is what asks for a GPU, may stand beside it.
    dynamic "taint" {
      for_each = module.shape.taints
      content {
        key    = taint.value.key
        value  = taint.value.value
        effect = "NO_SCHEDULE"
      }
    }

    # Pods' own folders are on it, and so are weights, which are read as fast as the disks can.
    dynamic "ephemeral_storage_local_ssd_config" {
      for_each = each.value.disks > 0 ? [each.value.disks] : []
      content {
        local_ssd_count = ephemeral_storage_local_ssd_config.value
      }
    }

    reservation_affinity {
      consume_reservation_type = each.value.capacity == "reserved" ? "SPECIFIC_RESERVATION" : "NO_RESERVATION"
      key                      = each.value.capacity == "reserved" ? "compute.googleapis.com/reservation-name" : null
      values                   = each.value.capacity == "reserved" ? [each.value.reservation] : null
    }

    # The engine's image is gigabytes: it starts while it is still being read.
    gcfs_config {
      enabled = true
    }
    gvnic {
      enabled = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    kubelet_config {
      insecure_kubelet_readonly_port_enabled = "FALSE"
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count] # the autoscaler's
  }
}
