variable "kubeconfig" {
  description = "Path of a kubeconfig: its cluster is used, and stays. Empty: a kind cluster is made, which needs Docker and kind."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.kubeconfig == "" || can(file(pathexpand(var.kubeconfig)))
    error_message = "kubeconfig is the path of a file that is there."
  }
}

variable "context" {
  description = "Context of that kubeconfig. Empty: its current one."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.context == "" || var.kubeconfig != ""
    error_message = "context is one of a kubeconfig of yours: name that as well. The one of the kind cluster follows from its name."
  }
}

variable "name" {
  description = "Name of the kind cluster, of the namespace, which is made, and of the release."
  type        = string
  default     = "penstock"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "name is at most 40 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "kuberay" {
  description = <<-EOT
    The KubeRay operator.
      install: whether it is installed, and taken away at the end. Not where it is there already.
      version: of its chart.
  EOT
  type = object({
    install = optional(bool, true)
    version = optional(string, "1.6.2")
  })
  default  = {}
  nullable = false
}

variable "images" {
  description = <<-EOT
    Images for the kind cluster.
      build: whether they are built here first, as `make images-demo` does it; that needs `make demo` once.
      load: references that are loaded into the cluster beside those that are built.
  EOT
  type = object({
    build = optional(bool, true)
    load  = optional(set(string), [])
  })
  default  = {}
  nullable = false
}

variable "chart" {
  description = "Folder of the chart. Default: the one of this repository."
  type        = string
  default     = null

  validation {
    condition     = var.chart == null ? true : fileexists("${var.chart}/Chart.yaml")
    error_message = "chart is a folder with a Chart.yaml."
  }
}

variable "values" {
  description = "Files of values for the chart, the later over the earlier. Default: the example for laptops, a chat model and an embedding model without a GPU."
  type        = list(string)
  default     = null

  validation {
    condition     = var.values == null ? true : alltrue([for path in var.values : can(yamldecode(file(path)))])
    error_message = "values are paths of files with YAML in them."
  }
}

variable "address" {
  description = <<-EOT
    Where the endpoint is reached.
      host: of a node, or what leads to one. For the kind cluster it is this machine.
      port: of this machine, for the kind cluster.
      node_port: of the nodes.
  EOT
  type = object({
    host      = optional(string, "localhost")
    port      = optional(number, 8000)
    node_port = optional(number, 30800)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.address.node_port >= 30000 && var.address.node_port <= 32767
    error_message = "address.node_port is 30000 to 32767, the ports that Kubernetes gives to nodes."
  }
}

variable "patience" {
  description = "Seconds until the endpoint has to answer. The first time, images and engines take minutes."
  type        = number
  default     = 1200
  nullable    = false

  validation {
    condition     = var.patience >= 1
    error_message = "patience is 1 at least."
  }
}
