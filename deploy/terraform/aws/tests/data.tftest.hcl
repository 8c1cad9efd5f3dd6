# What holds data: the bucket, images, databases; how they are protected, and where their secrets are.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  network = { zones = ["us-east-1a", "us-east-1b"] }
}

run "weights_are_private_encrypted_and_kept" {
  command = plan

  assert {
    condition     = aws_s3_bucket.weights.bucket == "penstock-weights-123456789012" && !aws_s3_bucket.weights.force_destroy
    error_message = "The name is unique by the account's number, and what is in it is not deleted along."
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.weights.block_public_acls && aws_s3_bucket_public_access_block.weights.block_public_policy && aws_s3_bucket_public_access_block.weights.ignore_public_acls && aws_s3_bucket_public_access_block.weights.restrict_public_buckets
    error_message = "Nothing of it can be made public."
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.weights.rule[0].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "Previous versions go after thirty days."
  }
}

run "a_trial_can_be_thrown_away" {
  command = plan

  variables {
    protect  = false
    database = {}
  }

  assert {
    condition     = aws_s3_bucket.weights.force_destroy && alltrue([for repository in aws_ecr_repository.this : repository.force_delete])
    error_message = "Weights and images go along."
  }
  assert {
    condition     = !aws_db_instance.this["postgres"].deletion_protection && aws_db_instance.this["postgres"].skip_final_snapshot
    error_message = "The database goes along, without a snapshot."
  }
}

run "without_databases_there_are_none" {
  command = plan

  assert {
    condition     = length(aws_db_instance.this) + length(aws_elasticache_replication_group.this) + length(aws_secretsmanager_secret.postgres) + length(aws_security_group.database) == 0
    error_message = "They are off unless asked for."
  }
}

run "the_database_is_private_and_protected" {
  command = plan

  variables {
    database = { backup_days = 30 }
  }

  assert {
    condition     = aws_db_instance.this["postgres"].deletion_protection && !aws_db_instance.this["postgres"].skip_final_snapshot && aws_db_instance.this["postgres"].multi_az
    error_message = "It refuses to be deleted, leaves a snapshot, and has a standby."
  }
  assert {
    condition     = aws_db_instance.this["postgres"].storage_encrypted && !aws_db_instance.this["postgres"].publicly_accessible && aws_db_instance.this["postgres"].backup_retention_period == 30
    error_message = "It is encrypted, private, and backed up."
  }
  assert {
    condition     = aws_db_instance.this["postgres"].password == null && aws_db_instance.this["postgres"].password_wo_version == 1
    error_message = "The password is written, and never kept."
  }
}

run "redis_throws_nothing_away" {
  command = plan

  variables {
    redis = { copies = 3 }
  }

  assert {
    condition     = one(aws_elasticache_parameter_group.this["redis"].parameter).value == "noeviction"
    error_message = "What Ray keeps must not be thrown away."
  }
  assert {
    condition     = aws_elasticache_replication_group.this["redis"].multi_az_enabled && aws_elasticache_replication_group.this["redis"].num_cache_clusters == 3 && aws_elasticache_replication_group.this["redis"].transit_encryption_enabled
    error_message = "Copies are in other zones, and reached by TLS."
  }
}

run "a_single_redis_has_nobody_to_fail_over_to" {
  command = plan

  variables {
    redis = { copies = 1 }
  }

  assert {
    condition     = !aws_elasticache_replication_group.this["redis"].automatic_failover_enabled
    error_message = "AWS refuses failover with one copy."
  }
}

run "a_bucket_with_a_path_is_refused" {
  command = plan

  variables {
    weights = { other_buckets = ["s3://models/llama"] }
  }

  expect_failures = [var.weights]
}

run "a_database_that_cannot_grow_is_refused" {
  command = plan

  variables {
    database = { storage = 100, max_storage = 100 }
  }

  expect_failures = [var.database]
}

run "too_many_backups_are_refused" {
  command = plan

  variables {
    database = { backup_days = 60 }
  }

  expect_failures = [var.database]
}

run "no_copy_of_redis_is_refused" {
  command = plan

  variables {
    redis = { copies = 0 }
  }

  expect_failures = [var.redis]
}
