# The cluster's logs in a place of their own, kept for as long as the cluster's owner wants.
resource "google_logging_project_bucket_config" "this" {
  project        = var.project
  location       = var.network.region
  bucket_id      = local.lasting_name
  retention_days = var.cluster.log_days
  description    = "Logs of the cluster ${var.name}"

  depends_on = [google_project_service.this]
}

resource "google_logging_project_sink" "this" {
  project                = var.project
  name                   = var.name
  destination            = "logging.googleapis.com/${google_logging_project_bucket_config.this.id}"
  filter                 = "resource.labels.cluster_name=\"${var.name}\""
  unique_writer_identity = true
}
