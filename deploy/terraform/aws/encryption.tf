locals {
  # What each key is for. They are two, so that whoever may read weights can read no secret of the cluster.
  keys = {
    cluster = "Secrets of the cluster ${var.name}, and its logs"
    data    = "Weights, images and databases of ${var.name}"
  }
  log_groups = {
    cluster = "/aws/eks/${var.name}/cluster"
    network = "/aws/vpc/${var.name}/flows"
  }
}

data "aws_iam_policy_document" "key" {
  for_each = local.keys

  # checkov:skip=CKV_AWS_109:The policy of a key speaks of that key alone
  # checkov:skip=CKV_AWS_111:The policy of a key speaks of that key alone
  # checkov:skip=CKV_AWS_356:The policy of a key speaks of that key alone
  statement {
    sid       = "AdministerByTheAccount"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "cluster" ? ["logs"] : []
    content {
      sid       = "EncryptLogs"
      actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey"]
      resources = ["*"]
      principals {
        type        = "Service"
        identifiers = ["logs.${local.region}.amazonaws.com"]
      }
      condition {
        test     = "ArnEquals"
        variable = "kms:EncryptionContext:aws:logs:arn"
        values   = [for name in values(local.log_groups) : "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${name}"]
      }
    }
  }
}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = each.value
  enable_key_rotation     = true
  deletion_window_in_days = var.protect ? 30 : 7
  policy                  = data.aws_iam_policy_document.key[each.key].json
}

resource "aws_kms_alias" "this" {
  for_each = local.keys

  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].id
}
