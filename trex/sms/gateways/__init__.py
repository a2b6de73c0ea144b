"""The ways to send a message, one file each; `trex.sms.send` loads one by name."""
