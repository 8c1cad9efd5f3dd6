variable "name" {
  description = "Name of the cluster, and the beginning of every other name. Should not be changed after the first apply: everything would be made anew."
  type        = string
  default     = "penstock"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,28}[a-z0-9]$", var.name))
    error_message = "name is 3 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "network" {
  description = <<-EOT
    Where the nodes are.
      cidr: addresses of the VPC that is made, a /16 to a /18. Should not be changed after the first apply.
      zones: availability zones, two at least, because EKS wants two.
      nat: `one` way out to the internet for all zones, or one `per-zone`, which a lost zone does not take from the others.
      existing: a VPC that is there already, instead of one that is made. Its private subnets by zone need a way out to
        the internet, or endpoints for S3, ECR, EC2, EKS, STS and CloudWatch Logs.
  EOT
  type = object({
    cidr  = optional(string, "10.64.0.0/16")
    zones = optional(set(string), [])
    nat   = optional(string, "one")
    existing = optional(object({
      vpc_id             = string
      private_subnet_ids = map(string)
    }))
  })
  nullable = false

  validation {
    condition     = can(cidrsubnet(var.network.cidr, 8, 255)) && can(regex("/1[678]$", var.network.cidr))
    error_message = "network.cidr is a block of addresses between /16 and /18, such as 10.64.0.0/16."
  }
  validation {
    condition     = var.network.existing != null || (length(var.network.zones) >= 2 && length(var.network.zones) <= 6)
    error_message = "network.zones names two to six availability zones, such as [\"us-east-1a\", \"us-east-1b\"]."
  }
  validation {
    condition     = contains(["one", "per-zone"], var.network.nat)
    error_message = "network.nat is one or per-zone."
  }
  validation {
    condition     = try(length(var.network.existing.private_subnet_ids), 2) >= 2
    error_message = "network.existing.private_subnet_ids has subnets of two zones at least, by zone."
  }
}

variable "cluster" {
  description = <<-EOT
    The control plane.
      version: of Kubernetes.
      public_from: blocks of addresses that may reach its address from the internet. Empty: it has a private one alone, and
        kubectl and helm work from inside the network.
      admins: ARNs of IAM roles and users who administer the cluster beside whoever makes it, by a name of your own.
      log_days: how long its logs and the network's are kept; a number that CloudWatch knows.
  EOT
  type = object({
    version     = optional(string, "1.33")
    public_from = optional(set(string), [])
    admins      = optional(map(string), {})
    log_days    = optional(number, 365)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^1\\.(2[89]|[3-9][0-9])$", var.cluster.version))
    error_message = "cluster.version is 1.28 or newer, the least that the chart takes."
  }
  validation {
    condition     = alltrue([for block in var.cluster.public_from : can(cidrnetmask(block)) && !endswith(block, "/0")])
    error_message = "cluster.public_from has blocks of addresses such as 203.0.113.7/32, and not the whole internet."
  }
  validation {
    condition     = alltrue([for arn in values(var.cluster.admins) : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "cluster.admins has ARNs of IAM roles or users."
  }
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.cluster.log_days)
    error_message = "cluster.log_days is a number of days that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, ..."
  }
}

variable "system_nodes" {
  description = <<-EOT
    Nodes without a GPU, for Ray's head, the gateways, the operators and models on processors.
      machine: their type. Default: the one that `penstock plan` counts with, `system` in gpus.yaml.
      min, max: how many. A rollout that makes a new Ray cluster needs room for two heads.
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
    Node groups with GPUs, by the name of the hardware profile in the document. Each begins with as many nodes as `min`
    says; from there on the autoscaler decides.
      gpu: type of GPU, a key of gpus.yaml. Default: the profile's name.
      gpus: GPUs of one machine, which picks the machine: a replica's GPUs are all in one. Default: the fewest there are.
      min, max: how many nodes. At 0 nothing is paid while no model asks for one.
      capacity: `on-demand`; `spot`, which is cheaper and may be taken away with two minutes' notice; `reserved`, from the
        reservation alone; or `block`, a capacity block for ML.
      reservation: id of the capacity reservation or block (cr-...), with `reserved` and `block`.
      zones: zones to take nodes from. Default: all. A reservation is in one.
      disk: GiB of the node's own disk. Images and weights are on the machine's NVMe disks where it has any.
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
    disk        = optional(number, 100)
    labels      = optional(map(string), {})
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.gpu_nodes) : can(regex("^[A-Za-z0-9]([A-Za-z0-9._-]{0,48}[A-Za-z0-9])?$", name)) && name != "system"])
    error_message = "gpu_nodes has names of hardware profiles: at most 50 letters, digits, dots, hyphens and underscores. `system` is taken."
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
    condition     = alltrue([for group in var.gpu_nodes : contains(["on-demand", "spot", "reserved", "block"], group.capacity)])
    error_message = "gpu_nodes.*.capacity is on-demand, spot, reserved or block."
  }
  validation {
    condition = alltrue([
      for group in var.gpu_nodes : contains(["reserved", "block"], group.capacity) == can(regex("^cr-[0-9a-f]+$", group.reservation))
    ])
    error_message = "gpu_nodes.*.reservation is the id of a capacity reservation, cr-..., with capacity reserved or block, and with no other."
  }
  validation {
    condition     = alltrue(flatten([for group in var.gpu_nodes : [for zone in group.zones : contains(local.zones, zone)]]))
    error_message = "gpu_nodes.*.zones are zones of the network."
  }
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
      bucket: its name, which is unique in the world. Default: the name, `weights` and the account's number.
      previous_days: how long weights that were overwritten or deleted can be had back.
      other_buckets: names of buckets beside it that engines may read. Such a bucket has to be readable without a key of
        KMS, or the key's own policy has to let the engines' role in.
  EOT
  type = object({
    bucket        = optional(string)
    previous_days = optional(number, 30)
    other_buckets = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in setunion(compact([var.weights.bucket]), var.weights.other_buckets) : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", name))])
    error_message = "weights.bucket and weights.other_buckets are names of buckets, without s3:// and without a path."
  }
  validation {
    condition     = var.weights.previous_days >= 1
    error_message = "weights.previous_days is 1 at least."
  }
}

