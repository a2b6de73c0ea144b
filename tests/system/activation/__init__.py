"""`trex activate`, `confirm` and `deactivate`: a real sshd, sudo, su, and kills at every step."""
