locals {
  redis = toset(var.redis == null ? [] : ["redis"])
}

resource "aws_elasticache_subnet_group" "this" {
  for_each = local.redis

  name       = "${var.name}-redis"
  subnet_ids = [for zone in sort(tolist(local.zones)) : local.private_subnet_ids[zone]]
}

resource "aws_elasticache_parameter_group" "this" {
  for_each = local.redis

  name   = "${var.name}-redis"
  family = "redis7"

  # What Ray and the limits keep is no cache: full is an error, and nothing is thrown away for it.
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

resource "aws_elasticache_replication_group" "this" {
  # checkov:skip=CKV_AWS_31:A token would stand in the state in clear, because the provider has no write-only argument for it. The security group lets in the cluster alone
  # checkov:skip=CKV2_AWS_50:With more than one copy it fails over by itself
  for_each = local.redis

  replication_group_id = "${var.name}-redis"
  description          = "Limits and Ray's state of ${var.name}"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.redis.machine
  port                 = 6379

  num_cache_clusters         = var.redis.copies
  automatic_failover_enabled = var.redis.copies > 1
  multi_az_enabled           = var.redis.copies > 1
  subnet_group_name          = aws_elasticache_subnet_group.this[each.key].name
  security_group_ids         = [aws_security_group.database[each.key].id]
  parameter_group_name       = aws_elasticache_parameter_group.this[each.key].name

  at_rest_encryption_enabled = true
  kms_key_id                 = aws_kms_key.this["data"].arn
  # Gateways speak TLS; KubeRay hands Ray an address without it, so both are taken.
  transit_encryption_enabled = true
  transit_encryption_mode    = "preferred"

  snapshot_retention_limit = 7
  apply_immediately        = true
}
