# EKS writes into a group of this name, and makes one that is kept for ever and not encrypted where there is none.
resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338:A year is the default; how long logs are kept is for their owner to say
  for_each = { for purpose, name in local.log_groups : purpose => name if purpose == "cluster" || var.network.existing == null }

  name              = each.value
  retention_in_days = var.cluster.log_days
  kms_key_id        = aws_kms_key.this["cluster"].arn
}

resource "aws_flow_log" "this" {
  count = var.network.existing == null ? 1 : 0

  vpc_id                   = aws_vpc.this[0].id
  traffic_type             = "REJECT"
  max_aggregation_interval = 600
  log_destination          = aws_cloudwatch_log_group.this["network"].arn
  iam_role_arn             = aws_iam_role.flow_log[0].arn
  tags                     = { Name = var.name }
}

resource "aws_iam_role" "flow_log" {
  count = var.network.existing == null ? 1 : 0

  name_prefix        = "${var.name}-flows-"
  assume_role_policy = data.aws_iam_policy_document.service["vpc-flow-logs.amazonaws.com"].json
}

data "aws_iam_policy_document" "flow_log" {
  count = var.network.existing == null ? 1 : 0

  statement {
    sid       = "WriteFlows"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    resources = ["${aws_cloudwatch_log_group.this["network"].arn}:*"]
  }
}

resource "aws_iam_role_policy" "flow_log" {
  count = var.network.existing == null ? 1 : 0

  name   = "write-flows"
  role   = aws_iam_role.flow_log[0].id
  policy = data.aws_iam_policy_document.flow_log[0].json
}
