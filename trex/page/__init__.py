"""The page with the QR code, seen from the login."""
