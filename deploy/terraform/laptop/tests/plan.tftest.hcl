run "a_kind_cluster_is_made_where_none_is_named" {
  command = plan

  assert {
    condition     = length(terraform_data.cluster) == 1 && length(terraform_data.images) == 1 && length(terraform_data.kuberay) == 1
    error_message = "Without a kubeconfig there are a cluster, images in it, and the operator."
  }
  assert {
    condition     = output.endpoint == "http://localhost:8000/v1"
    error_message = "The kind cluster is reached on this machine."
  }
  assert {
    condition     = yamldecode(terraform_data.cluster[0].input.CONFIG).nodes[0].extraPortMappings[0] == { containerPort = 30800, hostPort = 8000, listenAddress = "127.0.0.1" }
    error_message = "The port of this machine leads to the port of the node, for this machine alone."
  }
  assert {
    condition     = yamldecode(output.helm_values).service == { type = "NodePort", nodePort = 30800 }
    error_message = "The Service has the port of the node."
  }
}

run "a_cluster_that_is_named_is_used" {
  command = plan

  variables {
    kubeconfig = "tests/kubeconfig.yaml"
    kuberay    = { install = false }
    address    = { host = "10.0.0.7", node_port = 31234 }
  }

  assert {
    condition     = length(terraform_data.cluster) == 0 && length(terraform_data.images) == 0 && length(terraform_data.kuberay) == 0
    error_message = "Nothing is made that is there already."
  }
  assert {
    condition     = output.endpoint == "http://10.0.0.7:31234/v1"
    error_message = "The endpoint is the node's port."
  }
}
