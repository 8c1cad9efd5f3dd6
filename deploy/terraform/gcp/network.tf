locals {
  own_network = var.network.existing == null
  network     = local.own_network ? google_compute_network.this["this"].id : var.network.existing.network
  subnetwork  = local.own_network ? google_compute_subnetwork.nodes["this"].id : var.network.existing.subnetwork
  # Cloud SQL and Memorystore are reached by addresses of Google's own network, which is joined to this one.
  private_services = local.own_network && (var.database != null || var.redis != null)
}

resource "google_compute_network" "this" {
  # checkov:skip=CKV2_GCP_18:A network lets nothing in without a rule, and GKE makes the rules that its nodes need
  for_each = toset(local.own_network ? ["this"] : [])

  project                 = var.project
  name                    = var.name
  auto_create_subnetworks = false

  depends_on = [google_project_service.this]
}

resource "google_compute_subnetwork" "nodes" {
  for_each = google_compute_network.this

  project                  = var.project
  name                     = "${var.name}-nodes"
  region                   = var.network.region
  network                  = each.value.id
  ip_cidr_range            = var.network.cidr
  private_ip_google_access = true

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.network.pods
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.network.services
  }

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_router" "this" {
  for_each = google_compute_network.this

  project = var.project
  name    = var.name
  region  = var.network.region
  network = each.value.id
}

# Nodes have no address of their own: they reach the hub and the images by this way, and nobody reaches them.
resource "google_compute_router_nat" "this" {
  for_each = google_compute_router.this

  project                            = var.project
  name                               = var.name
  region                             = var.network.region
  router                             = each.value.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

resource "google_compute_global_address" "private_services" {
  for_each = toset(local.private_services ? ["this"] : [])

  project       = var.project
  name          = "${var.name}-private-services"
  network       = local.network
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "private_services" {
  for_each = google_compute_global_address.private_services

  network                 = local.network
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [each.value.name]
}
