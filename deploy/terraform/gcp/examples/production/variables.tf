variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of Google Cloud, one with zones a, b and c."
  type        = string
  default     = "us-central1"
}

variable "h100_reservation" {
  description = "Name of the reservation of a3-highgpu-8g in zone a."
  type        = string
}
