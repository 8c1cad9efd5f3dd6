variable "zones" {
  description = "Zones of the nodes."
  type        = set(string)
}

variable "gpu_nodes" {
  description = <<-EOT
    Node pools with GPUs, as the module's own variable has them, by the name of the hardware profile.
      gpu, gpus: type of GPU, and how many one machine has.
      min, max: how many nodes.
      capacity, reservation: where they come from.
      zones: where they are.
      local_disks, disk: local NVMe disks, and GiB of the node's own disk.
      labels: more labels of the nodes.
  EOT
  type = map(object({
    gpu         = optional(string)
    gpus        = optional(number)
    min         = optional(number, 0)
    max         = optional(number, 1)
    capacity    = optional(string, "on-demand")
    reservation = optional(string)
    zones       = optional(set(string), [])
    local_disks = optional(bool, true)
    disk        = optional(number, 100)
    labels      = optional(map(string), {})
  }))
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.gpu_nodes) : can(regex("^[a-z]([a-z0-9._-]{0,36}[a-z0-9])?$", name)) && name != "system"])
    error_message = "gpu_nodes has names of hardware profiles: at most 38 lower-case letters, digits, dots, hyphens and underscores, a letter first. `system` is taken."
  }
  validation {
    condition     = length(distinct([for name in keys(var.gpu_nodes) : replace(name, "/[._]/", "-")])) == length(var.gpu_nodes)
    error_message = "gpu_nodes has names that differ in more than dots, hyphens and underscores: node pools have hyphens alone."
  }
  validation {
    condition     = alltrue([for name, group in var.gpu_nodes : contains(keys(local.gpus), coalesce(group.gpu, name))])
    error_message = "gpu_nodes.*.gpu is one of ${join(", ", keys(local.gpus))}; where it is left out, the profile's name is."
  }
  validation {
    condition = alltrue([
      for name, group in var.gpu_nodes : group.gpus == null ? true :
      contains(keys(try(local.gpus[coalesce(group.gpu, name)].machines, {})), tostring(group.gpus))
    ])
    error_message = "gpu_nodes.*.gpus is a number of GPUs that one machine has with this type of GPU: see gpus.yaml."
  }
  validation {
    condition     = alltrue([for group in var.gpu_nodes : group.min >= 0 && group.max >= 1 && group.max >= group.min])
    error_message = "gpu_nodes.*.min is 0 at least, and gpu_nodes.*.max is 1 at least and not below it."
  }
  validation {
    condition     = alltrue([for group in var.gpu_nodes : contains(["on-demand", "spot", "reserved", "flex-start"], group.capacity)])
    error_message = "gpu_nodes.*.capacity is on-demand, spot, reserved or flex-start."
  }
  validation {
    condition     = alltrue([for group in var.gpu_nodes : (group.capacity == "reserved") == (group.reservation != null)])
    error_message = "gpu_nodes.*.reservation is the name of a reservation, with capacity reserved, and with no other."
  }
  validation {
    condition     = alltrue(flatten([for group in var.gpu_nodes : [for zone in group.zones : contains(var.zones, zone)]]))
    error_message = "gpu_nodes.*.zones are zones of the network."
  }
}

variable "registry" {
  description = "Registry of the images."
  type        = string
}

variable "release" {
  description = <<-EOT
    The Helm release that reads weights.
      namespace: of the release.
      service_account: of its engines.
  EOT
  type = object({
    namespace       = string
    service_account = string
  })
}

variable "redis" {
  description = "Redis as host:port; null where there is none."
  type        = string
  default     = null
}

variable "database" {
  description = "Whether there is a PostgreSQL."
  type        = bool
  default     = false
}
