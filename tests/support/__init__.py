"""What tests share: accounts, keys, servers, clients."""
