locals {
  own_zones          = toset(var.network.existing == null ? var.network.zones : [])
  zone_numbers       = { for number, zone in sort(tolist(local.own_zones)) : zone => number }
  nat_zones          = toset(var.network.nat == "one" ? slice(sort(tolist(local.own_zones)), 0, min(1, length(local.own_zones))) : local.own_zones)
  vpc_id             = var.network.existing == null ? aws_vpc.this[0].id : var.network.existing.vpc_id
  private_subnet_ids = var.network.existing == null ? { for zone, subnet in aws_subnet.private : zone => subnet.id } : var.network.existing.private_subnet_ids
}

resource "aws_vpc" "this" {
  count = var.network.existing == null ? 1 : 0

  cidr_block           = var.network.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# Nothing uses it, so that nothing is let in by what everybody forgot.
resource "aws_default_security_group" "this" {
  count = var.network.existing == null ? 1 : 0

  vpc_id = aws_vpc.this[0].id
}

resource "aws_subnet" "private" {
  for_each = local.own_zones

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  # Pods have addresses of the VPC's, so nearly all of it goes to them.
  cidr_block = cidrsubnet(var.network.cidr, 3, local.zone_numbers[each.key])
  tags = {
    Name                              = "${var.name}-private-${each.key}"
    "kubernetes.io/role/internal-elb" = "1"
  }
}

resource "aws_subnet" "public" {
  for_each = local.own_zones

  vpc_id            = aws_vpc.this[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.network.cidr, 8, 240 + local.zone_numbers[each.key])
  tags = {
    Name                     = "${var.name}-public-${each.key}"
    "kubernetes.io/role/elb" = "1"
  }
}

resource "aws_internet_gateway" "this" {
  count = var.network.existing == null ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = var.name }
}

resource "aws_eip" "nat" {
  # checkov:skip=CKV2_AWS_19:It belongs to a NAT gateway, not to a machine
  for_each = local.nat_zones

  domain = "vpc"
  tags   = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each = local.nat_zones

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  count = var.network.existing == null ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "internet" {
  count = var.network.existing == null ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  for_each = local.own_zones

  route_table_id = aws_route_table.public[0].id
  subnet_id      = aws_subnet.public[each.key].id
}

resource "aws_route_table" "private" {
  for_each = local.own_zones

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route" "nat" {
  for_each = local.own_zones

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.network.nat == "one" ? one(local.nat_zones) : each.key].id
}

resource "aws_route_table_association" "private" {
  for_each = local.own_zones

  route_table_id = aws_route_table.private[each.key].id
  subnet_id      = aws_subnet.private[each.key].id
}

# Weights are hundreds of gigabytes: through the NAT gateway each would be paid for, this way none is.
resource "aws_vpc_endpoint" "s3" {
  count = var.network.existing == null ? 1 : 0

  vpc_id            = aws_vpc.this[0].id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [for zone in sort(tolist(local.own_zones)) : aws_route_table.private[zone].id]
  tags              = { Name = "${var.name}-s3" }
}
