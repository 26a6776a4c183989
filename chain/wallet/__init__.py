"""Keys, keystore and signed transactions; never imports the network."""
