resource "google_container_cluster" "this" {
  # checkov:skip=CKV_GCP_65:Groups of an organisation's directory are not everybody's
  # checkov:skip=CKV_GCP_66:Which images may run is the organisation's policy, and the registry's address is not known to it here
  # checkov:skip=CKV_GCP_12:Dataplane V2 enforces network policies without the older add-on
  project  = var.project
  name     = var.name
  location = var.network.region

  network             = local.network
  subnetwork          = local.subnetwork
  node_locations      = var.network.zones
  networking_mode     = "VPC_NATIVE"
  datapath_provider   = "ADVANCED_DATAPATH" # enforces the chart's network policies
  deletion_protection = var.protect
  resource_labels     = local.labels

  enable_shielded_nodes       = true
  enable_intranode_visibility = true

  # Every pool is one of those below. What GKE makes first, and takes away, still needs a shape.
  remove_default_node_pool = true
  initial_node_count       = 1

  node_config {
    service_account = google_service_account.nodes.email
    oauth_scopes    = local.scopes

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
  }

  release_channel {
    channel = var.cluster.channel
  }

  ip_allocation_policy {
    cluster_secondary_range_name  = local.own_network ? "pods" : var.network.existing.pods_range
    services_secondary_range_name = local.own_network ? "services" : var.network.existing.services_range
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = length(var.cluster.public_from) == 0
    master_ipv4_cidr_block  = var.network.control_plane
  }

  # Without a block in it: nobody from outside the network.
  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.cluster.public_from
      content {
        cidr_block = cidr_blocks.value
      }
    }
  }

  master_auth {
    client_certificate_config {
      issue_client_certificate = false
    }
  }

  workload_identity_config {
    workload_pool = local.identities
  }

  database_encryption {
    state    = "ENCRYPTED"
    key_name = google_kms_crypto_key.this["cluster"].id
  }

  # An empty node with a GPU goes after minutes, not after the balanced profile's longer time.
  cluster_autoscaling {
    autoscaling_profile = "OPTIMIZE_UTILIZATION"
  }

  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS", "APISERVER", "CONTROLLER_MANAGER", "SCHEDULER"]
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = true
    }
  }

  cost_management_config {
    enabled = true
  }

  security_posture_config {
    mode               = "BASIC"
    vulnerability_mode = "VULNERABILITY_BASIC"
  }

  lifecycle {
    ignore_changes = [node_config, initial_node_count] # of the pool that is gone
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