variable "database" {
  description = <<-EOT
    A PostgreSQL on RDS for keys, teams and usage. Null: none.
      machine: its class.
      version: of PostgreSQL, the major one.
      storage, max_storage: GiB at first, and what it may grow to.
      standby: whether a second one in another zone takes over.
      backup_days: how long daily backups are kept.
      password_version: one more makes a new password, and the next command is to be run again.
  EOT
  type = object({
    machine          = optional(string, "db.t4g.medium")
    version          = optional(string, "17")
    storage          = optional(number, 20)
    max_storage      = optional(number, 200)
    standby          = optional(bool, true)
    backup_days      = optional(number, 14)
    password_version = optional(number, 1)
  })
  default = null

  validation {
    condition     = var.database == null ? true : var.database.storage >= 20 && var.database.max_storage > var.database.storage
    error_message = "database.storage is 20 GiB at least, and database.max_storage is more."
  }
  validation {
    condition     = var.database == null ? true : var.database.backup_days >= 1 && var.database.backup_days <= 35
    error_message = "database.backup_days is 1 to 35."
  }
}

variable "redis" {
  description = <<-EOT
    A Redis on ElastiCache, which gateways count limits in, and Ray's head keeps its state in, so that a lost head loses no
    replica. Null: none.
      machine: its type.
      copies: nodes, each in another zone; with two or more a lost one is replaced by another by itself.
  EOT
  type = object({
    machine = optional(string, "cache.t4g.small")
    copies  = optional(number, 2)
  })
  default = null

  validation {
    condition     = var.redis == null ? true : var.redis.copies >= 1 && var.redis.copies <= 6
    error_message = "redis.copies is 1 to 6."
  }
}

variable "protect" {
  description = "Whether what holds data refuses to be destroyed: the database by its own switch, the bucket and the images as long as anything is in them. A final snapshot of the database is made in any case but `false`."
  type        = bool
  default     = true
  nullable    = false
}
