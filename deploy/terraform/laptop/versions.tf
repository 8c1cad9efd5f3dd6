# Resources that Terraform has built in, and programs that a laptop with Kubernetes has anyway: no provider to fetch.
terraform {
  required_version = ">= 1.9"
}
