resource "google_sql_database_instance" "this" {
  # checkov:skip=CKV_GCP_6:No connection without TLS is taken; asking each client for a certificate too would need one in the chart
  for_each = var.database == null ? {} : { postgres = var.database }

  project             = var.project
  name                = local.lasting_name
  region              = var.network.region
  database_version    = "POSTGRES_${each.value.version}"
  deletion_protection = var.protect

  settings {
    tier                        = each.value.machine
    edition                     = "ENTERPRISE"
    availability_type           = each.value.standby ? "REGIONAL" : "ZONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = each.value.storage
    disk_autoresize             = true
    disk_autoresize_limit       = each.value.max_storage
    deletion_protection_enabled = var.protect
    user_labels                 = local.labels

    ip_configuration {
      ipv4_enabled    = false
      private_network = local.network
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      backup_retention_settings {
        retained_backups = each.value.backup_days
      }
    }

    insights_config {
      query_insights_enabled = true
    }

    database_flags {
      name  = "cloudsql.enable_pgaudit"
      value = "on"
    }
    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }
    database_flags {
      name  = "log_connections"
      value = "on"
    }
    database_flags {
      name  = "log_disconnections"
      value = "on"
    }
    database_flags {
      name  = "log_hostname"
      value = "on"
    }
    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }
    database_flags {
      name  = "log_min_duration_statement"
      value = "-1"
    }
    database_flags {
      name  = "log_min_error_statement"
      value = "error"
    }
    database_flags {
      name  = "log_min_messages"
      value = "error"
    }
    database_flags {
      name  = "log_statement"
      value = "ddl"
    }
  }

  lifecycle {
    ignore_changes = [settings[0].disk_size] # it grows by itself
  }

  depends_on = [google_service_networking_connection.private_services, google_project_service.this]
}

# Its user, with a password that no state has seen, is made by the next command.
resource "google_sql_database" "this" {
  for_each = google_sql_database_instance.this

  project  = var.project
  name     = "penstock"
  instance = each.value.name
}
