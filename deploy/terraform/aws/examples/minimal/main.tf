# The least that serves a model on a GPU: one node with an L4 at most, and none while nobody asks for it.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.95"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "penstock" }
  }
}

module "penstock" {
  source = "../.."

  name    = "penstock-trial"
  network = { zones = ["${var.region}a", "${var.region}b"] }
  cluster = { public_from = var.public_from, log_days = 14 }

  gpu_nodes = {
    nvidia-l4 = {} # the name is the document's: `hardware: nvidia-l4`
  }

  protect = false # `terraform destroy` takes everything along, weights and images too
}
