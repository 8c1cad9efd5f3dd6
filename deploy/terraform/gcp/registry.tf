locals {
  registry = "${var.network.region}-docker.pkg.dev/${var.project}/${var.name}"
}

resource "google_artifact_registry_repository" "this" {
  # checkov:skip=CKV_GCP_84:The registry's agent, which would need the key, is made by a call that this provider does not have
  project       = var.project
  location      = var.network.region
  repository_id = var.name
  description   = "Images of Penstock"
  format        = "DOCKER"
  labels        = local.labels

  docker_config {
    immutable_tags = true
  }

  depends_on = [google_project_service.this]
}
