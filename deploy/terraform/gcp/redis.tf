# Its password is made by Memorystore, and the provider keeps it in the state: the one secret that is there.
resource "google_redis_instance" "this" {
  # checkov:skip=CKV_GCP_97:Its certificates are signed by an authority of its own, which neither Ray nor the chart can be given; it is reached from this network alone, and with a password
  for_each = var.redis == null ? {} : { redis = var.redis }

  project                 = var.project
  name                    = var.name
  region                  = var.network.region
  tier                    = each.value.standby ? "STANDARD_HA" : "BASIC"
  memory_size_gb          = each.value.memory
  redis_version           = "REDIS_7_2"
  auth_enabled            = true
  transit_encryption_mode = "DISABLED"
  authorized_network      = local.network
  connect_mode            = "PRIVATE_SERVICE_ACCESS"
  labels                  = local.labels
  # Counters and Ray's state: what is full refuses, and forgets nothing.
  redis_configs = { maxmemory-policy = "noeviction" }

  persistence_config {
    persistence_mode    = "RDB"
    rdb_snapshot_period = "ONE_HOUR"
  }

  depends_on = [google_service_networking_connection.private_services, google_project_service.this]
}
