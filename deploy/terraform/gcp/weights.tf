resource "google_storage_bucket" "weights" {
  # checkov:skip=CKV_GCP_62:Reads of engines are in the audit logs of data access, where a project wants them
  project                     = var.project
  name                        = coalesce(var.weights.bucket, "${var.project}-${var.name}-weights")
  location                    = var.network.region
  labels                      = local.labels
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.protect

  encryption {
    default_kms_key_name = google_kms_crypto_key.this["data"].id
  }

  versioning {
    enabled = true
  }

  lifecycle_rule {
    condition {
      days_since_noncurrent_time = var.weights.previous_days
    }
    action {
      type = "Delete"
    }
  }

  # Of uploads that broke off nothing can be seen, but it is paid for.
  lifecycle_rule {
    condition {
      age = 7
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agents]
}
