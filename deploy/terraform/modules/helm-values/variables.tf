variable "profiles" {
  description = <<-EOT
    Hardware profiles of the document by name, as the cluster's node pools offer them. They replace presets of the same
    name whole.
      resources: what a pod with one GPU asks for, in Kubernetes' quantities.
      node_selector: labels of the pool's nodes.
      tolerations: of the pool's taints.
  EOT
  type = map(object({
    resources     = map(string)
    node_selector = map(string)
    tolerations   = optional(list(map(string)), [])
  }))
  default  = {}
  nullable = false
}

variable "image_registry" {
  description = "Registry that holds Penstock's images, put before their names. Empty: none."
  type        = string
  default     = ""
  nullable    = false
}

variable "service_account" {
  description = <<-EOT
    The engines' Kubernetes service account, which the cloud's identity for reading weights is bound to.
      name: its name; the identity is bound to this one alone.
      annotations: by which the cloud knows it, where it needs any.
  EOT
  type = object({
    name        = optional(string, "penstock")
    annotations = optional(map(string), {})
  })
  default  = {}
  nullable = false
}

variable "s3_region" {
  description = "Region of buckets of weights in S3. Empty: none is named."
  type        = string
  default     = ""
  nullable    = false
}

variable "system_node_selector" {
  description = "Labels of the nodes for the head and the gateways, which need no GPU."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "model_cache_size" {
  description = "Most that a pod keeps of weights on its node's disk, as a quantity of Kubernetes. Empty: the chart's default."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([1-9][0-9]*[GMT]i)?$", var.model_cache_size))
    error_message = "model_cache_size is a quantity such as 200Gi, or empty."
  }
}

variable "redis" {
  description = <<-EOT
    Redis that keeps the state of Ray's head, so that a lost head loses no replica. Null: none.
      address: host:port, without the protocol.
      password_secret: name of the Kubernetes Secret whose key `password` holds the password. Empty: none is asked for.
  EOT
  type = object({
    address         = string
    password_secret = optional(string, "")
  })
  default = null

  validation {
    condition     = var.redis == null ? true : can(regex("^[^:/]+:[0-9]+$", var.redis.address))
    error_message = "redis.address is host:port, without a protocol."
  }
}

variable "secrets" {
  description = <<-EOT
    Names of Kubernetes Secrets that are made beside Terraform, because its state is no place for a secret. Empty: none.
      database: its key `address` holds the address of the PostgreSQL of keys and usage.
      limits: its key `address` holds the address of the Redis that limits are counted in.
      hub: its key `token` holds the token for the Hugging Face hub.
  EOT
  type = object({
    database = optional(string, "")
    limits   = optional(string, "")
    hub      = optional(string, "")
  })
  default  = {}
  nullable = false
}
