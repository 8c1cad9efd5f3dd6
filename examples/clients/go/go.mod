module penstock/examples/clients

go 1.21
