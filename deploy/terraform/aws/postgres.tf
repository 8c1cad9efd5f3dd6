# The password stands in no plan and in no state: it is drawn anew by each apply, known to none but that one, and written where
# password_version says that a new one is due, into the database and into the address that Secrets Manager keeps. Where an
# apply breaks off between these two, one more of password_version brings them together.
locals {
  database = toset(var.database == null ? [] : ["postgres"])
  password = replace("${uuid()}${uuid()}", "-", "")
}

resource "aws_secretsmanager_secret" "postgres" {
  # checkov:skip=CKV2_AWS_57:Rotation is one more of password_version, because pods read the address from a Secret of Kubernetes
  for_each = local.database

  name                    = "${var.name}/postgres/address"
  kms_key_id              = aws_kms_key.this["data"].arn
  recovery_window_in_days = var.protect ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "postgres" {
  for_each = local.database

  secret_id = aws_secretsmanager_secret.postgres[each.key].id
  secret_string_wo = format(
    "postgresql://%s:%s@%s:%d/%s?sslmode=require",
    aws_db_instance.this[each.key].username,
    local.password,
    aws_db_instance.this[each.key].address,
    aws_db_instance.this[each.key].port,
    aws_db_instance.this[each.key].db_name,
  )
  secret_string_wo_version = var.database.password_version
}

resource "aws_db_subnet_group" "this" {
  for_each = local.database

  name       = "${var.name}-postgres"
  subnet_ids = [for zone in sort(tolist(local.zones)) : local.private_subnet_ids[zone]]
}

resource "aws_security_group" "database" {
  for_each = toset(concat(tolist(local.database), tolist(local.redis)))

  name        = "${var.name}-${each.key}"
  description = "Lets pods of ${var.name} reach its ${each.key}"
  vpc_id      = local.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each = aws_security_group.database

  security_group_id            = each.value.id
  description                  = "From nodes and pods of the cluster"
  referenced_security_group_id = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = { postgres = 5432, redis = 6379 }[each.key]
  to_port                      = { postgres = 5432, redis = 6379 }[each.key]
}

resource "aws_db_parameter_group" "this" {
  for_each = local.database

  name_prefix = "${var.name}-postgres-"
  family      = "postgres${var.database.version}"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_db_instance" "this" {
  # checkov:skip=CKV_AWS_118:Enhanced monitoring is a role and a price of its own; Performance Insights shows the load
  # checkov:skip=CKV_AWS_157:database.standby says so, and is true unless it is switched off
  # checkov:skip=CKV_AWS_161:Penstock logs in by password; a token of IAM lasts a quarter of an hour
  # checkov:skip=CKV_AWS_293:protect says so, and is true unless it is switched off
  # checkov:skip=CKV2_AWS_30:Statements of a second and more are logged, by the parameter group
  # checkov:skip=CKV2_AWS_69:rds.force_ssl is on, in the parameter group
  for_each = local.database

  identifier     = "${var.name}-postgres"
  engine         = "postgres"
  engine_version = var.database.version
  instance_class = var.database.machine
  db_name        = "penstock"
  username       = "penstock"

  password_wo         = local.password
  password_wo_version = var.database.password_version

  allocated_storage     = var.database.storage
  max_allocated_storage = var.database.max_storage
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.this["data"].arn

  multi_az               = var.database.standby
  db_subnet_group_name   = aws_db_subnet_group.this[each.key].name
  vpc_security_group_ids = [aws_security_group.database[each.key].id]
  parameter_group_name   = aws_db_parameter_group.this[each.key].name
  publicly_accessible    = false

  backup_retention_period         = var.database.backup_days
  copy_tags_to_snapshot           = true
  auto_minor_version_upgrade      = true
  performance_insights_enabled    = true
  performance_insights_kms_key_id = aws_kms_key.this["data"].arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]

  deletion_protection       = var.protect
  skip_final_snapshot       = !var.protect
  final_snapshot_identifier = var.protect ? "${var.name}-postgres-final" : null
}
