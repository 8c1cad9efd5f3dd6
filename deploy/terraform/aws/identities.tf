# Who in the cluster may do what in the account. Pods get these rights from EKS Pod Identity, by their namespace and service
# account, without a key that could be lost. Gateways and the head get none.
locals {
  identities = {
    engine     = { namespace = var.release.namespace, service_account = var.release.service_account, policy = data.aws_iam_policy_document.engine.json }
    autoscaler = { namespace = "kube-system", service_account = "cluster-autoscaler", policy = data.aws_iam_policy_document.autoscaler.json }
  }
  readable = [for name in sort(concat([local.bucket], tolist(var.weights.other_buckets))) : "arn:${local.partition}:s3:::${name}"]
}

data "aws_iam_policy_document" "engine" {
  statement {
    sid       = "ListWeights"
    actions   = ["s3:ListBucket"]
    resources = local.readable
  }
  statement {
    sid       = "ReadWeights"
    actions   = ["s3:GetObject"]
    resources = [for arn in local.readable : "${arn}/*"]
  }
  statement {
    sid       = "DecryptWeights"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.this["data"].arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "autoscaler" {
  # checkov:skip=CKV_AWS_356:These calls describe, and AWS knows no narrower resource for them
  statement {
    sid = "SeeGroupsAndMachines"
    actions = [
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeScalingActivities",
      "autoscaling:DescribeTags",
      "ec2:DescribeImages",
      "ec2:DescribeInstanceTypes",
      "ec2:DescribeLaunchTemplateVersions",
      "ec2:GetInstanceTypesFromInstanceRequirements",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "SeeLabelsAndTaintsOfEmptyGroups"
    actions   = ["eks:DescribeNodegroup"]
    resources = ["arn:${local.partition}:eks:${local.region}:${local.account}:nodegroup/${var.name}/*"]
  }
  statement {
    sid       = "ScaleGroupsOfThisCluster"
    actions   = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    resources = ["arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.name}" # EKS tags the groups of its nodes so
      values   = ["owned"]
    }
  }
}

data "aws_iam_policy_document" "pod" {
  statement {
    sid     = "AssumeByPodsOfThisCluster"
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_eks_cluster.this.arn]
    }
  }
}

resource "aws_iam_role" "pod" {
  for_each = local.identities

  name_prefix        = "${var.name}-${each.key}-"
  assume_role_policy = data.aws_iam_policy_document.pod.json
}

resource "aws_iam_role_policy" "pod" {
  for_each = local.identities

  name   = each.key
  role   = aws_iam_role.pod[each.key].id
  policy = each.value.policy
}

resource "aws_eks_pod_identity_association" "this" {
  for_each = local.identities

  cluster_name    = aws_eks_cluster.this.name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.pod[each.key].arn

  depends_on = [aws_eks_addon.node, aws_iam_role_policy.pod]
}
