# The least that serves a model on a GPU: one node with an L4 at most, and none while nobody asks for it.
terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

module "penstock" {
  source = "../.."

  project = var.project
  name    = "penstock-trial"
  network = { region = var.region, zones = ["${var.region}-a"] }
  cluster = { public_from = var.public_from, log_days = 14 }

  gpu_nodes = {
    nvidia-l4 = {} # the name is the document's: `hardware: nvidia-l4`
  }

  protect = false # `terraform destroy` takes everything along, weights and images too
}
