# What each step needs is in its input: what is destroyed may look nowhere else.
locals {
  own_cluster = var.kubeconfig == ""
  kubeconfig  = local.own_cluster ? abspath("${path.root}/${var.name}.kubeconfig") : abspath(pathexpand(var.kubeconfig))
  repository  = abspath("${path.module}/../../..")
  chart       = abspath(coalesce(var.chart, "${local.repository}/deploy/helm/penstock"))
  values      = [for path in coalesce(var.values, ["${local.repository}/examples/values-laptop.yaml"]) : abspath(path)]

  port     = local.own_cluster ? var.address.port : var.address.node_port
  endpoint = "http://${var.address.host}:${local.port}/v1"

  helm_values = yamlencode({ service = { type = "NodePort", nodePort = var.address.node_port } })

  surroundings = {
    KUBECONFIG   = local.kubeconfig
    KUBE_CONTEXT = local.own_cluster ? "kind-${var.name}" : var.context
    NAME         = var.name
    SCRIPTS      = abspath("${path.module}/scripts")
  }
}

resource "terraform_data" "cluster" {
  count = local.own_cluster ? 1 : 0

  triggers_replace = [var.address.port, var.address.node_port]
  input = merge(local.surroundings, {
    CONFIG = yamlencode({
      kind       = "Cluster"
      apiVersion = "kind.x-k8s.io/v1alpha4"
      name       = var.name
      nodes = [{
        role = "control-plane"
        extraPortMappings = [{
          containerPort = var.address.node_port
          hostPort      = var.address.port
          listenAddress = "127.0.0.1"
        }]
      }]
    })
  })

  provisioner "local-exec" {
    command     = "exec \"$SCRIPTS/cluster-up\""
    environment = self.input
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "exec \"$SCRIPTS/cluster-down\""
    environment = self.input
  }
}

resource "terraform_data" "images" {
  count = local.own_cluster ? 1 : 0

  triggers_replace = [terraform_data.cluster[0].id, var.images]
  input = merge(local.surroundings, {
    REPOSITORY_FOLDER = local.repository
    BUILD_IMAGES      = tostring(var.images.build)
    LOAD              = join(" ", sort(tolist(var.images.load)))
  })

  provisioner "local-exec" {
    command     = "exec \"$SCRIPTS/images-up\""
    environment = self.input
  }
}

resource "terraform_data" "kuberay" {
  count = var.kuberay.install ? 1 : 0

  triggers_replace = [var.kuberay.version, local.surroundings.KUBECONFIG, local.surroundings.KUBE_CONTEXT]
  input            = merge(local.surroundings, { VERSION = var.kuberay.version })

  provisioner "local-exec" {
    command     = "exec \"$SCRIPTS/kuberay-up\""
    environment = self.input
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "exec \"$SCRIPTS/kuberay-down\""
    environment = self.input
  }

  depends_on = [terraform_data.cluster]
}

# The namespace, and what is taken away at the end. A change of values does not touch it: the release stays.
resource "terraform_data" "namespace" {
  triggers_replace = [var.name, local.surroundings.KUBECONFIG, local.surroundings.KUBE_CONTEXT]
  input            = local.surroundings

  provisioner "local-exec" {
    command     = "exec \"$SCRIPTS/namespace-up\""
    environment = self.input
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "exec \"$SCRIPTS/namespace-down\""
    environment = self.input
  }

  depends_on = [terraform_data.kuberay, terraform_data.images]
}

# Made anew with each change of the chart or of its values, which upgrades the release in place.
resource "terraform_data" "release" {
  triggers_replace = [
    terraform_data.namespace.id,
    local.helm_values,
    [for path in local.values : filesha256(path)],
    sha256(join("", [for path in sort(fileset(local.chart, "**")) : "${path} ${filesha256("${local.chart}/${path}")}"])),
  ]
  input = merge(local.surroundings, {
    CHART       = local.chart
    VALUES      = join("\n", local.values)
    HELM_VALUES = local.helm_values
    ENDPOINT    = local.endpoint
    PATIENCE    = tostring(var.patience)
  })

  provisioner "local-exec" {
    command     = "exec \"$SCRIPTS/release-up\""
    environment = self.input
  }
}
