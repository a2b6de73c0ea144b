"""method=sms: real logins, gateways on loopback, real TLS, SMTP and Redis."""
