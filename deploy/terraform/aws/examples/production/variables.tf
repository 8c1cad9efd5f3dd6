variable "region" {
  description = "Region of AWS, one with three zones a, b and c."
  type        = string
  default     = "us-east-1"
}

variable "admins" {
  description = "ARNs of IAM roles that administer the cluster, by a name of your own."
  type        = map(string)
  default     = {}
}

variable "h100_reservation" {
  description = "Id of the capacity reservation for p5.48xlarge in the first zone: cr-..."
  type        = string
}
