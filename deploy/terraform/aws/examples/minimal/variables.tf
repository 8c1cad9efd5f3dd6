variable "region" {
  description = "Region of AWS, one with zones a and b that have machines of type g6."
  type        = string
  default     = "us-east-1"
}

variable "public_from" {
  description = "Blocks of addresses from which kubectl and helm may reach the cluster: yours, such as [\"203.0.113.7/32\"]."
  type        = set(string)

  validation {
    condition     = length(var.public_from) > 0
    error_message = "public_from has your own address at least: the trial has no other way in."
  }
}
