# Without a provider, so that all that is decided here can be tested without a cloud.
terraform {
  required_version = ">= 1.9"
}
