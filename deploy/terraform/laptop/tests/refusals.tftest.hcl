run "a_kubeconfig_that_is_not_there" {
  command = plan
  variables {
    kubeconfig = "/nowhere/kubeconfig"
  }
  expect_failures = [var.kubeconfig]
}

run "a_context_of_nothing" {
  command = plan
  variables {
    context = "prod"
  }
  expect_failures = [var.context]
}

run "a_name_that_kubernetes_does_not_take" {
  command = plan
  variables {
    name = "My_Models"
  }
  expect_failures = [var.name]
}

run "a_port_that_nodes_do_not_have" {
  command = plan
  variables {
    address = { node_port = 8000 }
  }
  expect_failures = [var.address]
}

run "values_that_are_not_there" {
  command = plan
  variables {
    values = ["/nowhere/values.yaml"]
  }
  expect_failures = [var.values]
}

run "a_chart_that_is_none" {
  command = plan
  variables {
    chart = "/tmp"
  }
  expect_failures = [var.chart]
}
