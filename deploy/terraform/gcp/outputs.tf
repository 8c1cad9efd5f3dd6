output "helm_values" {
  description = "Values that the chart takes as they are: helm install -f <(terraform output -raw helm_values). They hold no secret."
  value       = module.shape.helm_values
}

output "kubeconfig_command" {
  description = "Writes the access to the cluster into the kubeconfig at hand."
  value       = local.kubeconfig_command

  # Who is told how to reach the cluster can use it.
  depends_on = [google_container_node_pool.system]
}

output "next_command" {
  description = "What to run after the first apply, with the document in penstock.yaml: the operator, the Secrets, and the release."
  value = templatefile("${path.module}/files/next.sh.tftpl", {
    kubeconfig_command = local.kubeconfig_command
    project            = var.project
    region             = var.network.region
    namespace          = var.release.namespace
    secrets            = module.shape.secret_names
    database           = one([for instance in google_sql_database_instance.this : { name = instance.name, address = instance.private_ip_address }])
    redis              = one([for instance in google_redis_instance.this : { name = instance.name, address = "${instance.host}:${instance.port}" }])
  })

  depends_on = [google_container_node_pool.system, google_storage_bucket_iam_member.engines, google_sql_database.this]
}

output "registry" {
  description = "Where Penstock's images are pushed to, by their names without the registry."
  value       = local.registry

  depends_on = [google_artifact_registry_repository_iam_member.nodes]
}

output "weights" {
  description = "The bucket of weights: models name it as gs://BUCKET/PATH."
  value       = { bucket = google_storage_bucket.weights.name, region = var.network.region, key = google_kms_crypto_key.this["data"].id }
}

output "nodes" {
  description = "Node pools with GPUs by hardware profile: type of machine, how many, labels and taints."
  value = {
    for name, pool in module.shape.pools : name => {
      machine = pool.machine.type
      min     = pool.min
      max     = pool.max
      labels  = pool.labels
      taints  = module.shape.taints
    }
  }

  depends_on = [google_container_node_pool.gpu]
}

output "data" {
  description = "What holds data, for a guard with prevent_destroy in the root: names that change where something of it would be lost."
  value = {
    weights  = google_storage_bucket.weights.id
    key      = google_kms_crypto_key.this["data"].id
    postgres = one([for instance in google_sql_database_instance.this : instance.id])
    redis    = one([for instance in google_redis_instance.this : instance.id])
  }
}

locals {
  kubeconfig_command = "gcloud container clusters get-credentials ${google_container_cluster.this.name} --location ${var.network.region} --project ${var.project}"
}
