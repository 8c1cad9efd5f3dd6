variable "project" {
  description = "Id of the Google Cloud project that all of it is made in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is the id of a project, such as my-models-1234, not its name and not its number."
  }
}

variable "name" {
  description = "Name of the cluster, and the beginning of every other name. Should not be changed after the first apply: everything would be made anew."
  type        = string
  default     = "penstock"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name is 3 to 20 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "network" {
  description = <<-EOT
    Where the nodes are.
      region: of everything.
      zones: zones of it that nodes are in, one at least. The control plane is in three in any case.
      cidr: addresses of the nodes where a network is made, a /16 to a /20. Should not be changed after the first apply.
      pods, services: addresses of pods and services. Should not be changed after the first apply.
      control_plane: addresses of the control plane, a /28 that overlaps no other.
      existing: a network that is there already, instead of one that is made, with its subnetwork and the names of that
        one's secondary ranges. It needs a way out to the internet, and private services access where there is to be a
        database or a Redis.
  EOT
  type = object({
    region        = string
    zones         = set(string)
    cidr          = optional(string, "10.64.0.0/18")
    pods          = optional(string, "10.68.0.0/14")
    services      = optional(string, "10.65.0.0/20")
    control_plane = optional(string, "10.66.0.0/28")
    existing = optional(object({
      network        = string
      subnetwork     = string
      pods_range     = string
      services_range = string
    }))
  })
  nullable = false

  validation {
    condition     = length(var.network.zones) >= 1 && alltrue([for zone in var.network.zones : startswith(zone, "${var.network.region}-")])
    error_message = "network.zones has zones of network.region, such as [\"us-central1-a\"]."
  }
  validation {
    condition     = can(cidrhost(var.network.cidr, 0)) && can(regex("/(1[6-9]|20)$", var.network.cidr))
    error_message = "network.cidr is a block of addresses between /16 and /20, such as 10.64.0.0/18."
  }
  validation {
    condition     = can(cidrhost(var.network.control_plane, 0)) && endswith(var.network.control_plane, "/28")
    error_message = "network.control_plane is a block of sixteen addresses, such as 10.66.0.0/28."
  }
  validation {
    condition     = alltrue([for block in [var.network.pods, var.network.services] : can(cidrhost(block, 0))])
    error_message = "network.pods and network.services are blocks of addresses, such as 10.68.0.0/14."
  }
}

variable "cluster" {
  description = <<-EOT
    The control plane.
      channel: release channel, which decides on versions of Kubernetes and when they change: RAPID, REGULAR or STABLE.
      public_from: blocks of addresses that may reach its address from the internet. Empty: it has a private one alone, and
        kubectl and helm work from inside the network.
      log_days: how long the cluster's logs are kept.
  EOT
  type = object({
    channel     = optional(string, "REGULAR")
    public_from = optional(set(string), [])
    log_days    = optional(number, 365)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE"], var.cluster.channel)
    error_message = "cluster.channel is RAPID, REGULAR or STABLE."
  }
  validation {
    condition     = alltrue([for block in var.cluster.public_from : can(cidrnetmask(block)) && !endswith(block, "/0")])
    error_message = "cluster.public_from has blocks of addresses such as 203.0.113.7/32, and not the whole internet."
  }
  validation {
    condition     = var.cluster.log_days >= 1 && var.cluster.log_days <= 3650
    error_message = "cluster.log_days is 1 to 3650."
  }
}

variable "system_nodes" {
  description = <<-EOT
    Nodes without a GPU, for Ray's head, the gateways, the operator and models on processors.
      machine: their type. Default: the one that `penstock plan` counts with, `system` in gpus.yaml.
      min, max: how many, in all zones together. A rollout that makes a new Ray cluster needs room for two heads.
      disk: GiB of each one's disk.
  EOT
  type = object({
    machine = optional(string)
    min     = optional(number, 2)
    max     = optional(number, 4)
    disk    = optional(number, 50)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.system_nodes.min >= 1 && var.system_nodes.max >= var.system_nodes.min
    error_message = "system_nodes.min is 1 at least, and system_nodes.max is not below it."
  }
}

variable "gpu_nodes" {
  description = <<-EOT
    Node pools with GPUs, by the name of the hardware profile in the document.
      gpu: type of GPU, a key of gpus.yaml. Default: the profile's name.
      gpus: GPUs of one machine, which picks the machine: a replica's GPUs are all in one. Default: the fewest there are.
      min, max: how many nodes, in all zones together. At 0 nothing is paid while no model asks for one.
      capacity: `on-demand`; `spot`, which is cheaper and may be taken away with 30 seconds' notice; `reserved`, from the
        reservation alone; or `flex-start`, which waits for capacity and has it for seven days at most.
      reservation: name of the reservation, with `reserved`.
      zones: zones to take nodes from. Default: all. A reservation is in one, and not every zone has every GPU.
      local_disks: whether the machine gets local NVMe disks, for images and weights, where it does not have them anyway.
      disk: GiB of the node's own disk.
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
  default  = {}
  nullable = false
}

variable "release" {
  description = <<-EOT
    The Helm release that is to read weights. The right is bound to this namespace and this service account alone.
      namespace: of the release.
      service_account: of its engines; helm_values names it.
  EOT
  type = object({
    namespace       = optional(string, "penstock")
    service_account = optional(string, "penstock")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in values(var.release) : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", name))])
    error_message = "release has names as Kubernetes takes them: lower-case letters, digits and hyphens."
  }
}

variable "weights" {
  description = <<-EOT
    The bucket of weights.
      bucket: its name, which is unique in the world. Default: the project, the name and `weights`.
      previous_days: how long weights that were overwritten or deleted can be had back.
      other_buckets: names of buckets beside it that engines may read.
  EOT
  type = object({
    bucket        = optional(string)
    previous_days = optional(number, 30)
    other_buckets = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in setunion(compact([var.weights.bucket]), var.weights.other_buckets) : can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", name))])
    error_message = "weights.bucket and weights.other_buckets are names of buckets, without gs:// and without a path."
  }
  validation {
    condition     = var.weights.previous_days >= 1
    error_message = "weights.previous_days is 1 at least."
  }
}

variable "database" {
  description = <<-EOT
    A PostgreSQL on Cloud SQL for keys, teams and usage. Null: none.
      machine: its tier.
      version: of PostgreSQL, the major one.
      storage, max_storage: GiB at first, and what it may grow to.
      standby: whether a second one in another zone takes over.
      backup_days: how many daily backups are kept.
  EOT
  type = object({
    machine     = optional(string, "db-custom-2-7680")
    version     = optional(string, "17")
    storage     = optional(number, 20)
    max_storage = optional(number, 200)
    standby     = optional(bool, true)
    backup_days = optional(number, 14)
  })
  default = null

  validation {
    condition     = var.database == null ? true : var.database.storage >= 10 && var.database.max_storage > var.database.storage
    error_message = "database.storage is 10 GiB at least, and database.max_storage is more."
  }
  validation {
    condition     = var.database == null ? true : var.database.backup_days >= 1 && var.database.backup_days <= 365
    error_message = "database.backup_days is 1 to 365."
  }
}

variable "redis" {
  description = <<-EOT
    A Redis on Memorystore, which gateways count limits in, and Ray's head keeps its state in, so that a lost head loses no
    replica. Null: none.
      memory: GiB.
      standby: whether a second one in another zone takes over.
  EOT
  type = object({
    memory  = optional(number, 1)
    standby = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.redis == null ? true : var.redis.memory >= 1 && var.redis.memory <= 300
    error_message = "redis.memory is 1 to 300 GiB."
  }
}

variable "protect" {
  description = "Whether what holds data refuses to be destroyed: the cluster and the database by their own switches, the bucket as long as anything is in it."
  type        = bool
  default     = true
  nullable    = false
}
