# One key for the Secrets of Kubernetes, one for what lies on disks and in the bucket. The database, Redis and the images
# are under keys of Google's: their agents, which would need a key, are made by a call that this provider does not have.
resource "google_kms_key_ring" "this" {
  project  = var.project
  name     = local.lasting_name
  location = var.network.region

  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "this" {
  # checkov:skip=CKV_GCP_82:A module cannot say prevent_destroy for some and not for others; the example for production has the guard
  for_each = toset(["cluster", "data"])

  name            = each.key
  key_ring        = google_kms_key_ring.this.id
  rotation_period = "7776000s" # 90 days
}

# Also makes the agent.
data "google_storage_project_service_account" "this" {
  project = var.project

  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = {
    secrets = { key = "cluster", agent = "service-${data.google_project.this.number}@container-engine-robot.iam.gserviceaccount.com" }
    disks   = { key = "data", agent = "service-${data.google_project.this.number}@compute-system.iam.gserviceaccount.com" }
    bucket  = { key = "data", agent = data.google_storage_project_service_account.this.email_address }
  }

  crypto_key_id = google_kms_crypto_key.this[each.value.key].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value.agent}"
}

# Names of key rings are never free again, those of databases and of places for logs only after a week: with the moment of
# the first apply in it, what is destroyed can be made anew.
resource "terraform_data" "birth" {
  input = formatdate("YYYYMMDDhhmmss", timestamp())

  lifecycle {
    ignore_changes = [input]
  }
}

locals {
  lasting_name = "${var.name}-${terraform_data.birth.output}"
}
