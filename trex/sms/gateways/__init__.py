"""The kinds of gateways, one module each; `trex.sms.send` imports the one it needs."""
