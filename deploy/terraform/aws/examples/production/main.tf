# Three zones, two kinds of GPU, databases, no public address, and a guard before everything that holds data.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.95"
    }
  }

  # The state belongs where two people cannot change it at once, and where old ones are kept:
  #   backend "s3" { bucket = "...", key = "penstock", region = "...", use_lockfile = true, encrypt = true }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "penstock" }
  }
}

module "penstock" {
  source = "../.."

  name    = "penstock"
  network = { zones = ["${var.region}a", "${var.region}b", "${var.region}c"], nat = "per-zone" }
  cluster = { version = "1.33", admins = var.admins } # reached from inside the network alone

  system_nodes = { machine = "m7i.xlarge", min = 3, max = 8 }
  gpu_nodes = {
    nvidia-h100 = {
      gpus        = 8
      min         = 1
      max         = 3 # four replicas of four GPUs, and a fifth while they are replaced
      capacity    = "reserved"
      reservation = var.h100_reservation
      zones       = ["${var.region}a"] # the reservation's
    }
    l4-spot = {
      gpu      = "nvidia-l4"
      max      = 10
      capacity = "spot"
    }
  }

  database = { machine = "db.m7g.large", backup_days = 30 }
  redis    = { machine = "cache.m7g.large", copies = 3 }
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
