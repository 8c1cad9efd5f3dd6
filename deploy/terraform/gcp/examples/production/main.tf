# Three zones, two kinds of GPU, databases, no public address, and a guard before everything that holds data.
terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # The state belongs where two people cannot change it at once, and where old ones are kept:
  #   backend "gcs" { bucket = "...", prefix = "penstock" }
}

provider "google" {
  project = var.project
  region  = var.region
}

module "penstock" {
  source = "../.."

  project = var.project
  name    = "penstock"
  network = { region = var.region, zones = ["${var.region}-a", "${var.region}-b", "${var.region}-c"] }
  # The cluster is reached from inside the network alone.

  system_nodes = { machine = "e2-standard-8", min = 3, max = 8 }
  gpu_nodes = {
    nvidia-h100 = {
      gpus        = 8
      min         = 1
      max         = 3 # four replicas of four GPUs, and a fifth while they are replaced
      capacity    = "reserved"
      reservation = var.h100_reservation
      zones       = ["${var.region}-a"] # the reservation's
    }
    l4-spot = {
      gpu      = "nvidia-l4"
      max      = 10
      capacity = "spot"
    }
  }

  database = { machine = "db-custom-4-15360", backup_days = 30 }
  redis    = { memory = 5 }
  weights  = { previous_days = 90 }
}

# A plan that would destroy or replace something that holds data would replace this as well, which is refused: then the
# whole plan is, before anything is touched. Whoever means it takes this block away, applies, and goes on.
resource "terraform_data" "guard" {
  triggers_replace = module.penstock.data

  lifecycle {
    prevent_destroy = true
  }
}
