# The examples are what the page shows, so they are made too.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }

  variables {
    public_from = ["203.0.113.7/32"]
  }

  assert {
    condition     = keys(output.nodes) == ["nvidia-l4"] && output.nodes.nvidia-l4.max == 1 && output.nodes.nvidia-l4.min == 0
    error_message = "The trial has one L4 at most."
  }
}

run "production" {
  command = plan

  module {
    source = "./examples/production"
  }

  variables {
    h100_reservation = "cr-0123456789abcdef0"
  }

  assert {
    condition     = output.nodes.nvidia-h100.machine == "p5.48xlarge" && output.nodes.l4-spot.machine == "g6.xlarge"
    error_message = "Production has H100s by eight and single L4s."
  }
}

run "minimal_without_an_address_is_refused" {
  command = plan

  module {
    source = "./examples/minimal"
  }

  variables {
    public_from = []
  }

  expect_failures = [var.public_from]
}
