"""Peers: gossip, requests and sync behind one seam."""
