locals {
  identities = "${var.project}.svc.id.goog"
  # The engines' service account of Kubernetes, as IAM knows it. No key and no account of Google's stands between.
  engines = "principal://iam.googleapis.com/projects/${data.google_project.this.number}/locations/global/workloadIdentityPools/${local.identities}/subject/ns/${var.release.namespace}/sa/${var.release.service_account}"
}

resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of ${var.name}"

  depends_on = [google_project_service.this]
}

# Logs, metrics, and no more.
resource "google_project_iam_member" "nodes" {
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.nodes.member
}

# Pull images of this registry alone.
resource "google_artifact_registry_repository_iam_member" "nodes" {
  project    = var.project
  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.nodes.member
}

# List and read objects: what fetching weights asks for.
resource "google_storage_bucket_iam_member" "engines" {
  for_each = setunion([google_storage_bucket.weights.name], var.weights.other_buckets)

  bucket = each.key
  role   = "roles/storage.objectViewer"
  member = local.engines

  # The pool of identities is the cluster's.
  depends_on = [google_container_cluster.this]
}
