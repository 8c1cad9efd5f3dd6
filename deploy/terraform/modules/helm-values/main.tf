locals {
  # Only what differs from the chart's defaults: values without a word are easier to read.
  parts = {
    hardware = length(var.profiles) == 0 ? null : {
      for name, profile in var.profiles : name => merge(
        { resources = profile.resources, nodeSelector = profile.node_selector },
        length(profile.tolerations) == 0 ? {} : { tolerations = profile.tolerations },
      )
    }
    image          = var.image_registry == "" ? null : { registry = var.image_registry }
    weights        = var.s3_region == "" ? null : { s3 = { region = var.s3_region } }
    modelCache     = var.model_cache_size == "" ? null : { type = "emptyDir", size = var.model_cache_size }
    serviceAccount = merge({ name = var.service_account.name }, length(var.service_account.annotations) == 0 ? {} : { annotations = var.service_account.annotations })
    cluster        = length(local.cluster) == 0 ? null : local.cluster
    secrets        = length(local.secrets) == 0 ? null : local.secrets
  }

  cluster = merge(
    length(var.system_node_selector) == 0 ? {} : {
      head    = { nodeSelector = var.system_node_selector }
      gateway = { nodeSelector = var.system_node_selector }
    },
    var.redis == null ? {} : {
      redis = merge(
        { address = var.redis.address },
        var.redis.password_secret == "" ? {} : { password = { name = var.redis.password_secret, key = "password" } },
      )
    },
  )

  secrets = merge(
    var.secrets.database == "" ? {} : { database = { name = var.secrets.database, key = "address" } },
    var.secrets.limits == "" ? {} : { redis = { name = var.secrets.limits, key = "address" } },
    var.secrets.hub == "" ? {} : { hub = { name = var.secrets.hub, key = "token" } },
  )
}
