variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of Google Cloud, one whose zone a has machines of type g2."
  type        = string
  default     = "us-central1"
}

variable "public_from" {
  description = "Blocks of addresses from which kubectl and helm may reach the cluster: yours, such as [\"203.0.113.7/32\"]."
  type        = set(string)

  validation {
    condition     = length(var.public_from) > 0
    error_message = "public_from has your own address at least: the trial has no other way in."
  }
}
